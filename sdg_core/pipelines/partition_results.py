"""What a run has done with its partitions: counted, and handed on to those who follow the run."""

from collections.abc import Callable

from sdg_core.dataset.events import Notice
from sdg_core.pipelines.context import RunContext
from sdg_core.pipelines.events import PartitionFinished
from sdg_core.pipelines.handle import PartitionStatus
from sdg_core.pipelines.publisher import MadePartition
from sdg_core.pipelines.store import PartitionFooter

OnPartition = Callable[[PartitionFinished], None]


class PartitionResults:
    """Counts of sources, and the footers of the partitions that were written.

    on_partition: called once a partition is durable, also if it was before the run.
    """

    def __init__(self, context: RunContext, on_partition: OnPartition) -> None:
        self._context = context
        self._on_partition = on_partition
        self.made = 0
        self.adopted = 0
        self.removed = 0
        self.replayed = 0
        self.footers: dict[int, PartitionFooter] = {}

    @property
    def counts(self) -> dict[str, int]:
        """What was done, in sources; `replayed` in cells."""
        return {
            "made": self.made,
            "adopted": self.adopted,
            "removed": self.removed,
            "replayed": self.replayed,
        }

    def adopt(self, status: PartitionStatus) -> None:
        """Count a partition that is complete already."""
        # a partition whose sources were all gone before it was ever made
        if status.footer is None:
            return
        self.adopted += len(status.footer.sources)
        self._context.counter.count(adopted=1)
        path = self._context.layout.row_group(status.index)
        self._on_partition(
            PartitionFinished(status.key, status.footer, path, adopted=True)
        )

    def published(self, partition: MadePartition, footer: PartitionFooter) -> None:
        """Count what was made of a partition that is durable now."""
        status = partition.claimed.status
        results = partition.results
        replayed = sum(result.replayed for result in results.values())
        rows = sum(table.num_rows for table in partition.made.values())
        failed = sum(len(result.failed) for result in results.values())
        self.footers[status.index] = footer
        self.made += len(results)
        self.removed += len(status.removed)
        self.replayed += replayed
        if status.footer is not None:
            before = {entry.key for entry in status.footer.sources}
            self.adopted += len(before - results.keys() - {*status.removed})
        counter = self._context.counter
        counter.count(generated=rows, replayed=replayed, failed=failed, written=1)
        for key in status.removed:
            counter(
                Notice(
                    f"source {key} no longer exists; its rows were removed from partition {status.key}"
                )
            )
        path = self._context.layout.row_group(status.index)
        finished = PartitionFinished(
            status.key,
            footer,
            path,
            adopted=False,
            made=status.to_make,
            replayed=replayed,
        )
        self._on_partition(finished)
