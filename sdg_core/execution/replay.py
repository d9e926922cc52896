"""Replaying the journal: cells that an earlier run paid for and did not live to write."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sdg_core.execution.context import RunContext
from sdg_core.execution.journal_rows import (
    counted_cells,
    journal_spans,
    post_resize_columns,
)
from sdg_core.execution.samples import samples_for
from sdg_core.generators.whole_group import STRIDE
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.plan.candidates import record_and_candidate
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_group_state import RowGroupStatus

if TYPE_CHECKING:
    from sdg_core.execution.carry_over import CarriedCells


@asynccontextmanager
async def open_journal(
    ledger: Ledger,
    plan: DatasetPlan,
    version: VersionLayout,
    work: Sequence[RowGroupStatus],
    *,
    run_id: str,
) -> AsyncIterator[Journal | None]:
    """The journal of a version, or None where nothing can be paid for: no model is asked, or nothing is missing.

    Raises LedgerError.
    """
    is_whole = not any(status.remaining for status in work)
    if is_whole or not plan.models:
        yield None
        return
    async with Journal(
        ledger, dataset=plan.config.name, version=version.name, run_id=run_id
    ) as journal:
        remaining = {status.group.index: frozenset(status.remaining) for status in work}
        late = post_resize_columns(plan)
        size = plan.config.row_group_size

        def is_done(record: int, column: str) -> bool:
            number = (
                record // STRIDE if column in late else record_and_candidate(record)[0]
            )
            return number not in remaining.get(number // size, frozenset([number]))

        await asyncio.to_thread(journal.prune, is_done)
        yield journal


def journaled_cells(
    context: RunContext, status: RowGroupStatus, *, candidate: int = 0
) -> list[JournaledCell]:
    """What an earlier run has paid for one candidate of the records and not got into the row group's file. Called in a thread.

    What the file's usage counts already is marked so.
    """
    if context.journal is None:
        return []
    hashes = context.plan.fingerprint.column_hashes
    counted = counted_cells(status.footer)
    cells = [] if candidate else samples_for(context, status, counted)
    for start, stop, columns in journal_spans(
        context.plan, status.group, candidate=candidate
    ):
        wanted = {name: hashes[name] for name in columns}
        for cell in context.journal.load(start=start, stop=stop, column_hashes=wanted):
            is_counted = (cell.run_id, cell.column, cell.record) in counted
            cells.append(replace(cell, counted=is_counted))
    return cells


def carried_cells(
    context: RunContext, status: RowGroupStatus, *, candidate: int = 0
) -> "CarriedCells":
    """What earlier versions have for one candidate of the records that a row group lacks. Called in a thread."""
    if context.carry is None:
        return {}
    return context.carry.cells(status, candidate=candidate)
