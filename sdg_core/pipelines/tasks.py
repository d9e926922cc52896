"""Tasks: what flows through a pipeline, and the account of where every one of them went.

A task's path is the chain of positions that it came by, such as `3/0/2`, so it is the same in every run and on every machine.
Invariant of the account, for every stage of every source: tasks in = handed on + filtered + failed + expanded.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdg_core.custom import Failed, Filtered
from sdg_core.plan.foreign import check_value
from sdg_core.plan.usage import UsageByModel, add_usage

READ_STAGE = -1
"""The place of the reader, before the first stage."""
DROPPED = "select: no candidate was kept"
"""Why a task is filtered of which `select` kept nothing."""
_MAX_LIGHT_TASKS = 64
_SHORT = 2**16
_SOURCE_BITS = 28
_TASK_BITS = 35


@dataclass(frozen=True)
class Task:
    """One record on its way. path: positions from the source down. counted: False for an ancestor of what failed before, which
    is made again only to get there and stands in the account already."""

    path: tuple[int, ...]
    values: Mapping[str, Any]
    counted: bool = True

    @property
    def name(self) -> str:
        """The path as it is written."""
        return "/".join(map(str, self.path))

    def child(self, position: int, values: Mapping[str, Any]) -> "Task":
        """A piece of this task."""
        return Task((*self.path, position), values, self.counted)


def are_light(tasks: Sequence[Task]) -> bool:
    """Whether tasks are so few and short that simple work on all of them is not worth a thread."""
    texts = (
        value
        for task in tasks
        for value in task.values.values()
        if isinstance(value, str | list)
    )
    return len(tasks) <= _MAX_LIGHT_TASKS and sum(map(len, texts)) <= _SHORT


def why_no_row(values: Mapping[Any, Any]) -> str | None:
    """Why no row can hold a record, whatever a later stage makes of it; None if one can."""
    unnamed = [name for name in values if not isinstance(name, str)]
    if unnamed:
        return f"{unnamed[0]!r} is not the name of a column, which is text"
    try:
        check_value(values, where="the record")
    except ValueError as error:
        return str(error)
    return None


Outcome = Mapping[str, Any] | list[Mapping[str, Any]] | Filtered | Failed
"""What a stage makes of one task: its values, the values of its pieces, or why there are none."""


@dataclass(frozen=True)
class FailedTask:
    """A task that failed, in how many runs so far, and the stage that could not do it."""

    task: str
    stage: int
    kind: str
    message: str
    attempts: int

    @property
    def path(self) -> tuple[int, ...]:
        """Positions from the source down; empty for the source itself."""
        if not self.task:
            return ()
        return tuple(int(part) for part in self.task.split("/"))


@dataclass(frozen=True)
class RejectedCandidate:
    """Columns of a task that `select` did not keep: which candidate of which stage, and why. values: what they were made from,
    and they themselves."""

    path: tuple[int, ...]
    stage: int
    candidate: int
    reason: str
    values: Mapping[str, Any]


@dataclass
class StageAccount:
    """Where the tasks of one stage of one source went. made: what `expanded` became.

    rejected: candidates that `select` did not keep, of tasks that did not fail. rejected_usage: what those used. fallback: tasks
    that took the best of candidates none of which was kept.
    """

    stage: str
    tasks_in: int = 0
    handed_on: int = 0
    filtered: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    expanded: int = 0
    made: int = 0
    rejected: int = 0
    rejected_usage: UsageByModel = field(default_factory=dict)
    fallback: int = 0

    def add(self, other: "StageAccount") -> None:
        """Add what became of other tasks at the same stage."""
        self.tasks_in += other.tasks_in
        self.handed_on += other.handed_on
        self.failed += other.failed
        self.expanded += other.expanded
        self.made += other.made
        self.rejected += other.rejected
        self.fallback += other.fallback
        if other.rejected_usage:
            self.rejected_usage = add_usage(self.rejected_usage, other.rejected_usage)
        for reason, count in other.filtered.items():
            self.filtered[reason] = self.filtered.get(reason, 0) + count

    def is_balanced(self) -> bool:
        """Whether every task is accounted for."""
        return (
            self.tasks_in
            == self.handed_on
            + sum(self.filtered.values())
            + self.failed
            + self.expanded
        )


@dataclass
class SourceResult:
    """What became of one source. `state` is complete, partial (some of it may yet succeed) or failed (given up).

    extends: its rows are to stand beside those that an earlier run made of the same version. was_read: to its end; otherwise it
    has no rows. carried: cells that earlier versions paid for, by version and column.
    """

    key: str
    locator: str
    version: str
    state: str
    read: int
    accounts: list[StageAccount]
    failed: list[FailedTask]
    usage: UsageByModel
    runs: list[str]
    replayed: int = 0
    carried: UsageByModel = field(default_factory=dict)
    extends: bool = False
    was_read: bool = True

    @property
    def filtered(self) -> dict[str, int]:
        """How many tasks were left out, by reason."""
        found: dict[str, int] = {}
        for account in self.accounts:
            for reason, count in account.filtered.items():
                found[reason] = found.get(reason, 0) + count
        return found


def source_number(key: str) -> int:
    """The first of the numbers of a source's tasks; see `task_number`."""
    return _bits(key.encode("utf-8", "surrogateescape"), _SOURCE_BITS) << _TASK_BITS


def task_number(key: str, path: tuple[int, ...]) -> int:
    """The number of a task: what its random words are counted by, and what the journal files its cells under.

    Two tasks may share one; the journal then holds the cell of one of them, which the other does not take for its own because
    the digest of its inputs is another.
    """
    return source_number(key) | _bits(repr(path).encode(), _TASK_BITS)


def source_range(key: str) -> tuple[int, int]:
    """The numbers of a source's tasks, from and up to."""
    start = source_number(key)
    return start, start + (1 << _TASK_BITS)


def _bits(content: bytes, count: int) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") >> (
        64 - count
    )
