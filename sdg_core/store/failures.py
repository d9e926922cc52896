"""Why records have no row: data beside the row group, never only a log line."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

from sdg_core.errors import writable
from sdg_core.store.atomic import read_or_none
from sdg_core.store.objects import StorePath

FailureKind = Literal[
    "expression",
    "custom",
    "validation",
    "rate_limited",
    "transient",
    "permanent",
    "malformed",
    "truncated",
    "rejected",
]


MAX_REPLY = 10_000
"""Characters of a reply that a failure keeps."""


@dataclass(frozen=True, order=True)
class Failure:
    """A record that could not be made: the column that failed it, what kind of failure, the reason, requests tried.

    reply: the model's last words as they came, where they are why; cut off at `MAX_REPLY`. finish_reason: what the server said
    of their end.
    """

    record: int
    column: str
    kind: FailureKind
    message: str
    attempts: int
    reply: str | None = field(default=None, compare=False)
    finish_reason: str | None = field(default=None, compare=False)


def kept_reply(text: str) -> str:
    """A reply as a failure keeps it: bounded, and with half surrogates spelt out, which JSON lines cannot hold."""
    text = writable(text)
    return text if len(text) <= MAX_REPLY else f"{text[:MAX_REPLY]}... ({len(text):,} characters)"


def dump_failures(failures: Iterable[Failure]) -> bytes:
    """One JSON object per line, by record."""
    lines = (orjson.dumps(_written(failure)) + b"\n" for failure in sorted(failures))
    return b"".join(lines)


def _written(failure: Failure) -> dict[str, Any]:
    """The fields that are set, in a form that JSON lines can hold: a message may repeat what a function of the user raised."""
    given = {name: value for name, value in asdict(failure).items() if value is not None}
    return {
        name: writable(value) if isinstance(value, str) else value for name, value in given.items()
    }


def parse_failures(data: bytes) -> list[Failure]:
    """The inverse of `dump_failures`. Lines that someone has damaged are passed over: the list informs, it decides nothing."""
    failures = []
    for line in data.splitlines():
        try:
            failures.append(Failure(**orjson.loads(line)))
        except (orjson.JSONDecodeError, TypeError):
            continue
    return failures


def read_failures(path: StorePath) -> list[Failure]:
    """The failures listed in a file, none if there is no file. Raises StoreError if it cannot be read."""
    return parse_failures(read_or_none(path) or b"")


def failures_of(path: StorePath, remaining: Collection[int]) -> list[Failure]:
    """Those listed failures whose records still have no row; nothing is read where none is missing. Raises StoreError."""
    if not remaining:
        return []
    records = set(remaining)
    return [failure for failure in read_failures(path) if failure.record in records]
