"""A run of a pipeline: choose the version, claim partitions, make their sources, publish each by one fenced switch.

Killed before the switch, nothing is left but the journal; killed after it, the sources are complete. There is no third case.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import pyarrow as pa

from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.events import Event, Notice, Observer
from sdg_core.dataset.ledger import ledger_notices, open_ledger_for
from sdg_core.dataset.resume import carry_sources, check_not_sealed, choose_version, create_or_resume, notices
from sdg_core.errors import ClaimedError, RunAbortedError
from sdg_core.execution.claimed_work import POLL, on_lease_error
from sdg_core.execution.run_history import in_history
from sdg_core.execution.shutdown import first_error
from sdg_core.execution.stop_rules import FailureBudget, watch_for_stall
from sdg_core.execution.summary import Tally
from sdg_core.ledger.claims import REMEDY, Claims
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.journal import Journal, JournaledCell
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
    classify,
    partitions_of,
    scan,
)
from sdg_core.pipelines.paid_cells import CellsBySource, PaidCells
from sdg_core.pipelines.plan import StagePlan
from sdg_core.pipelines.prune import note_checkpoints
from sdg_core.pipelines.publish import build_partition, rows_of
from sdg_core.pipelines.readers.base import opened
from sdg_core.pipelines.row_buffer import RowBuffer
from sdg_core.pipelines.source_run import SourceRun
from sdg_core.pipelines.spending import pipeline_budget, spending_counted
from sdg_core.pipelines.stages import StageRunner
from sdg_core.pipelines.store import (
    Partition,
    PartitionFooter,
    SourceEntry,
    SourcesLayout,
    read_footer,
    write_down,
    write_partition,
)
from sdg_core.pipelines.summary import summarize
from sdg_core.pipelines.tasks import SourceResult
from sdg_core.plan.row_groups import Shard
from sdg_core.store.atomic import ensure_writable, quarantine
from sdg_core.store.cleanup import remove_stale_temp_files
from sdg_core.store.metadata import read_metadata
from sdg_core.store.row_groups import read_rows, unless_absent
from sdg_core.store.versions import Version
from sdg_core.system.commit_guard import CommitGuard

PARTITIONS_AT_ONCE = 32

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
    before = scan(pipeline, pipeline.layout.version(version.layout.name), planned, retry=pick)
    wanted = _chosen(planned, partitions, shard)
    needed = any(not status.is_settled for status in before if status.partition.index in wanted)
    async with open_models_of(
        shell.plan, env=pipeline.env, needed=needed, on_notice=lambda message: tally(Notice(message))
    ) as models:
        if needed:
            await models.check()
        ensure_writable(pipeline.layout.directory)
        with open_ledger_for(pipeline.layout.root, env=pipeline.env) as ledger:
            per_partition = pipeline.plan.config.sources.sources_per_partition
            known = write_down(pipeline.layout, [*pipeline.sources.values()], per_partition=per_partition)
            version = create_or_resume(pipeline.layout, version, pipeline.as_dataset(known).plan)
            layout = pipeline.layout.version(version.layout.name)
            note_checkpoints(pipeline, layout)
            remove_stale_temp_files(pipeline.layout, layout, pipeline.layout.partitions)
            for message in (*notices(version, shell.plan), *ledger_notices(pipeline.layout.root, env=pipeline.env)):
                tally(Notice(message))
            work = [status for status in scan(pipeline, layout, known, retry=pick) if status.partition.index in wanted]
            models.spending.keep_to(pipeline_budget(pipeline, layout, before, ledger))
            run = _Run(pipeline, version, layout, ledger, run_id, tally, on_partition, pick, models)
            place = {"dataset": pipeline.name, "version": layout.name, "run_id": run_id}
            with in_history(ledger, **place, resume=mode, tally=tally), spending_counted(layout, models.spending):
                await run.run(work)
    return summarize(pipeline, layout, known, wanted=frozenset(wanted), run_id=run_id, counts=run.counts)


def _chosen(planned: Sequence[Partition], partitions: Sequence[str] | None, shard: Shard | None) -> Sequence[int]:
    """The places of the partitions of a run. Raises PlanError for keys that there are not."""
    chosen = check_partition_keys(planned, partitions) if partitions is not None else range(len(planned))
    return shard.of(chosen) if shard is not None else chosen


def _given_up(pipeline: OpenPipeline, sources: Sequence[str] | None) -> frozenset[str]:
    by_locator = {source.locator: key for key, source in pipeline.sources.items()}
    if sources is None:
        return frozenset(pipeline.sources)
    wanted = {name: name if name in pipeline.sources else by_locator.get(name) for name in sources}
    unknown = [name for name, key in wanted.items() if key is None]
    if unknown:
        raise RunAbortedError(
            f"there is no source {', '.join(map(repr, unknown))}", remedy="name it as `sdg status FILE --json` does"
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
        tally: Callable[[Event], None],
        on_partition: OnPartition,
        retry: frozenset[str],
        models: ModelPool,
    ) -> None:
        self._pipeline = pipeline
        self._version = version
        self._layout = layout
        self._ledger = ledger
        self._run_id = run_id
        self._tell = tally
        self._on_partition = on_partition
        self._retry = retry
        self._models = models
        self._settings = pipeline.plan.config.run
        self._budget = FailureBudget(self._settings, began=time.monotonic())
        self.made = self.adopted = self.removed = self.replayed = 0
        self._journal: Journal | None = None
        self._held: LeaseKeeper
        self._runner: StageRunner
        self._versions = Versions(pipeline.sources)
        self._cells: PaidCells | None = None
        forced = version.forced or (version.metadata is not None and version.metadata.forced)
        self._checkpoints = layout.checkpoints if forced else pipeline.layout.checkpoints

    @property
    def counts(self) -> dict[str, int]:
        """What was done, in sources."""
        return {"made": self.made, "adopted": self.adopted, "removed": self.removed, "replayed": self.replayed}

    async def run(self, work: Sequence[PartitionStatus]) -> None:
        """Settle every partition. Raises RunAbortedError, StoreError, ClaimedError, ClaimLostError, FunctionError."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[None] = loop.create_future()
        claims = Claims(self._ledger, dataset=self._pipeline.name, version=self._layout.name, run_id=self._run_id)
        on_trouble = on_lease_error(loop, lost=lost, observer=self._tell)
        async with self._open_journal() as self._journal:
            to_make = any(not status.is_settled for status in work)
            if self._journal is not None and to_make:
                self._cells = await asyncio.to_thread(self._paid_cells, self._journal)
            stages = self._pipeline.plan.stages if to_make else ()
            with LeaseKeeper(claims, on_trouble=on_trouble) as self._held:
                try:
                    async with self._open_executor(stages) as executor, asyncio.TaskGroup() as tasks:
                        self._runner = StageRunner(
                            stages, self._models, executor=executor, journal=self._journal, budget=self._budget
                        )
                        watches = [tasks.create_task(self._watch_stall()), tasks.create_task(_watch(lost))]
                        await self._all(work)
                        for watch in watches:
                            watch.cancel()
                except BaseExceptionGroup as errors:
                    raise first_error(errors) from errors

    def _open_executor(self, stages: Sequence[StagePlan]) -> AbstractAsyncContextManager[StageExecutor]:
        return open_executor(stages, self._settings, on_notice=lambda message: self._tell(Notice(message)))

    def _paid_cells(self, journal: Journal) -> PaidCells:
        others = carry_sources(self._pipeline.layout, self._version)
        earlier = [self._pipeline.layout.version(other.name) for other in others]
        return PaidCells.of(self._layout, earlier, journal, self._pipeline.plan.fingerprint.column_hashes)

    async def _watch_stall(self) -> None:
        if self._pipeline.plan.shell.models:
            await watch_for_stall(self._budget, self._models, clock=time.monotonic, sleep=asyncio.sleep)

    @asynccontextmanager
    async def _open_journal(self) -> AsyncIterator[Journal | None]:
        if not self._pipeline.plan.shell.models:
            yield None
            return
        place = {"dataset": self._pipeline.name, "version": self._layout.name, "run_id": self._run_id}
        async with Journal(self._ledger, **place) as journal:
            yield journal

    async def _all(self, work: Sequence[PartitionStatus]) -> None:
        room = asyncio.Semaphore(PARTITIONS_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            for status in work:
                if status.is_settled:
                    self._adopt(status)
                    continue
                await room.acquire()
                tasks.create_task(self._one(status, room))

    def _adopt(self, status: PartitionStatus) -> None:
        if status.footer is None:  # a partition whose sources were all gone before it was ever made
            return
        self.adopted += len(status.footer.sources)
        path = self._layout.row_group(status.partition.index)
        self._on_partition(PartitionFinished(status.partition.key, status.footer, path, adopted=True))

    async def _one(self, status: PartitionStatus, room: asyncio.Semaphore) -> None:
        try:
            index = status.partition.index
            await self._claim(index)
            status = await asyncio.to_thread(self._look_again, status)
            if status.is_settled:
                self._held.release([index])
                self._adopt(status)
            else:
                await self._make(status)
        finally:
            room.release()

    async def _claim(self, index: int) -> None:
        """Take the partition; wait for another run that has it, or refuse (`run.when_claimed`)."""
        named = False
        while others := await asyncio.to_thread(self._held.take, [index]):
            if self._settings.when_claimed == "refuse":
                raise ClaimedError(str(others[0]), remedy=REMEDY)
            if not named:
                self._tell(Notice(f"{others[0]}; waiting for it"))
                named = True
            self._budget.last_success = time.monotonic()
            await asyncio.sleep(POLL)

    def _look_again(self, status: PartitionStatus) -> PartitionStatus:
        """The partition now that it is claimed: another run may have been there, or the version may be sealed."""
        check_not_sealed(Version(self._layout, read_metadata(self._layout.metadata)))
        path = self._layout.row_group(status.partition.index)
        if status.state == "corrupt":
            where = quarantine(path, self._layout.quarantine)
            self._tell(Notice(f"{path} is corrupt ({status.reason}); moved to {where} and made again"))
        found = unless_absent(read_footer, path)
        return classify(
            self._pipeline, status.partition, found, versions=self._versions, stale=False, retry=self._retry
        )

    async def _make(self, status: PartitionStatus) -> None:
        """Make what the partition needs and publish it; what it has stays as it is."""
        entries = {entry.key: entry for entry in status.footer.sources} if status.footer is not None else {}
        results: dict[str, SourceResult] = {}
        made: dict[str, pa.Table] = {}
        kept_before = await asyncio.to_thread(self._tables, status)
        carried: CellsBySource = {}
        if self._cells is not None:
            carried = await asyncio.to_thread(self._cells.carried, status.partition.index, status.to_make)

        guard = self._guard_of(status.partition.index)

        async def make(key: str) -> None:
            rows = RowBuffer(partial(rows_of, self._pipeline, key))
            results[key] = await self._source(key, entries.get(key), rows, carried=carried.get(key, ()), guard=guard)
            made[key] = rows.table() if results[key].was_read else pa.table({})

        async with asyncio.TaskGroup() as tasks:
            for key in status.to_make:
                tasks.create_task(make(key))
        if self._cells is not None:
            await asyncio.to_thread(self._cells.keep, status.partition.index, results, carried, commit_guard=guard)
        footer = await asyncio.to_thread(self._publish, status, results, made, kept_before)
        if self._cells is not None:
            await asyncio.to_thread(self._cells.forget, results)
        self._count(status, results)
        path = self._layout.row_group(status.partition.index)
        key = status.partition.key
        replayed = sum(result.replayed for result in results.values())
        self._on_partition(PartitionFinished(key, footer, path, False, made=status.to_make, replayed=replayed))

    def _before(self, entry: SourceEntry | None, version: str) -> SourceEntry | None:
        """What is kept of a source, if it is still the same and its rows can be told apart."""
        if entry is None or entry.version != version:
            return None
        return entry if self._pipeline.plan.config.sink.lineage else None

    async def _source(
        self,
        key: str,
        entry: SourceEntry | None,
        rows: RowBuffer,
        *,
        carried: Sequence[JournaledCell],
        guard: CommitGuard,
    ) -> SourceResult:
        """Make a source; `rows` gets what it comes to. carried: what earlier versions have paid for. guard: of its partition."""
        source = self._pipeline.sources[key]
        plan = self._pipeline.plan
        now, version = await asyncio.to_thread(opened, source)
        before = self._before(entry, version)
        paid = [*carried]
        if self._cells is not None:
            counted = before.runs if before is not None else ()
            paid += await asyncio.to_thread(self._cells.journaled_of, key, counted=counted)
        run = SourceRun(
            plan.stages,
            max_attempts=self._settings.max_attempts,
            run_id=self._run_id,
            before=before,
            afresh=key in self._retry,
            checkpoints=SourceCheckpoints(self._checkpoints, key=key, version=version, commit_guard=guard),
        )
        result = await run.run(source, now, self._runner, version=version, paid=paid, keep=rows.add)
        reason = self._budget.verdict(remaining=1)
        if reason is not None:
            raise RunAbortedError(
                f"stopped: {reason}",
                remedy="finished sources are kept; fix the cause and run the same command to go on",
            )
        return result

    def _guard_of(self, index: int) -> CommitGuard:
        """What keeps a run that has lost a partition from changing anything of it."""
        return lambda: self._held.commit_guard(index)

    def _tables(self, status: PartitionStatus) -> dict[str, pa.Table]:
        """The rows that the partition has, by source."""
        if status.footer is None:
            return {}
        table = read_rows(self._layout.row_group(status.partition.index))
        tables = {}
        start = 0
        for entry in status.footer.sources:
            tables[entry.key] = table.slice(start, entry.rows)
            start += entry.rows
        return tables

    def _publish(
        self,
        status: PartitionStatus,
        results: dict[str, SourceResult],
        made: dict[str, pa.Table],
        tables: dict[str, pa.Table],
    ) -> PartitionFooter:
        table, footer = build_partition(
            self._pipeline, status, results, made=made, tables=tables, run_id=self._run_id, layout=self._layout
        )
        index = status.partition.index
        path = self._layout.row_group(index)
        write_partition(path, table, footer, commit_guard=lambda: self._held.commit_guard(index, release=True))
        return footer

    def _count(self, status: PartitionStatus, results: dict[str, SourceResult]) -> None:
        self.made += len(results)
        self.removed += len(status.removed)
        self.replayed += sum(result.replayed for result in results.values())
        if status.footer is not None:
            self.adopted += len(set(entry.key for entry in status.footer.sources) - set(results) - set(status.removed))
        for key in status.removed:
            self._tell(Notice(f"source {key} is gone; its rows have left partition {status.partition.key}"))


async def _watch(lost: "asyncio.Future[None]") -> None:
    await lost
