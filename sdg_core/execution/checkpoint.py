"""Taking stock of a version's files: what `metadata.json` counts, and the index that lets the next run plan without opening each.

The index is written now and then while a run goes on, so that a run that follows a killed one has few files to open.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType

from sdg_core.dataset.events import Notice, Observer
from sdg_core.errors import StoreError
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import count_retries
from sdg_core.store.row_group_state import RowGroupStatus, index_row_groups, scan_row_groups
from sdg_core.store.versions import record_progress

NO_REASONS: Mapping[str, Mapping[str, int]] = MappingProxyType({})
INDEX_EVERY = 60.0
"""Seconds between two writings of the index."""


class Checkpointer:
    """What the files of a version are known to say; `statuses` is from the latest look."""

    def __init__(self, version: VersionLayout, plan: DatasetPlan, statuses: Sequence[RowGroupStatus]) -> None:
        self._version, self._plan, self.statuses = version, plan, statuses

    def take(self, retry_reasons: Mapping[str, Mapping[str, int]] = NO_REASONS) -> Sequence[RowGroupStatus]:
        """Look at what has changed, and write metadata and index. Raises StoreError.

        retry_reasons: why requests of the run were sent again, by model alias.
        """
        self._index()
        record_progress(self._version, self._plan, self.statuses)
        if retry_reasons:
            count_retries(self._version.metadata, retry_reasons)
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
            await sleep(INDEX_EVERY)
            indexing = asyncio.ensure_future(asyncio.to_thread(self._index))
            try:
                await asyncio.shield(indexing)
            except asyncio.CancelledError:
                await asyncio.wait([indexing])  # so that nothing is written after the run
                raise
            except (
                StoreError
            ) as error:  # files are the truth; the index only saves the next run the trouble of opening them
                observer(Notice(f"the index of row-group files could not be written: {error}"))

    def _index(self) -> None:
        self.statuses = scan_row_groups(self._version, self._plan, known=self.statuses)
        index_row_groups(self._version, self.statuses)
