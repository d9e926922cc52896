"""The run loop: row groups in order, their records through one sliding window.

What to do next is decided in `run_state.py`; here it is done, and what became of it is reported back. The records of an open
group start as soon as there is room among the records in flight, so the next group's records start while stragglers of earlier
groups still wait for a reply. A row group is written the moment its last record settles. The window bounds memory: records in
flight, and with them the groups that are open.

However a run ends early (Ctrl-C, a failure budget, a bug), finished records of open groups are written as partial row groups
before the reason is passed on.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from sdg_core.dataset.events import Notice, RecordsSettled, RowGroupFinished, RunStarted
from sdg_core.errors import CellError, RunAbortedError
from sdg_core.execution.callbacks import RowGroupCallback
from sdg_core.execution.cells import FailedRecord, RecordMaker
from sdg_core.execution.context import RunContext
from sdg_core.execution.long_calls import watch_for_long_calls
from sdg_core.execution.open_row_group import OpenGroup, expand_to_whole_group
from sdg_core.execution.replay import carried_cells, journaled_cells
from sdg_core.execution.run_state import (
    Action,
    Adopt,
    Advance,
    AwaitOthers,
    Claim,
    Open,
    RunState,
    Select,
    Start,
    Write,
    window_size,
)
from sdg_core.execution.settle import settle_record
from sdg_core.execution.shutdown import first_error, save_open_groups
from sdg_core.execution.stop_rules import FailureBudget, watch_for_stall
from sdg_core.execution.work_queue import POLL, WorkQueue
from sdg_core.execution.write_row_group import WrittenGroup, write_and_settle
from sdg_core.generators.base import CellFailedError
from sdg_core.generators.whole_group import GroupPhases
from sdg_core.plan.row_groups import row_group_key
from sdg_core.store.atomic import quarantine
from sdg_core.store.images import ImageFiles
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus


@dataclass
class _Progress:
    """An open row group. reported_made, reported_failed, reported_dropped: records that observers know of."""

    group: OpenGroup
    began: float
    reported_made: int = 0
    reported_failed: int = 0
    reported_dropped: int = 0


class RowGroupRun:
    """One run over some row groups of one version."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._callback = RowGroupCallback(context.on_row_group)
        self._work: dict[int, RowGroupStatus] = {}
        self._open: dict[int, _Progress] = {}
        self._budget = FailureBudget(context.settings, began=context.clock())
        self._phases = GroupPhases(
            context.plan, context.models, loop=asyncio.get_running_loop()
        )
        self._records: RecordMaker
        self._queue: WorkQueue
        self._state: RunState
        self._tasks: asyncio.TaskGroup

    async def run(self, work: Sequence[RowGroupStatus]) -> None:
        """Bring every row group of `work` to completion, as far as its records allow.

        Raises RunAbortedError when the failure budget is used up, StoreError when a file cannot be written, ClaimedError or
        ClaimLostError when another run has a row group, CallbackError, and CancelledError when it is cancelled; finished
        records are on disk by then.
        """
        context = self._context
        work = [expand_to_whole_group(status, context.plan) for status in work]
        to_make = [
            status for status in work if status.state is not RowGroupState.COMPLETE
        ]
        records = sum(len(status.remaining) for status in to_make)
        self._get_ready(work, records=records, makes=bool(to_make))
        context.observer(
            RunStarted(
                context.version.name, records, len(to_make), len(work) - len(to_make)
            )
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = (
                    self._watch_for_stall(),
                    self._watch_claims(),
                    watch_for_long_calls(context.observer),
                )
                watches = [tasks.create_task(watch) for watch in watching]
                async with asyncio.TaskGroup() as self._tasks:
                    self._carry_out(self._state.begin())
                for watch in watches:
                    watch.cancel()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from errors
        finally:
            save_open_groups(
                context, [progress.group for progress in self._open.values()]
            )
        self._callback.check()

    def _get_ready(
        self, work: Sequence[RowGroupStatus], *, records: int, makes: bool
    ) -> None:
        """Prepare for the work. A run that only adopts makes no records, so it needs no models."""
        context = self._context
        window = window_size(context.models.capacity, calls_out=False)
        self._work = {status.group.index: status for status in work}
        self._queue = WorkQueue(
            work,
            context.claims,
            plan=context.plan,
            version=context.version,
            observer=context.observer,
        )
        claim_batch = self._queue.batch_size(window)
        if makes:
            images = ImageFiles(context.version, commit_guard=self._image_guard)
            self._records = RecordMaker(
                context.plan, context.models, images=images, journal=context.journal
            )
            window = window_size(
                context.models.capacity, calls_out=self._records.calls_out
            )
        self._state = RunState(
            [*self._work],
            records=records,
            window=window,
            claim_batch=claim_batch,
            budget=self._budget,
            selects=context.plan.config.select is not None,
        )

    def _image_guard(self, record: int) -> AbstractContextManager[None]:
        """What an image of a record is switched in under: the claim of its row group."""
        claims = self._context.claims
        if claims is None:
            return nullcontext()
        row_group = record // self._context.plan.config.row_group_size
        return claims.commit_guard(row_group_key(row_group))

    def _carry_out(self, actions: Iterable[Action]) -> None:
        for action in actions:
            self._tasks.create_task(self._do(action))

    async def _do(self, action: Action) -> None:
        """Carry an action out, and what follows from its outcome."""
        match action:
            case Start():
                following = await self._make_record(action.group, action.position)
            case Claim():
                following = await self._claim(action.groups)
            case AwaitOthers():
                following = await self._await_others(action.groups)
            case Adopt():
                following = await self._adopt(action.group)
            case Open():
                following = await self._open_group(action.group)
            case Advance():
                following = await self._advance(action.group)
            case Select():
                following = await self._select(action.group)
            case Write():
                following = await self._write(action.group)
        self._carry_out(following)

    async def _claim(self, groups: Sequence[int]) -> Sequence[Action]:
        found = await self._queue.acquire(groups)
        for index, status in found.items():
            made_by_others = len(self._work[index].remaining) - len(status.remaining)
            if made_by_others:  # by another run, since this one was planned
                self._state.counted(made_by_others)
                self._context.observer(
                    RecordsSettled(0, 0, completed_by_others=made_by_others)
                )
            self._work[index] = status
        complete = {
            index: status.state is RowGroupState.COMPLETE
            for index, status in found.items()
        }
        return self._state.claimed(
            complete, [index for index in groups if index not in found]
        )

    async def _await_others(self, groups: Sequence[int]) -> Sequence[Action]:
        free = await self._queue.free(groups)
        if not free:
            # nothing of ours can succeed meanwhile, so nothing is stalled
            if not self._open:
                self._budget.last_success = self._context.clock()
            await self._context.sleep(POLL)
        return self._state.found_free(free)

    async def _adopt(self, index: int) -> Sequence[Action]:
        status = self._work[index]
        assert status.footer is not None
        path = self._context.version.row_group(index)
        event = RowGroupFinished(
            status.group,
            status.footer,
            path,
            adopted=True,
            generated=0,
            failed=0,
            seconds=0.0,
        )
        self._context.observer(event)
        await self._call_back(event)
        return self._state.adopted()

    async def _open_group(self, index: int) -> Sequence[Action]:
        context = self._context
        status = self._work[index]
        with self._budget.own_work(context.clock):
            if status.state is RowGroupState.CORRUPT:
                path = context.version.row_group(index)
                where = quarantine(path, context.version.quarantine)
                context.observer(
                    Notice(
                        f"{path} is corrupt ({status.reason}); moved to {where}; it is generated again"
                    )
                )
            began = context.clock()
            group = await asyncio.to_thread(
                OpenGroup,
                status,
                plan=context.plan,
                seeds=context.seeds,
                phases=self._phases,
                needed=self._records.columns_read,
                journaled=await asyncio.to_thread(journaled_cells, context, status),
                carried=await asyncio.to_thread(carried_cells, context, status),
            )
        progress = _Progress(group, began)
        self._open[index] = progress
        self._budget.group_opened(len(group.indices), list(group.failures.values()))
        if not context.plan.resizes:
            self._report_settled(progress)
        return self._state.opened(
            index, group.open_positions(), ends_here=group.ends_here
        )

    async def _make_record(self, index: int, position: int) -> Sequence[Action]:
        """Make the cells of one record in the present phase; none if the row group is lost anyway."""
        progress = self._open[index]
        group = progress.group
        if group.discarded:
            return self._state.settled(index, ends_here=group.ends_here)
        outcome = await self._records.make(group, position)
        if isinstance(outcome, FailedRecord):
            _check_run_goes_on(outcome.error)
        settled = settle_record(
            group, position, outcome, budget=self._budget, now=self._context.clock()
        )
        if not self._context.plan.resizes:
            progress.reported_made += settled.made
            progress.reported_failed += settled.failed
            self._settled(
                made=settled.made, failed=settled.failed, waiting=settled.waiting
            )
        return self._state.settled(index, ends_here=group.ends_here)

    async def _advance(self, index: int) -> Sequence[Action]:
        """Begin the next phase, and report the records that do not come through its beginning."""
        progress = self._open[index]
        group = progress.group
        before = len(group.failures)
        with self._budget.own_work(self._context.clock):
            await asyncio.to_thread(group.advance)
        for failure in list(group.failures.values())[before:]:
            self._budget.record_failed(failure)
        if not self._context.plan.resizes:
            self._report_settled(progress)
        return self._state.phase_began(
            index, group.open_positions(), ends_here=group.ends_here
        )

    async def _select(self, index: int) -> Sequence[Action]:
        """Decide on a candidate of a group's records, and begin with the next one of those that need it."""
        context = self._context
        progress = self._open[index]
        group = progress.group
        before = len(group.every_failure)
        again = await asyncio.to_thread(group.select)
        for failure in group.every_failure[before:]:
            self._budget.record_failed(failure)
        self._report_settled(progress)
        if not again:
            return self._state.selected(index)
        candidate = group.candidate + 1
        journaled = await asyncio.to_thread(
            journaled_cells, context, group.status, candidate=candidate
        )
        carried = await asyncio.to_thread(
            carried_cells, context, group.status, candidate=candidate
        )
        await asyncio.to_thread(group.draw_again, journaled=journaled, carried=carried)
        self._budget.group_opened(len(group.indices), list(group.failures.values()))
        self._report_settled(progress)
        return self._state.phase_began(
            index, group.open_positions(), ends_here=group.ends_here
        )

    async def _write(self, index: int) -> Sequence[Action]:
        """Write a row group; once started, it is finished and reported even if the run is cancelled meanwhile."""
        progress = self._open[index]
        self._report_settled(progress)
        with self._budget.own_work(self._context.clock):
            writing = asyncio.ensure_future(
                asyncio.to_thread(write_and_settle, self._context, progress.group)
            )
            del self._open[index]
            try:
                written = await asyncio.shield(writing)
            except asyncio.CancelledError:
                self._report(progress, await writing)
                raise
            await self._call_back(self._report(progress, written))
        return self._state.written(index)

    async def _call_back(self, event: RowGroupFinished) -> None:
        await self._callback.call(event)
        if self._callback.failed:
            self._state.stop_opening()

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

    def _settled(
        self, *, made: int, failed: int, dropped: int = 0, waiting: int = 0
    ) -> None:
        """Report settled records, and stop the run if its failure budget is used up."""
        settled = made + failed + dropped + waiting
        if not settled:
            return
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
        stop = self._state.counted(settled, lost=bool(failed or dropped))
        if stop is not None:
            raise _aborted(
                stop.reason,
                remedy="finished records are kept; fix the cause and rerun the same command to resume",
            )

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
            first_failure=f"record {first.record}, column {first.column!r}: {first.message}"
            if first
            else None,
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
            await watch_for_stall(
                self._budget, context.models, clock=context.clock, sleep=context.sleep
            )


def _check_run_goes_on(error: CellError) -> None:
    """Raise RunAbortedError for a failure that every further record would share."""
    if isinstance(error, CellFailedError) and error.ends_run:
        raise _aborted(
            error.message,
            remedy=f"{error.remedy or 'fix the cause'}; finished records are kept",
        )


def _aborted(reason: str, *, remedy: str) -> RunAbortedError:
    return RunAbortedError(f"stopped: {reason}", remedy=remedy)
