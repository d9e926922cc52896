"""The run loop: row groups in order, their records through one sliding window.

Row groups are opened one after another. The records of an open group start as soon as there is room among the records in
flight, so the next group's records start while stragglers of earlier groups still wait for a reply. A row group is written
the moment its last record settles. The window bounds memory: records in flight, and with them the groups that are open.

However a run ends early (Ctrl-C, a failure budget, a bug), finished records of open groups are written as partial row groups
before the reason is passed on.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from sdg_core.dataset.events import Notice, RecordsSettled, RowGroupFinished, RunStarted
from sdg_core.errors import RunAbortedError
from sdg_core.execution.callbacks import RowGroupCallback
from sdg_core.execution.carry_over import CarriedCells
from sdg_core.execution.cells import FailedRecord, RecordMaker, WaitingRecord
from sdg_core.execution.claimed_work import WorkQueue
from sdg_core.execution.context import RunContext
from sdg_core.execution.open_row_group import OpenGroup, expand_to_whole_group
from sdg_core.execution.replay import journaled_cells
from sdg_core.execution.shutdown import first_error, save_open_groups
from sdg_core.execution.stop_rules import FailureBudget, watch_for_stall
from sdg_core.execution.write_row_group import WrittenGroup, write_and_settle
from sdg_core.generators.base import CellFailedError
from sdg_core.generators.whole_group import GroupPhases
from sdg_core.store.atomic import quarantine
from sdg_core.store.images import ImageFiles
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus
from sdg_core.store.row_groups import Footer

IN_FLIGHT_FACTOR = 2
"""Records in flight per allowed request: enough that a free slot always finds a record waiting for it."""


IN_FLIGHT_WITHOUT_MODELS = 32
"""Records in flight at least: functions and endpoints of the user are worth calling side by side, too."""

MAX_CONCURRENT_WRITES = 1
"""Finished row groups that may be on their way to disk while the next one is computed; each takes memory."""


@dataclass
class _Progress:
    """An open row group. `unsettled` counts the records that still have cells of the present phase to come.

    reported_made, reported_failed, reported_dropped: records that observers know of.
    """

    group: OpenGroup
    began: float
    unsettled: int = 0
    reported_made: int = 0
    reported_failed: int = 0
    reported_dropped: int = 0


class RowGroupRun:
    """One run over some row groups of one version."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._callback = RowGroupCallback(context.on_row_group)
        self._open: dict[int, _Progress] = {}
        self._budget = FailureBudget(context.settings, began=context.clock())
        self._remaining = 0
        self._records: RecordMaker
        self._room: asyncio.Semaphore
        self._writing = asyncio.Semaphore(MAX_CONCURRENT_WRITES)
        self._phases = GroupPhases(context.plan, context.models, loop=asyncio.get_running_loop())
        self._tasks: asyncio.TaskGroup

    async def run(self, work: Sequence[RowGroupStatus]) -> None:
        """Bring every row group of `work` to completion, as far as its records allow.

        Raises RunAbortedError when the failure budget is used up, StoreError when a file cannot be written, ClaimedError or
        ClaimLostError when another run has a row group, CallbackError, and CancelledError when it is cancelled; finished
        records are on disk by then.
        """
        work = [expand_to_whole_group(status, self._context.plan) for status in work]
        to_make = [status for status in work if status.state is not RowGroupState.COMPLETE]
        self._remaining = sum(len(status.remaining) for status in to_make)
        if to_make:
            self._get_ready()
        self._context.observer(
            RunStarted(self._context.version.name, self._remaining, len(to_make), len(work) - len(to_make))
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                watches = [tasks.create_task(watch) for watch in (self._watch_for_stall(), self._watch_claims())]
                await self._make_groups(work)
                for watch in watches:
                    watch.cancel()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from errors
        finally:
            save_open_groups(self._context, [progress.group for progress in self._open.values()])
        self._callback.check()

    def _get_ready(self) -> None:
        """Prepare for making records; a run that only adopts needs no models."""
        context = self._context
        images = ImageFiles(context.version, commit_guard=self._picture_guard)
        self._records = RecordMaker(context.plan, context.models, images=images, journal=context.journal)
        least = IN_FLIGHT_WITHOUT_MODELS if self._records.calls_out else 1
        self._room = asyncio.Semaphore(max(least, IN_FLIGHT_FACTOR * context.models.capacity))

    def _picture_guard(self, record: int) -> AbstractContextManager[None]:
        """What a picture of a record is switched in under: the claim of its row group."""
        claims = self._context.claims
        if claims is None:
            return nullcontext()
        return claims.commit_guard(record // self._context.plan.config.row_group_size)

    async def _make_groups(self, work: Sequence[RowGroupStatus]) -> None:
        context = self._context
        claimed = WorkQueue(
            work,
            context.claims,
            plan=context.plan,
            version=context.version,
            observer=context.observer,
            window=IN_FLIGHT_FACTOR * context.models.capacity,
            sleep=context.sleep,
            on_wait=self._waits_for_others,
        )
        planned = {status.group.index: len(status.remaining) for status in work}
        async with asyncio.TaskGroup() as self._tasks:
            while not self._callback.failed and (status := await claimed.next()) is not None:
                self._made_elsewhere(planned[status.group.index] - len(status.remaining))
                if status.state is RowGroupState.COMPLETE and status.footer is not None:
                    await self._adopt(status, status.footer)
                    continue
                with self._budget.own_work(context.clock):
                    opened = await self._open_group(status)
                await self._start_phase(opened)

    def _waits_for_others(self) -> None:
        if not self._open:  # nothing of ours can succeed meanwhile, so nothing is stalled
            self._budget.last_success = self._context.clock()

    def _made_elsewhere(self, records: int) -> None:
        """Another run has changed what a row group lacks since this one was planned."""
        if records:
            self._remaining -= records
            self._context.observer(RecordsSettled(0, 0, elsewhere=records))

    async def _start_phase(self, progress: _Progress) -> None:
        """Start the records of a phase as there is room for them. Phases without any are passed at once."""
        while not (positions := progress.group.open_positions()):
            if progress.group.last_phase and await self._draw_again(progress):
                continue
            if progress.group.last_phase:
                await self._writing.acquire()
                self._tasks.create_task(self._write_beside(progress))
                return
            await self._advance(progress)
        progress.unsettled = len(positions)
        for position in positions:
            await self._room.acquire()
            self._tasks.create_task(self._make_record(progress, position))

    async def _write_beside(self, progress: _Progress) -> None:
        """Write a group while the next one is computed."""
        try:
            await self._write(progress)
        finally:
            self._writing.release()

    async def _draw_again(self, progress: _Progress) -> bool:
        """Judge a candidate of a group's records, and begin with the next one of those that need it; whether any does."""
        context = self._context
        group = progress.group
        if group.selection is None:
            return False
        before = len(group.every_failure)
        again = await asyncio.to_thread(group.judge)
        for failure in group.every_failure[before:]:
            self._budget.record_failed(failure)
        self._report_settled(progress)
        if not again:
            return False
        candidate = group.candidate + 1
        paid = await asyncio.to_thread(journaled_cells, context, group.status, candidate=candidate)
        carried = await asyncio.to_thread(self._carried, group.status, candidate)
        await asyncio.to_thread(group.draw_again, paid=paid, carried=carried)
        self._budget.group_opened(len(group.indices), list(group.failures.values()))
        self._report_settled(progress)
        return True

    def _carried(self, status: RowGroupStatus, candidate: int) -> CarriedCells:
        carry = self._context.carry
        return carry.cells(status, candidate=candidate) if carry is not None else {}

    async def _advance(self, progress: _Progress) -> None:
        """Begin the next phase, and report the records that do not come through its beginning."""
        before = len(progress.group.failures)
        with self._budget.own_work(self._context.clock):
            await asyncio.to_thread(progress.group.advance)
        for failure in list(progress.group.failures.values())[before:]:
            self._budget.record_failed(failure)
        if not self._context.plan.resizes:
            self._report_settled(progress)

    async def _adopt(self, status: RowGroupStatus, footer: Footer) -> None:
        path = self._context.version.row_group(status.group.index)
        event = RowGroupFinished(status.group, footer, path, adopted=True, generated=0, failed=0, seconds=0.0)
        self._context.observer(event)
        await self._callback.call(event)

    async def _open_group(self, status: RowGroupStatus) -> _Progress:
        context = self._context
        if status.state is RowGroupState.CORRUPT:
            path = context.version.row_group(status.group.index)
            where = quarantine(path, context.version.quarantine)
            context.observer(Notice(f"{path} is corrupt ({status.reason}); moved to {where} and generated again"))
        began = context.clock()
        needed = self._records.columns_read
        paid = await asyncio.to_thread(journaled_cells, context, status)
        carried = await asyncio.to_thread(self._carried, status, 0)
        group = await asyncio.to_thread(
            OpenGroup,
            status,
            plan=context.plan,
            seeds=context.seeds,
            phases=self._phases,
            needed=needed,
            paid=paid,
            carried=carried,
        )
        progress = _Progress(group, began)
        self._open[status.group.index] = progress
        self._budget.group_opened(len(group.indices), list(group.failures.values()))
        if not context.plan.resizes:
            self._report_settled(progress)
        return progress

    async def _make_record(self, progress: _Progress, position: int) -> None:
        """Make the cells of one record in the present phase; none if the row group is lost anyway."""
        try:
            outcome = None if progress.group.discarded else await self._records.make(progress.group, position)
        finally:
            self._room.release()
        made = failed = waiting = 0
        if isinstance(outcome, WaitingRecord):
            waiting = 1
            progress.group.wait(position)
            self._budget.reply_deferred(self._context.clock())
        elif isinstance(outcome, FailedRecord):
            failed = 1
            if isinstance(outcome.error, CellFailedError) and outcome.error.ends_run:
                raise RunAbortedError(
                    f"stopped: {outcome.error.message}",
                    remedy=f"{outcome.error.remedy or 'fix the cause'}; finished records are kept",
                )
            self._budget.record_failed(progress.group.fail(position, outcome.column, outcome.error))
        elif outcome is not None:
            made = int(progress.group.last_phase)
            progress.group.settle(position, outcome.cells, outcome.skipped, rejected=outcome.rejected)
            self._budget.cells_made(self._context.clock(), whole=progress.group.last_phase)
        if not self._context.plan.resizes:
            made = made if progress.group.selection is None else 0
            progress.reported_made += made
            progress.reported_failed += failed
            self._settled(made=made, failed=failed, waiting=waiting)
        progress.unsettled -= 1
        if progress.unsettled == 0:
            await self._end_phase(progress)

    async def _end_phase(self, progress: _Progress) -> None:
        if not progress.group.ends_here:
            await self._advance(progress)
        elif not await self._draw_again(progress):
            await self._write(progress)
            return
        await self._start_phase(progress)

    def _report_settled(self, progress: _Progress) -> None:
        """Report the records of a group that have settled since the last time, other than one by one."""
        group = progress.group
        made = group.made - progress.reported_made
        failed = group.failed - progress.reported_failed
        dropped = group.dropped - progress.reported_dropped
        progress.reported_made = group.made
        progress.reported_failed = group.failed
        progress.reported_dropped = group.dropped
        self._budget.records_selected(kept=made, dropped=dropped)
        self._settled(made=made, failed=failed, dropped=dropped)

    def _settled(self, *, made: int, failed: int, dropped: int = 0, waiting: int = 0) -> None:
        """Report settled records, and stop the run if its failure budget is used up."""
        settled = made + failed + dropped + waiting
        self._remaining -= settled
        if settled:
            spending = self._context.models.spending
            self._context.observer(
                RecordsSettled(
                    made,
                    failed,
                    dropped=dropped,
                    waiting=waiting,
                    cost=spending.cost,
                    retries=spending.retries,
                    simulated=self._context.plan.simulated,
                )
            )
        reason = self._budget.verdict(remaining=self._remaining)
        if (failed or dropped) and reason is not None:
            raise RunAbortedError(
                f"stopped: {reason}",
                remedy="finished records are kept; fix the cause and run the same command to go on",
            )

    async def _write(self, progress: _Progress) -> None:
        """Write a row group; once started, it is finished and reported even if the run is cancelled meanwhile."""
        self._report_settled(progress)
        with self._budget.own_work(self._context.clock):
            await self._write_whole(progress)

    async def _write_whole(self, progress: _Progress) -> None:
        context = self._context
        group = progress.group
        writing = asyncio.ensure_future(asyncio.to_thread(write_and_settle, context, group))
        del self._open[group.status.group.index]
        try:
            written = await asyncio.shield(writing)
        except asyncio.CancelledError:
            self._report(progress, await writing)
            raise
        await self._callback.call(self._report(progress, written))

    def _report(self, progress: _Progress, written: WrittenGroup) -> RowGroupFinished:
        group = progress.group
        first = min(group.every_failure, default=None)
        event = RowGroupFinished(
            group.status.group,
            written.footer,
            self._context.version.row_group(group.status.group.index),
            adopted=False,
            generated=group.made,
            failed=group.failed,
            carried=group.carried_over,
            replayed=group.replayed,
            sampled=len(group.samples),
            seconds=self._context.clock() - progress.began,
            first_failure=f"record {first.record}, column {first.column!r}: {first.message}" if first else None,
            head=written.head,
            dropped=group.dropped,
            waiting=group.waiting,
        )
        self._context.observer(event)
        return event

    async def _watch_claims(self) -> None:
        """Raise ClaimLostError once a claim is lost."""
        if self._context.lost_claims is not None:
            await self._context.lost_claims

    async def _watch_for_stall(self) -> None:
        if self._context.plan.graph.per_record:
            context = self._context
            await watch_for_stall(self._budget, context.models, clock=context.clock, sleep=context.sleep)
