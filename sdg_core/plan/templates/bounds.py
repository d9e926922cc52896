"""Upper bounds of what the filters, methods and functions of a template return, by the sizes of what they are given."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

SCALAR_SIZE = 40.0
"""Characters of a number, a truth value or nothing."""
_WIDEST = 10_000.0
"""What sizes that come from a record are bounded to (`filters.MAX_SIZE`)."""
_DEPTH = 200.0
_INTEGER = re.compile(r"\d+")


class UnboundedError(Exception):
    """Something in a template has no bound that could be told."""


@dataclass(frozen=True)
class Bound:
    """What a value has at most: characters, items where it is looped over; `largest` if it is a number.

    whole: the characters of an item of a loop, of which `size` is the share that adds up to what is looped over.
    roots: the columns whose items its items are. text: the value itself if it is a text of the template.
    """

    size: float
    count: float = 0.0
    whole: float = -1.0
    is_number: bool = False
    largest: float = math.inf
    roots: frozenset[str] = frozenset()
    text: str | None = None

    def __post_init__(self) -> None:
        if self.whole < self.size:
            object.__setattr__(self, "whole", self.size)


NUMBER = Bound(SCALAR_SIZE, is_number=True)


def constant(value: Any) -> Bound:
    """A literal of the template."""
    if isinstance(value, str):
        return Bound(len(value), count=len(value), text=value)
    return (
        replace(NUMBER, largest=abs(value or 0))
        if isinstance(value, int | float)
        else NUMBER
    )


def either(first: Bound, second: Bound) -> Bound:
    """One of two values, nobody knows which."""
    return Bound(
        max(first.size, second.size),
        max(first.count, second.count),
        max(first.whole, second.whole),
        first.is_number and second.is_number,
        max(first.largest, second.largest),
        first.roots | second.roots,
    )


def together(parts: Sequence[Bound]) -> Bound:
    """All of the values in one text or list."""
    size = sum(part.size for part in parts)
    count = sum(part.count for part in parts)
    whole = sum(part.whole for part in parts)
    roots = frozenset[str]()
    for part in parts:
        roots |= part.roots
    return Bound(
        size + SCALAR_SIZE, count + len(parts), whole + SCALAR_SIZE, roots=roots
    )


def scaled(bound: Bound, factor: float, more: float = 0.0) -> Bound:
    """A text or list that may be so many times as large; it is looped over character by character in the worst case."""
    return Bound(
        bound.size * factor + more,
        max(bound.count, bound.size * factor + more),
        bound.whole * factor + more,
    )


def formatted(text: Bound, arguments: Sequence[Bound], sign: str) -> Bound:
    """`text % arguments`, its filter and its method: each place may take all arguments, and is as wide as it says."""
    given = sum(argument.whole for argument in arguments)
    if text.text is None:
        return Bound(text.size * (_WIDEST + given))
    written_widths = map(float, _INTEGER.findall(text.text))
    widths = sum(min(width, _WIDEST) for width in written_widths)
    places = text.text.count(sign) * 4
    size = text.size + widths + places * (given + SCALAR_SIZE)
    return Bound(size, size)


def filter_bound(name: str, value: Bound, arguments: Sequence[Bound]) -> Bound:
    """What a filter or method returns at most. Raises UnboundedError for one that is not known."""
    if name in ("length", "count", "wordcount"):
        return replace(NUMBER, largest=value.size)
    if name in _NUMBERS:
        return replace(NUMBER, largest=math.inf)
    if name in _SAME:
        return replace(value, is_number=False, text=None)
    factor = _FACTORS.get(name)
    if factor is not None:
        given = sum(argument.size for argument in arguments)
        return scaled(value, factor, SCALAR_SIZE + given)
    special = _SPECIAL.get(name)
    if special is None:
        raise UnboundedError(name)
    return special(value, arguments)


def _number(argument: Bound) -> float:
    return min(argument.largest, _WIDEST)


def _wide(value: Bound, arguments: Sequence[Bound]) -> Bound:
    width = sum(map(_number, arguments))
    filled = sum(argument.size for argument in arguments)
    return scaled(value, 1, width + filled)


def _indented(value: Bound, arguments: Sequence[Bound]) -> Bound:
    width = max(map(_number, arguments), default=8.0)
    return scaled(value, 1 + width, width)


def _json(value: Bound, arguments: Sequence[Bound]) -> Bound:
    indent = max(map(_number, arguments), default=0.0)
    levels = _DEPTH if indent > 8 else 8
    return scaled(value, 8 + indent * levels, SCALAR_SIZE)


def _characters(bound: Bound) -> float:
    return bound.whole if bound.text is None else len(bound.text)


def _inserted(value: Bound, arguments: Sequence[Bound]) -> Bound:
    """An argument between all characters or items."""
    more = max(map(_characters, arguments), default=1.0)
    return scaled(value, 1 + more, more)


def _spread(value: Bound, arguments: Sequence[Bound]) -> Bound:
    times = sum(map(_number, arguments))
    widest = max((argument.size for argument in arguments), default=0.0)
    return scaled(value, 2, times * widest)


def _or_given(value: Bound, arguments: Sequence[Bound]) -> Bound:
    result = value
    for argument in arguments:
        result = either(result, argument)
    return result


def _joined(separator: Bound, arguments: Sequence[Bound]) -> Bound:
    return _inserted(together(arguments), [separator])


def _found(value: Bound, arguments: Sequence[Bound]) -> Bound:
    path = arguments[0].text if arguments else None
    if path is None:
        raise UnboundedError("jsonpath")
    named = 1
    for step in path.split("["):
        named *= step.count(",") + 1
    return scaled(value, 2 * named * _DEPTH ** path.count(".."))


_NUMBERS = frozenset(
    "length count int float abs round bool wordcount filesizeformat find rfind index rindex startswith endswith isalnum "
    "isalpha isascii isdigit islower isnumeric isspace isupper istitle isdecimal isidentifier isprintable".split()
)
_SAME = frozenset(
    "sort reverse unique list safe trim strip lstrip rstrip lower swapcase title capitalize striptags first last random min "
    "max sum attr select reject selectattr rejectattr removeprefix removesuffix keys values chain json_ json_list_".split()
)
_FACTORS = {
    "upper": 3.0,
    "casefold": 3.0,
    "e": 6.0,
    "escape": 6.0,
    "forceescape": 6.0,
    "urlencode": 12.0,
    "string": 4.0,
    "as_json_": 12.0,
    "pprint": _DEPTH,
    "items": 2.0,
    "dictsort": 2.0,
    "groupby": 2.0,
    "zip": 2.0,
    "lines": 8.0,
    "splitlines": 8.0,
    "split": 8.0,
    "rsplit": 8.0,
    "partition": 2.0,
    "rpartition": 2.0,
    "truncate": 1.0,
    "truncate_": 1.0,
}
_SPECIAL: dict[str, Callable[[Bound, Sequence[Bound]], Bound]] = {
    "center": _wide,
    "ljust": _wide,
    "rjust": _wide,
    "zfill": _wide,
    "indent": _indented,
    "expandtabs": _indented,
    "tojson": _json,
    "replace": _inserted,
    "replace_": _inserted,
    "join": _inserted,
    "wordwrap": _inserted,
    "wordwrap_": _inserted,
    "batch": _spread,
    "slice": _spread,
    "default": _or_given,
    "d": _or_given,
    "get": _or_given,
    "cycle": _or_given,
    "jsonpath": _found,
    "format": lambda value, arguments: formatted(value, arguments, "%"),
    "percent_": lambda value, arguments: formatted(value, arguments, "%"),
}
METHODS: dict[str, Callable[[Bound, Sequence[Bound]], Bound]] = {
    "join": _joined,
    "format": lambda value, arguments: formatted(value, arguments, "{"),
}
"""Methods that mean something else than the filter of their name."""
