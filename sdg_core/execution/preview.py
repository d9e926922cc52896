"""A few records in memory: nothing is read from the store, nothing is written to it."""

import asyncio
from dataclasses import dataclass

import pyarrow as pa

from sdg_core.execution.group import OpenGroup
from sdg_core.execution.record import FailedRecord, RecordMaker
from sdg_core.models.pool import ModelPool
from sdg_core.plan.compile import DatasetPlan
from sdg_core.plan.row_groups import RowGroup
from sdg_core.seeds.readers import Seeds
from sdg_core.store.failures import Failure
from sdg_core.store.metadata import UsageByModel
from sdg_core.store.state import RowGroupState, RowGroupStatus


@dataclass(frozen=True)
class Preview:
    """The first records of a dataset as a table of every column, and the records that failed."""

    table: pa.Table
    failures: tuple[Failure, ...]
    usage: UsageByModel


async def make_preview(plan: DatasetPlan, *, num_records: int, seeds: Seeds | None, models: ModelPool) -> Preview:
    """Make records 0 to `num_records - 1`; they are the same records that a full run makes."""
    status = RowGroupStatus(RowGroup(0, 0, num_records), RowGroupState.MISSING, range(num_records))
    maker = RecordMaker(plan, models)
    group = OpenGroup(status, plan=plan, seeds=seeds, needed=maker.columns_read)
    async with asyncio.TaskGroup() as tasks:
        for position in group.open_positions():
            tasks.create_task(_make(maker, group, position))
    return Preview(group.rows().table, tuple(sorted(group.failures.values())), group.usage)


async def _make(maker: RecordMaker, group: OpenGroup, position: int) -> None:
    outcome = await maker.make(group, position)
    if isinstance(outcome, FailedRecord):
        group.fail(position, outcome.failure)
    else:
        group.settle(position, outcome)
