"""Half surrogate pairs in the texts of a config, which JSON and Python can spell and no file or request can hold."""

from collections.abc import Iterator
from typing import Any

Place = tuple[str | int, ...]


def lone_surrogates(data: Any) -> Iterator[tuple[Place, str]]:
    """The place of each text with half a surrogate pair, keys included, and what to say of it.

    What is used in several places of `data` is looked at once.
    """
    seen: set[int] = set()
    waiting: list[tuple[Place, Any]] = [((), data)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str):
            message = _fault(value)
            if message is not None:
                yield place, message
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            if not isinstance(value, dict):
                waiting += [
                    ((*place, index), part) for index, part in enumerate(value)
                ][::-1]
                continue
            for key in value:
                if isinstance(key, str) and (message := _fault(key)) is not None:
                    yield place, f"a key: {message}"
            waiting += [((*place, key), part) for key, part in value.items()][::-1]


def _fault(text: str) -> str | None:
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ascii(text[error.start]).strip("'")
        return f"a lone surrogate ({half} at character {error.start} of {text[:60]!r}) is not text"
    return None
