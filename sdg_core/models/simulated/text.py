"""Texts of a form: dates, addresses, identifiers, and what matches a regular expression."""

import importlib
import re
import string
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sdg_core.models.simulated.random_stream import RandomStream

_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_MAX_REPEATS = 3
_MAX_CHARACTERS = 1_000_000
_parser: Any = importlib.import_module("re._parser")
"""Python's own parser of regular expressions; it has no public name, and a second one would disagree with it."""


def formatted(name: str, draws: RandomStream) -> str | None:
    """Text of a JSON Schema `format`; None for a format that is not known."""
    moment = _EPOCH + timedelta(seconds=draws.below(150_000_000))
    number = draws.below(10_000)
    bits = draws.below(2**40) << 64 | draws.below(2**40)
    forms = {
        "date": moment.date().isoformat(),
        "date-time": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "time": moment.strftime("%H:%M:%SZ"),
        "duration": f"PT{number}S",
        "email": f"simulated{number}@example.com",
        "hostname": f"simulated{number}.example.com",
        "uri": f"https://example.com/simulated/{number}",
        "url": f"https://example.com/simulated/{number}",
        "uuid": str(uuid.UUID(int=bits, version=4)),
        "ipv4": f"192.0.2.{number % 254 + 1}",
        "ipv6": f"2001:db8::{number:x}",
    }
    return forms.get(name)


def matching(pattern: str, draws: RandomStream) -> str:
    """Text that matches a pattern. Raises ValueError for a pattern with parts that cannot be made (look-around)."""
    try:
        parsed = _parser.parse(pattern)
        if parsed.getwidth()[0] > _MAX_CHARACTERS:
            raise ValueError(
                f"the pattern {pattern[:60]!r} wants more than {_MAX_CHARACTERS:,} characters"
            )
        return "".join(_made(part, draws) for part in parsed)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} cannot be read: {error}") from error


def _made(part: Any, draws: RandomStream) -> str:
    operation = str(part[0])
    value = part[1]
    match operation:
        case "LITERAL":
            return chr(value)
        case "ANY" | "NOT_LITERAL":
            return draws.pick(string.ascii_lowercase)
        case "IN":
            return draws.pick(_members(value))
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, items = value
            most = min(int(most), max(least, _MAX_REPEATS))
            times = draws.between(least, most)
            return "".join(_all_made(items, draws) for _ in range(times))
        case "SUBPATTERN":
            return _all_made(value[3], draws)
        case "BRANCH":
            return _all_made(draws.pick(value[1]), draws)
        case "AT":
            return ""
        case _:
            raise ValueError(
                f"a pattern with {operation.lower()} is not supported by the simulated provider"
            )


def _all_made(parts: Any, draws: RandomStream) -> str:
    return "".join(_made(part, draws) for part in parts)


def _members(items: Any) -> str:
    """The characters of a class such as `[a-z0-9_]`."""
    sets = {
        "CATEGORY_DIGIT": string.digits,
        "CATEGORY_SPACE": " ",
        "CATEGORY_WORD": string.ascii_letters + string.digits + "_",
    }
    found = ""
    for operation, value in items:
        match str(operation):
            case "LITERAL":
                found += chr(value)
            case "RANGE":
                first, last = value
                last = min(last, first + 127)
                found += "".join(map(chr, range(first, last + 1)))
            case "CATEGORY":
                found += sets.get(str(value), string.ascii_lowercase)
            case "NEGATE":
                excluded = _members(items[1:])
                usual = string.ascii_letters + string.digits + " -_"
                return "".join(
                    character for character in usual if character not in excluded
                )
    return found
