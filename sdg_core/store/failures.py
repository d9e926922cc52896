"""Why records have no row: data beside the row group, never only a log line."""

import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
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

_PARTICULARS = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?<!answered )\b\d[\d.,]*"""
)
"""What differs between messages of the same reason: quoted texts and numbers, except the status of an HTTP response."""
MAX_REPLY = 10_000
"""Characters of a reply that a failure keeps."""


@dataclass(frozen=True, order=True)
class Failure:
    """A failed record: the column that failed, the kind of failure, the reason, and the number of requests.

    reply: the model's last reply, if it is the reason; truncated to `MAX_REPLY`. finish_reason: as the server
    reported it.
    """

    record: int
    column: str
    kind: FailureKind
    message: str
    attempts: int
    reply: str | None = field(default=None, compare=False)
    finish_reason: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class FailureCount:
    """The number of records that failed for one reason.

    column: the column, or the pipeline stage. message: the first message. varied: whether other messages differ in
    numbers or quoted text.
    """

    column: str
    kind: str
    message: str
    count: int
    varied: bool = False

    @property
    def example(self) -> str:
        """The message, marked if it represents others."""
        return f"{self.message} (or similar)" if self.varied else self.message


def count_failures(failures: Iterable[tuple[str, str, str]]) -> list[FailureCount]:
    """Failure reasons with their counts, most frequent first.

    failures: column, kind and message of each. Messages with the same reason may differ in numbers and quoted text,
    such as a prompt length or the end of a reply.
    """
    counted: dict[tuple[str, str, str], FailureCount] = {}
    for column, kind, message in failures:
        reason = (column, kind, _PARTICULARS.sub("", message))
        first = counted.get(reason)
        if first is None:
            counted[reason] = FailureCount(column, kind, message, 1)
            continue
        varied = first.varied or message != first.message
        counted[reason] = replace(first, count=first.count + 1, varied=varied)
    return sorted(
        counted.values(), key=lambda found: (-found.count, found.column, found.message)
    )


def kept_reply(text: str) -> str:
    """A reply as a failure keeps it: bounded, and with half surrogates spelt out, which JSON lines cannot hold."""
    text = writable(text)
    return (
        text
        if len(text) <= MAX_REPLY
        else f"{text[:MAX_REPLY]}... ({len(text):,} characters)"
    )


def dump_failures(failures: Iterable[Failure]) -> bytes:
    """One JSON object per line, by record."""
    lines = (orjson.dumps(_written(failure)) + b"\n" for failure in sorted(failures))
    return b"".join(lines)


def _written(failure: Failure) -> dict[str, Any]:
    """The fields that are set, in a form that JSON lines can hold: a message may repeat what a function of the user raised."""
    fields = {}
    for name, value in asdict(failure).items():
        if isinstance(value, str):
            fields[name] = writable(value)
        elif value is not None:
            fields[name] = value
    return fields


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
    """Listed failures whose records still have no row; reads nothing if no record is missing. Raises StoreError."""
    if not remaining:
        return []
    records = set(remaining)
    return [failure for failure in read_failures(path) if failure.record in records]
