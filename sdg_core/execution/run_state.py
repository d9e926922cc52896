"""What a run does next: a state machine over its row groups, without I/O and without a clock.

Each event (a claim was taken, a group was opened, a record has settled, ...) is a method that returns the actions which follow.
`loop.py` carries them out and reports back. Invariants, which the property tests hold any order of events to:

- Row groups are claimed and opened in order, one at a time, and the next only when every record of those that are open has
  started; so the window bounds how many are open. One that is computed at once, without records, is on its way to disk first.
- No more records are in flight than the window holds. A free place goes to the group that was opened first.
- A row group is written once, when its last record has settled in its last phase. Groups that are computed at once wait in line
  to be written, because each takes memory.
- After `stop_opening`, nothing is claimed or opened any more; what is open is finished.
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from sdg_core.execution.stop_rules import FailureBudget

IN_FLIGHT_FACTOR = 2
"""Records in flight per allowed request: enough that a free slot always finds a record waiting for it."""
IN_FLIGHT_WITHOUT_MODELS = 32
"""Records in flight at least: functions and endpoints of the user are worth calling side by side, too."""
MAX_CONCURRENT_WRITES = 1
"""Row groups computed at once that may be on their way to disk while the next one is computed."""


def window_size(capacity: int, *, calls_out: bool) -> int:
    """How many records may be in flight where models take `capacity` requests at once. calls_out: see `RecordMaker`."""
    least = IN_FLIGHT_WITHOUT_MODELS if calls_out else 1
    return max(least, IN_FLIGHT_FACTOR * capacity)


@dataclass(frozen=True)
class Start:
    """Make the cells that a row of an open group has in its present phase."""

    group: int
    position: int


@dataclass(frozen=True)
class Claim:
    """Claim these row groups, and look at them again."""

    groups: tuple[int, ...]


@dataclass(frozen=True)
class AwaitOthers:
    """See which of these have become free; if none has, wait a moment."""

    groups: tuple[int, ...]


@dataclass(frozen=True)
class Adopt:
    """The row group is complete: report it."""

    group: int


@dataclass(frozen=True)
class Open:
    """Open the row group, and begin its first phase."""

    group: int


@dataclass(frozen=True)
class Advance:
    """Begin the next phase of the row group."""

    group: int


@dataclass(frozen=True)
class Select:
    """Every row of this candidate has settled: select the good ones, and draw the others again."""

    group: int


@dataclass(frozen=True)
class Write:
    """Write the row group."""

    group: int


@dataclass(frozen=True)
class Stop:
    """End the run: the failure budget is used up."""

    reason: str


Action = Start | Claim | AwaitOthers | Adopt | Open | Advance | Select | Write


@dataclass
class _OpenGroup:
    """order: how many were opened before. unsettled: records of the present phase that have not settled. to_start: their
    positions, as far as they have not started."""

    order: int
    unsettled: int = 0
    to_start: deque[int] = field(default_factory=deque)


class RunState:
    """The row groups of one run. work: their indices, in order. records: how many are to be made in all.

    window: records in flight at most. claim_batch: row groups claimed at once. selects: whether rows are candidates, to be judged
    before a group is written.
    """

    def __init__(
        self,
        work: Sequence[int],
        *,
        records: int,
        window: int,
        claim_batch: int,
        budget: FailureBudget,
        selects: bool = False,
    ) -> None:
        self._remaining = records
        self._budget = budget
        self._todo = deque(work)
        self._window = window
        self._claim_batch = claim_batch
        self._selects = selects
        self._ready: deque[Adopt | Open] = deque()
        self._held_by_others: list[int] = []
        self._open: dict[int, _OpenGroup] = {}
        self._startable: list[tuple[int, int]] = []
        self._computing: set[int] = set()
        self._to_write: deque[int] = deque()
        self._opened = 0
        self._in_flight = 0
        self._writing: set[int] = set()
        self._moving_on = False
        self._stopped = False

    def begin(self) -> Sequence[Action]:
        """What to do first."""
        return self._actions()

    def stop_opening(self) -> None:
        """Open nothing more."""
        self._stopped = True

    def counted(self, records: int, *, lost: bool = False) -> Stop | None:
        """So many records more are done with. lost: some of them have no row, which may be one too many."""
        self._remaining -= records
        reason = self._budget.stop_reason(remaining=self._remaining) if lost else None
        return Stop(reason) if reason is not None else None

    def claimed(
        self, ready: Mapping[int, bool], others: Collection[int]
    ) -> Sequence[Action]:
        """Of the row groups to be claimed, these are in hand or complete (whether they are complete), those others have."""
        self._moving_on = False
        for group, is_complete in ready.items():
            self._ready.append(Adopt(group) if is_complete else Open(group))
        self._held_by_others += others
        return self._actions()

    def found_free(self, groups: Collection[int]) -> Sequence[Action]:
        """Of the row groups that others had, these may be claimed now."""
        free = [group for group in self._held_by_others if group in groups]
        batch = free[: self._claim_batch]
        self._held_by_others = [
            group for group in self._held_by_others if group not in batch
        ]
        self._todo += batch
        self._moving_on = False
        return self._actions()

    def adopted(self) -> Sequence[Action]:
        """The complete row group has been reported."""
        self._moving_on = False
        return self._actions()

    def opened(
        self, group: int, positions: Sequence[int], *, ends_here: bool
    ) -> Sequence[Action]:
        """A row group is open; these rows have cells to be made in its first phase. ends_here: as in `phase_began`."""
        self._moving_on = False
        self._open[group] = _OpenGroup(self._opened)
        self._opened += 1
        self._computing.add(group)
        return self.phase_began(group, positions, ends_here=ends_here)

    def phase_began(
        self, group: int, positions: Sequence[int], *, ends_here: bool
    ) -> Sequence[Action]:
        """A row group is in its next phase, or at the next candidate of its records. ends_here: no phase follows this one."""
        it = self._open[group]
        if not positions:
            return self._after_phase(group, ends_here=ends_here)
        it.unsettled = len(positions)
        it.to_start.extend(positions)
        self._computing.discard(group)
        heappush(self._startable, (it.order, group))
        return self._actions()

    def settled(self, group: int, *, ends_here: bool) -> Sequence[Action]:
        """A record that was started has its cells of this phase, has failed, or waits."""
        self._in_flight -= 1
        it = self._open[group]
        it.unsettled -= 1
        if it.unsettled:
            return self._actions()
        return self._after_phase(group, ends_here=ends_here)

    def selected(self, group: int) -> Sequence[Action]:
        """No record of the row group has to be drawn again."""
        self._to_write.append(group)
        return self._actions()

    def written(self, group: int) -> Sequence[Action]:
        """The file of a row group is durable."""
        self._writing.discard(group)
        return self._actions()

    def _after_phase(self, group: int, *, ends_here: bool) -> Sequence[Action]:
        if not ends_here:
            return [Advance(group), *self._actions()]
        if self._selects:
            return [Select(group), *self._actions()]
        return self.selected(group)

    def _actions(self) -> list[Action]:
        return [*self._writes(), *self._starts(), *self._next_group()]

    def _writes(self) -> Iterator[Write]:
        """Groups with records are written at once; the others as there is room."""
        waiting: deque[int] = deque()
        while self._to_write:
            group = self._to_write.popleft()
            if group in self._computing and len(self._writing) == MAX_CONCURRENT_WRITES:
                waiting.append(group)
                continue
            if group in self._computing:
                self._computing.discard(group)
                self._writing.add(group)
            del self._open[group]
            yield Write(group)
        self._to_write = waiting

    def _starts(self) -> Iterator[Start]:
        while self._startable and self._in_flight < self._window:
            group = self._startable[0][1]
            to_start = self._open[group].to_start
            self._in_flight += 1
            yield Start(group, to_start.popleft())
            if not to_start:
                heappop(self._startable)

    def _next_group(self) -> Iterator[Action]:
        """The next step towards the next row group, one at a time."""
        is_busy = self._moving_on or self._startable or self._computing
        if self._stopped or is_busy:
            return
        self._moving_on = True
        if self._ready:
            yield self._ready.popleft()
        elif self._todo:
            size = min(self._claim_batch, len(self._todo))
            batch = [self._todo.popleft() for _ in range(size)]
            yield Claim(tuple(batch))
        elif self._held_by_others:
            yield AwaitOthers(tuple(self._held_by_others))
        else:
            self._moving_on = False
