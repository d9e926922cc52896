"""What a run takes in hand: partitions that are claimed, and sources that are open and read ahead.

Many at a time: a claim, a footer and a short text cost little, but a transaction and a change of threads for each of them cost
more than all of them together. What takes longer (a large file, a document, a table, an object store) has a thread of its own, so
that nobody waits for it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from sdg_core.dataset.events import Notice
from sdg_core.dataset.resume import check_not_sealed
from sdg_core.ledger.claims import WHOLE, Claim
from sdg_core.ledger.journal import JournaledCell
from sdg_core.ledger.leases import LeaseKeeper
from sdg_core.pipelines.context import RunContext
from sdg_core.pipelines.handle import PartitionStatus, classify
from sdg_core.pipelines.readers.base import SourceError, opened
from sdg_core.pipelines.source_cells import CellsBySource, SourceCells
from sdg_core.pipelines.source_records import SourceRecords
from sdg_core.pipelines.source_run import BATCH
from sdg_core.pipelines.store import SourceEntry, read_footer
from sdg_core.store.access import storage_of
from sdg_core.store.atomic import quarantine
from sdg_core.store.metadata import read_metadata
from sdg_core.store.row_groups import read_rows, unless_absent
from sdg_core.store.versions import Version
from sdg_core.system.batcher import Batcher

BATCH_SIZE = 64
"""Partitions that are claimed, and sources that are opened, at once at most."""
TICK = 0.004
"""Seconds that they wait for company."""
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class ClaimedPartition:
    """A partition that is claimed, as it is on disk now. tables: the rows that it has, by source. carried: what was
    paid for before, by source, in this version and in earlier ones."""

    status: PartitionStatus
    tables: Mapping[str, pa.Table]
    carried: CellsBySource


@dataclass(frozen=True)
class SourceToOpen:
    """A source that is to be made. entry: what its partition's file says of it. carried: what was paid for before."""

    key: str
    entry: SourceEntry | None
    carried: Sequence[JournaledCell]


@dataclass(frozen=True)
class ReadySource:
    """A source that is open, or why it cannot be read. before: what is kept of it. reusable: cells not to be made again."""

    version: str
    records: SourceRecords | SourceError
    before: SourceEntry | None
    reusable: Sequence[JournaledCell]


