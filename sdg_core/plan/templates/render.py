"""Templates compiled once and rendered many times.

A rendering is a pure function of the template and the columns it names. Each template lives in an environment of its own
(no lock shared with other templates), sees only the values it names, and gets them as fresh plain
JSON, so that `{{ rows.append(1) }}` changes a copy. Every fault comes out as a `RenderError` of one line.

Threads: a template may be rendered by several threads at once. minijinja lets go of the interpreter lock before it waits for
its own, so they cannot block each other for good; compiling happens in the constructor, before anybody else has the object.
"""

import base64
import datetime
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import minijinja
import numpy as np
import polars as pl

from sdg_core.errors import CellError
from sdg_core.plan.templates.engine import chooses, first_line, new_environment, template_references
from sdg_core.plan.templates.filters import Choices, drawing, reads_json
from sdg_core.plan.templates.rewrite import as_written, for_engine, reading_json

_NAME = "template"
_SCALARS = frozenset({str, int, float, bool, type(None)})


class RenderError(CellError):
    """A template could not be rendered with the values of one record; the message is one line."""


class Template:
    """A compiled template. Raises TemplateSyntaxError (a ValueError) for a source that cannot be parsed.

    names: what it reads, in alphabetical order; `render` needs a value for each and ignores all others.
    chooses: whether it uses the filter `random`, so that `render` needs `choices`.
    """

    __slots__ = ("_json", "_plain", "chooses", "names", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.names = tuple(sorted(template_references(source)))
        self.chooses = chooses(source)
        self._compile()

    def render(self, values: Mapping[str, Any], choices: Choices | None = None) -> str:
        """The text. `choices` are the random numbers of the record. Raises RenderError.

        A text that is a JSON object or list is read where the template looks into it, loops over it or measures it; where it
        is printed, it stays as it is.
        """
        if not self.chooses:
            return self._render(values)
        with drawing(choices):
            return self._render(values)

    def _render(self, values: Mapping[str, Any]) -> str:
        context: dict[str, Any] = {}
        nested = False
        for name in self.names:
            try:
                value = values[name]
            except KeyError:
                raise RenderError(f"undefined value {name!r}") from None
            if type(value) not in _SCALARS:
                value = plain_value(value)
                nested |= type(value) not in _SCALARS
            context[name] = value
        variant = self._plain
        if self._json is not None and any(map(reads_json, context.values())):
            variant, nested = self._json, True
        text = self._text(variant.printing, context)
        if nested and " method " in text:
            self._text(variant.guarded, context)  # raises if one was printed
        return text

    def _text(self, env: minijinja.Environment, context: Mapping[str, Any]) -> str:
        try:
            return env.render_template(_NAME, **context)
        except minijinja.TemplateError as error:
            raise RenderError(self._reason(error, env)) from None
        except RenderError:
            raise
        except BaseException as error:
            if type(error).__name__ == "PanicException":
                self._compile()  # a panic leaves the environment locked for ever
            elif not isinstance(error, Exception):
                raise
            raise RenderError(f"{type(error).__name__}: {error}".splitlines()[0]) from None

    def _compile(self) -> None:
        self._plain = _Variant(for_engine(self.source))
        json_source = reading_json(self.source, self.names)
        self._json = _Variant(json_source) if json_source is not None else None

    def _reason(self, error: minijinja.TemplateError, env: minijinja.Environment) -> str:
        reason = first_line(error).replace(f" (in {_NAME}:1)", "")
        if error.kind == "UndefinedError" and error.range is not None:
            variant = self._json if self._json is not None and env in self._json else self._plain
            reason = reason.replace("undefined value", f"undefined value {variant.expression(*error.range)!r}", 1)
        return reason.replace(f" (in {_NAME}:{error.line})", f" (line {error.line} of the template)")


class _Variant:
    """A source in the engine's words: an environment that renders it, and one that refuses to print methods."""

    __slots__ = ("guarded", "printing", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.printing = _own_environment(source)
        self.guarded = _own_environment(source)
        self.guarded.finalizer = _refuse_methods

    def __contains__(self, env: minijinja.Environment) -> bool:
        return env is self.printing or env is self.guarded

    def expression(self, start: int, end: int) -> str:
        """The expression between two places (in bytes) as its author wrote it."""
        return as_written(self.source.encode()[start:end].decode(errors="replace"))


class NestedTemplate:
    """Lists and mappings whose strings are templates; other values, and keys, stay as they are.

    Every leaf that was a template renders to text, whatever it looks like: `"1.10"` is never turned into a number.
    """

    __slots__ = ("_compiled",)

    def __init__(self, template: Any) -> None:
        self._compiled = _compile_nested(template)

    def render(self, values: Mapping[str, Any]) -> Any:
        """A fresh structure of the same shape. Raises RenderError."""
        return _render_compiled(self._compiled, values)


@lru_cache(maxsize=4096)
def compiled(source: str) -> Template:
    """The one `Template` of a source in this process."""
    return Template(source)


def render_nested(template: Any, values: Mapping[str, Any]) -> Any:
    """`NestedTemplate(template).render(values)`; the templates in it are compiled once per process."""
    return NestedTemplate(template).render(values)


def plain_value(value: Any) -> Any:
    """A fresh plain-JSON copy of a value: text, int, float, bool, None, and lists and dicts with text keys of them.

    Dates and times become ISO 8601 text; decimals and what JSON does not know their text; bytes their UTF-8 text, or base64
    where they are not UTF-8.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {key if type(key) is str else str(key): plain_value(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(child) for child in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    match value:
        case datetime.date() | datetime.time():
            return value.isoformat()
        case Decimal():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return _bytes_text(bytes(value))
        case pl.Series():
            return plain_value(value.to_list())
        case np.ndarray() | np.generic():
            return plain_value(value.tolist())
        case str():
            return str.__str__(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case _:
            return str(value)


def _bytes_text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return base64.b64encode(value).decode("ascii")


def _own_environment(source: str) -> minijinja.Environment:
    """Settings of the environment that checked the template, but nothing else in it."""
    env = new_environment()
    env.add_template(_NAME, source)
    return env


def _refuse_methods(value: Any) -> Any:
    """What is printed, unless it is a Python method: `{{ row.items }}` without the key `items` would print an address.

    Serves to tell, not to print: what passes through it comes out changed (1.0 as 1).
    """
    if callable(value):
        raise RenderError(f"{getattr(value, '__name__', 'it')!r} is a method here, not a key; call it, or use ['key']")
    return value


def _compile_nested(template: Any) -> Any:
    if isinstance(template, str):
        return compiled(template)
    if isinstance(template, Mapping):
        return {key: _compile_nested(child) for key, child in template.items()}
    if isinstance(template, list | tuple):
        return [_compile_nested(child) for child in template]
    return template


def _render_compiled(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, Template):
        return template.render(values)
    if isinstance(template, dict):
        return {key: _render_compiled(child, values) for key, child in template.items()}
    if isinstance(template, list):
        return [_render_compiled(child, values) for child in template]
    return template
