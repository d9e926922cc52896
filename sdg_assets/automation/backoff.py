"""What the resume sensor remembers, so that a row group that keeps failing is not asked for for ever.

An attempt is a request after which as many records remain as before. Any progress (by whomever), another fingerprint, or
a reset of the sensor's cursor in the UI forgets the attempts. Waiting times double; after the last attempt a person is needed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sdg_assets.automation.incomplete import IncompleteRowGroups

MAX_ATTEMPTS = 8
FIRST_WAIT = timedelta(minutes=5)
MAX_WAIT = timedelta(hours=4)


@dataclass(frozen=True)
class Attempt:
    """Requests of one row group without progress. at: the last one's time, in seconds since 1970."""

    remaining: int
    count: int
    at: int

    @property
    def given_up(self) -> bool:
        """Whether there were so many that nothing but a person will help."""
        return self.count >= MAX_ATTEMPTS

    @property
    def next_at(self) -> float:
        """When the row group may be asked for again, in seconds since 1970."""
        wait = min(FIRST_WAIT * 2 ** (self.count - 1), MAX_WAIT)
        return self.at + wait.total_seconds()


@dataclass(frozen=True)
class BackoffState:
    """The attempts of one dataset under one fingerprint, by row group."""

    fingerprint: str = ""
    groups: Mapping[int, Attempt] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; neighbours with equal attempts are one range, so a cursor stays small."""
        runs: list[list[int]] = []
        for index, attempt in sorted(self.groups.items()):
            rest = [attempt.remaining, attempt.count, attempt.at]
            if runs and runs[-1][1] == index - 1 and runs[-1][2:] == rest:
                runs[-1][1] = index
            else:
                runs.append([index, index, *rest])
        return {"fingerprint": self.fingerprint, "groups": runs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "BackoffState":
        """The inverse of `to_json`."""
        groups = {
            index: Attempt(remaining, count, at)
            for first, last, remaining, count, at in data["groups"]
            for index in range(first, last + 1)
        }
        return cls(data["fingerprint"], groups)


@dataclass(frozen=True)
class Choice:
    """Row groups by what happens to them at a tick, and what to remember."""

    requested: tuple[int, ...]
    waiting: tuple[int, ...]
    given_up: tuple[int, ...]
    attempts: BackoffState


def choose(remaining: IncompleteRowGroups, before: BackoffState, *, now: datetime) -> Choice:
    """Which of the incomplete row groups to ask for now."""
    seconds = int(now.timestamp())
    known = before.groups if before.fingerprint == remaining.fingerprint else {}
    requested = []
    waiting = []
    given_up = []
    groups: dict[int, Attempt] = {}
    for index, records in remaining.records.items():
        last = known.get(index)
        if last is None or last.remaining != records:
            last = Attempt(records, 0, 0)
        if last.given_up:
            given_up.append(index)
        elif last.count and seconds < last.next_at:
            waiting.append(index)
        else:
            requested.append(index)
            last = Attempt(records, last.count + 1, seconds)
        groups[index] = last
    return Choice(tuple(requested), tuple(waiting), tuple(given_up), BackoffState(remaining.fingerprint, groups))


def load_cursor(cursor: str | None) -> dict[str, BackoffState]:
    """The attempts of every dataset; none for an empty cursor."""
    return {name: BackoffState.from_json(data) for name, data in json.loads(cursor or "{}").items()}


def dump_cursor(attempts: Mapping[str, BackoffState]) -> str:
    """The inverse of `load_cursor`."""
    kept = {name: found.to_json() for name, found in attempts.items() if found.groups}
    return json.dumps(kept, separators=(",", ":"))
