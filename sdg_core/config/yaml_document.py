"""YAML (or JSON) text to plain data, remembering the line of every value.

YAML decides scalar types once, here: a quoted `"1.10"` is text for good. Numbers are those of YAML 1.2's core schema
(https://yaml.org/spec/1.2.2/#103-core-schema), so `10:30` and `1_000` are the text that was written and `1e-5` is a number.
More traps are closed: a key given twice is an error instead of the last one winning, an unquoted date becomes the text that
was written, and a number with leading zeros, which YAML 1.1 takes for octal, is refused. A `.json` file is read as JSON.
"""

import errno
import json
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from sdg_core.config.lone_surrogates import lone_surrogates
from sdg_core.config.yaml_advice import advice_on

Path = tuple[str | int, ...]
Problems = Iterator[tuple[Path, str]]
"""What a check finds wrong: where, and what."""


@dataclass(frozen=True)
class Document:
    """Plain data and, for each path in it, the line (from 1) where it stands."""

    data: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int | None:
        """The line of `path`, or of its nearest enclosing value."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)


class DocumentSyntaxError(Exception):
    """The text is not YAML, or gives a key twice."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


_MAX_NUMBER_LENGTH = 400
"""Digits of an integer: real numbers have up to 309."""
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Where YAML 1.1 counts lines."""
MAX_VALUES = 1_000_000
"""Values a document may hold, aliases spelt out; a file beyond it is a mistake or an attack ("billion laughs")."""
MAX_REPEATED = 100_000
"""Values of a document that has more of them than characters, which only aliases and merge keys bring about."""
MAX_CHARACTERS = 64 * 2**20
MAX_DEPTH = 200
_MAX_EVENTS = 2 * MAX_VALUES + 4
"""What a parser may report of so many values and their keys, the stream and the document."""
_MAX_STEPS = 16 * 2**20
"""Keys and places on the paths to all values together: many values deep down take as much memory."""

_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_VALUE = "tag:yaml.org,2002:value"
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_REAL = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+(\.[0-9]*)?")


class _Lines:
    """Lines of values, of as many as a text may have. Raises DocumentSyntaxError for more."""

    def __init__(self, text: str) -> None:
        self.by_path: dict[Path, int] = {}
        self.most = min(MAX_VALUES, max(MAX_REPEATED, len(text)))
        self._steps = _MAX_STEPS

    @property
    def left(self) -> int:
        """How many more values there may be."""
        return self.most - len(self.by_path)

    def note_first(self, path: Path, line: int) -> None:
        """A value, unless it is known already."""
        if path not in self.by_path:
            self.note(path, line)

    def note(self, path: Path, line: int) -> None:
        """A value, or another line of it."""
        self._steps -= len(path)
        if self.left < 0:
            raise DocumentSyntaxError(
                f"more than {self.most:,} values; check for aliases that multiply them",
                line,
            )
        if self._steps < 0:
            raise DocumentSyntaxError("too many deeply nested values", line)
        self.by_path[path] = line


def _resolvers_without(*tags: str) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """PyYAML's table of what unquoted text is, by its first character, without these tags."""
    kept = {}
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items():
        kept[first] = [(tag, pattern) for tag, pattern in found if tag not in tags]
    return kept


