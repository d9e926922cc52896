"""One run over some partitions of a version: what is open while it lasts, what watches it, and in which order it goes."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sdg_core.dataset.events import Notice, SourcesProgress
from sdg_core.execution.long_calls import watch_for_long_calls
from sdg_core.execution.shutdown import first_error
from sdg_core.execution.stop_rules import FailureBudget, watch_for_stall
from sdg_core.execution.work_queue import POLL, on_lease_error
from sdg_core.ledger.claims import Claim, Claims
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.journal import Journal
from sdg_core.ledger.leases import LeaseKeeper, claimed_error
from sdg_core.pipelines.context import RunContext
from sdg_core.pipelines.executors.base import open_executor
from sdg_core.pipelines.handle import PartitionStatus
from sdg_core.pipelines.intake import Intake
from sdg_core.pipelines.make_partition import PartitionMaker
from sdg_core.pipelines.partition_results import OnPartition, PartitionResults
from sdg_core.pipelines.publisher import Publisher
from sdg_core.pipelines.source_cells import SourceCells
from sdg_core.pipelines.stages import StageRunner

_PROGRESS_INTERVAL = 1.0


async def run_partitions(
    context: RunContext,
    work: Sequence[PartitionStatus],
    *,
    ledger: Ledger,
    on_partition: OnPartition,
) -> PartitionResults:
    """Settle every partition. Raises RunAbortedError, StoreError, ClaimedError, ClaimLostError, FunctionError."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[None] = loop.create_future()
    on_error = on_lease_error(loop, lost=lost, observer=context.counter)
    claims = Claims(
        ledger,
        dataset=context.pipeline.name,
        version=context.layout.name,
        run_id=context.run_id,
        kind=context.pipeline.layout.UNIT,
    )
    results = PartitionResults(context, on_partition)
    budget = FailureBudget(context.settings, began=time.monotonic())
    progress = _Progress(context, work, results, budget)
    async with _open_journal(context, ledger) as journal:
        to_make = any(not status.is_settled for status in work)
        cells = None
        if journal is not None and to_make:
            cells = await asyncio.to_thread(
                SourceCells.of, context.pipeline, context.version, journal
            )
        stages = context.pipeline.plan.stages if to_make else ()
        with LeaseKeeper(claims, on_error=on_error) as held:
            intake = Intake(context, held, cells)
            publisher = Publisher(context, held, cells, on_published=results.published)
            try:
                async with (
                    open_executor(
                        stages,
                        context.settings,
                        on_notice=lambda message: context.counter(Notice(message)),
                    ) as executor,
                    asyncio.TaskGroup() as tasks,
                ):
                    runner = StageRunner(
                        stages,
                        context.models,
                        executor=executor,
                        journal=journal,
                        budget=budget,
                    )
                    maker = PartitionMaker(context, intake, runner, held, budget)
                    queue = _PartitionQueue(
                        context, held, intake, maker, publisher, results, budget
                    )
                    watching = [
                        *_watches(context, budget, lost),
                        progress.tell_now_and_then(),
                    ]
                    watches = [tasks.create_task(watch) for watch in watching]
                    await queue.settle(work)
                    for watch in watches:
                        watch.cancel()
            except BaseExceptionGroup as errors:
                raise first_error(errors) from errors
            finally:
                await publisher.drain()
    progress.tell()
    return results


class _Progress:
    """Tells how far a run is."""

    def __init__(
        self,
        context: RunContext,
        work: Sequence[PartitionStatus],
        results: PartitionResults,
        budget: FailureBudget,
    ) -> None:
        self._context = context
        self._results = results
        self._budget = budget
        self._sources = 0
        self._complete = 0
        for status in work:
            if not status.is_settled:
                self._sources += len(status.to_make)
            elif status.footer is not None:
                self._complete += len(status.footer.sources)

    def tell(self) -> None:
        """Tell it once; nothing if there is nothing to make."""
        if not self._sources:
            return
        results = self._results
        by_others = max(0, results.adopted - self._complete)
        spending = self._context.models.spending
        self._context.counter(
            SourcesProgress(
                sources=self._sources,
                settled=min(self._sources, results.made + by_others),
                tasks=self._budget.made,
                failed=self._budget.failed,
                cost=spending.cost,
                retries=spending.retries,
                simulated=self._context.pipeline.plan.shell.simulated,
            )
        )

    async def tell_now_and_then(self) -> None:
        """Tell it every second, until cancelled."""
        while True:
            self.tell()
            await asyncio.sleep(_PROGRESS_INTERVAL)


