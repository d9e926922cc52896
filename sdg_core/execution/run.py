"""The run loop: row groups in order, their records through one sliding window.

Row groups are opened one after another. The records of an open group start as soon as there is room among the records in
flight, so the next group's records start while stragglers of earlier groups still wait for a reply. A row group is written
the moment its last record settles. The window bounds memory: records in flight, and with them the groups that are open.

However a run ends early (Ctrl-C, a failure budget, a bug), finished records of open groups are written as partial row groups
before the reason is passed on.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sdg_core.config.run import RunSettings
from sdg_core.errors import RunStoppedError, SdgError, StoreError
from sdg_core.execution.budget import FailureBudget
from sdg_core.execution.events import Notice, Observer, RecordsSettled, RowGroupFinished, RunStarted
from sdg_core.execution.group import OpenGroup, write_group
from sdg_core.execution.record import FailedRecord, RecordMaker
from sdg_core.models.pool import ModelPool
from sdg_core.plan.compile import DatasetPlan
from sdg_core.seeds.readers import Seeds
from sdg_core.store.atomic import move_aside
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_groups import Footer
from sdg_core.store.state import RowGroupState, RowGroupStatus

IN_FLIGHT_FACTOR = 2
"""Records in flight per allowed request: enough that a free slot always finds a record waiting for it."""


@dataclass(frozen=True)
class RunContext:
    """What a run works with. `clock` is monotonic, in seconds."""

    plan: DatasetPlan
    version: VersionLayout
    seeds: Seeds | None
    models: ModelPool
    settings: RunSettings
    observer: Observer
    run_id: str
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass
class _Progress:
    """An open row group. `unsettled` counts the records that still have cells to come."""

    group: OpenGroup
    began: float
    unsettled: int


class RowGroupRun:
    """One run over some row groups of one version."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._records = RecordMaker(context.plan, context.models)
        self._open: dict[int, _Progress] = {}
        self._budget = FailureBudget(context.settings, began=context.clock())
        self._remaining = 0
        self._room = asyncio.Semaphore(max(1, IN_FLIGHT_FACTOR * context.models.capacity))

    async def run(self, work: Sequence[RowGroupStatus]) -> None:
        """Bring every row group of `work` to completion, as far as its records allow.

        Raises RunStoppedError when the failure budget is used up, StoreError when a file cannot be written, and
        CancelledError when it is cancelled; finished records are on disk by then.
        """
        to_make = [status for status in work if status.state is not RowGroupState.COMPLETE]
        self._remaining = sum(len(status.lacking) for status in to_make)
        self._context.observer(
            RunStarted(self._context.version.name, self._remaining, len(to_make), len(work) - len(to_make))
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._watch_for_stall())
                await self._make_groups(work)
                watch.cancel()
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors
        finally:
            self._save_open_groups()

    async def _make_groups(self, work: Sequence[RowGroupStatus]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for status in work:
                if status.state is RowGroupState.COMPLETE and status.footer is not None:
                    self._adopt(status, status.footer)
                    continue
                progress = await self._open_group(status)
                for position in progress.group.open_positions():
                    await self._room.acquire()
                    tasks.create_task(self._make_record(progress, position))
                if not progress.group.open_positions():
                    await self._write(progress)

    def _adopt(self, status: RowGroupStatus, footer: Footer) -> None:
        path = self._context.version.row_group(status.group.index)
        self._context.observer(
            RowGroupFinished(status.group, footer, path, adopted=True, generated=0, failed=0, seconds=0.0)
        )

    async def _open_group(self, status: RowGroupStatus) -> _Progress:
        context = self._context
        if status.state is RowGroupState.CORRUPT:
            path = context.version.row_group(status.group.index)
            where = move_aside(path, context.version.quarantine)
            context.observer(Notice(f"{path} is corrupt ({status.reason}); moved to {where} and generated again"))
        began = context.clock()
        group = await asyncio.to_thread(
            OpenGroup, status, plan=context.plan, seeds=context.seeds, needed=self._records.columns_read
        )
        progress = _Progress(group, began, len(group.open_positions()))
        self._open[status.group.index] = progress
        for failure in group.failures.values():
            self._budget.record_failed(failure)
        self._settled(made=0 if progress.unsettled else group.made, failed=len(group.failures))
        return progress

    async def _make_record(self, progress: _Progress, position: int) -> None:
        try:
            outcome = await self._records.make(progress.group, position)
        finally:
            self._room.release()
        if isinstance(outcome, FailedRecord):
            progress.group.fail(position, outcome.failure)
            self._budget.record_failed(outcome.failure)
            self._settled(made=0, failed=1)
        else:
            progress.group.settle(position, outcome)
            self._budget.record_made(self._context.clock())
            self._settled(made=1, failed=0)
        progress.unsettled -= 1
        if progress.unsettled == 0:
            await self._write(progress)

    def _settled(self, *, made: int, failed: int) -> None:
        """Report settled records, and stop the run if its failure budget is used up."""
        self._remaining -= made + failed
        if made or failed:
            self._context.observer(RecordsSettled(made, failed))
        reason = self._budget.verdict(remaining=self._remaining)
        if failed and reason is not None:
            raise RunStoppedError(
                f"stopped: {reason}",
                remedy="finished records are kept; mend the cause and run the same command to go on",
            )

    async def _write(self, progress: _Progress) -> None:
        """Write a row group; once begun, it is finished and reported even if the run is cancelled meanwhile."""
        context, group = self._context, progress.group
        writing = asyncio.ensure_future(
            asyncio.to_thread(write_group, group, context.version, plan=context.plan, run_id=context.run_id)
        )
        del self._open[group.status.group.index]
        try:
            footer = await asyncio.shield(writing)
        except asyncio.CancelledError:
            self._report(progress, await writing)
            raise
        self._report(progress, footer)

    def _report(self, progress: _Progress, footer: Footer) -> None:
        group = progress.group
        first = next(iter(sorted(group.failures.values())), None)
        self._context.observer(
            RowGroupFinished(
                group.status.group,
                footer,
                self._context.version.row_group(group.status.group.index),
                adopted=False,
                generated=group.made,
                failed=len(group.failures),
                seconds=self._context.clock() - progress.began,
                first_failure=f"record {first.record}, column {first.column!r}: {first.message}" if first else None,
            )
        )

    async def _watch_for_stall(self) -> None:
        if not self._records.columns_read:
            return
        while True:
            now = self._context.clock()
            if (reason := self._budget.stall(now)) is not None:
                raise RunStoppedError(
                    f"stopped: {reason}", remedy="run the same command later to go on; nothing is lost"
                )
            await self._context.sleep(self._budget.last_success + self._context.settings.stall_timeout - now)

    def _save_open_groups(self) -> None:
        """Write what is finished of the groups that are still open."""
        context = self._context
        for index, progress in sorted(self._open.items()):
            group = progress.group
            if not group.made or progress.unsettled == 0:
                continue
            try:
                write_group(group, context.version, plan=context.plan, run_id=context.run_id)
            except StoreError as error:
                context.observer(
                    Notice(f"row group {index:05d}: {group.made} finished records could not be saved: {error}")
                )
                return
            context.observer(Notice(f"row group {index:05d}: {group.made} of {len(group.indices)} records saved"))


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to show for a group: the first of ours, else the first."""
    leaves: list[BaseException] = []
    todo: list[BaseException] = [errors]
    while todo:
        error = todo.pop(0)
        if isinstance(error, BaseExceptionGroup):
            todo.extend(error.exceptions)
        else:
            leaves.append(error)
    return next((error for error in leaves if isinstance(error, SdgError)), leaves[0])
