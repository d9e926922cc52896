"""Why records have no row: data beside the row group, never only a log line."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import orjson

FailureKind = Literal["expression", "rate_limited", "transient", "permanent"]


@dataclass(frozen=True, order=True)
class Failure:
    """A record that could not be made: the column that failed it, what kind of failure, the reason, requests tried."""

    record: int
    column: str
    kind: FailureKind
    message: str
    attempts: int


def dump_failures(failures: Iterable[Failure]) -> bytes:
    """One JSON object per line, by record."""
    return b"".join(orjson.dumps(asdict(failure)) + b"\n" for failure in sorted(failures))


def parse_failures(data: bytes) -> list[Failure]:
    """The inverse of `dump_failures`."""
    return [Failure(**orjson.loads(line)) for line in data.splitlines()]
