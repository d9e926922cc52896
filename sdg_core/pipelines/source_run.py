"""One source through all stages, a batch of its records at a time, so that no source has to fit in memory. The task that owns it
awaits all that its stages make, so nothing is counted to know when it is done.

What failed before is done again alone: its ancestors are made again to get there, everything beside it is left as it is.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sdg_core.custom import Failed, Filtered
from sdg_core.errors import writable
from sdg_core.ledger.journal import JournaledCell
from sdg_core.pipelines.checkpoints import Checkpoint, SourceCheckpoints, storable
from sdg_core.pipelines.plan import StagePlan
from sdg_core.pipelines.readers.base import SOURCE_COLUMN, Record, Source, SourceError
from sdg_core.pipelines.source_records import SourceRecords
from sdg_core.pipelines.stages import SourceWork, StageRunner
from sdg_core.pipelines.store import SourceEntry
from sdg_core.pipelines.tasks import (
    READ_STAGE,
    FailedTask,
    Outcome,
    RejectedCandidate,
    SourceResult,
    StageAccount,
    Task,
    are_light,
    why_no_row,
)

BATCH = 1000
"""Records of a source that are on their way at once."""
MAX_REASON = 2000
"""Characters of why a task failed or was left out."""
Path = tuple[int, ...]


@dataclass
class _Batch:
    """A batch on its way. start: the position of its first record. read: how many it took. failed: whether anything has."""

    number: int
    start: int
    read: int
    last: bool
    accounts: list[StageAccount]
    failed: bool = False


class SourceRun:
    """The making of one source. before: what an earlier run got done of the same version, whose rest is to be done."""

    def __init__(
        self,
        stages: Sequence[StagePlan],
        *,
        max_attempts: int,
        run_id: str,
        before: SourceEntry | None = None,
        from_scratch: bool = False,
        at_most: int | None = None,
        checkpoints: SourceCheckpoints | None = None,
    ) -> None:
        """`afresh`: failures of earlier runs do not count as attempts any more. at_most: tasks that a stage hands on."""
        self._at_most = at_most
        self._checkpoints = checkpoints
        self._stages = stages
        has_checkpoints = any(plan.stage.checkpoint for plan in stages)
        self._keeps_checkpoints = checkpoints is not None and has_checkpoints
        self._run_id = run_id
        self._max_attempts = max_attempts
        self._before = before
        failed = before.failed if before is not None else ()
        self._targets = {failure.path: failure for failure in failed if failure.path}
        self._attempts = {}
        for failure in failed:
            attempts = 0 if from_scratch else failure.attempts
            self._attempts[failure.path, failure.stage] = attempts
        self.accounts = self._accounts_before()
        self.failures: list[tuple[FailedTask, bool]] = []

    def _new_accounts(self) -> list[StageAccount]:
        accounts = [StageAccount(plan.stage.stage) for plan in self._stages]
        return [StageAccount("read"), *accounts]

    def _accounts_before(self) -> list[StageAccount]:
        """The accounts without what is done again."""
        if not self._targets or self._before is None:
            return self._new_accounts()
        accounts = [
            replace(account, filtered=dict(account.filtered))
            for account in self._before.stages
        ]
        for failure in self._targets.values():
            account = accounts[failure.stage + 1]
            account.tasks_in -= 1
            account.failed -= 1
        return accounts

    async def run(
        self,
        source: Source,
        opened: SourceRecords | SourceError,
        runner: StageRunner,
        *,
        version: str,
        reusable: Sequence[JournaledCell],
        keep: Callable[[Sequence[Task]], None],
        keep_rejected: Callable[
            [Sequence[RejectedCandidate]], None
        ] = lambda rejected: None,
    ) -> SourceResult:
        """The outcome. opened: its records, or why it cannot be read. keep, keep_rejected: are given finished tasks and rejected
        candidates, a batch at a time, which count only if the result says that the source was read to its end."""
        work = SourceWork(source.key, reusable, {})
        if isinstance(opened, SourceError):
            return self._unreadable(source, opened, version=version, work=work)
        try:
            number = start = 0
            last = False
            while not last:
                batch, tasks = await self._batch(
                    source, opened, runner, work, number=number, start=start
                )
                for total, account in zip(self.accounts, batch.accounts, strict=True):
                    total.add(account)
                kept = [task for task in tasks if task.counted]
                if are_light(kept):
                    keep(kept)
                else:
                    await asyncio.to_thread(keep, kept)
                if work.rejected:
                    await asyncio.to_thread(keep_rejected, work.rejected)
                    work.rejected = []
                last = batch.last or self._at_most is not None
                number = number + 1
                start = start + batch.read
        except SourceError as error:
            return self._unreadable(source, error, version=version, work=work)
        finally:
            if opened.is_open:
                await asyncio.to_thread(opened.close)
        return self._result(source, version, work)

    async def _batch(
        self,
        source: Source,
        records: SourceRecords,
        runner: StageRunner,
        work: SourceWork,
        *,
        number: int,
        start: int,
    ) -> tuple[_Batch, list[Task]]:
        """A batch through all stages, or those after its last checkpoint; returns its account, and what it comes to."""
        stage, kept = READ_STAGE, None
        if self._keeps_checkpoints:
            stage, kept = await asyncio.to_thread(self._kept, number)
        if kept is not None:
            accounts = self._new_accounts()
            if not self._targets:
                accounts[: len(kept.accounts)] = kept.accounts
                work.rejected += kept.rejected
            batch = _Batch(number, start, kept.read, kept.last, accounts)
            tasks = [replace(task, counted=not self._targets) for task in kept.tasks]
        else:
            count = self._at_most or BATCH
            if records.are_at_hand(count):
                taken, last = records.take(start, count)
            else:
                taken, last = await asyncio.to_thread(records.take, start, count)
            batch = _Batch(number, start, len(taken), last, self._new_accounts())
            tasks = [
                Task((start + at,), _values(record, source))
                for at, record in enumerate(taken)
            ]
            outcomes = [
                _as_read(record, task)
                for task, record in zip(tasks, taken, strict=True)
            ]
            tasks = self._settle(
                READ_STAGE, self._marked(READ_STAGE, tasks), outcomes, batch
            )
        for plan in self._stages[stage + 1 :]:
            tasks = self._marked(plan.place, tasks)
            wanted = [task for task in tasks if self._is_wanted(task)]
            outcomes = await runner.run(plan, wanted, work) if wanted else []
            batch.accounts[plan.place + 1].add(work.selected)
            work.selected = StageAccount("select")
            if plan.stage.checkpoint:
                outcomes = await asyncio.to_thread(_storable, outcomes)
            tasks = self._settle(plan.place, wanted, outcomes, batch)
            is_whole = not batch.failed and not self._targets
            if plan.stage.checkpoint and self._checkpoints is not None and is_whole:
                accounts = batch.accounts[: plan.place + 2]
                found = Checkpoint(
                    tasks, accounts, batch.read, batch.last, tuple(work.rejected)
                )
                await asyncio.to_thread(
                    self._checkpoints.save, plan.prefix, batch.number, found
                )
        return batch, tasks

    def _kept(self, number: int) -> tuple[int, Checkpoint | None]:
        """The last stage that a batch has a checkpoint of, and that; of none, the reader."""
        assert self._checkpoints is not None
        failed_at = [target.stage for target in self._targets.values()]
        first_failed = min(failed_at, default=len(self._stages))
        stages_before = self._stages[: max(0, first_failed)]
        for plan in reversed(stages_before):
            if plan.stage.checkpoint:
                found = self._checkpoints.load(plan.prefix, number)
                if found is not None:
                    return plan.place, found
        return READ_STAGE, None

    def _is_wanted(self, task: Task) -> bool:
        if task.counted:
            return True
        return any(target[: len(task.path)] == task.path for target in self._targets)

    def _marked(self, stage: int, tasks: Sequence[Task]) -> list[Task]:
        """The tasks, counted from the stage on that failed them."""
        if not self._targets:
            return [*tasks]
        marked = []
        for task in tasks:
            target = self._targets.get(task.path)
            begins = target is not None and target.stage == stage
            first = stage == READ_STAGE and not begins
            marked.append(replace(task, counted=begins or (task.counted and not first)))
        return marked

    def _settle(
        self,
        stage: int,
        tasks: Sequence[Task],
        outcomes: Sequence[Outcome],
        batch: _Batch,
    ) -> list[Task]:
        """Put every outcome into the batch's account; returns what goes on."""
        following: list[Task] = []
        account = batch.accounts[stage + 1]
        before = len(self.failures)
        for task, outcome in zip(tasks, outcomes, strict=True):
            if task.counted:
                account.tasks_in += 1
            following += self._settle_one(stage, account, task, outcome)
        batch.failed = batch.failed or len(self.failures) > before
        return following[: self._at_most]

    def _settle_one(
        self, stage: int, account: StageAccount, task: Task, outcome: Outcome
    ) -> list[Task]:
        match outcome:
            case Failed():
                if task.counted:
                    account.failed += 1
                    self._fail(task.path, stage, outcome)
                else:
                    self._fail_again(task, outcome)
                return []
            case Filtered():
                reason = _reason_text(outcome.reason)
                if task.counted:
                    account.filtered[reason] = account.filtered.get(reason, 0) + 1
                else:
                    self._fail_again(
                        task,
                        Failed(f"an earlier stage now filters it: {reason}"),
                    )
                return []
            case list():
                if task.counted:
                    account.expanded += 1
                    account.made += len(outcome)
                return [
                    task.child(place, values) for place, values in enumerate(outcome)
                ]
            case _:
                account.handed_on += task.counted
                return [replace(task, values=outcome)]

    def _fail(self, path: Path, stage: int, failure: Failed) -> None:
        attempts = self._attempts.get((path, stage), 0) + 1
        name = "/".join(map(str, path))
        found = FailedTask(
            name,
            stage,
            _reason_text(failure.kind),
            _reason_text(failure.reason),
            attempts,
        )
        self.failures.append(
            (found, failure.retryable and attempts < self._max_attempts)
        )

    def _fail_again(self, task: Task, failure: Failed) -> None:
        """An ancestor of tasks that failed before failed itself this time: they have not been reached."""
        for path, target in self._targets.items():
            if path[: len(task.path)] == task.path:
                account = self.accounts[target.stage + 1]
                account.tasks_in += 1
                account.failed += 1
                self._fail(path, target.stage, replace(failure, kind=target.kind))

    def _unreadable(
        self, source: Source, error: SourceError, *, version: str, work: SourceWork
    ) -> SourceResult:
        """The source could not be read to its end, or not be written: none of it counts, but what earlier runs made stays."""
        self.accounts = self._accounts_before()
        self.failures = []
        failure = Failed(
            f"{source.locator} {error}", retryable=error.kind == "read", kind=error.kind
        )
        if self._targets:
            self._fail_again(Task((), {}), failure)
        else:
            self._fail((), READ_STAGE, failure)
        return replace(self._result(source, version, work), was_read=False)

    def _result(self, source: Source, version: str, work: SourceWork) -> SourceResult:
        state = "complete"
        if self.failures:
            may_succeed = any(retryable for _, retryable in self.failures)
            state = "partial" if may_succeed else "failed"
        runs = [self._run_id]
        if self._before is not None:
            runs = [*self._before.runs, self._run_id]
        return SourceResult(
            key=source.key,
            locator=source.locator,
            version=version,
            state=state,
            read=self.accounts[0].tasks_in,
            accounts=self.accounts,
            failed=[failure for failure, _ in self.failures],
            usage=work.usage,
            runs=list(dict.fromkeys(runs)),
            replayed=work.replayed,
            carried=work.carried,
            extends=bool(self._targets),
        )


