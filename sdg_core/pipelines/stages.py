"""What each stage does with tasks: one outcome per task, in the order of the tasks. Attribution is by position, never by counts.

`columns` stages reuse the row-group machinery of datasets: a batch of tasks is an open group, its records the tasks' numbers.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from operator import itemgetter
from typing import Any, assert_never, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sdg_core.config.pipeline import (
    ColumnsStage,
    ExplodeStage,
    FilterStage,
    FunctionStage,
    RenameStage,
    SelectStage,
    SplitStage,
)
from sdg_core.custom import Failed, Filtered
from sdg_core.errors import CellError
from sdg_core.execution.cells import FailedRecord, OnPrompt, RecordMaker, WaitingRecord
from sdg_core.execution.open_row_group import OpenGroup
from sdg_core.execution.run_state import window_size
from sdg_core.execution.settle import settle_record
from sdg_core.execution.stop_rules import FailureBudget
from sdg_core.generators.base import CellFailedError
from sdg_core.generators.expressions import cast_text
from sdg_core.generators.whole_group import GroupPhases
from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.models.pool import ModelPool
from sdg_core.pipelines.executors.base import StageExecutor, is_heavy
from sdg_core.pipelines.plan import StagePlan
from sdg_core.pipelines.split import split_text
from sdg_core.pipelines.tasks import (
    DROPPED,
    Outcome,
    RejectedCandidate,
    StageAccount,
    Task,
    are_light,
    task_number,
)
from sdg_core.plan.foreign import shortened
from sdg_core.plan.row_groups import RowGroup
from sdg_core.plan.templates.render import compiled
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.seeds.readers import Seeds
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus

TASKS_PER_BATCH = 1000
"""Tasks that one open group of a `columns` stage holds."""


@dataclass
class SourceWork:
    """What stages need to know of the source whose tasks they do. reusable: its cells in the journal and in earlier
    versions. usage: of this run. carried: its cells that earlier versions paid for, by version and column.

    rejected: candidates that were not kept of the tasks done since it was emptied. selected: what that came to in the account of
    the stage.
    """

    key: str
    reusable: Sequence[JournaledCell]
    usage: UsageByModel
    replayed: int = 0
    carried: UsageByModel = field(default_factory=dict)
    rejected: list[RejectedCandidate] = field(default_factory=list)
    selected: StageAccount = field(default_factory=lambda: StageAccount("select"))


class StageRunner:
    """Does the stages of a pipeline for the tasks of one source after the other, or of many at once."""

    def __init__(
        self,
        stages: Sequence[StagePlan],
        models: ModelPool,
        *,
        executor: StageExecutor,
        journal: Journal | None,
        budget: FailureBudget,
        on_prompt: OnPrompt | None = None,
    ) -> None:
        """on_prompt: told of every prompt, with the number of its task (`task_number`)."""
        loop = asyncio.get_running_loop()
        self._models = models
        self._budget = budget
        self._executor = executor
        self._handed_to_next: set[int] = set()
        for plan, after in pairwise(stages):
            if is_heavy(after) and not plan.stage.checkpoint:
                self._handed_to_next.add(plan.place)
        self._makers: dict[int, tuple[RecordMaker, GroupPhases]] = {}
        for plan in stages:
            if plan.columns is not None:
                maker = RecordMaker(
                    plan.columns, models, journal=journal, on_prompt=on_prompt
                )
                phases = GroupPhases(plan.columns, models, loop=loop)
                self._makers[plan.place] = (maker, phases)
        calls_out = any(maker.calls_out for maker, _ in self._makers.values())
        self._room = asyncio.Semaphore(
            window_size(models.capacity, calls_out=calls_out)
        )

    async def run(
        self, plan: StagePlan, tasks: Sequence[Task], work: SourceWork
    ) -> list[Outcome]:
        """One outcome per task. Raises FunctionError for a function that breaks the rules."""
        match stage := plan.stage:
            case SplitStage():
                return await _of_each(lambda task: _split(plan, stage, task), tasks)
            case FilterStage() if not stage.quality:
                assert stage.keep is not None
                apart = not compiled(stage.keep).is_light
                return await _of_each(
                    lambda task: _filter(stage, task, plan.label), tasks, apart=apart
                )
            case ExplodeStage():
                return await _of_each(lambda task: _explode(stage, task), tasks)
            case FilterStage() | FunctionStage():
                handed_to_next = plan.place in self._handed_to_next
                return await self._executor.run(
                    plan, tasks, handed_to_next=handed_to_next
                )
            case SelectStage():
                return [_select(stage, task) for task in tasks]
            case RenameStage():
                return [_rename(stage, task) for task in tasks]
            case ColumnsStage():
                outcomes: list[Outcome] = []
                for start in range(0, len(tasks), TASKS_PER_BATCH):
                    outcomes += await self._columns(
                        plan, tasks[start : start + TASKS_PER_BATCH], work
                    )
                return outcomes
            case _:
                assert_never(stage)

    async def _columns(
        self, plan: StagePlan, tasks: Sequence[Task], work: SourceWork
    ) -> list[Outcome]:
        assert plan.columns is not None
        maker, phases = self._makers[plan.place]
        absent = [sorted(set(plan.reads) - set(task.values)) for task in tasks]
        numbers = [task_number(work.key, task.path) for task in tasks]
        first: dict[int, int] = {}
        for at, number in enumerate(numbers):
            if not absent[at]:
                first.setdefault(number, at)
        order = [first[number] for number in sorted(first)]
        given = [tasks[at].values for at in order]
        frame = {name: [*map(itemgetter(name), given)] for name in plan.reads}
        made: dict[int, Outcome] = {}
        if order:
            records = [numbers[at] for at in order]
            by_number = {numbers[at]: tasks[at] for at in order}
            paths = {number: task.path for number, task in by_number.items()}
            status = RowGroupStatus(
                RowGroup(0, 0, records[-1] + 1), RowGroupState.MISSING, records
            )
            open_group = partial(
                OpenGroup,
                status,
                plan=plan.columns,
                seeds=cast(Seeds, _Given(frame, records)),
                phases=phases,
                needed=maker.columns_read,
                journaled=work.reusable,
                number=_numbers_of_candidates(work.key, paths),
            )
            computes = bool(plan.columns.graph.columns_of(0, per_record=False))
            if computes or not are_light(tasks):
                group = await asyncio.to_thread(open_group)
            else:
                group = open_group()
            await self._make_all(maker, group, work)
            made = dict(zip(order, _rows(group, records), strict=True))
            _note_rejected(plan, group, by_number, work)
            work.usage = add_usage(work.usage, group.usage)
            work.replayed += group.replayed
            work.carried = add_usage(work.carried, group.carried_from)
        for at, number in enumerate(numbers):
            if not absent[at] and first[number] != at:  # another task has its number
                (made[at],) = await self._columns(plan, [tasks[at]], work)
        outcomes: list[Outcome] = []
        for at, task in enumerate(tasks):
            found = made.get(at)
            if found is None:
                found = Failed(_no_column(absent[at], task), kind="input")
            outcomes.append(
                {**task.values, **found} if isinstance(found, Mapping) else found
            )
        return outcomes

    async def _make_all(
        self, maker: RecordMaker, group: OpenGroup, work: SourceWork
    ) -> None:
        """Make the cells of a group, of as many candidates as it needs, no more at once than there is room for."""
        self._budget.group_opened(len(group.indices), list(group.failures.values()))

        async def make(position: int) -> None:
            async with self._room:
                outcome = await maker.make(group, position)
            if isinstance(outcome, WaitingRecord):
                outcome = _cannot_wait(outcome)
            settle_record(
                group, position, outcome, budget=self._budget, now=time.monotonic()
            )

        while True:
            async with asyncio.TaskGroup() as running:
                for position in group.open_positions():
                    running.create_task(make(position))
            if not group.last_phase:
                await asyncio.to_thread(group.advance)
            elif group.selection is None or not await asyncio.to_thread(group.select):
                return
            else:
                await asyncio.to_thread(group.draw_again, journaled=work.reusable)


async def _of_each(
    make: Callable[[Task], Outcome], tasks: Sequence[Task], *, apart: bool = False
) -> list[Outcome]:
    """What a stage makes of each task; in a thread if it may take long, because the texts may be anybody's."""

    def made() -> list[Outcome]:
        return [make(task) for task in tasks]

    is_light = not apart and are_light(tasks)
    return made() if is_light else await asyncio.to_thread(made)


