"""The cells of one record, made along the column graph: each as soon as the columns that it reads are there."""

import asyncio
from dataclasses import dataclass
from typing import Any

from sdg_core.config.columns import LlmTextColumn
from sdg_core.errors import CellError
from sdg_core.execution.group import OpenGroup
from sdg_core.generators.base import FailedCellError
from sdg_core.generators.dispatch import cell_generators
from sdg_core.models.pool import ModelPool
from sdg_core.models.types import Usage
from sdg_core.plan.compile import DatasetPlan
from sdg_core.store.failures import Failure


@dataclass(frozen=True)
class FailedRecord:
    """A record that cannot be finished."""

    failure: Failure


class _FailedColumnError(Exception):
    def __init__(self, column: str, error: CellError) -> None:
        super().__init__(column)
        self.column, self.error = column, error


class RecordMaker:
    """Makes the cells that are computed record by record."""

    def __init__(self, plan: DatasetPlan, models: ModelPool) -> None:
        self._generators = cell_generators(plan, models)
        self._reads = {
            name: [other for other in plan.graph.dependencies[name] if other in self._generators]
            for name in self._generators
        }
        self._aliases = {c.name: c.model_alias for c in plan.config.columns if isinstance(c, LlmTextColumn)}
        names = list(self._generators)
        self._one_by_one = all(before in self._reads[name] for before, name in zip(names, names[1:], strict=False))
        self.columns_read = frozenset(other for name in self._generators for other in plan.graph.dependencies[name])

    async def make(self, group: OpenGroup, position: int) -> dict[str, Any] | FailedRecord:
        """The record's cells by column, or why it failed."""
        values = group.values(position)
        record = int(group.indices[position])
        cells: dict[str, Any] = {}
        try:
            if self._one_by_one:
                for name in self._generators:
                    await self._make_cell(name, record=record, values=values, cells=cells, group=group)
            else:
                await self._make_along_graph(record=record, values=values, cells=cells, group=group)
        except _FailedColumnError as failed:
            return FailedRecord(_failure(record, failed))
        return cells

    async def _make_along_graph(
        self, *, record: int, values: dict[str, Any], cells: dict[str, Any], group: OpenGroup
    ) -> None:
        tasks: dict[str, asyncio.Task[None]] = {}

        async def when_ready(name: str) -> None:
            for other in self._reads[name]:
                await tasks[other]
            await self._make_cell(name, record=record, values=values, cells=cells, group=group)

        try:
            async with asyncio.TaskGroup() as running:
                for name in self._generators:
                    tasks[name] = running.create_task(when_ready(name))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _make_cell(
        self, name: str, *, record: int, values: dict[str, Any], cells: dict[str, Any], group: OpenGroup
    ) -> None:
        try:
            cell = await self._generators[name].generate(record=record, values=values)
        except CellError as error:
            self._count(name, error.usage if isinstance(error, FailedCellError) else Usage(), group)
            raise _FailedColumnError(name, error) from error
        self._count(name, cell.usage, group)
        values[name] = cells[name] = cell.value

    def _count(self, name: str, usage: Usage, group: OpenGroup) -> None:
        if usage.requests:
            group.add_usage(self._aliases[name], usage)


def _failure(record: int, failed: _FailedColumnError) -> Failure:
    error = failed.error
    if isinstance(error, FailedCellError):
        return Failure(record, failed.column, error.kind, error.message, error.attempts)
    return Failure(record, failed.column, "expression", error.message, 0)
