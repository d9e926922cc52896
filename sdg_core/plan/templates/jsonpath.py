"""JSONPath as templates use it: names, indices, slices, wildcards and descendants of RFC 9535; no filter expressions.

https://www.rfc-editor.org/rfc/rfc9535
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

_STEP = re.compile(
    r"""(?P<deep>\.\.)?(?:
        (?:\.|(?<=\.\.))(?P<name>[^\s.\[\]()?@'"*,:]+) | (?:\.|(?<=\.\.))(?P<all>\*)
      | \[\s*(?: (?P<star>\*) | '(?P<single>(?:[^'\\]|\\.)*)' | "(?P<double>(?:[^"\\]|\\.)*)"
               | (?P<slice>-?\d*\s*:\s*-?\d*(?:\s*:\s*-?\d*)?) | (?P<index>-?\d+(?:\s*,\s*-?\d+)*) )\s*\]
    )""",
    re.VERBOSE,
)


def find(value: Any, path: str) -> list[Any]:
    """What a path finds, in document order. Raises ValueError for a path that is none, or that has a filter expression."""
    if not path.startswith("$"):
        raise ValueError(f"a JSONPath begins with $, got {path!r}")
    found = [value]
    place = 1
    while place < len(path):
        step = _STEP.match(path, place)
        if step is None or step.end() == place:
            raise ValueError(f"not a supported JSONPath: {path!r}, at {path[place:]!r}")
        if step["deep"]:
            found = list(chain.from_iterable(map(_descendants, found)))
        children = [_children(item, step) for item in found]
        found = list(chain.from_iterable(children))
        place = step.end()
    return found


def _children(value: Any, step: re.Match[str]) -> Iterator[Any]:
    if step["all"] or step["star"]:
        yield from _inner(value)
        return
    if step["slice"] or step["index"]:
        if isinstance(value, list):
            yield from _items(value, step)
        return
    quoted = step["single"] if step["single"] is not None else step["double"]
    name = step["name"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    if isinstance(value, dict) and name in value:
        yield value[name]


def _items(value: list[Any], step: re.Match[str]) -> Iterator[Any]:
    if step["slice"]:
        bounds = [
            int(part) if part.strip() else None for part in step["slice"].split(":")
        ]
        if bounds[2:] != [0]:
            yield from value[slice(*bounds)]
        return
    for index in map(int, step["index"].split(",")):
        if -len(value) <= index < len(value):
            yield value[index]


def _descendants(value: Any) -> Iterator[Any]:
    yield value
    for child in _inner(value):
        yield from _descendants(child)


def _inner(value: Any) -> Iterable[Any]:
    """The values of an object, the items of a list; nothing for what is neither."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