def _cannot_wait(record: WaitingRecord) -> FailedRecord:
    column = min(record.columns)
    message = "its model defers its replies, which a pipeline's columns do not support"
    return FailedRecord(column, CellFailedError(message, kind="permanent"))


class _Given:
    """Values of tasks, by their numbers, in the place of seed rows."""

    def __init__(
        self, columns: Mapping[str, Sequence[Any]], numbers: Sequence[int]
    ) -> None:
        self._columns = columns
        self._numbers = numbers

    def read(self, rows: Any) -> "_Given":
        wanted = rows.tolist()
        if wanted == self._numbers:
            return self
        place = {number: at for at, number in enumerate(self._numbers)}
        chosen = [place[number] for number in wanted]
        columns = {}
        for name, values in self._columns.items():
            columns[name] = [values[at] for at in chosen]
        return _Given(columns, wanted)

    def to_dict(self) -> dict[str, pl.Series]:
        return {
            name: pl.Series(name, values, strict=False)
            for name, values in self._columns.items()
        }


def _numbers_of_candidates(
    key: str, paths: Mapping[int, tuple[int, ...]]
) -> Callable[[NDArray[np.int64], int], NDArray[np.int64]]:
    """The numbers of further candidates of tasks: those of tasks that there cannot be, of the same source."""

    def numbers_of(tasks: NDArray[np.int64], candidate: int) -> NDArray[np.int64]:
        if not candidate:
            return tasks
        numbers = [
            task_number(key, (*paths[task], -candidate)) for task in tasks.tolist()
        ]
        return np.array(numbers, dtype=np.int64)

    return numbers_of


