"""What a sensor remembers, so that a partition that keeps failing is not asked for again and again.

An attempt is a request after which as much remains to be made as before. Any progress (by whomever), another fingerprint, or
a reset of the sensor's cursor in the UI forgets the attempts. Waiting times double; after the last attempt a person is needed.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sdg_assets.automation.incomplete import Incomplete

MAX_ATTEMPTS = 8
FIRST_WAIT = timedelta(minutes=5)
MAX_WAIT = timedelta(hours=4)


@dataclass(frozen=True)
class Attempt:
    """Requests of one partition without progress. at: the last one's time, in seconds since 1970."""

    remaining: int
    count: int
    at: int

    @property
    def given_up(self) -> bool:
        """Whether there were so many that nothing but a person will help."""
        return self.count >= MAX_ATTEMPTS

    @property
    def next_at(self) -> float:
        """When the partition may be asked for again, in seconds since 1970."""
        wait = min(FIRST_WAIT * 2 ** (self.count - 1), MAX_WAIT)
        return self.at + wait.total_seconds()


@dataclass(frozen=True)
class BackoffState:
    """The attempts of one dataset or pipeline under one fingerprint, by partition."""

    fingerprint: str = ""
    groups: Mapping[int, Attempt] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; neighbours with equal attempts are one range, so a cursor stays small."""
        runs: list[list[int]] = []
        before: Attempt | None = None
        for index, attempt in sorted(self.groups.items()):
            equal = attempt is before or attempt == before
            if equal and runs[-1][1] == index - 1:
                runs[-1][1] = index
            else:
                runs.append(
                    [index, index, attempt.remaining, attempt.count, attempt.at]
                )
            before = attempt
        return {"fingerprint": self.fingerprint, "groups": runs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "BackoffState":
        """The inverse of `to_json`. Partitions of a range share one attempt."""
        groups: dict[int, Attempt] = {}
        for first, last, *attempt in data["groups"]:
            indices = range(first, last + 1)
            groups.update(dict.fromkeys(indices, Attempt(*attempt)))
        return cls(data["fingerprint"], groups)


@dataclass(frozen=True)
class DuePartitions:
    """Partitions by what happens to them at a tick, and what to remember.

    next_at: when the first of the waiting ones may be asked for again, in seconds since 1970; None if none waits.
    """

    requested: tuple[int, ...]
    waiting: tuple[int, ...]
    given_up: tuple[int, ...]
    attempts: BackoffState
    next_at: float | None


def select_due(
    found: Incomplete,
    before: BackoffState,
    *,
    now: datetime,
    at_most: int | None = None,
) -> DuePartitions:
    """Which of the incomplete partitions to ask for now, the first `at_most` of them."""
    seconds = int(now.timestamp())
    known = before.groups if before.fingerprint == found.fingerprint else {}
    requested: list[int] = []
    waiting: list[int] = []
    given_up: list[int] = []
    groups: dict[int, Attempt] = {}
    next_at: float | None = None
    for last, indices in _with_equal_attempts(found, known):
        groups.update(dict.fromkeys(indices, last))
        if last.given_up:
            given_up += indices
        elif last.count and seconds < last.next_at:
            waiting += indices
            next_at = last.next_at if next_at is None else min(next_at, last.next_at)
        else:
            room = None if at_most is None else max(0, at_most - len(requested))
            asked = indices[:room]
            requested += asked
            attempt = Attempt(last.remaining, last.count + 1, seconds)
            groups.update(dict.fromkeys(asked, attempt))
    attempts = BackoffState(found.fingerprint, groups)
    return DuePartitions(
        tuple(requested), tuple(waiting), tuple(given_up), attempts, next_at
    )


def _with_equal_attempts(
    found: Incomplete, known: Mapping[int, Attempt]
) -> Iterator[tuple[Attempt, list[int]]]:
    """The partitions in their order, neighbours with one attempt together: thousands are decided on at once."""
    never: dict[int, Attempt] = {}
    run: list[int] = []
    before: Attempt | None = None
    for index, left in found.remaining.items():
        last = known.get(index)
        if last is None or last.remaining != left:
            if left not in never:
                never[left] = Attempt(left, 0, 0)
            last = never[left]
        if before is not None and last is not before:
            yield before, run
            run = []
        run.append(index)
        before = last
    if before is not None:
        yield before, run


def load_cursor(cursor: str | None) -> dict[str, BackoffState]:
    """The attempts of every dataset or pipeline; none for an empty cursor."""
    return {
        name: BackoffState.from_json(data)
        for name, data in json.loads(cursor or "{}").items()
    }


def dump_cursor(attempts: Mapping[str, BackoffState]) -> str:
    """The inverse of `load_cursor`."""
    kept = {name: found.to_json() for name, found in attempts.items() if found.groups}
    return json.dumps(kept, separators=(",", ":"))
