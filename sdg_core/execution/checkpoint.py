"""Taking stock of a version's files: what `metadata.json` counts, and the index that lets the next run plan without opening each.

The index is written now and then while a run goes on, so that a run that follows a killed one has few files to open. Of the runs
that share a dataset one a minute writes it, for all: the turn is a lease of the ledger that runs out by itself. So each file
is opened by one run, not by every run.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from sdg_core.dataset.events import Notice, Observer
from sdg_core.errors import LedgerError, StoreError
from sdg_core.ledger.claims import COUNTS, INDEX, WHOLE, Claim, Claims
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.leases import LeaseKeeper
from sdg_core.models.spending import Spending
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import count_run
from sdg_core.store.row_group_state import (
    RowGroupStatus,
    index_row_groups,
    scan_row_groups,
)
from sdg_core.store.versions import record_progress

INDEX_EVERY = 60.0
"""Seconds between two attempts to write the index, on average: runs that were started together look at different times."""
POLL = 1.0
"""Seconds between two looks at whether it is this run's turn, on average."""


def index_turns(ledger: Ledger, *, dataset: str, version: str, run_id: str) -> Claims:
    """By which the runs of a version take turns: claims of their own, because a run's others are renewed."""
    return Claims(ledger, dataset=dataset, version=version, run_id=run_id)


class Checkpointer:
    """What the files of a version are known to say; `statuses` is from the latest look.

    turns: see `index_turns`.
    """

    def __init__(
        self,
        version: VersionLayout,
        plan: DatasetPlan,
        statuses: Sequence[RowGroupStatus],
        *,
        turns: Claims,
    ) -> None:
        self._version = version
        self._plan = plan
        self.statuses = statuses
        self._turns = turns
        self._turn: Claim | None = None

    async def write_in_turn(
        self, spending: Spending, *, sleep: Callable[[float], Awaitable[None]]
    ) -> Sequence[RowGroupStatus]:
        """Write the checkpoint of a run that ends, when no other run does. Runs that end together find in the index what the
        first of them has opened, so each file is opened once. Raises StoreError."""
        with LeaseKeeper(self._turns, on_error=lambda error: None) as held:
            with suppress(LedgerError):  # turns only spare work
                while not await asyncio.to_thread(_has_turn, held):
                    await sleep(random.uniform(0.5, 1.5) * POLL)
            return await asyncio.to_thread(self.write, spending)

    def write(self, spending: Spending | None = None) -> Sequence[RowGroupStatus]:
        """Look at what has changed, and write metadata and index. Raises StoreError. spending: of a run that ends."""
        self._index()
        record_progress(self._version, self._plan, self.statuses)
        if spending is not None and spending.used:
            count_run(
                self._version.metadata,
                retry_reasons=spending.retry_reasons,
                abandoned=spending.unaccounted,
            )
        return self.statuses

    @asynccontextmanager
    async def periodically(
        self, *, sleep: Callable[[float], Awaitable[None]], observer: Observer
    ) -> AsyncIterator[None]:
        """Write the index every now and then while the block lasts."""
        keeping = asyncio.ensure_future(self._write_periodically(sleep, observer))
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await asyncio.to_thread(self._release, observer)
            if not keeping.cancelled():
                keeping.result()

    async def _write_periodically(
        self, sleep: Callable[[float], Awaitable[None]], observer: Observer
    ) -> None:
        while True:
            await sleep(random.uniform(0.5, 1.5) * INDEX_EVERY)
            indexing = asyncio.ensure_future(asyncio.to_thread(self._index_for_all))
            try:
                problem = await asyncio.shield(indexing)
            except asyncio.CancelledError:
                # so that nothing is written after the run
                await asyncio.wait([indexing])
                indexing.result()
                raise
            if problem is not None:
                observer(
                    Notice(
                        f"the index of row-group files could not be written: {problem}"
                    )
                )

    def _index_for_all(self) -> str | None:
        """Write the index, unless it is another run's turn. Returns why it could not be written.

        Files are the truth; the index only saves the next run the trouble of opening them.
        """
        try:
            mine, _ = self._turns.acquire_free([INDEX])
            if mine:
                self._turn = mine[0]
                self._index()
        except (StoreError, LedgerError) as error:
            return str(error)
        return None

    def _release(self, observer: Observer) -> None:
        """Let others have the turn at once; above all those that want the whole version."""
        try:
            if self._turn is not None:
                self._turns.release(self._turn)
        except LedgerError as error:
            observer(
                Notice(
                    f"the claim to write the index could not be released, and will expire: {error}"
                )
            )

    def _index(self) -> None:
        self.statuses = scan_row_groups(self._version, self._plan, known=self.statuses)
        index_row_groups(self._version, self.statuses)


def _has_turn(held: LeaseKeeper) -> bool:
    """Whether no other run is writing its checkpoint. The holder of the whole version keeps every run
    out, so there is nothing to wait for then."""
    others = held.acquire([COUNTS])
    return not others or others[0].unit == WHOLE