class Intake:
    """Claims partitions and opens sources of one run. cells: None where nothing is paid for. Belongs to its event loop."""

    def __init__(
        self, context: RunContext, held: LeaseKeeper, cells: SourceCells | None
    ) -> None:
        self._pipeline = context.pipeline
        self._layout = context.layout
        self._held = held
        self._cells = cells
        self._retry = context.retry
        self._versions = context.versions
        self._notify = context.counter
        self._reads_ahead = not any(
            plan.stage.checkpoint for plan in context.pipeline.plan.stages
        )
        self._is_remote = storage_of(context.layout.row_groups).is_remote
        self._claims: Batcher[PartitionStatus, ClaimedPartition | Claim] = Batcher(
            self._take, size=BATCH_SIZE, tick=TICK
        )
        self._openings: Batcher[SourceToOpen, ReadySource | None] = Batcher(
            self._open_quick, size=BATCH_SIZE, tick=TICK
        )

    async def claim(self, status: PartitionStatus) -> ClaimedPartition | Claim:
        """The partition, in hand; or the claim of another run that stands in the way.

        Raises SealedError, LedgerError, StoreError, UnrecognizedFileError.
        """
        return await self._claims.submit(status)

    async def open(self, wanted: SourceToOpen) -> ReadySource:
        """The source as it is now. Raises LedgerError."""
        ready = await self._openings.submit(wanted)
        return (
            ready if ready is not None else await asyncio.to_thread(self._open, wanted)
        )

    async def _take(
        self, statuses: list[PartitionStatus]
    ) -> Sequence[ClaimedPartition | Claim | Exception]:
        others = await asyncio.to_thread(
            self._claim, [status.key for status in statuses]
        )
        mine = [status for status in statuses if others.get(status.key) is None]
        looks: list[ClaimedPartition | Exception]
        if self._is_remote:
            looking = [
                asyncio.to_thread(_outcome, self._look_again, status) for status in mine
            ]
            looks = await asyncio.gather(*looking)
        else:
            looks = await asyncio.to_thread(
                lambda: [_outcome(self._look_again, status) for status in mine]
            )
        found = {status.key: look for status, look in zip(mine, looks, strict=True)}
        return [others.get(status.key) or found[status.key] for status in statuses]

    def _claim(self, keys: Sequence[str]) -> dict[str, Claim]:
        """Claim partitions; returns what stands in the way, by partition."""
        unclaimed = [key for key in keys if not self._held.owns(key)]
        others = {claim.unit: claim for claim in self._held.acquire(unclaimed)}
        if not others.keys() >= {*keys}:
            metadata = read_metadata(self._layout.metadata)
            check_not_sealed(Version(self._layout, metadata))
        if WHOLE in others:
            return dict.fromkeys(keys, others[WHOLE])
        return others

    def _look_again(self, status: PartitionStatus) -> ClaimedPartition:
        """The partition now that it is claimed: another run may have been there."""
        path = self._layout.row_group(status.index)
        if status.state == "corrupt":
            where = quarantine(path, self._layout.quarantine)
            self._notify(
                Notice(
                    f"{path} is corrupt ({status.reason}); moved to {where}; its sources are processed again"
                )
            )
        footer = unless_absent(read_footer, path)
        now = classify(
            self._pipeline,
            status.partition,
            footer,
            versions=self._versions,
            stale=False,
            retry=self._retry,
        )
        if now.is_settled:
            return ClaimedPartition(now, {}, {})
        carried: CellsBySource = {}
        if self._cells is not None:
            carried = self._cells.carried(now.index, now.to_make)
        return ClaimedPartition(now, self._tables(now), carried)

    def _tables(self, status: PartitionStatus) -> dict[str, pa.Table]:
        """The rows that the partition has, by source."""
        if status.footer is None:
            return {}
        table = read_rows(self._layout.row_group(status.index))
        tables = {}
        start = 0
        for entry in status.footer.sources:
            tables[entry.key] = table.slice(start, entry.rows)
            start += entry.rows
        return tables

    async def _open_quick(
        self, wanted: list[SourceToOpen]
    ) -> Sequence[ReadySource | None | Exception]:
        """Open what is quickly opened; None for the rest."""
        return await asyncio.to_thread(self._open_all, wanted)

    def _open_all(
        self, wanted: Sequence[SourceToOpen]
    ) -> list[ReadySource | None | Exception]:
        opened: list[ReadySource | None | Exception] = []
        for one in wanted:
            is_quick = self._pipeline.sources[one.key].is_quick()
            opened.append(_outcome(self._open, one) if is_quick else None)
        return opened

    def _open(self, wanted: SourceToOpen) -> ReadySource:
        found, version = opened(self._pipeline.sources[wanted.key])
        self._versions.known[wanted.key] = version
        before = self._before(wanted.entry, version)
        reusable = [*wanted.carried]
        if self._cells is not None:
            counted = before.runs if before is not None else ()
            reusable += self._cells.journaled_of(wanted.key, counted=counted)
        if isinstance(found, SourceError):
            return ReadySource(version, found, before, reusable)
        records = SourceRecords(found)
        if self._reads_ahead:
            records.read_ahead(BATCH)
        return ReadySource(version, records, before, reusable)

    def _before(self, entry: SourceEntry | None, version: str) -> SourceEntry | None:
        """What is kept of a source, if it is still the same and its rows can be told apart."""
        if entry is None or entry.version != version:
            return None
        return entry if self._pipeline.plan.config.sink.lineage else None


def _outcome(function: Callable[[Item], Result], item: Item) -> Result | Exception:
    try:
        return function(item)
    except Exception as error:  # noqa: BLE001 - it belongs to the caller of this item
        return error
