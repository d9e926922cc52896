"""Makes the sources of a partition that is claimed; the rows stay in memory until they are published."""

import asyncio
from contextlib import AbstractContextManager
from functools import partial

import pyarrow as pa

from sdg_core.errors import RunAbortedError
from sdg_core.execution.stop_rules import FailureBudget
from sdg_core.ledger.leases import LeaseKeeper
from sdg_core.pipelines.checkpoints import SourceCheckpoints
from sdg_core.pipelines.context import RunContext
from sdg_core.pipelines.handle import PartitionStatus
from sdg_core.pipelines.intake import ClaimedPartition, Intake, SourceToOpen
from sdg_core.pipelines.publish import rows_of
from sdg_core.pipelines.publisher import MadePartition
from sdg_core.pipelines.rejected import rejected_rows, selects, write_rejected
from sdg_core.pipelines.row_buffer import RowBuffer
from sdg_core.pipelines.source_run import SourceRun
from sdg_core.pipelines.stages import StageRunner
from sdg_core.pipelines.tasks import RejectedCandidate, SourceResult, Task
from sdg_core.system.commit_guard import CommitGuard


class PartitionMaker:
    """Makes sources, so many at once as the run has room for. Belongs to its event loop."""

    def __init__(
        self,
        context: RunContext,
        intake: Intake,
        runner: StageRunner,
        held: LeaseKeeper,
        budget: FailureBudget,
    ) -> None:
        self._context = context
        self._intake = intake
        self._runner = runner
        self._held = held
        self._budget = budget
        self._room = asyncio.Semaphore(context.concurrent_sources)

    async def make(self, claimed: ClaimedPartition) -> MadePartition:
        """Make the sources that the partition needs, and list the candidates that were rejected.

        Raises RunAbortedError, StoreError, ClaimLostError, LedgerError, FunctionError.
        """
        sources_of_partition = _SourcesOfPartition(self._context, claimed, self._held)
        keys = claimed.status.to_make
        if len(keys) == 1:
            await self._make_source(sources_of_partition, keys[0])
        else:
            async with asyncio.TaskGroup() as tasks:
                for key in keys:
                    tasks.create_task(self._make_source(sources_of_partition, key))
        if sources_of_partition.lists_rejected:
            await asyncio.to_thread(sources_of_partition.write_rejected)
        return MadePartition(
            claimed, sources_of_partition.results, sources_of_partition.made
        )

    async def _make_source(
        self, sources_of_partition: "_SourcesOfPartition", key: str
    ) -> None:
        plan = self._context.pipeline.plan
        rows: RowBuffer[Task] = RowBuffer(partial(rows_of, self._context.pipeline, key))
        rejected: RowBuffer[RejectedCandidate] = RowBuffer(
            partial(rejected_rows, plan, key)
        )
        async with self._room:
            result = await self._run_source(
                sources_of_partition.wanted(key),
                rows,
                rejected,
                commit_guard=sources_of_partition.commit_guard,
            )
            sources_of_partition.keep(key, result, rows, rejected)

    async def _run_source(
        self,
        wanted: SourceToOpen,
        rows: RowBuffer[Task],
        rejected: RowBuffer[RejectedCandidate],
        *,
        commit_guard: CommitGuard,
    ) -> SourceResult:
        """Take a source through the stages; `rows` and `rejected` get what comes of it."""
        ready = await self._intake.open(wanted)
        run = SourceRun(
            self._context.pipeline.plan.stages,
            max_attempts=self._context.settings.max_attempts,
            run_id=self._context.run_id,
            before=ready.before,
            from_scratch=wanted.key in self._context.retry,
            checkpoints=self._checkpoints(wanted.key, ready.version, commit_guard),
        )
        result = await run.run(
            self._context.pipeline.sources[wanted.key],
            ready.records,
            self._runner,
            version=ready.version,
            reusable=ready.reusable,
            keep=rows.add,
            keep_rejected=rejected.add,
        )
        self._stop_if_too_much_failed()
        return result

    def _checkpoints(
        self, key: str, version: str, commit_guard: CommitGuard
    ) -> SourceCheckpoints:
        """Where a source's checkpoints are: those of a forced version are its own."""
        chosen = self._context.version
        forced = chosen.forced or (
            chosen.metadata is not None and chosen.metadata.forced
        )
        layout = self._context.layout if forced else self._context.pipeline.layout
        return SourceCheckpoints(
            layout.checkpoints, key=key, version=version, commit_guard=commit_guard
        )

    def _stop_if_too_much_failed(self) -> None:
        reason = self._budget.stop_reason(remaining=1)
        if reason is not None:
            raise RunAbortedError(
                f"stopped: {reason}",
                remedy="finished sources are kept; fix the cause and rerun the same command to resume",
            )


class _SourcesOfPartition:
    """The sources of one partition while they are made: results, rows and rejected candidates by source."""

    def __init__(
        self, context: RunContext, claimed: ClaimedPartition, held: LeaseKeeper
    ) -> None:
        self._context = context
        self._claimed = claimed
        self._status: PartitionStatus = claimed.status
        footer = claimed.status.footer
        entries = footer.sources if footer is not None else ()
        self._entries = {entry.key: entry for entry in entries}
        self._held = held
        self.lists_rejected = selects(context.pipeline.plan)
        self.results: dict[str, SourceResult] = {}
        self.made: dict[str, pa.Table] = {}
        self._rejected: dict[str, pa.Table] = {}

    def wanted(self, key: str) -> SourceToOpen:
        """What to open for a source."""
        return SourceToOpen(
            key, self._entries.get(key), self._claimed.carried.get(key, ())
        )

    def commit_guard(self) -> AbstractContextManager[None]:
        """Keeps a run that has lost the partition from changing anything of it."""
        return self._held.commit_guard(self._status.key)

    def keep(
        self,
        key: str,
        result: SourceResult,
        rows: RowBuffer[Task],
        rejected: RowBuffer[RejectedCandidate],
    ) -> None:
        """Keep what a source came to."""
        self.results[key] = result
        self.made[key] = rows.table() if result.was_read else pa.table({})
        if self.lists_rejected and result.was_read:
            rejected.add(())  # an empty table has columns, too
            self._rejected[key] = rejected.table()

    def write_rejected(self) -> None:
        """List rejected candidates, before the partition's file is switched: the file never knows of more than the list."""
        extended = frozenset(
            key for key, result in self.results.items() if result.extends
        )
        sources = self._context.pipeline.sources
        here = [key for key, _ in self._status.partition.sources if key in sources]
        path = self._context.layout.rejected_candidates(self._status.index)
        write_rejected(
            path,
            self._rejected,
            sources=here,
            extended=extended,
            commit_guard=self.commit_guard,
        )