class _PartitionQueue:
    """Takes partitions in order; those that other runs hold come last."""

    def __init__(
        self,
        context: RunContext,
        held: LeaseKeeper,
        intake: Intake,
        maker: PartitionMaker,
        publisher: Publisher,
        results: PartitionResults,
        budget: FailureBudget,
    ) -> None:
        self._context = context
        self._held = held
        self._intake = intake
        self._maker = maker
        self._publisher = publisher
        self._results = results
        self._budget = budget
        self._room = asyncio.Semaphore(2 * context.concurrent_sources)
        self._claimed_by_others: dict[int, Claim] = {}

    async def settle(self, work: Sequence[PartitionStatus]) -> None:
        """Count what is complete, and make the rest."""
        for status in work:
            if status.is_settled:
                self._results.adopt(status)
        to_make = [status for status in work if not status.is_settled]
        if to_make and self._context.settings.when_claimed == "refuse":
            await self._claim_all(to_make)
        await self._settle_all(to_make, wait=False)
        left = [status for status in to_make if status.index in self._claimed_by_others]
        await self._settle_all(left, wait=True)

    async def _claim_all(self, work: Sequence[PartitionStatus]) -> None:
        keys = [status.key for status in work]
        others = await asyncio.to_thread(self._held.acquire, keys)
        if others:
            raise claimed_error(others)

    async def _settle_all(self, work: Sequence[PartitionStatus], *, wait: bool) -> None:
        async with asyncio.TaskGroup() as tasks:
            for status in work:
                await self._room.acquire()
                tasks.create_task(self._settle(status, wait=wait))

    async def _settle(self, status: PartitionStatus, *, wait: bool) -> None:
        """Claim a partition, make what it needs and publish it. wait: for the run that has claimed it; else note that one has."""
        try:
            while isinstance(found := await self._intake.claim(status), Claim):
                if not wait:
                    self._leave_for_later(status, found)
                    return
                self._budget.last_success = time.monotonic()
                await asyncio.sleep(POLL)
            if found.status.is_settled:
                self._held.release([status.key])
                self._results.adopt(found.status)
            else:
                await self._publisher.publish(await self._maker.make(found))
        finally:
            self._room.release()

    def _leave_for_later(self, status: PartitionStatus, claim: Claim) -> None:
        if not self._claimed_by_others:
            notice = Notice(f"{claim}; working on the rest first, then waiting for it")
            self._context.counter(notice)
        self._claimed_by_others[status.index] = claim


@asynccontextmanager
async def _open_journal(
    context: RunContext, ledger: Ledger
) -> AsyncIterator[Journal | None]:
    """The journal of replies; None for a pipeline that asks no model."""
    if not context.pipeline.plan.shell.models:
        yield None
        return
    async with Journal(
        ledger,
        dataset=context.pipeline.name,
        version=context.layout.name,
        run_id=context.run_id,
    ) as journal:
        yield journal


def _watches(
    context: RunContext, budget: FailureBudget, lost: "asyncio.Future[None]"
) -> list[Coroutine[Any, Any, None]]:
    """What ends the run when it cannot go on: a lost claim, models that answer no more, a call that does not return."""
    watches = [_until(lost), watch_for_long_calls(context.counter)]
    if context.pipeline.plan.shell.models:
        watches.append(
            watch_for_stall(
                budget, context.models, clock=time.monotonic, sleep=asyncio.sleep
            )
        )
    return watches


async def _until(future: "asyncio.Future[None]") -> None:
    await future
