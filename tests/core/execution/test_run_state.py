"""The decisions of a run, driven by generated orders of events: no models, no files, no clock, no event loop."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from sdg_core.config.run import RunSettings
from sdg_core.execution.run_state import (
    MAX_CONCURRENT_WRITES,
    Action,
    Adopt,
    Advance,
    AwaitOthers,
    Claim,
    Open,
    RunState,
    Select,
    Start,
    Write,
)
from sdg_core.execution.stop_rules import FailureBudget


@dataclass
class Group:
    """A row group of the simulated run. phases: how many rows have cells in each. waits_in: the phase in which a row waits for
    its reply, so that none follows. candidates: how often its rows are drawn. held: looks until others have given it back."""

    phases: list[int]
    waits_in: int | None = None
    candidates: int = 1
    held: int = 0
    complete: bool = False
    phase: int = 0

    @property
    def rows(self) -> int:
        return self.phases[self.phase]

    @property
    def ends_here(self) -> bool:
        return self.phase == len(self.phases) - 1 or self.phase == self.waits_in


GROUPS = st.builds(
    Group,
    phases=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    waits_in=st.none() | st.integers(0, 2),
    candidates=st.integers(1, 3),
    held=st.sampled_from([0, 0, 0, 1, 2]),
    complete=st.sampled_from([False, False, False, True]),
)


@dataclass
class Simulation:
    """Carries actions out in any order. pending: what is under way."""

    groups: list[Group]
    window: int
    batch: int
    selects: bool
    pending: list[Action] = field(default_factory=list)
    claimed: set[int] = field(default_factory=set)
    open: list[int] = field(default_factory=list)
    entering: list[int] = field(default_factory=list)
    started: Counter[int] = field(default_factory=Counter)
    settled: Counter[int] = field(default_factory=Counter)
    written: list[int] = field(default_factory=list)
    adopted: list[int] = field(default_factory=list)
    computed: set[int] = field(default_factory=set)
    stopped: bool = False

    def __post_init__(self) -> None:
        budget = FailureBudget(RunSettings(), began=0.0)
        work = range(len(self.groups))
        self.state = RunState(
            work,
            records=100,
            window=self.window,
            claim_batch=self.batch,
            budget=budget,
            selects=self.selects,
        )
        self.add(self.state.begin())

    def add(self, actions: "list[Action] | tuple[Action, ...] | object") -> None:
        for action in actions:  # type: ignore[attr-defined]
            self.check(action)
            self.pending.append(action)
        assert sum(isinstance(action, Start) for action in self.pending) <= self.window
        moving = [
            a for a in self.pending if isinstance(a, Claim | AwaitOthers | Adopt | Open)
        ]
        assert len(moving) <= 1, "towards the next row group one step at a time"
        writes = [
            a for a in self.pending if isinstance(a, Write) and a.group in self.computed
        ]
        assert len(writes) <= MAX_CONCURRENT_WRITES

    def check(self, action: Action) -> None:
        """What must hold when an action is asked for."""
        match action:
            case Start(group, position):
                assert group in self.open and position == self.started[group]
                older = self.open[: self.open.index(group)]
                assert all(
                    self.started[other] == self.groups[other].rows for other in older
                ), "the oldest group first"
                self.started[group] += 1
                assert self.started[group] <= self.groups[group].rows
            case Claim(groups):
                assert (
                    not self.stopped
                    and 0 < len(groups) <= self.batch
                    and self.claimed.isdisjoint(groups)
                )
            case AwaitOthers(groups):
                assert not self.stopped and groups
            case Adopt(group):
                assert not self.stopped and self.groups[group].complete
            case Open(group):
                assert (
                    not self.stopped
                    and group in self.claimed
                    and not self.groups[group].complete
                )
                behind = [
                    other
                    for other in self.open
                    if self.started[other] < self.groups[other].rows
                ]
                assert not behind, "the records of open groups come first"
                assert not self.entering, (
                    "one that is computed at once comes to its end first"
                )
            case Advance(group):
                assert (
                    self.settled[group] == self.groups[group].rows
                    and not self.groups[group].ends_here
                )
            case Select(group):
                assert (
                    self.selects
                    and self.settled[group] == self.groups[group].rows
                    and self.groups[group].ends_here
                )
            case Write(group):
                assert (
                    self.settled[group] == self.groups[group].rows
                    and self.groups[group].ends_here
                )
                assert not self.selects or self.groups[group].candidates == 1, (
                    "judged until nothing is drawn again"
                )
                self.open.remove(group)
                self.entering = [other for other in self.entering if other != group]

    def carry_out(self, place: int) -> None:
        action = self.pending.pop(place)
        match action:
            case Start(group, _):
                self.settled[group] += 1
                self.add(
                    self.state.settled(group, ends_here=self.groups[group].ends_here)
                )
            case Claim() | AwaitOthers() | Adopt():
                self.move_on(action)
            case Open(group):
                self.open.append(group)
                self.enter(group)
                rows = range(self.groups[group].rows)
                self.add(
                    self.state.opened(
                        group, rows, ends_here=self.groups[group].ends_here
                    )
                )
            case Advance(group):
                self.groups[group].phase += 1
                self.begin(group)
            case Select(group) if self.groups[group].candidates > 1:
                self.groups[group].candidates -= 1
                self.groups[group].phase = 0
                self.begin(group)
            case Select(group):
                self.add(self.state.selected(group))
            case Write(group):
                self.written.append(group)
                self.add(self.state.written(group))

    def move_on(self, action: Claim | AwaitOthers | Adopt) -> None:
        match action:
            case Claim(groups):
                mine = [
                    group
                    for group in groups
                    if not self.groups[group].held or self.groups[group].complete
                ]
                self.claimed.update(mine)
                ready = {group: self.groups[group].complete for group in mine}
                self.add(
                    self.state.claimed(
                        ready, [group for group in groups if group not in mine]
                    )
                )
            case AwaitOthers(groups):
                for group in groups:
                    self.groups[group].held -= 1
                self.add(
                    self.state.found_free(
                        [group for group in groups if not self.groups[group].held]
                    )
                )
            case Adopt(group):
                self.adopted.append(group)
                self.add(self.state.adopted())

    def begin(self, group: int) -> None:
        self.started[group] = self.settled[group] = 0
        if group in self.computed and self.groups[group].rows:
            self.computed.discard(group)
            self.entering.remove(group)
        rows = range(self.groups[group].rows)
        self.add(
            self.state.phase_began(group, rows, ends_here=self.groups[group].ends_here)
        )

    def enter(self, group: int) -> None:
        if not self.groups[group].rows:
            self.computed.add(group)
            self.entering.append(group)


SIMULATIONS = st.builds(
    Simulation,
    groups=st.lists(GROUPS, max_size=7),
    window=st.integers(1, 5),
    batch=st.integers(1, 4),
    selects=st.booleans(),
)


@given(SIMULATIONS, st.data())
def test_every_row_group_is_written_or_adopted_once_whatever_the_order_of_events(
    run: Simulation, data: st.DataObject
) -> None:
    while run.pending:
        run.carry_out(data.draw(st.integers(0, len(run.pending) - 1)))
    complete = [number for number, group in enumerate(run.groups) if group.complete]
    assert sorted(run.adopted) == complete
    assert sorted(run.written + run.adopted) == [*range(len(run.groups))]
    assert not run.open


@given(SIMULATIONS, st.data())
def test_what_is_open_is_finished_after_no_more_is_opened(
    run: Simulation, data: st.DataObject
) -> None:
    stop_after = data.draw(st.integers(0, 30))
    while run.pending:
        if not stop_after:
            run.state.stop_opening()
            run.stopped = True
        stop_after -= 1
        run.carry_out(data.draw(st.integers(0, len(run.pending) - 1)))
    assert not run.open, "whatever was opened is written"


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30))
def test_a_run_stops_when_its_budget_says_so_and_only_then(
    counts: list[tuple[int, bool]],
) -> None:
    budget = FailureBudget(RunSettings(max_failure_rate=0.5), began=0.0)
    state = RunState([0], records=60, window=1, claim_batch=1, budget=budget)
    remaining = 60
    for records, lost in counts:
        budget.dropped += 40 * lost
        remaining -= records
        stop = state.counted(records, lost=lost)
        expected = budget.stop_reason(remaining=remaining) if lost else None
        assert (stop.reason if stop is not None else None) == expected
