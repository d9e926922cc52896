"""A few records in memory: nothing is read from the store, nothing is written to it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from sdg_core.execution.cells import FailedRecord, RecordMaker
from sdg_core.execution.open_row_group import OpenGroup
from sdg_core.execution.preview_table import as_html
from sdg_core.execution.stop_rules import FailureBudget, unless_stalled, watch_for_stall
from sdg_core.generators.whole_group import GroupPhases
from sdg_core.models.pool import ModelPool
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.row_groups import RowGroup
from sdg_core.plan.usage import UsageByModel
from sdg_core.seeds.readers import Seeds
from sdg_core.store.failures import Failure
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Preview:
    """The first records of a dataset as a table of every column, and the records that failed."""

    table: pa.Table
    failures: tuple[Failure, ...]
    usage: UsageByModel

    def to_polars(self) -> "pl.DataFrame":
        """The records."""
        import polars as pl

        frame = pl.from_arrow(self.table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        remarks = [f"record {each.record} failed, column {each.column}: {each.message}" for each in self.failures]
        rows = [list(record.values()) for record in self.table.to_pylist()]
        return as_html(self.table.column_names, rows, remarks)


@dataclass(frozen=True)
class Sample:
    """Some records, made in memory. together: seconds for what is computed for all records at once. each: seconds that the
    other columns took, record by record."""

    group: OpenGroup
    together: float
    each: tuple[float, ...]


async def make_preview(plan: DatasetPlan, *, num_records: int, seeds: Seeds | None, models: ModelPool) -> Preview:
    """Make records 0 to `num_records - 1`; they are the same records that a full run makes."""
    sample = await make_sample(plan, range(num_records), seeds=seeds, models=models)
    group = sample.group
    return Preview(group.rows().table, tuple(sorted(group.failures.values())), group.usage)


async def make_sample(
    plan: DatasetPlan,
    records: Sequence[int],
    *,
    seeds: Seeds | None,
    models: ModelPool,
    clock: Callable[[], float] = time.monotonic,
) -> Sample:
    """Make some records, no more at once than the models admit requests. `clock` counts seconds.

    Raises RunAbortedError if nothing succeeds for `run.stall_timeout` seconds.
    """
    status = RowGroupStatus(RowGroup(0, 0, records[-1] + 1), RowGroupState.MISSING, records)
    maker = RecordMaker(plan, models)
    phases = GroupPhases(plan, models, loop=asyncio.get_running_loop())
    needed = maker.columns_read
    room = asyncio.Semaphore(max(1, models.capacity))
    each: dict[int, float] = {}
    began = clock()
    group = await asyncio.to_thread(OpenGroup, status, plan=plan, seeds=seeds, phases=phases, needed=needed)
    together = clock() - began
    budget = FailureBudget(plan.config.run, began=clock())

    async def make(position: int) -> None:
        async with room:
            start = clock()
            await _make(maker, group, position, budget=budget, clock=clock)
            each[position] = each.get(position, 0.0) + clock() - start

    async def all_phases() -> float:
        seconds = 0.0
        while True:
            async with asyncio.TaskGroup() as tasks:
                for position in group.open_positions():
                    tasks.create_task(make(position))
            if group.last_phase:
                return seconds
            began = clock()
            await asyncio.to_thread(group.advance)
            seconds += clock() - began

    watch = watch_for_stall(budget, models, clock=clock, sleep=asyncio.sleep)
    together += await unless_stalled(all_phases(), watch)
    return Sample(group, together, tuple(each.values()))


async def _make(
    maker: RecordMaker, group: OpenGroup, position: int, *, budget: FailureBudget, clock: Callable[[], float]
) -> None:
    outcome = await maker.make(group, position)
    if isinstance(outcome, FailedRecord):
        budget.record_failed(group.fail(position, outcome.column, outcome.error))
    else:
        group.settle(position, outcome.cells, outcome.skipped)
        budget.cells_made(clock(), whole=group.last_phase)
