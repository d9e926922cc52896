"""What a run works with, and the two moments in which files and journal meet: opening a row group and writing it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sdg_core.config.run import RunSettings
from sdg_core.execution.events import Observer
from sdg_core.execution.group import OpenGroup, write_group
from sdg_core.ledger.database import open_ledger
from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.models.pool import ModelPool
from sdg_core.plan.compile import DatasetPlan
from sdg_core.seeds.readers import Seeds
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_groups import Footer
from sdg_core.store.state import RowGroupStatus

LEDGER_VARIABLE = "SDG_LEDGER_URL"
"""Environment variable with the SQLAlchemy URL of the ledger; SQLite below the root without it."""


@dataclass(frozen=True)
class RunContext:
    """What a run works with. `clock` is monotonic, in seconds."""

    plan: DatasetPlan
    version: VersionLayout
    seeds: Seeds | None
    models: ModelPool
    settings: RunSettings
    observer: Observer
    run_id: str
    journal: Journal | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@asynccontextmanager
async def open_journal(
    plan: DatasetPlan, version: VersionLayout, work: Sequence[RowGroupStatus], *, root: Path, env: Mapping[str, str]
) -> AsyncIterator[Journal | None]:
    """The journal of a version, or None where nothing can be paid for: no model is asked, or nothing is lacking.

    A dataset whose functions change the number of rows keeps none: its rows are not records. Raises LedgerError.
    """
    if not plan.models or plan.resizes or not any(status.lacking for status in work):
        yield None
        return
    ledger = await asyncio.to_thread(open_ledger, env.get(LEDGER_VARIABLE), root=root)
    try:
        async with Journal(ledger, dataset=plan.config.name, version=version.name) as journal:
            lacking = {status.group.index: frozenset(status.lacking) for status in work if status.lacking}
            size = plan.config.row_group_size
            chosen = {status.group.index for status in work}
            await asyncio.to_thread(
                journal.prune, lambda record: record // size not in chosen or record in lacking.get(record // size, ())
            )
            yield journal
    finally:
        ledger.close()


def paid_cells(context: RunContext, status: RowGroupStatus) -> list[JournaledCell]:
    """What an earlier run has paid for and not got into the row group's file. Called in a thread."""
    if context.journal is None:
        return []
    group, hashes = status.group, context.plan.fingerprint.column_hashes
    return context.journal.load(start=group.start, stop=group.stop, column_hashes=hashes)


def write_and_settle(context: RunContext, group: OpenGroup) -> Footer:
    """Write a row group's files; then what the journal holds for it is settled. Called in a thread."""
    planned = group.status.group
    footer = write_group(group, context.version, plan=context.plan, run_id=context.run_id)
    if context.journal is not None:
        context.journal.settle(start=planned.start, stop=planned.stop, lacking=frozenset(footer.missing))
    return footer
