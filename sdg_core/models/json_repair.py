"""Replies that are almost JSON: what a model meant, where there is one meaning only.

Models write JSON with trailing commas, comments, single quotes, bare keys, Python's literals, line ends inside strings, or leave
out the last brackets. Each of these reads in one way only, so that it need not be bought again. What reads in several ways is
refused: a text that never ends, words without quotes, a comma that is missing on a line, a key without its value.

Invariants: one pass, linear in the length of the text, at most MAX_DEPTH levels deep; strict JSON reads as JSON readers read it.
"""

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

MAX_DEPTH = 100
_SPACE = re.compile(r"(?:\s+|//[^\n]*|#[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])")
_NAME = re.compile(r"[A-Za-z_$][\w$-]*")
_LITERALS: Mapping[str, Any] = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "null": None,
    "None": None,
    "NULL": None,
}
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_PLAIN = {quote: re.compile(f"[^\\\\{end}]+") for quote, end in _QUOTES.items()}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNICODE = re.compile(r"u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?")
_AFTER_STRING = re.compile(r"[^\S\n]*(?:[,:}\]\n]|//|#|/\*|\Z)")


class NotRepairableError(ValueError):
    """The text is no JSON in any single reading."""


def repair_json(
    text: str, start: int = 0, *, may_end_early: bool = True
) -> tuple[Any, int]:
    """The object or list that begins at `start`, and where it ends.

    may_end_early: whether brackets that are missing at the end are closed. Raises NotRepairableError.
    """
    return _Reader(text, may_end_early=may_end_early).container(start)


class _Reader:
    def __init__(self, text: str, *, may_end_early: bool) -> None:
        self._text = text
        self._may_end_early = may_end_early
        self._depth = 0

    def container(self, place: int) -> tuple[Any, int]:
        read: Callable[[int], tuple[Any, int]] = (
            self._object if self._text[place] == "{" else self._list
        )
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotRepairableError("nested too deeply")
        found = read(place + 1)
        self._depth -= 1
        return found

    def _object(self, place: int) -> tuple[dict[str, Any], int]:
        made: dict[str, Any] = {}
        while True:
            place, ended = self._next(place, "}")
            if ended:
                return made, place
            key, place = self._key(place)
            place = self._skip(place)
            if self._text[place : place + 1] != ":":
                raise NotRepairableError(f"no colon after the key {key!r}")
            made[key], place = self._value(self._skip(place + 1))
            place = self._separator(place, "}")

    def _list(self, place: int) -> tuple[list[Any], int]:
        made: list[Any] = []
        while True:
            place, ended = self._next(place, "]")
            if ended:
                return made, place
            value, place = self._value(place)
            made.append(value)
            place = self._separator(place, "]")

    def _next(self, place: int, closing: str) -> tuple[int, bool]:
        """Where the next item begins, or where the container has ended."""
        place = self._skip(place)
        if place == len(self._text):
            if not self._may_end_early:
                raise NotRepairableError("it never ends")
            return place, True
        if self._text[place] == closing:
            return place + 1, True
        return place, False

    def _separator(self, place: int, closing: str) -> int:
        """Past the comma behind an item. It may be missing where the next item stands on a line of its own."""
        following = self._skip(place)
        if following == len(self._text) or self._text[following] == closing:
            return following
        if self._text[following] == ",":
            return following + 1
        if "\n" in self._text[place:following]:
            return following
        raise NotRepairableError(
            f"neither a comma nor {closing} at {self._text[following : following + 20]!r}"
        )

    def _key(self, place: int) -> tuple[str, int]:
        if self._text[place] in _QUOTES:
            return self._string(place)
        name = _NAME.match(self._text, place)
        if name is None:
            raise NotRepairableError(f"no key at {self._text[place : place + 20]!r}")
        return name.group(), name.end()

    def _value(self, place: int) -> tuple[Any, int]:
        first = self._text[place : place + 1]
        if first and first in "{[":
            return self.container(place)
        if first in _QUOTES:
            return self._string(place)
        number = _NUMBER.match(self._text, place)
        if number is not None:
            return _number(number.group()), number.end()
        name = _NAME.match(self._text, place)
        if name is not None and name.group() in _LITERALS:
            return _LITERALS[name.group()], name.end()
        raise NotRepairableError(f"no value at {self._text[place : place + 20]!r}")

    def _string(self, place: int) -> tuple[str, int]:
        """A string up to the quote behind which JSON goes on; quotes before that are part of it."""
        quote = self._text[place]
        closing = _QUOTES[quote]
        parts: list[str] = []
        inner = 0
        place += 1
        while place < len(self._text):
            plain = _PLAIN[quote].match(self._text, place)
            if plain is not None:
                parts.append(plain.group())
                place = plain.end()
            elif self._text[place] == "\\":
                part, place = self._escape(place + 1)
                parts.append(part)
            elif _AFTER_STRING.match(self._text, place + 1) is None:
                parts.append(closing)
                inner += 1
                place += 1
            elif inner % 2 and closing == '"':
                raise NotRepairableError("an odd number of quotes in a string")
            else:
                return "".join(parts), place + 1
        raise NotRepairableError("a string never ends")

    def _escape(self, place: int) -> tuple[str, int]:
        """What an escape stands for. One that JSON does not have is what it says, with its backslash."""
        unit = _UNICODE.match(self._text, place)
        if unit is not None:
            return _character(unit)
        character = self._text[place : place + 1]
        if character in ('"', "'", "\\", "/"):
            return character, place + 1
        return _ESCAPES.get(character, f"\\{character}"), place + 1

    def _skip(self, place: int) -> int:
        """Past white space and comments."""
        found = _SPACE.match(self._text, place)
        return found.end() if found is not None else place


def _character(unit: re.Match[str]) -> tuple[str, int]:
    high = int(unit.group(1), 16)
    if 0xD800 <= high < 0xDC00 and unit.group(2) is not None:
        return chr(
            0x10000 + ((high - 0xD800) << 10) + (int(unit.group(2), 16) - 0xDC00)
        ), unit.end()
    return chr(high), unit.end(1)


def _number(text: str) -> int | float:
    digits = text.lstrip("+-")
    if digits.isdecimal():
        if len(digits) > 1 and digits[0] == "0":
            raise NotRepairableError(f"{text} is a number with leading zeros")
        if len(digits) > 4000:  # Python's own limit, as an error of ours
            raise NotRepairableError("a number with too many digits")
        return int(text)
    if not isfinite(number := float(text)):
        raise NotRepairableError(f"{text} is out of range")
    return number