def _rows(group: OpenGroup, numbers: Sequence[int]) -> list[Outcome]:
    """What a group made of each task."""
    made = group.rows()
    rows = dict(zip(made.records.tolist(), made.table.to_pylist(), strict=True))
    failures = {failure.record: failure for failure in group.every_failure}
    outcomes: list[Outcome] = []
    for number in numbers:
        if number in rows:
            outcomes.append(rows[number])
        elif (failure := failures.get(number)) is not None:
            where = f"column {failure.column!r}: {failure.message}"
            outcomes.append(Failed(where, kind=failure.kind, attempts=failure.attempts))
        else:
            outcomes.append(Filtered(DROPPED))
    return outcomes


def _note_rejected(
    plan: StagePlan, group: OpenGroup, tasks: Mapping[int, Task], work: SourceWork
) -> None:
    """Note the candidates of a group that were not kept. tasks: by their numbers; what is made again only to get further counted
    when it was made first."""
    if group.selection is None:
        return
    counted = [number for number, task in tasks.items() if task.counted]
    failed = [failure.record for failure in group.every_failure]
    rows = group.selection.rejected(failed=failed).of(counted)
    places = zip(
        rows.records.tolist(),
        rows.candidates.tolist(),
        rows.reasons,
        rows.table.to_pylist(),
        strict=True,
    )
    for number, candidate, reason, made in places:
        task = tasks[number]
        read = {name: task.values[name] for name in plan.reads}
        values = {**read, **made}
        work.rejected.append(
            RejectedCandidate(task.path, plan.place, candidate, reason, values)
        )
    found = group.selection.summary(counted)
    account = StageAccount(
        "select",
        rejected=found.rejected,
        rejected_usage=found.usage,
        fallback=len(found.fallback),
    )
    work.selected.add(account)