class _Loader(yaml.CSafeLoader):
    """Safe loader with the numbers of YAML 1.2, in which dates stay text."""

    yaml_implicit_resolvers = _resolvers_without(_INT, _FLOAT, _VALUE)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The value of a node; a scalar that is not what its tag says is a fault of the document (`!!int abc`)."""
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            shown = (
                node.value[:60] if isinstance(node.value, str) else "a list or mapping"
            )
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"{shown!r} is not the {kind} that its tag declares",
                node.start_mark,
            ) from error


def _integer(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> int:
    text = node.value
    if _LEADING_ZERO.fullmatch(text):
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f'{text} has leading zeros; quote it to keep it as text ("{text}"), or leave them out',
            node.start_mark,
        )
    if len(text) > _MAX_NUMBER_LENGTH:
        raise yaml.constructor.ConstructorError(
            None,
            None,
            f"a number with {len(text):,} digits; quote it to keep it as text",
            node.start_mark,
        )
    if text.startswith("0o"):
        return int(text[2:], 8)
    if text.startswith("0x"):
        return int(text[2:], 16)
    return int(text)


def _real(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> float:
    text = node.value
    if _LEADING_ZERO.fullmatch(text):
        return _integer(loader, node)
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


class _Dumper(yaml.SafeDumper):
    """Safe dumper that quotes a text which the loader would take for a number, such as `1e3`."""


for _reads_scalars in (_Loader, _Dumper):
    _reads_scalars.add_implicit_resolver(
        _INT, re.compile(rf"^(?:{_INTEGER.pattern})$"), list("-+0123456789")
    )
    _reads_scalars.add_implicit_resolver(
        _FLOAT, re.compile(rf"^(?:{_REAL.pattern})$"), list("-+0123456789.")
    )
_Loader.add_constructor(_INT, _integer)
_Loader.add_constructor(_FLOAT, _real)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)


def dump_document(data: Any) -> str:
    """Plain data as YAML that `parse_document` reads back as the same data, with keys in their order."""
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110
    )


_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def document_text(path: FilePath) -> str:
    """The text of a file, of a long one as much as shows that it is too long.

    Raises OSError, UnicodeDecodeError. A pipe or a device, for which one could wait without end, is not opened.
    """
    mode = path.stat().st_mode
    if not (
        stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    ):  # opening says what is wrong with a directory
        raise OSError(
            errno.EINVAL,
            f"it is {_KINDS.get(stat.S_IFMT(mode), 'no regular file')}, not a file",
            str(path),
        )
    with path.open(encoding="utf-8") as file:
        return file.read(MAX_CHARACTERS + 1)


def parse_document(text: str, *, is_json: bool = False) -> Document:
    """Parse one YAML document, or one of JSON. Raises DocumentSyntaxError."""
    if len(text) > MAX_CHARACTERS:
        raise DocumentSyntaxError(
            f"{len(text):,} characters; the limit is {MAX_CHARACTERS:,}", None
        )
    _check_size(text)
    if is_json:
        return _parse_json(text)
    loader = _Loader(text)
    lines = _Lines(text)
    data = None
    try:
        node = loader.get_single_node()
        if node is not None:
            _walk(node, (), lines, frozenset())
            data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise _marked_error(error, text) from error
    except DocumentSyntaxError as error:
        near = _LINE_BREAK.split(text)[error.line - 1] if error.line is not None else ""
        message = error.message + advice_on(error.message, near)
        raise DocumentSyntaxError(message, error.line) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"character #x{ord_of(error.character):04x} is not allowed"
        raise DocumentSyntaxError(message, line) from error
    except RecursionError as error:
        raise DocumentSyntaxError("nested too deeply", None) from error
    finally:
        loader.dispose()
    return Document(data, lines.by_path)


def _marked_error(error: yaml.MarkedYAMLError, text: str) -> DocumentSyntaxError:
    """What the parser says of a place, with advice on the line there."""
    message = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return DocumentSyntaxError(message + advice_on(message, ""), None)
    lines = text.split("\n")
    near = lines[mark.line] if mark.line < len(lines) else ""
    return DocumentSyntaxError(message + advice_on(message, near), mark.line + 1)


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+|\n')


def _parse_json(text: str) -> Document:
    text = text.removeprefix("\ufeff")
    try:
        data = json.loads(text, parse_constant=_no_constant)
        json.dumps(data, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise DocumentSyntaxError(f"not JSON: {error.msg}", error.lineno) from error
    except UnicodeEncodeError as error:
        place, message = next(lone_surrogates(data))
        where = f"{format_path(place)}: " if place else ""
        raise DocumentSyntaxError(
            f"{where}{message}", Document(data, _json_lines(text)).line(place)
        ) from error
    except ValueError as error:
        raise DocumentSyntaxError(str(error), None) from error
    except RecursionError as error:
        raise DocumentSyntaxError("nested too deeply", None) from error
    return Document(data, _json_lines(text))


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _json_lines(text: str) -> dict[Path, int]:
    """The line of every value of a JSON text that is known to parse. Raises DocumentSyntaxError for a key given twice."""
    lines = _Lines(text)
    lines.note((), 1)
    around: list[tuple[Path, str]] = []
    path: Path = ()
    line = 1
    key_comes = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            line += 1
        elif token in ("{", "["):
            lines.note_first(path, line)
            around.append((path, token))
            key_comes = token == "{"
            path = (*path, 0) if token == "[" else path
        elif token in ("}", "]"):
            path, _ = around.pop()
            key_comes = False
        elif token == ",":
            container, kind = around[-1]
            key_comes = kind == "{"
            last = path[len(container)] if kind == "[" else None
            path = (*container, last + 1) if isinstance(last, int) else container
        elif token == ":":
            key_comes = False
        elif key_comes:
            path = (*around[-1][0], json.loads(token))
            if path in lines.by_path:
                raise DocumentSyntaxError(f"key {path[-1]!r} is given twice", line)
            lines.note(path, line)
        else:
            lines.note_first(path, line)
    return lines.by_path


def ord_of(character: str | int) -> int:
    """The code point of what the reader complains about, a character or its number."""
    return character if isinstance(character, int) else ord(character)


def _walk(node: yaml.Node, path: Path, lines: _Lines, inside: frozenset[int]) -> None:
    """Note the line of a node and of everything in it; `inside` holds the ids of the nodes around it."""
    line = node.start_mark.line + 1
    if id(node) in inside:
        raise DocumentSyntaxError("an alias refers to a value that contains it", line)
    lines.note(path, line)
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _walk(child, (*path, index), lines, inside | {id(node)})
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                _check_merge(child, lines, line)
                continue
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise DocumentSyntaxError(
                    "a key must be text, not a list or mapping", line
                )
            child_path = (*path, key.value)
            if child_path in lines.by_path:
                raise DocumentSyntaxError(f"key {key.value!r} is given twice", line)
            _walk(child, child_path, lines, inside | {id(node)})
            lines.note(child_path, line)


def _check_size(text: str) -> None:
    """Raise DocumentSyntaxError for text with too many values, or nested so deeply that composing it exhausts the C library's
    stack."""
    depth = 0
    values = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
                continue
            values += 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            if depth > MAX_DEPTH:
                raise DocumentSyntaxError("nested too deeply", None)
            if values > _MAX_EVENTS:
                raise DocumentSyntaxError(f"more than {MAX_VALUES:,} values", None)
    except yaml.YAMLError:  # reported with its place when the document is composed
        return


def _check_merge(node: yaml.Node, lines: _Lines, line: int) -> None:
    """Raise DocumentSyntaxError if merging a node copies more values than there may be."""
    waiting = [node]
    left = lines.left
    while waiting:
        if left < 0:
            raise DocumentSyntaxError(
                f"more than {lines.most:,} values; check for merge keys that multiply them",
                line,
            )
        found = waiting.pop()
        left -= 1
        if isinstance(found, yaml.SequenceNode):
            waiting += found.value
        elif isinstance(found, yaml.MappingNode):
            waiting += [value for _, value in found.value]


def format_path(path: Path) -> str:
    """`("columns", 2, "prompt")` as `columns[2].prompt`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text or "(top level)"
