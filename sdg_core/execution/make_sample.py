"""Making some records in memory, all phases of them: what a preview shows and an estimate counts."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sdg_core.dataset.events import CellStarted, Observer, RecordsSettled
from sdg_core.execution.cells import RecordMaker
from sdg_core.execution.open_row_group import OpenGroup
from sdg_core.execution.samples import known_replies, sampled_hashes
from sdg_core.execution.settle import settle_record
from sdg_core.execution.stop_rules import FailureBudget, unless_stalled, watch_for_stall
from sdg_core.generators.whole_group import GroupPhases
from sdg_core.ledger.journal import Journal
from sdg_core.models.pool import ModelPool
from sdg_core.models.types import Message
from sdg_core.models.usage import Usage
from sdg_core.plan.candidates import record_and_candidate
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.row_groups import RowGroup
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.seeds.readers import Seeds
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus

Prompts = Mapping[int, Mapping[str, tuple[Message, ...]]]
"""By record and column, the messages that a model was sent first."""
UsedByCell = Mapping[str, Mapping[int, UsageByModel]]
"""By column and record, what models used for a cell."""


@dataclass(frozen=True)
class Sample:
    """Some records, made in memory. group_seconds: for what is computed for all records at once. per_record_seconds: for the
    other columns, record by record. used: by column, record and model alias, what its cell used."""

    group: OpenGroup
    group_seconds: float
    per_record_seconds: tuple[float, ...]
    prompts: Prompts = field(default_factory=dict)
    used: UsedByCell = field(default_factory=dict)


class _Seen:
    """What is seen of cells while a sample is made: their prompts, and what they used."""

    def __init__(self, on_event: Observer) -> None:
        self._on_event = on_event
        self.prompts: dict[int, dict[str, tuple[Message, ...]]] = {}
        self.used: dict[str, dict[int, UsageByModel]] = {}

    def asked(self, number: int, column: str, messages: tuple[Message, ...]) -> None:
        self.prompts.setdefault(number, {})[column] = messages
        self._on_event(CellStarted(number, column))

    def counted(self, number: int, column: str, alias: str, usage: Usage) -> None:
        record = record_and_candidate(number)[0]
        of_column = self.used.setdefault(column, {})
        of_column[record] = add_usage(of_column.get(record, {}), {alias: vars(usage)})


async def make_sample(
    plan: DatasetPlan,
    records: Sequence[int],
    *,
    seeds: Seeds | None,
    models: ModelPool,
    clock: Callable[[], float] = time.monotonic,
    on_event: Observer = lambda event: None,
    samples: Journal | None = None,
) -> Sample:
    """Make some records, no more at once than the models admit requests. `clock` counts seconds. samples: where replies are
    taken from and kept. on_event: told of every cell that a model is asked for, and of every record that is made or has failed.

    Raises RunAbortedError if nothing succeeds for `run.stall_timeout` seconds.
    """
    status = RowGroupStatus(
        RowGroup(0, 0, records[-1] + 1), RowGroupState.MISSING, records
    )
    seen = _Seen(on_event)
    maker = RecordMaker(
        plan,
        models,
        journal=samples,
        kept=sampled_hashes(plan),
        on_prompt=seen.asked,
        on_used=seen.counted,
    )
    journaled = await asyncio.to_thread(known_replies, plan, samples, records)
    phases = GroupPhases(plan, models, loop=asyncio.get_running_loop())
    began = clock()
    group = await asyncio.to_thread(
        OpenGroup,
        status,
        plan=plan,
        seeds=seeds,
        phases=phases,
        needed=maker.columns_read,
        journaled=journaled,
    )
    opening = clock() - began
    budget = FailureBudget(plan.config.run, began=clock())
    run = _SampleRun(
        group, maker, budget, capacity=models.capacity, clock=clock, on_event=on_event
    )
    stalled = watch_for_stall(budget, models, clock=clock, sleep=asyncio.sleep)
    await unless_stalled(run.make_all(), stalled)
    per_record_seconds = tuple(run.seconds_by_position.values())
    return Sample(
        group,
        opening + run.seconds_of_group,
        per_record_seconds,
        seen.prompts,
        seen.used,
    )


class _SampleRun:
    """Takes a group through its phases, and its records through theirs, with the time that each took.

    seconds_of_group: for what is computed for all records at once. seconds_by_position: for the rest, by record.
    """

    def __init__(
        self,
        group: OpenGroup,
        maker: RecordMaker,
        budget: FailureBudget,
        *,
        capacity: int,
        clock: Callable[[], float],
        on_event: Observer,
    ) -> None:
        self._group = group
        self._maker = maker
        self._budget = budget
        self._room = asyncio.Semaphore(max(1, capacity))
        self._clock = clock
        self._on_event = on_event
        self.seconds_of_group = 0.0
        self.seconds_by_position: dict[int, float] = {}

    async def make_all(self) -> None:
        """Go through all phases, and once more for the candidates that take the place of rejected ones."""
        while True:
            async with asyncio.TaskGroup() as tasks:
                for position in self._group.open_positions():
                    tasks.create_task(self._make(position))
            began = self._clock()
            if not self._group.ends_here:
                await asyncio.to_thread(self._group.advance)
            elif await self._select():
                await asyncio.to_thread(self._group.draw_again)
            else:
                return
            self.seconds_of_group += self._clock() - began

    async def _make(self, position: int) -> None:
        async with self._room:
            start = self._clock()
            outcome = await self._maker.make(self._group, position)
            now = self._clock()
            self._on_event(
                settle_record(
                    self._group, position, outcome, budget=self._budget, now=now
                )
            )
            before = self.seconds_by_position.get(position, 0.0)
            self.seconds_by_position[position] = before + self._clock() - start

    async def _select(self) -> bool:
        """Choose among candidates; returns whether there are more to draw."""
        made = self._group.made
        again = await asyncio.to_thread(self._group.select)
        if self._group.selection is not None:
            self._on_event(RecordsSettled(made=self._group.made - made, failed=0))
        return bool(again)
