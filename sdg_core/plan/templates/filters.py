"""Filters beside the engine's own: those that take a size, bounded, and those of Jinja2 that the engine does not have.

The template engine allocates what `indent`, `format`, `batch`, `slice` and `tojson` are told to, and a failed allocation ends
the process: no exception, no failed record. So sizes are looked at first; the engine's own filter does the rest. What the
engine does not have at all, or not with the arguments given, is done by Jinja2's own functions.
"""

import ast
import json  # with the blanks that readers of the output know
import re
import reprlib
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

import jinja2
import minijinja
import orjson
from jinja2 import filters as jinja_filters
from jinja2 import nodes

from sdg_core.plan.templates import jsonpath
from sdg_core.plan.templates.rewrite import (
    AS_JSON,
    FROM_JSON,
    FROM_JSON_LIST,
    METHOD,
    PERCENT,
    POSITIONAL,
    TEXT_METHODS,
)

MAX_SIZE = 10_000
"""Characters or items that a filter may be asked to make room for."""
MAX_PRINTED = 100_000
"""Characters of a text that may be read as a Python literal: the parser needs some hundred times their memory."""
_SIZED = ("indent", "batch", "slice", "tojson")
_WIDE_PERCENT = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(?:\*|\d{5,}|\d*\.(?:\*|\d{5,}))")
_WIDE_BRACES = re.compile(r"\{[^{}]*(?:\d{5,}|\{)")
_JINJA = jinja2.Environment(autoescape=False)
_CURRENT = threading.local()
_NO_DEFAULT = object()


class TooLargeError(ValueError):
    """A filter was asked for a size that nobody means."""


class NullOperandError(ValueError):
    """A filter of numbers met null, or what is undefined: only the engine's own filter knows which of the two."""


