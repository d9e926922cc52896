"""What a value from outside may be: replies of models and clients, results of functions and validators.

A value is kept exactly, or refused with its place and the reason, so that it costs its own cell and nothing else. Nothing is
bent: no integer becomes a float, no NaN becomes null, no half of a surrogate pair becomes something else. Everything that
writes foreign values as JSON does it here (RFC 8259; numbers of any size, because JSON sets no limit).
"""

import json
import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

MAX_DEPTH = 100
_LONG_NUMBER = re.compile(rb"\d{19}")
"""A number that may not fit into 64 bits, which is all that the fast reader keeps; or digits in a text, which do no harm."""


def check_value(value: Any, *, where: str = "the value") -> None:
    """Raise ValueError for what no row can hold: half a surrogate pair, bytes, or nesting beyond `MAX_DEPTH`."""
    _check(value, where, 0)


def _check(value: Any, where: str, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value, where)
    elif isinstance(value, Mapping):
        _check_depth(where, depth)
        for key, part in value.items():
            _check(key, f"a key of {where}", depth + 1)
            _check(part, f"{where}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        _check_depth(where, depth)
        if all(type(part) is float for part in value):
            return
        for index, part in enumerate(value):
            _check(part, f"{where}[{index}]", depth + 1)


def _check_depth(where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"{where[:100]}: nested more than {MAX_DEPTH} levels deep")


def _check_text(text: str, where: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start]).strip("'")
        raise ValueError(
            f"{where}: character {error.start} is {half}, a lone surrogate, which is not text"
        ) from None


def json_text(value: Any, *, where: str = "the value") -> str:
    """JSON of a value, exactly. Raises ValueError for NaN, infinities, half surrogates and what JSON has no form for."""
    _check_numbers(value, where, 0)
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        check_value(value, where=where)  # says what is wrong with text
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{where}: {error}") from None


def _check_numbers(value: Any, where: str, depth: int) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where}: {value} is not a JSON number")
    elif isinstance(value, Mapping):
        _check_depth(where, depth)
        for key, part in value.items():
            _check_numbers(part, f"{where}.{key}", depth + 1)
    elif isinstance(value, list | tuple):
        _check_depth(where, depth)
        for index, part in enumerate(value):
            _check_numbers(part, f"{where}[{index}]", depth + 1)


def read_json(text: str | bytes) -> Any:
    """A JSON document, with integers of any size and with half surrogates as they were escaped.

    Raises ValueError if it is not JSON. A byte order mark is passed over.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    data = data.removeprefix(b"\xef\xbb\xbf")
    may_have_long_numbers = _LONG_NUMBER.search(data) is not None
    if not may_have_long_numbers:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            # it may only be stricter than JSON is: half surrogates are escaped there
            pass
    try:
        return json.loads(
            data.decode("utf-8", "surrogatepass"), parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_SAFE = frozenset((str, int, bool, type(None)))
"""Classes whose values have one form in JSON, or none that orjson would give them."""


def dump_exactly(value: Any) -> bytes:
    """A value for `load_exactly`: all that JSON has, and NaN, infinities, long integers and half surrogates besides.

    Raises ValueError for what Python's JSON has no form for (bytes, objects); numpy's numbers are taken as numbers.
    """
    try:
        if _is_plain(value):
            return orjson.dumps(value)
    except TypeError:
        pass
    except RecursionError:
        raise ValueError("it cannot be stored: nested too deeply") from None
    try:
        return (
            b" " + json.dumps(value, separators=(",", ":"), default=_number_of).encode()
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"it cannot be stored: {error}") from None


def load_exactly(data: bytes) -> Any:
    """The inverse of `dump_exactly`; a leading space marks what only Python's reader reads exactly."""
    return json.loads(data) if data[:1] == b" " else orjson.loads(data)


def _is_plain(value: Any) -> bool:
    if type(value) in _SAFE:
        return True
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        parts: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    else:
        return True
    # a generator would take longer, and this is done for every cell that a model writes
    for part in parts:
        if type(part) not in _SAFE and not _is_plain(part):
            return False
    return True


def _number_of(value: Any) -> Any:
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"a value of type {type(value).__name__}")
    return item()


def shortened(value: Any) -> str:
    """A value as a message shows it; objects of other classes by their class."""
    if value is None or type(value) in (
        bool,
        int,
        float,
        str,
        bytes,
        list,
        tuple,
        dict,
    ):
        return reprlib.repr(value)
    return f"a {type(value).__name__}"
