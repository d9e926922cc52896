"""The cells of one record, made along the column graph: each as soon as the columns that it reads are there."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_core.config.columns import CustomColumn, ModelColumn, ValidationColumn
from sdg_core.errors import CellError
from sdg_core.execution.cell_store import CellStore
from sdg_core.execution.criteria import Criterion, early_criteria
from sdg_core.execution.open_row_group import OpenGroup
from sdg_core.generators.base import Cell, CellFailedError, DeferredCell
from sdg_core.generators.dispatch import PromptedGenerator, cell_generators
from sdg_core.generators.skip import skip_rules
from sdg_core.ledger.journal import Journal
from sdg_core.models.pool import ModelPool
from sdg_core.models.usage import Usage
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.foreign import check_value

if TYPE_CHECKING:
    from sdg_core.generators.models.media import ImageStore
    from sdg_core.models.types import Message

OnPrompt = Callable[[int, str, "tuple[Message, ...]"], None]
"""Told the record, the column, and the messages that a model is sent first."""
OnUsed = Callable[[int, str, str, Usage], None]
"""Told the record, the column, the model alias, and what was used."""


@dataclass(frozen=True)
class FailedRecord:
    """A record that cannot be finished: the column, and why."""

    column: str
    error: CellError


@dataclass(frozen=True)
class MadeRecord:
    """The cells of a record in one phase, by column, and the columns that are skipped in it. rejected: why its candidate is
    rejected; then it has only the cells that were made before that was known."""

    cells: Mapping[str, Any]
    skipped: Collection[str]
    rejected: str | None = None


@dataclass(frozen=True)
class WaitingRecord:
    """A record that cannot be finished yet: replies to these columns come later. What else it has is kept."""

    columns: Collection[str]


class _FailedColumnError(Exception):
    def __init__(self, column: str, error: CellError) -> None:
        super().__init__(column)
        self.column = column
        self.error = error


@dataclass(frozen=True)
class _Step:
    """Columns that are made record by record, with what each of them waits for, and the criterion that is decided then.

    one_by_one: each waits for the one before it, so there is nothing to be done side by side.
    """

    names: tuple[str, ...]
    waits_for: Mapping[str, Sequence[str]]
    one_by_one: bool
    criterion: Criterion | None = None


@dataclass
class _Record:
    """A record while it is made: what it has, what it is skipped in, and which columns wait for a reply, or for such a column."""

    group: OpenGroup
    position: int
    index: int
    values: dict[str, Any]
    skipped: set[str]
    cells: dict[str, Any] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)


class RecordMaker:
    """Makes the cells that are computed record by record.

    columns_read: for each phase the columns that its cells read. calls_out: whether functions or endpoints of the user are
    called, which no model's limit holds back.
    """

    def __init__(
        self,
        plan: DatasetPlan,
        models: ModelPool,
        *,
        images: "ImageStore | None" = None,
        journal: Journal | None = None,
        kept: Collection[str] | None = None,
        on_prompt: OnPrompt | None = None,
        on_used: OnUsed | None = None,
    ) -> None:
        """`images` is where images are stored; without it they stay in their cells. `journal` keeps what models reply, of the
        columns `kept`; default all that models write.

        on_prompt: told of every prompt, before its cell is made. on_used: told what every cell used, failed or not.
        """
        self._on_prompt = on_prompt
        self._on_used = on_used
        self._store = CellStore(plan, journal=journal, kept=kept, images=images)
        self._spending = models.spending
        self._generators = cell_generators(plan, models, images=images)
        self._made_from = {name: _producers(plan, name) for name in self._generators}
        rules = skip_rules(plan)
        self._rules = {
            name: rule for name, rule in rules.items() if name in self._generators
        }
        asking = [
            column for column in plan.config.columns if isinstance(column, ModelColumn)
        ]
        self._aliases = {column.name: column.model_alias for column in asking}
        made = [plan.column(name) for name in self._generators]
        self.calls_out = any(
            isinstance(each, CustomColumn | ValidationColumn) for each in made
        )
        criteria = early_criteria(plan)
        self._phases = [
            _steps(plan, number, criteria) for number in range(plan.graph.phases)
        ]
        self.columns_read = tuple(_columns_read(plan, steps) for steps in self._phases)

    async def make(
        self, group: OpenGroup, position: int
    ) -> MadeRecord | FailedRecord | WaitingRecord:
        """The record's cells of the group's present phase, or why there are none."""
        skipped = group.skipped(position)
        record = _Record(
            group, position, group.index_of(position), group.values(position), skipped
        )
        try:
            for step in self._phases[group.phase]:
                await self._make_cells(step, record)
                if step.criterion is None:
                    continue
                if not record.waiting.isdisjoint(step.criterion.needs):
                    return WaitingRecord(record.waiting)
                reason = await step.criterion.why_not(record.values)
                if reason is not None:
                    return MadeRecord(record.cells, record.skipped, rejected=reason)
        except _FailedColumnError as failed:
            return FailedRecord(failed.column, failed.error)
        if record.waiting:
            return WaitingRecord(record.waiting)
        return MadeRecord(record.cells, record.skipped)

    async def _make_cells(self, step: _Step, record: _Record) -> None:
        if step.one_by_one:
            for name in step.names:
                await self._make_cell(name, record)
        else:
            await self._make_along_graph(step, record)

    async def _make_along_graph(self, step: _Step, record: _Record) -> None:
        tasks: dict[str, asyncio.Task[None]] = {}

        async def when_ready(name: str) -> None:
            for other in step.waits_for[name]:
                await tasks[other]
            await self._make_cell(name, record)

        try:
            async with asyncio.TaskGroup() as running:
                for name in step.names:
                    tasks[name] = running.create_task(when_ready(name))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _make_cell(self, name: str, record: _Record) -> None:
        """Make a cell, unless it is skipped or has to wait. Raises _FailedColumnError."""
        if not record.waiting.isdisjoint(self._made_from[name]):
            record.waiting.add(name)
            return
        rule = self._rules.get(name)
        try:
            if rule is not None and (
                rule.inherits_skip(record.skipped)
                or await rule.holds_in_loop(record.values)
            ):
                record.skipped.update(rule.names)
                made = {**dict.fromkeys(rule.names), name: rule.value}
            else:
                await self._tell_of_prompt(name, record)
                outcome = await self._cell(name, record)
                if isinstance(outcome, DeferredCell):
                    self._spending.account(outcome.usage_by_alias)
                    record.waiting.add(name)
                    return
                self._count(name, outcome.usage, outcome.usage_by_alias, record)
                if not self._store.keeps(name):
                    self._spending.account(outcome.usage_by_alias)
                made = {name: outcome.value, **outcome.side_columns}
        except CellError as error:
            if isinstance(error, CellFailedError):
                self._count(name, error.usage, error.usage_by_alias, record)
                self._spending.account(
                    {**error.usage_by_alias, **self._own(name, error.usage)}
                )
            raise _FailedColumnError(name, error) from error
        record.values.update(made)
        record.cells.update(made)

    async def _tell_of_prompt(self, name: str, record: _Record) -> None:
        generator = self._generators[name]
        if self._on_prompt is not None and isinstance(generator, PromptedGenerator):
            messages = await generator.prompt_in_loop(
                record=record.index, values=record.values
            )
            self._on_prompt(record.index, name, messages)

    async def _cell(self, name: str, record: _Record) -> Cell | DeferredCell:
        """The cell, from the store if it was paid for before; a reply counts only once the store has it."""
        inputs = self._store.mark(name, record.values)
        found = await self._store.look_up(
            record.group.reusable,
            record=record.index,
            column=name,
            values=record.values,
            inputs=inputs,
        )
        if found is not None:
            return record.group.take(found, record.position, name)
        with self._spending.cell():
            return await self._made(name, record, inputs)

    async def _made(
        self, name: str, record: _Record, inputs: str
    ) -> Cell | DeferredCell:
        """The cell, made now and kept in the store."""
        cell = await self._generators[name].generate(
            record=record.index, values=record.values
        )
        if isinstance(cell, DeferredCell):
            return cell
        _check(cell, name)
        if self._store.keeps(name):
            usage_by_alias = {**cell.usage_by_alias, **self._own(name, cell.usage)}
            try:
                kept = self._store.put(
                    cell,
                    record=record.index,
                    column=name,
                    usage_by_alias=usage_by_alias,
                    inputs=inputs,
                )
            except ValueError as error:
                raise _unstorable(cell, str(error)) from None
            self._spending.account(usage_by_alias)
            await kept
            record.group.counted.add((self._store.run_id, name, record.index))
        return cell

    def _own(self, name: str, usage: Usage) -> dict[str, Usage]:
        """A usage as that of the column's own model."""
        return {self._aliases[name]: usage} if usage.requests else {}

    def _count(
        self,
        name: str,
        usage: Usage,
        usage_by_alias: Mapping[str, Usage],
        record: _Record,
    ) -> None:
        """Count what a cell used, for its row group and its row."""
        both = [*usage_by_alias.items()]
        if usage.requests:
            both.insert(0, (self._aliases[name], usage))
        for alias, used in both:
            record.group.add_usage(alias, used, column=name)
            record.group.note_usage(record.position, alias, used)
            if self._on_used is not None:
                self._on_used(record.index, name, alias, used)


