"""The columns of a row group that are computed for all its records at once, phase by phase.

A record that fails in one column keeps its place, with nulls, until the row group is written without it; functions and validators
do not see it. A skipped cell is not computed. Where a function changes the rows, a row is no longer a record: then one failure
before or after means that the row group has no rows at all.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sdg_core.config.columns import CustomColumn, ValidationColumn
from sdg_core.generators.base import GroupColumn
from sdg_core.generators.custom.columns import (
    RECORD_INDEX,
    call_whole_column,
    typed_series,
)
from sdg_core.generators.dispatch import group_column
from sdg_core.generators.samplers.group_sampler import GroupSampler
from sdg_core.generators.single_precision import python_values
from sdg_core.generators.skip import SkipRule, skip_flags, skip_rules
from sdg_core.models.pool import ModelPool
from sdg_core.models.usage import Usage
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.kinds import resizes, side_effects_of
from sdg_core.store.failures import FailureKind

if TYPE_CHECKING:
    from sdg_core.generators.custom.models import CustomFunctionModels

Mask = NDArray[np.bool_]
STRIDE = 1 << 20
"""Rows that a resized row group may have per record of its own before the random words of two row groups meet."""


@dataclass(frozen=True)
class Fault:
    """Why a row has no value in a column."""

    column: str
    kind: FailureKind
    message: str
    attempts: int = 0
    reply: str | None = None
    finish_reason: str | None = None


@dataclass
class Rows:
    """Rows as far as they are computed: one per record, until a function changes that (`resized`).

    indices: the record of each row, or, once resized, a number that no other row of the dataset has.
    skipped: per column the rows in which it was skipped. faults: by row. usage_by_column: of models, by column and alias.
    """

    indices: NDArray[np.int64]
    sampler: GroupSampler
    frame: dict[str, pl.Series] = field(default_factory=dict)
    skipped: dict[str, Mask] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    usage_by_column: dict[tuple[str, str], Usage] = field(default_factory=dict)
    resized: bool = False

    def fail(self, row: int, fault: Fault) -> None:
        """A row has failed; its first failure is the one that counts."""
        self.faults.setdefault(row, fault)

    def skipped_in(self, row: int) -> set[str]:
        """The columns skipped in a row."""
        return {name for name, mask in self.skipped.items() if mask[row]}

    def alive(self) -> Mask:
        """The rows that have not failed."""
        mask = np.ones(len(self.indices), dtype=bool)
        mask[list(self.faults)] = False
        return mask


class GroupPhases:
    """Computes columns of row groups. Called in a thread; `loop` is where functions' requests to models are made."""

    def __init__(
        self, plan: DatasetPlan, models: ModelPool, *, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._plan = plan
        self.models = models
        self._loop = loop
        self._rules = skip_rules(plan)

    def begin(self, indices: NDArray[np.int64], seeds: Mapping[str, pl.Series]) -> Rows:
        """The rows of some records of one row group, with nothing but their seed columns."""
        return Rows(indices, GroupSampler(self._plan), dict(seeds))

    def compute(self, phase: int, rows: Rows) -> None:
        """Add the columns of one phase that need no record of their own. Raises FunctionError, SeedError.

        Where a function changes the rows and some row has failed, the rest is left out: there will be no rows.
        """
        for name in self._plan.graph.columns_of(phase, per_record=False):
            column = self._plan.column(name)
            if resizes(column):
                assert isinstance(column, CustomColumn)
                if rows.faults:
                    return
                self._resize(column, rows)
            elif name in self._rules or isinstance(
                column, CustomColumn | ValidationColumn
            ):
                self._compute_some(name, rows)
            else:
                every = np.ones(len(rows.indices), dtype=bool)
                self._keep(name, self._made(name, rows, every), rows)

    def _compute_some(self, name: str, rows: Rows) -> None:
        """A column that is not computed for rows that have failed or skip it."""
        todo = rows.alive()
        rule = self._rules.get(name)
        skipped: Mask | None = None
        if rule is not None:
            skipped = self._skipped(name, rule, rows, todo)
            todo &= rows.alive() & ~skipped
        made = self._made(name, rows, todo) if todo.any() else self._nothing(name)
        if not todo.all():
            made = _spread(made, todo)
        if rule is not None and skipped is not None and skipped.any():
            if rule.value is not None:
                value = pl.lit(rule.value, dtype=made.values.dtype)
                filled = pl.when(pl.Series(skipped)).then(value).otherwise(made.values)
                made = GroupColumn(
                    pl.select(filled).to_series().alias(name),
                    made.failed,
                    kind=made.kind,
                    side_columns=made.side_columns,
                    usage_by_alias=made.usage_by_alias,
                )
            rows.skipped.update(dict.fromkeys(rule.names, skipped))
        self._keep(name, made, rows)

    def _skipped(self, name: str, rule: SkipRule, rows: Rows, todo: Mask) -> Mask:
        """Which of the rows `todo` skip the column; rows whose condition cannot be evaluated fail."""
        places = np.flatnonzero(todo)
        condition_names = rule.when.names if rule.when is not None else ()
        names = [other for other in condition_names if other in rows.frame]
        columns = [python_values(rows.frame[other].gather(places)) for other in names]
        reaching = {
            other: mask
            for other, mask in rows.skipped.items()
            if other in rule.skip_sources
        }
        inputs = []
        for at, place in enumerate(places):
            values = {
                other: column[at] for other, column in zip(names, columns, strict=True)
            }
            reached = {other for other, mask in reaching.items() if mask[place]}
            inputs.append((values, reached))
        flags, failed = skip_flags(rule, inputs)
        for position, message in failed.items():
            rows.fail(int(places[position]), Fault(name, "expression", message))
        mask = np.zeros(len(todo), dtype=bool)
        mask[places[flags]] = True
        return mask

    def _made(self, name: str, rows: Rows, todo: Mask) -> GroupColumn:
        """The column over the rows `todo`, as many values as there are of those."""
        column = self._plan.column(name)
        every = bool(todo.all())
        indices = rows.indices if every else rows.indices[todo]
        frame = rows.frame
        if not every:
            mask = pl.Series(todo)
            read = [
                other
                for other in self._plan.graph.dependencies[name]
                if other in rows.frame
            ]
            frame = {other: rows.frame[other].filter(mask) for other in read}
        if isinstance(column, CustomColumn):
            return self._whole_column(column, frame, indices)
        return group_column(
            self._plan, name, indices=indices, frame=frame, sampler=rows.sampler
        )

    def _whole_column(
        self,
        column: CustomColumn,
        frame: dict[str, pl.Series],
        indices: NDArray[np.int64],
    ) -> GroupColumn:
        given = [frame[name].alias(name) for name in column.required_columns or ()]
        asked = self._asked(column, indices)
        table = pl.DataFrame(given or [pl.Series(RECORD_INDEX, indices)])
        made = call_whole_column(self._plan, column, table, models=asked)
        side_columns = {name: made[name] for name in side_effects_of(column)}
        return GroupColumn(
            made[column.name],
            {},
            kind="custom",
            side_columns=side_columns,
            usage_by_alias=asked.usage_by_alias,
        )

    def _resize(self, column: CustomColumn, rows: Rows) -> None:
        given = [series.alias(name) for name, series in rows.frame.items()]
        table = pl.DataFrame(given or [pl.Series(RECORD_INDEX, rows.indices)])
        asked = self._asked(column, rows.indices)
        made = call_whole_column(
            self._plan, column, table, models=asked, carried=list(rows.frame)
        )
        first = int(rows.indices[0]) if len(rows.indices) else 0
        first = first if rows.resized else first * STRIDE
        rows.frame = made.to_dict()
        rows.indices = first + np.arange(made.height, dtype=np.int64)
        rows.skipped = {}
        rows.resized = True
        self._count(column.name, asked.usage_by_alias, rows)

    def _asked(
        self, column: CustomColumn, indices: NDArray[np.int64]
    ) -> "CustomFunctionModels":
        from sdg_core.generators.custom.models import CustomFunctionModels

        record = int(indices[0]) if len(indices) else 0
        return CustomFunctionModels(
            self._plan, column, self.models, record=record, loop=self._loop
        )

    def _nothing(self, name: str) -> GroupColumn:
        side_columns = {
            other: self._empty(other)
            for other in side_effects_of(self._plan.column(name))
        }
        return GroupColumn(self._empty(name), {}, side_columns=side_columns)

    def _empty(self, name: str) -> pl.Series:
        return typed_series(name, [], self._plan.schema.field(name).type)

    def _keep(self, name: str, made: GroupColumn, rows: Rows) -> None:
        rows.frame[name] = made.values
        rows.frame.update(made.side_columns)
        for row, message in made.failed.items():
            rows.fail(row, Fault(name, made.kind, message))
        self._count(name, made.usage_by_alias, rows)

    def _count(
        self, name: str, usage_by_alias: Mapping[str, Usage], rows: Rows
    ) -> None:
        for alias, usage in usage_by_alias.items():
            rows.usage_by_column[name, alias] = (
                rows.usage_by_column.get((name, alias), Usage()) + usage
            )


def _spread(made: GroupColumn, todo: Mask) -> GroupColumn:
    """Values of some rows at their places among all; the others are null."""
    places = np.flatnonzero(todo)
    order = np.full(len(todo), -1, dtype=np.int64)
    order[places] = np.arange(len(places))
    index = pl.Series(order)
    index = index.set(index < 0, None)

    def spread(series: pl.Series) -> pl.Series:
        if not len(series):
            return pl.Series(series.name, [None] * len(todo), dtype=series.dtype)
        return series.gather(index)

    side_columns = {name: spread(series) for name, series in made.side_columns.items()}
    failed = {
        int(places[position]): message for position, message in made.failed.items()
    }
    return GroupColumn(
        spread(made.values),
        failed,
        kind=made.kind,
        side_columns=side_columns,
        usage_by_alias=made.usage_by_alias,
    )
