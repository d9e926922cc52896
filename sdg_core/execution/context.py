"""What a run works with, and the two moments in which files and journal meet: opening a row group and writing it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sdg_core.config.columns import ModelColumn
from sdg_core.config.run import RunSettings
from sdg_core.execution.carry import CarryOver
from sdg_core.execution.claiming import HeldClaims
from sdg_core.execution.counted import counted_cells
from sdg_core.execution.events import Observer, RowGroupFinished
from sdg_core.execution.group import OpenGroup, WrittenGroup, write_group
from sdg_core.generators.group_stage import STRIDE
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.models.pool import ModelPool
from sdg_core.plan.compile import DatasetPlan
from sdg_core.plan.row_groups import RowGroup
from sdg_core.plan.stages import resizes
from sdg_core.points import reach
from sdg_core.seeds.readers import Seeds
from sdg_core.store.layout import VersionLayout
from sdg_core.store.state import RowGroupStatus

OnRowGroup = Callable[[RowGroupFinished], Any]
"""Called in a thread, one at a time, for each row group of a run once its file is durable; may be async."""


@dataclass(frozen=True)
class RunContext:
    """What a run works with. `clock` is monotonic, in seconds. Without `claims` nothing keeps others out."""

    plan: DatasetPlan
    version: VersionLayout
    seeds: Seeds | None
    models: ModelPool
    settings: RunSettings
    observer: Observer
    run_id: str
    journal: Journal | None = None
    carry: CarryOver | None = None
    claims: HeldClaims | None = None
    lost_claims: "asyncio.Future[None] | None" = None
    on_row_group: OnRowGroup | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@asynccontextmanager
async def open_journal(
    ledger: Ledger, plan: DatasetPlan, version: VersionLayout, work: Sequence[RowGroupStatus], *, run_id: str
) -> AsyncIterator[Journal | None]:
    """The journal of a version, or None where nothing can be paid for: no model is asked, or nothing is lacking.

    Raises LedgerError.
    """
    if not plan.models or not any(status.lacking for status in work):
        yield None
        return
    async with Journal(ledger, dataset=plan.config.name, version=version.name, run_id=run_id) as journal:
        lacking = {status.group.index: frozenset(status.lacking) for status in work}
        late, size = _late_columns(plan), plan.config.row_group_size

        def is_done(record: int, column: str) -> bool:
            number = record // STRIDE if column in late else record
            return number not in lacking.get(number // size, frozenset([number]))

        await asyncio.to_thread(journal.prune, is_done)
        yield journal


def paid_cells(context: RunContext, status: RowGroupStatus) -> list[JournaledCell]:
    """What an earlier run has paid for and not got into the row group's file. Called in a thread.

    What the file's usage counts already comes without its usage.
    """
    if context.journal is None:
        return []
    hashes, counted = context.plan.fingerprint.column_hashes, counted_cells(status.footer)
    return [
        replace(cell, usage={}) if (cell.run_id, cell.column, cell.record) in counted else cell
        for start, stop, columns in _spans(context.plan, status.group)
        for cell in context.journal.load(start=start, stop=stop, column_hashes={name: hashes[name] for name in columns})
    ]


def write_and_settle(context: RunContext, group: OpenGroup) -> WrittenGroup:
    """Write a row group's files, give its claim back, settle what the journal holds for it. Called in a thread.

    Raises ClaimLostError, before anything of it is visible, if another run has taken the row group over.
    """
    claims, index = context.claims, group.status.group.index
    written = write_group(
        group,
        context.version,
        plan=context.plan,
        run_id=context.run_id,
        publishing=partial(claims.publishing, index) if claims is not None else nullcontext,
        committing=partial(claims.publishing, index, release=True) if claims is not None else nullcontext,
    )
    reach("group.before_settle")
    if context.journal is not None:
        missing = frozenset(written.footer.missing)
        for start, stop, columns in _spans(context.plan, group.status.group):
            if not (context.plan.resizes and missing):
                context.journal.settle(start=start, stop=stop, columns=columns, lacking=missing)
    reach("group.after_settle")
    if claims is not None:
        claims.give_back([index])
    return written


def _spans(plan: DatasetPlan, group: RowGroup) -> list[tuple[int, int, frozenset[str]]]:
    """The numbers of a row group's rows in the journal, `[start, stop)`, for the columns that are journaled.

    Where a function changes the rows, those of the columns that come after it are counted anew.
    """
    late, journaled = _late_columns(plan), {c.name for c in plan.config.columns if isinstance(c, ModelColumn)}
    spans = [(group.start, group.stop, frozenset(journaled - late))]
    if late:
        spans.append((group.start * STRIDE, group.stop * STRIDE, frozenset(late & journaled)))
    return [span for span in spans if span[2]]


def _late_columns(plan: DatasetPlan) -> frozenset[str]:
    """The columns that come after a function that changes the rows."""
    places = plan.graph.places
    first = min((places[column.name] for column in plan.config.columns if resizes(column)), default=None)
    return frozenset(name for name, place in places.items() if first is not None and place >= first)