def _reason_text(reason: object) -> str:
    """A reason as a footer can hold it, whatever code of the user gave as one."""
    text = writable(str(reason))
    return (
        text
        if len(text) <= MAX_REASON
        else f"{text[:MAX_REASON]}... ({len(text):,} characters)"
    )


def _as_read(record: Record, task: Task) -> Outcome:
    if isinstance(record, Failed | Filtered):
        return record
    fault = why_no_row(task.values)
    if fault:
        return Failed(
            f"the record cannot be stored in a row: {fault}",
            retryable=False,
            kind="read",
        )
    return task.values


def _values(record: Record, source: Source) -> dict[str, Any]:
    values = {} if isinstance(record, Failed | Filtered) else record
    return {SOURCE_COLUMN: source.locator, **values}


def _storable(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes of a stage with a checkpoint, their values as the checkpoint will give them."""
    found: list[Outcome] = []
    for outcome in outcomes:
        try:
            match outcome:
                case Failed() | Filtered():
                    found.append(outcome)
                case list():
                    found.append([storable(values) for values in outcome])
                case _:
                    found.append(storable(outcome))
        except ValueError as error:
            message = f"the stage's result cannot be stored in a checkpoint: {error}"
            found.append(Failed(message, retryable=False, kind="output"))
    return found


def row_values(task: Task, key: str, *, lineage: bool) -> dict[str, Any]:
    """A finished task as a row."""
    if not lineage:
        return dict(task.values)
    return {**task.values, "_source": key, "_task": task.name}
