"""One source through all stages. The task that owns it awaits all that its stages make, so nothing is counted to know
when it is done.

What failed before is done again alone: its ancestors are made again to get there, everything beside it is left as it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sdg_core.config.pipeline import Sources
from sdg_core.custom import Failed, Filtered
from sdg_core.ledger.journal import JournaledCell
from sdg_core.pipelines.compile import StagePlan
from sdg_core.pipelines.readers import Source, SourceError, content_version, read_tasks
from sdg_core.pipelines.stages import SourceWork, StageRunner
from sdg_core.pipelines.store import SourceEntry
from sdg_core.pipelines.tasks import READ_STAGE, FailedTask, Outcome, SourceResult, StageAccount, Task

Path = tuple[int, ...]


class SourceRun:
    """The making of one source. before: what an earlier run got done of the same version, whose rest is to be done."""

    def __init__(
        self,
        stages: Sequence[StagePlan],
        *,
        reader: Sources,
        max_attempts: int,
        run_id: str,
        before: SourceEntry | None = None,
        afresh: bool = False,
        at_most: int | None = None,
    ) -> None:
        """`afresh`: failures of earlier runs do not count as attempts any more. at_most: tasks that a stage hands on."""
        self._at_most = at_most
        self._stages, self._reader, self._run_id = stages, reader, run_id
        self._max_attempts, self._before = max_attempts, before
        failed = before.failed if before is not None else ()
        self._targets = {failure.path: failure for failure in failed if failure.path}
        self._attempts = {(f.path, f.stage): 0 if afresh else f.attempts for f in failed}
        self.accounts = self._accounts_before()
        self.failures: list[tuple[FailedTask, bool]] = []

    def _accounts_before(self) -> list[StageAccount]:
        """The accounts without what is done again."""
        if not self._targets or self._before is None:
            return [StageAccount("read"), *(StageAccount(plan.stage.stage) for plan in self._stages)]
        accounts = [replace(account, filtered=dict(account.filtered)) for account in self._before.stages]
        for failure in self._targets.values():
            account = accounts[failure.stage + 1]
            account.tasks_in -= 1
            account.failed -= 1
        return accounts

    async def run(
        self, source: Source, runner: StageRunner, *, paid: Sequence[JournaledCell], content: bytes | str
    ) -> SourceResult:
        """The outcome. content: the source's bytes, or why they cannot be read."""
        work = SourceWork(source.key, paid, {})
        version = content_version(content) if isinstance(content, bytes) else ""
        try:
            if isinstance(content, str):
                raise SourceError(content)
            read = read_tasks(self._reader, source, content)
        except SourceError as error:
            failure = Failed(f"{source.locator} {error}", kind="read")
            self._fail((), READ_STAGE, failure)
            return self._result(source, version, [], work)
        tasks = [item[0] if isinstance(item, tuple) else item for item in read]
        outcomes: list[Outcome] = [item[1] if isinstance(item, tuple) else item.values for item in read]
        tasks = self._settle(READ_STAGE, self._marked(READ_STAGE, tasks), outcomes)
        for plan in self._stages:
            tasks = self._marked(plan.place, tasks)
            wanted = [task for task in tasks if self._is_wanted(task)]
            outcomes = await runner.run(plan, wanted, work) if wanted else []
            tasks = self._settle(plan.place, wanted, outcomes)
        return self._result(source, version, [task for task in tasks if task.counted], work)

    def _is_wanted(self, task: Task) -> bool:
        return task.counted or any(target[: len(task.path)] == task.path for target in self._targets)

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

    def _settle(self, stage: int, tasks: Sequence[Task], outcomes: Sequence[Outcome]) -> list[Task]:
        """Put every outcome into the account; returns what goes on."""
        following: list[Task] = []
        account = self.accounts[stage + 1]
        for task, outcome in zip(tasks, outcomes, strict=True):
            if task.counted:
                account.tasks_in += 1
            following += self._settle_one(stage, account, task, outcome)
        return following[: self._at_most]

    def _settle_one(self, stage: int, account: StageAccount, task: Task, outcome: Outcome) -> list[Task]:
        match outcome:
            case Failed():
                if task.counted:
                    account.failed += 1
                    self._fail(task.path, stage, outcome)
                else:
                    self._fail_again(task, outcome)
                return []
            case Filtered(reason=reason):
                if task.counted:
                    account.filtered[reason] = account.filtered.get(reason, 0) + 1
                else:
                    self._fail_again(task, Failed(f"it is filtered now, before the stage that failed: {reason}"))
                return []
            case list():
                if task.counted:
                    account.expanded += 1
                    account.made += len(outcome)
                return [task.child(place, values) for place, values in enumerate(outcome)]
            case _:
                account.handed_on += task.counted
                return [replace(task, values=outcome)]

    def _fail(self, path: Path, stage: int, failure: Failed) -> None:
        attempts = self._attempts.get((path, stage), 0) + 1
        name = "/".join(map(str, path))
        found = FailedTask(name, stage, failure.kind, failure.reason, attempts)
        self.failures.append((found, failure.retryable and attempts < self._max_attempts))

    def _fail_again(self, task: Task, failure: Failed) -> None:
        """An ancestor of tasks that failed before failed itself this time: they have not been reached."""
        for path, target in self._targets.items():
            if path[: len(task.path)] == task.path:
                account = self.accounts[target.stage + 1]
                account.tasks_in += 1
                account.failed += 1
                self._fail(path, target.stage, replace(failure, kind=target.kind))

    def _result(self, source: Source, version: str, rows: list[Task], work: SourceWork) -> SourceResult:
        state = "complete"
        if self.failures:
            state = "partial" if any(may_succeed for _, may_succeed in self.failures) else "failed"
        runs = [*(self._before.runs if self._before is not None else ()), self._run_id]
        return SourceResult(
            key=source.key,
            locator=source.locator,
            version=version,
            state=state,
            rows=rows,
            read=self.accounts[0].tasks_in,
            accounts=self.accounts,
            failed=[failure for failure, _ in self.failures],
            usage=work.usage,
            runs=list(dict.fromkeys(runs)),
            replayed=work.replayed,
        )


def read_content(source: Source) -> bytes | str:
    """A source's bytes, or why they cannot be read."""
    try:
        return source.path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def row_values(task: Task, key: str, *, lineage: bool) -> dict[str, Any]:
    """A finished task as a row."""
    return {**task.values, **({"_source": key, "_task": task.name} if lineage else {})}
