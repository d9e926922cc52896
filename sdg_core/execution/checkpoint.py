"""Taking stock of a version's files: what `metadata.json` counts, and the index that lets the next run plan without opening each.

The index is written now and then while a run goes on, so that a run that follows a killed one has few files to open. Of the runs
that share a dataset, one writes it for all: the others see that it has changed since they last looked, and leave it. So each
file is opened once in a while, not by every run.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from sdg_core.dataset.events import Notice, Observer
from sdg_core.errors import StoreError
from sdg_core.models.spending import Spending
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.store.layout import VersionLayout
from sdg_core.store.listing import stamp_of
from sdg_core.store.metadata import count_run
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_group_state import RowGroupStatus, index_row_groups, scan_row_groups
from sdg_core.store.versions import record_progress

INDEX_EVERY = 60.0
"""Seconds between two writings of the index, on average: runs that were started together look at different times."""


class Checkpointer:
    """What the files of a version are known to say; `statuses` is from the latest look."""

    def __init__(self, version: VersionLayout, plan: DatasetPlan, statuses: Sequence[RowGroupStatus]) -> None:
        self._version = version
        self._plan = plan
        self.statuses = statuses
        self._seen: str | None = None

    def take(self, spending: Spending | None = None) -> Sequence[RowGroupStatus]:
        """Look at what has changed, and write metadata and index. Raises StoreError. spending: of a run that ends."""
        self._index()
        record_progress(self._version, self._plan, self.statuses)
        if spending is not None and spending.used:
            count_run(self._version.metadata, retry_reasons=spending.retry_reasons, abandoned=spending.unaccounted)
        return self.statuses

    @asynccontextmanager
    async def kept(self, *, sleep: Callable[[float], Awaitable[None]], observer: Observer) -> AsyncIterator[None]:
        """Write the index every now and then while the block lasts."""
        keeping = asyncio.ensure_future(self._keep(sleep, observer))
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            if not keeping.cancelled():
                keeping.result()

    async def _keep(self, sleep: Callable[[float], Awaitable[None]], observer: Observer) -> None:
        while True:
            await sleep(random.uniform(0.5, 1.5) * INDEX_EVERY)
            indexing = asyncio.ensure_future(asyncio.to_thread(self._index_for_all))
            try:
                await asyncio.shield(indexing)
            except asyncio.CancelledError:
                await asyncio.wait([indexing])  # so that nothing is written after the run
                raise
            except (
                StoreError
            ) as error:  # files are the truth; the index only saves the next run the trouble of opening them
                observer(Notice(f"the index of row-group files could not be written: {error}"))

    def _index_for_all(self) -> None:
        """Write the index, unless another run has done so since this one last looked."""
        if self._stamp() == self._seen:
            self._index()
        self._seen = self._stamp()

    def _stamp(self) -> str | None:
        with store_errors("read", self._version.footers):
            return stamp_of(self._version.footers)

    def _index(self) -> None:
        self.statuses = scan_row_groups(self._version, self._plan, known=self.statuses)
        index_row_groups(self._version, self.statuses)
