"""Samples that are paid for once: replies that `preview` and `estimate` ask for stay in the journal, where a run takes them.

They are kept under a name of their own instead of a version's, because a look at a dataset starts none. A run takes one if it is
the same pure function: record, column and the column's fingerprint are equal, and so are the values that the cell reads. Once its
row is durable, the sample is removed, for then the file counts what it has cost.

Kept are replies of real models. Those of simulated ones cost nothing; images would be files; and where a function changes the
rows, a few records alone do not become the rows that they become among all.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from sdg_core.config.columns import ImageColumn, ModelColumn
from sdg_core.dataset.handle import Dataset
from sdg_core.dataset.ledger import open_ledger_for
from sdg_core.dataset.spending import SAMPLES
from sdg_core.errors import LedgerError, StoreError
from sdg_core.execution.context import RunContext
from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.store.row_group_state import RowGroupStatus

_LOG = logging.getLogger(__name__)


def sampled_hashes(plan: DatasetPlan) -> dict[str, str]:
    """The columns whose samples are kept, with their fingerprints."""
    if plan.simulated or plan.resizes:
        return {}
    hashes = {}
    for column in plan.config.columns:
        if isinstance(column, ModelColumn) and not isinstance(column, ImageColumn):
            hashes[column.name] = plan.fingerprint.column_hashes[column.name]
    return hashes


@asynccontextmanager
async def open_samples(dataset: Dataset) -> AsyncIterator[Journal | None]:
    """Where samples are kept, None where there are none to keep, or where nothing can be written."""
    async with AsyncExitStack() as stack:
        journal: Journal | None = None
        if sampled_hashes(dataset.plan):
            try:
                ledger = stack.enter_context(
                    open_ledger_for(dataset.layout.root, env=dataset.env)
                )
                opened = Journal(
                    ledger, dataset=dataset.name, version=SAMPLES, run_id=SAMPLES
                )
                journal = await stack.enter_async_context(opened)
            except (LedgerError, StoreError) as error:
                _LOG.warning(
                    "the replies of this sample could not be saved for the run: %s",
                    error,
                )
        yield journal


def kept_samples(
    plan: DatasetPlan,
    journal: Journal | None,
    records: Sequence[int],
    *,
    version: str = SAMPLES,
) -> list[JournaledCell]:
    """The samples that there are of some records, ascending; or what the journal has of a version. Called in a thread."""
    hashes = sampled_hashes(plan)
    if journal is None or not hashes or not len(records):
        return []
    wanted = frozenset(records)
    cells = journal.load(
        start=records[0], stop=records[-1] + 1, column_hashes=hashes, version=version
    )
    return [cell for cell in cells if cell.record in wanted]


def known_replies(
    plan: DatasetPlan, journal: Journal | None, records: Sequence[int]
) -> list[JournaledCell]:
    """What a preview or an estimate need not ask for: samples, and what an interrupted run has left. Called in a thread."""
    left = kept_samples(plan, journal, records, version=plan.fingerprint.version)
    return [*left, *kept_samples(plan, journal, records)]


def samples_for(
    context: RunContext, status: RowGroupStatus, counted: set[tuple[str, str, int]]
) -> list[JournaledCell]:
    """The samples that a run can take for the records that a row group lacks; what its file counts is marked so."""
    if not context.takes_samples:
        return []
    cells = kept_samples(context.plan, context.journal, status.remaining)
    return [
        replace(cell, counted=(SAMPLES, cell.column, cell.record) in counted)
        for cell in cells
    ]
