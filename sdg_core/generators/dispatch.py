"""From a column's config to what computes it: the one place that knows every kind."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sdg_core.config.columns import ExpressionColumn, LlmTextColumn, SamplerColumn
from sdg_core.generators.base import Cell, Frame, GroupColumn
from sdg_core.generators.expressions import evaluate_cell, evaluate_group
from sdg_core.generators.llm import LlmTextGenerator
from sdg_core.generators.samplers import sample
from sdg_core.models.pool import ModelPool
from sdg_core.plan.compile import DatasetPlan
from sdg_core.plan.rng import RandomSource


class CellGenerator(Protocol):
    """Computes one column record by record."""

    async def generate(self, *, record: int, values: Mapping[str, Any]) -> Cell:
        """The cell of one record, given the columns it reads. Raises CellError."""


class ExpressionGenerator:
    """An expression that reads a model's reply, so it has to wait for its record."""

    def __init__(self, column: ExpressionColumn) -> None:
        self._column = column

    async def generate(self, *, record: int, values: Mapping[str, Any]) -> Cell:
        """The rendered and cast value. Raises CellError."""
        return Cell(evaluate_cell(self._column, values))


def group_column(plan: DatasetPlan, name: str, *, indices: NDArray[np.int64], frame: Frame) -> GroupColumn:
    """A column that needs no model, for many records at once."""
    match column := plan.column(name):
        case SamplerColumn():
            series = sample(column, indices=indices, frame=frame, random=RandomSource(plan.config.seed))
            return GroupColumn(series, {})
        case ExpressionColumn():
            return evaluate_group(column, frame=frame, length=len(indices))
        case _:
            raise TypeError(f"column {name!r} ({type(column).__name__}) is not computed per row group")


def cell_generators(plan: DatasetPlan, models: ModelPool) -> dict[str, CellGenerator]:
    """A generator for each column that is computed record by record, in computable order."""
    return {name: _cell_generator(plan, name, models) for name in plan.graph.order if name in plan.graph.per_record}


def _cell_generator(plan: DatasetPlan, name: str, models: ModelPool) -> CellGenerator:
    match column := plan.column(name):
        case ExpressionColumn():
            return ExpressionGenerator(column)
        case LlmTextColumn():
            model, provider = plan.models[column.model_alias]
            random = RandomSource(plan.config.seed) if provider.provider_type == "simulated" else None
            return LlmTextGenerator(column, model=model, endpoint=models[column.model_alias], random=random)
        case _:
            raise TypeError(f"column {name!r} ({type(column).__name__}) is not computed per record")