def _split(plan: StagePlan, stage: SplitStage, task: Task) -> Outcome:
    text = task.values.get(stage.column)
    if text is None:
        return Filtered(f"{stage.column} is empty")
    if not isinstance(text, str):
        return Failed(
            f"{stage.column} is {shortened(text)}, not text; convert it in an earlier stage",
            retryable=False,
            kind="input",
        )
    before = task.values.get(f"{stage.column}_start") or 0
    spans = split_text(stage, text, tokenize=plan.tokenize)
    if not spans:
        return Filtered(f"{stage.column} is empty")
    return [
        {
            **task.values,
            stage.column: text[start:stop],
            f"{stage.column}_start": before + start,
        }
        for start, stop in spans
    ]


def _filter(stage: FilterStage, task: Task, label: str) -> Outcome:
    assert stage.keep is not None
    try:
        text = compiled(stage.keep).render(task.values).strip()
        keep = bool(text) and text != "None" and cast_text(text, "bool")
    except CellError as error:
        return Failed(error.message, retryable=False, kind="expression")
    return task.values if keep else Filtered(stage.reason or f"{label}: {stage.keep}")


def _explode(stage: ExplodeStage, task: Task) -> Outcome:
    root, *fields = stage.column.split(".")
    value: Any = task.values.get(root)
    place = root
    for name in fields:
        if value is None:
            break
        if not isinstance(value, Mapping):
            message = f"{place} is {shortened(value)}, not a mapping, so there is no {stage.column}"
            return Failed(message, retryable=False, kind="input")
        value = value.get(name)
        place = f"{place}.{name}"
    if value is None:
        return Filtered(f"{stage.column} is empty")
    if not isinstance(value, list | tuple):
        message = f"{stage.column} is {shortened(value)}, not a list; convert it in an earlier stage"
        return Failed(message, retryable=False, kind="input")
    if not value:
        return Filtered(f"{stage.column} is empty")
    rest = dict(task.values)
    if not fields:
        del rest[root]
    last = fields[-1] if fields else root
    pieces = [
        dict(item) if isinstance(item, Mapping) else {last: item} for item in value
    ]
    names: set[str] = set()
    for piece in pieces:
        names.update(piece)
    clash = sorted(names & rest.keys())
    if clash:
        message = (
            f"items of {stage.column} have {', '.join(clash)}, which are already columns; rename "
            f"those in an earlier stage"
        )
        return Failed(message, retryable=False, kind="input")
    return [{**rest, **piece} for piece in pieces]


def _rename(stage: RenameStage, task: Task) -> Outcome:
    renamed = {
        stage.columns.get(name, name): value for name, value in task.values.items()
    }
    if len(renamed) < len(task.values):
        new_names = {new for old, new in stage.columns.items() if old in task.values}
        taken = sorted(new_names & task.values.keys())
        message = (
            f"the task already has a column {', '.join(map(repr, taken))}; choose another name, "
            f"or drop it in an earlier stage"
        )
        return Failed(message, retryable=False, kind="input")
    return renamed


def _no_column(absent: Sequence[str], task: Task) -> str:
    there = ", ".join(map(repr, sorted(task.values))) or "none"
    return f"the task has no column {', '.join(map(repr, absent))}; it has {there}"


def _select(stage: SelectStage, task: Task) -> Outcome:
    absent = [name for name in stage.columns if name not in task.values]
    if absent:
        return Failed(_no_column(absent, task), retryable=False, kind="input")
    return {name: task.values[name] for name in stage.columns}