class Choices(Protocol):
    """The random numbers of one rendering."""

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound`, exclusive."""


class use_choices:
    """`with use_choices(choices):` lets the filter `random` choose in the renderings of this thread; None forbids it."""

    def __init__(self, choices: Choices | None) -> None:
        self._choices = choices

    def __enter__(self) -> None:
        _CURRENT.choices = self._choices

    def __exit__(self, *_: object) -> None:
        _CURRENT.choices = None


def add_bounded_filters(env: minijinja.Environment, *, numbers: bool = True) -> None:
    """Replace the filters of an environment that take a size. numbers: `int` and `float`, too, by Jinja2's."""
    for name in _SIZED:
        env.add_filter(name, _bounded(name))
    env.add_filter("format", _format)
    for name, function in ADDED.items():
        if numbers or name not in _NUMBERS:
            env.add_filter(name, function)


def unbounded_method(tree: nodes.Template) -> str | None:
    """Why a call of a string's `format` method cannot be allowed; None if there is none."""
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and call.node.attr == "format":
            text = call.node.node
            if not isinstance(text, nodes.Const) or not isinstance(text.value, str):
                return "format() works only on text written in the template; use the filter format"
            if _WIDE_BRACES.search(text.value):
                return f"format(): a width in {text.value!r} is above {MAX_SIZE:,} or computed"
    return None


def _bounded(name: str) -> Callable[..., Any]:
    def call(value: Any, *args: Any, **kwargs: Any) -> Any:
        for size in (*args, *kwargs.values()):
            if isinstance(size, int | float) and abs(size) > MAX_SIZE:
                raise TooLargeError(f"filter {name}: {size:g} is above {MAX_SIZE:,}")
        width = kwargs.get("width", args[0] if args else None)
        if name == "indent" and isinstance(width, str):
            return jinja_filters.do_indent(_text(value, name), *args, **kwargs)
        return _original(name, value, args, kwargs)

    return call


def _format(value: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(value, str) and _WIDE_PERCENT.search(value):
        raise TooLargeError(
            f"filter format: a width in {value[:60]!r} is above {MAX_SIZE:,} or computed"
        )
    return _original("format", value, args, kwargs)


def _original(
    name: str, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """What the engine's own filter makes of it."""
    written = []
    values = {}
    for place, argument in enumerate(args):
        written.append(f"a{place}")
        values[f"a{place}"] = argument
    for key, argument in kwargs.items():
        written.append(f"{key}=k_{key}")
        values[f"k_{key}"] = argument
    return _engine().eval_expr(
        f"value|{name}({', '.join(written)})", value=value, **values
    )


@lru_cache(maxsize=1)
def _engine() -> minijinja.Environment:
    return minijinja.Environment()


def _text(value: Any, name: str) -> str:
    """What a filter of texts works on; the engine hands over None for what is undefined."""
    if value is None:
        raise ValueError(f"filter {name}: the value is null or undefined")
    return value if isinstance(value, str) else str(value)


def _sized(name: str, size: Any) -> None:
    if isinstance(size, int | float) and abs(size) > MAX_SIZE:
        raise TooLargeError(f"filter {name}: {size:g} is above {MAX_SIZE:,}")


def _truncated(
    value: Any,
    length: int = 255,
    killwords: bool = False,
    end: str = "...",
    leeway: int | None = None,
) -> str:
    if length < len(end):
        raise ValueError(
            f"filter truncate: {length} is shorter than {end!r}, the ending of the text"
        )
    return jinja_filters.do_truncate(
        _JINJA, _text(value, "truncate"), length, killwords, end, leeway
    )


def _wrapped(
    value: Any,
    width: int = 79,
    break_long_words: bool = True,
    wrapstring: str | None = None,
    break_on_hyphens: bool = True,
) -> str:
    text = _text(value, "wordwrap")
    return jinja_filters.do_wordwrap(
        _JINJA, text, width, break_long_words, wrapstring, break_on_hyphens
    )


def _replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    count = -1 if count is None else count
    return _text(value, "replace").replace(str(old), str(new), count)


def _int(value: Any, default: Any = _NO_DEFAULT, base: int = 10) -> Any:
    return _number("int", value, jinja_filters.do_int(value, default, base))


def _float(value: Any, default: Any = _NO_DEFAULT) -> Any:
    return _number("float", value, jinja_filters.do_float(value, default))


def _number(name: str, value: Any, number: Any) -> Any:
    """A number as the engine can hold it; of more than 128 bits its digits.

    Jinja2 makes 0 of what is no number. Here that takes a default: nobody would notice that 0 in a dataset.
    """
    if value is None:
        raise NullOperandError(f"filter {name}: the value is null or undefined")
    if number is _NO_DEFAULT:
        raise ValueError(
            f"filter {name}: {reprlib.repr(value)} is not a number; {name}(0) would give 0 for it"
        )
    return str(number) if isinstance(number, int) and abs(number) >= 2**127 else number


def _sort(
    value: Any,
    reverse: bool = False,
    case_sensitive: bool = False,
    attribute: str | int | None = None,
) -> list[Any]:
    return jinja_filters.do_sort(
        _JINJA,
        _items(value, "sort", may_be_empty=True),
        reverse,
        case_sensitive,
        attribute,
    )


def _min(
    value: Any, case_sensitive: bool = False, attribute: str | int | None = None
) -> Any:
    return min(_items(value, "min"), key=_key(case_sensitive, attribute))


def _max(
    value: Any, case_sensitive: bool = False, attribute: str | int | None = None
) -> Any:
    return max(_items(value, "max"), key=_key(case_sensitive, attribute))


def _unique(
    value: Any, case_sensitive: bool = False, attribute: str | int | None = None
) -> list[Any]:
    return list(
        jinja_filters.do_unique(
            _JINJA,
            _items(value, "unique", may_be_empty=True),
            case_sensitive,
            attribute,
        )
    )


def _dictsort(
    value: Any, case_sensitive: bool = False, by: str = "key", reverse: bool = False
) -> list[Any]:
    if not isinstance(value, dict):
        raise ValueError("filter dictsort: expected a mapping")
    return jinja_filters.do_dictsort(value, case_sensitive, by, reverse)  # type: ignore[arg-type]


def _items(value: Any, name: str, *, may_be_empty: bool = False) -> Any:
    if not isinstance(value, list | tuple | dict | str) or not (value or may_be_empty):
        kind = "a list or text" if may_be_empty else "a non-empty list or text"
        raise ValueError(f"filter {name}: expected {kind}")
    return value


def _key(case_sensitive: bool, attribute: str | int | None) -> Any:
    lower = None if case_sensitive else jinja_filters.ignore_case
    return jinja_filters.make_attrgetter(_JINJA, attribute, postprocess=lower)


def _center(value: Any, width: int = 80) -> str:
    _sized("center", width)
    return _text(value, "center").center(width)


def _wordcount(value: Any) -> int:
    return jinja_filters.do_wordcount(_text(value, "wordcount"))


def _forceescape(value: Any) -> str:
    return str(jinja_filters.do_forceescape(_text(value, "forceescape")))


def _random(value: Any) -> Any:
    """One of the items, by the record's own random words."""
    items: Sequence[Any] = value if isinstance(value, str) else list(value or ())
    choices: Choices | None = getattr(_CURRENT, "choices", None)
    if choices is None:
        raise ValueError(
            "filter random: no record is available here to draw random numbers for"
        )
    if not items:
        raise ValueError("filter random: the list is empty")
    return items[choices.below(len(items))]


def _jsonpath(value: Any, path: str) -> list[Any]:
    return jsonpath.find(_from_json(value), path)


def _percent(value: str, *args: Any) -> str:
    if _WIDE_PERCENT.search(value):
        raise TooLargeError(
            f"%: a width in {value[:60]!r} is above {MAX_SIZE:,} or computed"
        )
    by_name = len(args) == 1 and isinstance(args[0], dict)
    try:
        return str(value % (args[0] if by_name else args))
    except (TypeError, KeyError) as error:
        raise ValueError(f"{value!r} % ...: {error}") from None


def _method(value: Any, name: str, *args: Any) -> Any:
    if name == "index" and isinstance(value, list):
        return value.index(*args)
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} has no method {name!r}")
    if name not in TEXT_METHODS:
        raise ValueError(f"text has no method {name!r}")
    for size in args:
        _sized(name, size)
    made = getattr(value, name)(*args)
    return list(made) if isinstance(made, tuple) else made


def _from_json(value: Any) -> Any:
    """An object or list for the text that spells it; anything else as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return _from_printed(value)


def _from_printed(text: str) -> Any:
    """What another template printed as `{'a': 1}` or `['x']`: a Python literal; the text itself if it is none."""
    if len(text) > MAX_PRINTED:
        return text
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return found if isinstance(found, dict | list) and _is_plain(found) else text


def _is_plain(value: Any) -> bool:
    """Whether JSON has a form for it: sets, tuples, bytes and complex numbers are Python's alone."""
    if isinstance(value, dict):
        has_text_keys = all(isinstance(key, str) for key in value)
        return has_text_keys and all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list_from_json(value: Any) -> Any:
    found = _from_json(value)
    return found if isinstance(found, list) else value


_NUMBERS = ("int", "float")
ADDED: dict[str, Callable[..., Any]] = {
    "int": _int,
    "float": _float,
    POSITIONAL["truncate"]: _truncated,
    POSITIONAL["wordwrap"]: _wrapped,
    POSITIONAL["replace"]: _replace,
    POSITIONAL["sort"]: _sort,
    POSITIONAL["min"]: _min,
    POSITIONAL["max"]: _max,
    POSITIONAL["unique"]: _unique,
    POSITIONAL["dictsort"]: _dictsort,
    "center": _center,
    "wordcount": _wordcount,
    "forceescape": _forceescape,
    "random": _random,
    "jsonpath": _jsonpath,
    PERCENT: _percent,
    METHOD: _method,
    AS_JSON: _as_json,
    FROM_JSON: _from_json,
    FROM_JSON_LIST: _list_from_json,
}


def reads_json(value: Any) -> bool:
    """Whether a value is, or holds, a text that may be a JSON object or list."""
    if isinstance(value, str):
        return value.lstrip()[:1] in ("{", "[")
    if isinstance(value, dict):
        return any(map(reads_json, value.values()))
    return isinstance(value, list) and any(map(reads_json, value))
