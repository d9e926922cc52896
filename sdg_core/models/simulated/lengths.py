"""Replies of a wanted length, so that what a run costs can be rehearsed.

A length is in tokens as the simulated provider counts them, four characters each. It is drawn for each cell, and what is added
continues the reply that there would be without it: sentences to a text, comments to code, sentences to the texts of JSON.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from sdg_core.config.models import ReplyTokens
from sdg_core.models.simulated.random_stream import RandomStream
from sdg_core.models.structured import InvalidResponseError, validate
from sdg_core.models.types import JsonSchema

_Place = tuple[str | int, ...]
CHARS_PER_TOKEN = 4
_COMMENTS = {
    "python": "# ",
    "ruby": "# ",
    "bash": "# ",
    "sql": "-- ",
    "cobol": "      *> ",
}


def drawn_characters(length: ReplyTokens, draws: RandomStream) -> int:
    """The length of one reply in characters: normally distributed by Box and Muller's method, never below a token."""
    tokens = length.mean
    if length.stddev:
        normal = math.sqrt(-2 * math.log(1 - draws.unit())) * math.cos(
            2 * math.pi * draws.unit()
        )
        tokens += length.stddev * normal
    return max(1, round(tokens)) * CHARS_PER_TOKEN


def text_of(text: str, characters: int, sentence: Callable[[], str]) -> str:
    """A text, continued by sentences or cut at a word, so that it is about so long."""
    parts = [text]
    size = len(text)
    while size < characters:
        parts.append(sentence())
        size += len(parts[-1]) + 1
    joined = " ".join(parts)
    if len(joined) <= characters:
        return joined
    cut = joined[: max(1, characters - 1)].rsplit(" ", 1)[0].rstrip(" ,.;:")
    return f"{cut}."


def code_of(
    code: str, language: str, characters: int, sentence: Callable[[], str]
) -> str:
    """Code in a fence, with comments in its language before the closing fence, so that it is about so long. Code is never cut."""
    body, _, closing = code.rpartition("\n")
    lines = [body]
    size = len(code)
    while size < characters:
        lines.append(f"{_COMMENTS.get(language, '// ')}{sentence()}"[:120])
        size += len(lines[-1]) + 1
    return "\n".join([*lines, closing])


def stretched(
    value: Any,
    characters: int,
    *,
    schema: JsonSchema,
    mark: str,
    sentence: Callable[[], str],
) -> Any:
    """A value whose JSON is about so long: its free texts, which begin with `mark`, go on as far as the schema lets them."""
    size = len(orjson.dumps(value))
    places = [
        place
        for place in _texts(value)
        if _at(value, place).startswith(mark) and _holds(value, place, "x", schema)
    ]
    for number, place in enumerate(places):
        room = (characters - size) // (len(places) - number)
        if room > 0:
            text = _at(value, place)
            longer = text_of(text, len(text) + room, sentence)
            if _holds(value, place, longer[len(text) :], schema):
                value = _with(value, place, longer)
                size += len(longer) - len(text)
    return value


def _texts(value: Any, place: _Place = ()) -> Iterator[_Place]:
    if isinstance(value, str):
        yield place
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*place, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _texts(item, (*place, number))


def _holds(value: Any, place: _Place, more: str, schema: JsonSchema) -> bool:
    """Whether a text of the value may go on so."""
    try:
        validate(_with(value, place, _at(value, place) + more), schema)
    except InvalidResponseError:
        return False
    return True


def _at(value: Any, place: _Place) -> Any:
    for step in place:
        value = value[step]
    return value


def _with(value: Any, place: _Place, text: str) -> Any:
    """A copy of the value with another text at a place."""
    if not place:
        return text
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _with(copy[place[0]], place[1:], text)
    return copy