def _check(cell: Cell, name: str) -> None:
    """Raise CellFailedError for a value from outside that no row can hold."""
    try:
        check_value(cell.value, where=name)
        for other, value in cell.side_columns.items():
            check_value(value, where=other)
    except ValueError as error:
        raise _unstorable(cell, str(error)) from None


def _unstorable(cell: Cell, reason: str) -> CellFailedError:
    requests = cell.usage.requests + sum(
        usage.requests for usage in cell.usage_by_alias.values()
    )
    said = cell.value if isinstance(cell.value, str) else repr(cell.value)
    return CellFailedError(
        reason,
        kind="malformed",
        attempts=requests,
        usage=cell.usage,
        usage_by_alias=cell.usage_by_alias,
        reply=said,
    )


def _steps(
    plan: DatasetPlan, number: int, criteria: Sequence[Criterion]
) -> list[_Step]:
    """A phase, in the order of work: what each criterion needs that those before it did not, at last everything else."""
    graph = plan.graph
    left = tuple(graph.columns_of(number, per_record=True))
    steps: list[_Step] = []
    for criterion in criteria:
        needed = tuple(name for name in left if name in criterion.needs)
        steps.append(_step(plan, needed, criterion))
        left = tuple(name for name in left if name not in criterion.needs)
    return [*steps, _step(plan, left, None)]


def _columns_read(plan: DatasetPlan, steps: Sequence[_Step]) -> frozenset[str]:
    """The columns that the cells and the criteria of one phase read."""
    read: set[str] = set()
    for step in steps:
        for name in step.names:
            read.update(plan.graph.dependencies[name])
        if step.criterion is not None:
            read.update(step.criterion.reads)
    return frozenset(read)


def _step(
    plan: DatasetPlan, names: tuple[str, ...], criterion: Criterion | None
) -> _Step:
    waits_for = {}
    for name in names:
        waits_for[name] = [other for other in _producers(plan, name) if other in names]
    neighbours = zip(names, names[1:], strict=False)
    one_by_one = all(before in waits_for[name] for before, name in neighbours)
    return _Step(names, waits_for, one_by_one, criterion)


def _producers(plan: DatasetPlan, name: str) -> tuple[str, ...]:
    """The columns whose making gives a column what it reads."""
    graph = plan.graph
    return tuple(
        graph.producers.get(other, other) for other in graph.dependencies[name]
    )
