"""A run of a pipeline: choose the version, claim partitions, make their sources, publish each by one fenced switch.

Killed before the switch, nothing is left but the journal; killed after it, the sources are complete. There is no third case.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial

import pyarrow as pa

from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.events import Notice, Observer
from sdg_core.dataset.ledger import ledger_notices, open_ledger_for
from sdg_core.dataset.resume import choose_version, create_or_resume, notices
from sdg_core.errors import ClaimedError, RunAbortedError
from sdg_core.execution.claimed_work import POLL, on_lease_error
from sdg_core.execution.long_calls import watch_for_long_calls
from sdg_core.execution.run_history import in_history
from sdg_core.execution.run_state import window_size
from sdg_core.execution.shutdown import first_error
from sdg_core.execution.stop_rules import FailureBudget, watch_for_stall
from sdg_core.execution.summary import Tally
from sdg_core.ledger.claims import REMEDY, Claim, Claims
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.journal import Journal
from sdg_core.ledger.leases import LeaseKeeper
from sdg_core.models.pool import ModelPool, open_models_of
from sdg_core.pipelines.checkpoints import SourceCheckpoints
from sdg_core.pipelines.events import PartitionFinished, PipelineSummary
from sdg_core.pipelines.executors.base import StageExecutor, open_executor
from sdg_core.pipelines.executors.installed import check_executor
from sdg_core.pipelines.handle import (
    OpenPipeline,
    PartitionStatus,
    Versions,
    check_partition_keys,
    partitions_of,
    scan,
)
from sdg_core.pipelines.intake import InHand, Intake, Wanted
from sdg_core.pipelines.paid_cells import PaidCells
from sdg_core.pipelines.plan import StagePlan
from sdg_core.pipelines.prune import note_checkpoints
from sdg_core.pipelines.publish import rows_of
from sdg_core.pipelines.publisher import MadePartition, Publisher
from sdg_core.pipelines.rejected import rejected_rows, selects, write_rejected
from sdg_core.pipelines.row_buffer import RowBuffer
from sdg_core.pipelines.source_run import SourceRun
from sdg_core.pipelines.spending import pipeline_budget, spending_counted
from sdg_core.pipelines.stages import StageRunner
from sdg_core.pipelines.store import Partition, PartitionFooter, SourcesLayout, write_down
from sdg_core.pipelines.summary import summarize
from sdg_core.pipelines.tasks import RejectedCandidate, SourceResult, Task
from sdg_core.plan.row_groups import Shard
from sdg_core.store.atomic import ensure_writable
from sdg_core.store.cleanup import remove_stale_temp_files
from sdg_core.store.versions import Version
from sdg_core.system.commit_guard import CommitGuard

SOURCES_AT_MOST = 256
"""Sources that are made at once, however many requests models take: what memory and descriptors bear."""

OnPartition = Callable[[PartitionFinished], None]


async def agenerate_pipeline(
    pipeline: OpenPipeline,
    *,
    partitions: Sequence[str] | None = None,
    shard: Shard | None = None,
    resume: ResumeMode | None = None,
    retry: bool = False,
    sources: Sequence[str] | None = None,
    on_event: Observer = lambda event: None,
    on_partition: OnPartition = lambda event: None,
    run_id: str | None = None,
    begun_by: str | None = None,
) -> PipelineSummary:
    """Make what is missing, partial or changed; the rest is adopted.

    partitions: keys; default all. shard: only this slice of them. retry: try sources again that were given up; `sources` names
    some of them by locator or key.
    on_partition: called in the loop once a partition is durable, settled ones too. Everything that can be checked is checked
    before anything is written. Raises errors of `sdg_core.errors`.
    """
    pipeline.check_loaded()
    check_executor(pipeline.plan.config.run)
    run_id = run_id or uuid.uuid4().hex
    mode = resume or pipeline.plan.config.run.resume
    pick = _given_up(pipeline, sources) if retry else frozenset()
    shell = pipeline.as_dataset()
    version = choose_version(pipeline.layout, shell.plan, mode=mode, begun_by=begun_by or run_id)
    tally = Tally(on_event)
    planned = partitions_of(pipeline)
    versions = Versions(pipeline.sources)
    before = scan(
        pipeline,
        pipeline.layout.version(version.layout.name),
        planned,
        retry=pick,
        versions=versions,
    )
    wanted = _chosen(planned, partitions, shard)
    needed = any(not status.is_settled for status in before if status.partition.index in wanted)
    async with open_models_of(
        shell.plan,
        env=pipeline.env,
        needed=needed,
        on_notice=lambda message: tally(Notice(message)),
    ) as models:
        if needed:
            await models.check()
        ensure_writable(pipeline.layout.directory)
        with open_ledger_for(pipeline.layout.root, env=pipeline.env) as ledger:
            per_partition = pipeline.plan.config.sources.sources_per_partition
            known = write_down(
                pipeline.layout, [*pipeline.sources.values()], per_partition=per_partition
            )
            version = create_or_resume(pipeline.layout, version, pipeline.as_dataset(known).plan)
            layout = pipeline.layout.version(version.layout.name)
            note_checkpoints(pipeline, layout)
            remove_stale_temp_files(pipeline.layout, layout, pipeline.layout.partitions)
            for message in (
                *notices(version, shell.plan),
                *ledger_notices(pipeline.layout.root, env=pipeline.env),
            ):
                tally(Notice(message))
            found = scan(pipeline, layout, known, retry=pick, versions=versions)
            work = [status for status in found if status.partition.index in wanted]
            models.spending.keep_to(pipeline_budget(pipeline, version, before, ledger))
            run = _Run(
                pipeline,
                version,
                layout,
                ledger,
                run_id,
                tally,
                on_partition,
                pick,
                models,
                versions,
            )
            place = {"dataset": pipeline.name, "version": layout.name, "run_id": run_id}
            with (
                in_history(ledger, **place, resume=mode, tally=tally),
                spending_counted(layout, models.spending),
            ):
                await run.run(work)
    after = scan(pipeline, layout, known, versions=versions, known=run.footers)
    counts = {**run.counts, "cost": models.spending.cost}
    return summarize(
        pipeline, layout, after, wanted=frozenset(wanted), run_id=run_id, counts=counts
    )


def _chosen(
    planned: Sequence[Partition], partitions: Sequence[str] | None, shard: Shard | None
) -> Sequence[int]:
    """The places of the partitions of a run. Raises PlanError for keys that there are not."""
    every = [partition.index for partition in planned]
    chosen = check_partition_keys(planned, partitions) if partitions is not None else every
    return shard.of(chosen) if shard is not None else chosen


def _given_up(pipeline: OpenPipeline, sources: Sequence[str] | None) -> frozenset[str]:
    by_locator = {source.locator: key for key, source in pipeline.sources.items()}
    if sources is None:
        return frozenset(pipeline.sources)
    wanted = {name: name if name in pipeline.sources else by_locator.get(name) for name in sources}
    unknown = [name for name, key in wanted.items() if key is None]
    if unknown:
        raise RunAbortedError(
            f"there is no source {', '.join(map(repr, unknown))}",
            remedy="name it as `sdg status FILE --json` does",
        )
    return frozenset(key for key in wanted.values() if key is not None)


class _Run:
    """One run over some partitions of one version."""

    def __init__(
        self,
        pipeline: OpenPipeline,
        version: Version,
        layout: SourcesLayout,
        ledger: Ledger,
        run_id: str,
        tally: Tally,
        on_partition: OnPartition,
        retry: frozenset[str],
        models: ModelPool,
        versions: Versions,
    ) -> None:
        self._pipeline = pipeline
        self._version = version
        self._layout = layout
        self._ledger = ledger
        self._run_id = run_id
        self._tell = tally
        self._on_partition = on_partition
        self._retry = retry
        self._selects = selects(pipeline.plan)
        self._models = models
        self._versions = versions
        self._settings = pipeline.plan.config.run
        self._budget = FailureBudget(self._settings, began=time.monotonic())
        self.made = self.adopted = self.removed = self.replayed = 0
        self.footers: dict[int, PartitionFooter] = {}
        self._held: LeaseKeeper
        self._runner: StageRunner
        self._intake: Intake
        self._publisher: Publisher
        at_once = min(window_size(models.capacity, calls_out=True), SOURCES_AT_MOST)
        self._room_for_sources = asyncio.Semaphore(at_once)
        self._room_for_partitions = asyncio.Semaphore(2 * at_once)
        forced = version.forced or (version.metadata is not None and version.metadata.forced)
        self._checkpoints = layout.checkpoints if forced else pipeline.layout.checkpoints

    @property
    def counts(self) -> dict[str, int]:
        """What was done, in sources."""
        return {
            "made": self.made,
            "adopted": self.adopted,
            "removed": self.removed,
            "replayed": self.replayed,
        }

    async def run(self, work: Sequence[PartitionStatus]) -> None:
        """Settle every partition. Raises RunAbortedError, StoreError, ClaimedError, ClaimLostError, FunctionError."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[None] = loop.create_future()
        claims = Claims(
            self._ledger,
            dataset=self._pipeline.name,
            version=self._layout.name,
            run_id=self._run_id,
        )
        on_trouble = on_lease_error(loop, lost=lost, observer=self._tell)
        async with self._open_journal() as journal:
            to_make = any(not status.is_settled for status in work)
            cells = None
            if journal is not None and to_make:
                cells = await asyncio.to_thread(
                    PaidCells.of, self._pipeline, self._version, journal
                )
            stages = self._pipeline.plan.stages if to_make else ()
            with LeaseKeeper(claims, on_trouble=on_trouble) as self._held:
                self._get_ready(cells)
                try:
                    async with (
                        self._open_executor(stages) as executor,
                        asyncio.TaskGroup() as tasks,
                    ):
                        self._runner = StageRunner(
                            stages,
                            self._models,
                            executor=executor,
                            journal=journal,
                            budget=self._budget,
                        )
                        watching = (
                            self._watch_stall(),
                            _watch(lost),
                            watch_for_long_calls(self._tell),
                        )
                        watches = [tasks.create_task(watch) for watch in watching]
                        await self._all(work)
                        for watch in watches:
                            watch.cancel()
                except BaseExceptionGroup as errors:
                    raise first_error(errors) from errors
                finally:
                    await self._publisher.drain()

    def _get_ready(self, cells: PaidCells | None) -> None:
        self._intake = Intake(
            self._pipeline,
            self._layout,
            self._held,
            cells,
            retry=self._retry,
            versions=self._versions,
            observer=self._tell,
        )
        self._publisher = Publisher(
            self._pipeline,
            self._layout,
            self._held,
            cells,
            run_id=self._run_id,
            on_published=self._published,
        )

    def _open_executor(
        self, stages: Sequence[StagePlan]
    ) -> AbstractAsyncContextManager[StageExecutor]:
        return open_executor(
            stages, self._settings, on_notice=lambda message: self._tell(Notice(message))
        )

    async def _watch_stall(self) -> None:
        if self._pipeline.plan.shell.models:
            await watch_for_stall(
                self._budget, self._models, clock=time.monotonic, sleep=asyncio.sleep
            )

    @asynccontextmanager
    async def _open_journal(self) -> AsyncIterator[Journal | None]:
        if not self._pipeline.plan.shell.models:
            yield None
            return
        place = {
            "dataset": self._pipeline.name,
            "version": self._layout.name,
            "run_id": self._run_id,
        }
        async with Journal(self._ledger, **place) as journal:
            yield journal

    async def _all(self, work: Sequence[PartitionStatus]) -> None:
        """Settle partitions in order; those that other runs hold come last."""
        for status in work:
            if status.is_settled:
                self._adopt(status)
        to_make = [status for status in work if not status.is_settled]
        if self._settings.when_claimed == "refuse" and to_make:
            others = await asyncio.to_thread(self._held.take, [status.key for status in to_make])
            if others:
                raise ClaimedError(str(others[0]), remedy=REMEDY)
        in_the_way: dict[int, Claim] = {}
        await self._settle_all(to_make, in_the_way)
        if in_the_way:
            await self._settle_all(
                [status for status in to_make if status.index in in_the_way], None
            )

    async def _settle_all(
        self, work: Sequence[PartitionStatus], in_the_way: dict[int, Claim] | None
    ) -> None:
        async with asyncio.TaskGroup() as tasks:
            for status in work:
                await self._room_for_partitions.acquire()
                tasks.create_task(self._settle(status, in_the_way))

    async def _settle(self, status: PartitionStatus, in_the_way: dict[int, Claim] | None) -> None:
        """Claim a partition, make what it needs and publish it. in_the_way: gets another run's claim; None to wait for it."""
        try:
            while isinstance(found := await self._intake.claim(status), Claim):
                if in_the_way is not None:
                    if not in_the_way:
                        self._tell(Notice(f"{found}; doing the rest first, then waiting for it"))
                    in_the_way[status.index] = found
                    return
                self._budget.last_success = time.monotonic()
                await asyncio.sleep(POLL)
            if found.status.is_settled:
                self._held.release([status.key])
                self._adopt(found.status)
            else:
                await self._make(found)
        finally:
            self._room_for_partitions.release()

    def _adopt(self, status: PartitionStatus) -> None:
        if status.footer is None:  # a partition whose sources were all gone before it was ever made
            return
        self.adopted += len(status.footer.sources)
        self._tell.count(adopted=1)
        path = self._layout.row_group(status.partition.index)
        self._on_partition(
            PartitionFinished(status.partition.key, status.footer, path, adopted=True)
        )

    async def _make(self, in_hand: InHand) -> None:
        """Make what the partition needs and publish it; what it has stays as it is."""
        status = in_hand.status
        entries = (
            {entry.key: entry for entry in status.footer.sources}
            if status.footer is not None
            else {}
        )
        results: dict[str, SourceResult] = {}
        made: dict[str, pa.Table] = {}
        rejected: dict[str, pa.Table] = {}

        def guard() -> AbstractContextManager[None]:
            """What keeps a run that has lost the partition from changing anything of it."""
            return self._held.commit_guard(status.key)

        async def make(key: str) -> None:
            rows: RowBuffer[Task] = RowBuffer(partial(rows_of, self._pipeline, key))
            others: RowBuffer[RejectedCandidate] = RowBuffer(
                partial(rejected_rows, self._pipeline.plan, key)
            )
            async with self._room_for_sources:
                wanted = Wanted(key, entries.get(key), in_hand.carried.get(key, ()))
                results[key] = await self._source(wanted, rows, others, commit_guard=guard)
                made[key] = rows.table() if results[key].was_read else pa.table({})
                if self._selects and results[key].was_read:
                    others.add(())  # so that it has columns, whatever came
                    rejected[key] = others.table()

        if len(status.to_make) == 1:
            await make(status.to_make[0])
        else:
            async with asyncio.TaskGroup() as tasks:
                for key in status.to_make:
                    tasks.create_task(make(key))
        if self._selects:
            await asyncio.to_thread(self._list_rejected, status, results, rejected, guard=guard)
        await self._publisher.publish(MadePartition(in_hand, results, made))

    def _list_rejected(
        self,
        status: PartitionStatus,
        results: dict[str, SourceResult],
        rejected: dict[str, pa.Table],
        *,
        guard: CommitGuard,
    ) -> None:
        """List rejected candidates; called before the partition's file is switched, so that it never knows of more."""
        extended = frozenset(key for key, result in results.items() if result.extends)
        here = [key for key, _ in status.partition.sources if key in self._pipeline.sources]
        path = self._layout.rejected_candidates(status.index)
        write_rejected(path, rejected, sources=here, extended=extended, commit_guard=guard)

    async def _source(
        self,
        wanted: Wanted,
        rows: RowBuffer[Task],
        rejected: RowBuffer[RejectedCandidate],
        *,
        commit_guard: CommitGuard,
    ) -> SourceResult:
        """Make a source; `rows` gets what it comes to, `rejected` what was not kept."""
        ready = await self._intake.open(wanted)
        key = wanted.key
        run = SourceRun(
            self._pipeline.plan.stages,
            max_attempts=self._settings.max_attempts,
            run_id=self._run_id,
            before=ready.before,
            afresh=key in self._retry,
            checkpoints=SourceCheckpoints(
                self._checkpoints, key=key, version=ready.version, commit_guard=commit_guard
            ),
        )
        source = self._pipeline.sources[key]
        result = await run.run(
            source,
            ready.records,
            self._runner,
            version=ready.version,
            paid=ready.paid,
            keep=rows.add,
            keep_rejected=rejected.add,
        )
        reason = self._budget.verdict(remaining=1)
        if reason is not None:
            raise RunAbortedError(
                f"stopped: {reason}",
                remedy="finished sources are kept; fix the cause and rerun the same command to resume",
            )
        return result

    def _published(self, partition: MadePartition, footer: PartitionFooter) -> None:
        """Count what was made, and hand the partition on: it is durable."""
        status = partition.in_hand.status
        results = partition.results
        replayed = sum(result.replayed for result in results.values())
        self.footers[status.index] = footer
        self.made += len(results)
        self.removed += len(status.removed)
        self.replayed += replayed
        rows = sum(table.num_rows for table in partition.made.values())
        failed = sum(len(result.failed) for result in results.values())
        self._tell.count(generated=rows, replayed=replayed, failed=failed, written=1)
        if status.footer is not None:
            self.adopted += len(
                set(entry.key for entry in status.footer.sources)
                - set(results)
                - set(status.removed)
            )
        for key in status.removed:
            self._tell(Notice(f"source {key} is gone; its rows have left partition {status.key}"))
        path = self._layout.row_group(status.index)
        self._on_partition(
            PartitionFinished(
                status.key, footer, path, False, made=status.to_make, replayed=replayed
            )
        )


async def _watch(lost: "asyncio.Future[None]") -> None:
    await lost
