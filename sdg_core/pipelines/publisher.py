"""Finished partitions become visible: several of them in one fenced switch, for little more than the price of one.

What holds for one partition holds in company. Its file is written to the end and on disk before the switch; the switch happens
while the rows of all claims are locked, or not at all; a partition counts as published, and its replies leave the journal, only
once its directory is on disk, too. Where the claim of one of a group is lost, or its rows cannot be a table, the others are
published without it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sdg_core.errors import ClaimLostError, SdgError
from sdg_core.ledger.leases import LeaseKeeper
from sdg_core.pipelines.context import RunContext
from sdg_core.pipelines.intake import ClaimedPartition
from sdg_core.pipelines.publish import build_partition
from sdg_core.pipelines.source_cells import SourceCells
from sdg_core.pipelines.store import PartitionFooter, partition_file
from sdg_core.pipelines.tasks import SourceResult
from sdg_core.store.atomic import write_files
from sdg_core.store.publish_files import NewFile
from sdg_core.system.batcher import Batcher

TOGETHER = 64
"""Partitions that are switched in at once at most."""
TICK = 0.005
"""Seconds that a finished partition waits for company."""
PARALLEL = 2
"""Groups that are written at once."""


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class MadePartition:
    """A partition that is made and not published yet. made: the rows of its sources that were made now."""

    claimed: ClaimedPartition
    results: Mapping[str, SourceResult]
    made: Mapping[str, pa.Table]


@dataclass(frozen=True)
class _Built:
    """What is to be written of a partition. cells: the file of its cells, if it gets one."""

    partition: MadePartition
    footer: PartitionFooter
    file: NewFile
    cells: NewFile | None

    @property
    def key(self) -> str:
        return self.partition.claimed.status.key


class Publisher:
    """Publishes partitions of one run. on_published: called in the loop once a partition is durable, whatever has become of the
    caller who wanted it published. Belongs to its event loop."""

    def __init__(
        self,
        context: RunContext,
        held: LeaseKeeper,
        cells: SourceCells | None,
        *,
        on_published: Callable[[MadePartition, PartitionFooter], None],
    ) -> None:
        self._pipeline = context.pipeline
        self._layout = context.layout
        self._held = held
        self._cells = cells
        self._run_id = context.run_id
        self._on_published = on_published
        self._groups: Batcher[MadePartition, None] = Batcher(
            self._publish, size=TOGETHER, parallel=PARALLEL, tick=TICK
        )

    async def publish(self, partition: MadePartition) -> None:
        """Returns once the partition is durable; a caller who is cancelled meanwhile does not keep it from getting there.

        Raises StoreError, ClaimLostError, LedgerError.
        """
        publishing = asyncio.ensure_future(self._groups.submit(partition))
        try:
            await asyncio.shield(publishing)
        except asyncio.CancelledError:
            publishing.add_done_callback(_warn_if_failed)  # `drain` waits for it
            raise

    async def drain(self) -> None:
        """Wait until everything that was finished is published, or has failed."""
        await self._groups.drain()

    async def _publish(
        self, partitions: list[MadePartition]
    ) -> Sequence[None | Exception]:
        outcomes = await asyncio.to_thread(self._publish_all, partitions)
        found: list[None | Exception] = []
        for partition, outcome in zip(partitions, outcomes, strict=True):
            fault = outcome if isinstance(outcome, Exception) else None
            if not isinstance(outcome, Exception):
                try:
                    self._on_published(partition, outcome)
                except Exception as error:  # noqa: BLE001 - it belongs to the caller
                    fault = error
            found.append(fault)
        return found

    def _publish_all(
        self, partitions: Sequence[MadePartition]
    ) -> list[PartitionFooter | Exception]:
        """The footer of each partition, or why it could not be published."""
        outcomes: dict[str, PartitionFooter | Exception] = {}
        built: list[_Built] = []
        for partition in partitions:
            try:
                built.append(self._build(partition))
            except SdgError as error:
                outcomes[partition.claimed.status.key] = error
        try:
            self._switch(built)
            for one in built:
                outcomes[one.key] = one.footer
        except SdgError as error:
            for one in built:
                outcomes[one.key] = self._switch_alone(one, error)
        return [outcomes[partition.claimed.status.key] for partition in partitions]

    def _switch_alone(
        self, one: _Built, error: SdgError
    ) -> PartitionFooter | Exception:
        """One of a group that could not be published as a whole, for this reason."""
        if isinstance(error, ClaimLostError) and self._held.owns(one.key):
            try:
                self._switch([one])
                return one.footer
            except SdgError as its_own:
                return its_own
        return error

    def _build(self, partition: MadePartition) -> _Built:
        status = partition.claimed.status
        table, footer = build_partition(
            self._pipeline,
            status,
            partition.results,
            made=partition.made,
            tables=partition.claimed.tables,
            run_id=self._run_id,
            layout=self._layout,
        )
        cells = None
        if self._cells is not None:
            cells = self._cells.file(
                status.index, partition.results, partition.claimed.carried
            )
        file = partition_file(self._layout.row_group(status.index), table, footer)
        return _Built(partition, footer, file, cells)

    def _switch(self, built: Sequence[_Built]) -> None:
        """Make partitions visible, their cells before them; then take those out of the journal."""
        if not built:
            return
        files = [one.cells for one in built if one.cells is not None]
        files += [one.file for one in built]
        units = [one.key for one in built]
        write_files(
            files, commit_guard=lambda: self._held.commit_guard(*units, release=True)
        )
        if self._cells is not None:
            self._cells.forget([one.partition.results for one in built])


def _warn_if_failed(publishing: "asyncio.Future[None]") -> None:
    """Nobody waits any more for a partition whose run ends, but people should know why it is missing."""
    error = None if publishing.cancelled() else publishing.exception()
    if error is not None:
        _LOG.warning("a finished partition could not be published: %s", error)
