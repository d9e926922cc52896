"""From a column's config to what computes it: the one place that knows every kind."""

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol, assert_never, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sdg_core.config.columns import (
    CustomColumn,
    ExpressionColumn,
    ModelColumn,
    SamplerColumn,
    SeedColumn,
    ValidationColumn,
)
from sdg_core.generators.base import Cell, DeferredCell, Frame, GroupColumn
from sdg_core.generators.expressions import (
    Chooser,
    evaluate_cell_in_loop,
    evaluate_group,
)
from sdg_core.generators.samplers.group_sampler import GroupSampler
from sdg_core.models.pool import ModelPool
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.sampling.rng import RandomSource

if TYPE_CHECKING:
    from sdg_core.generators.models.media import ImageStore
    from sdg_core.models.types import Message

CUSTOM_THREADS = 32
"""Functions of the user that are not async and run at once; they start as they are needed."""


class CellGenerator(Protocol):
    """Computes one column record by record."""

    async def generate(
        self, *, record: int, values: Mapping[str, Any]
    ) -> Cell | DeferredCell:
        """The cell of one record, given the columns it reads. Raises CellError."""


@runtime_checkable
class PromptedGenerator(Protocol):
    """A generator that sends a model a prompt."""

    def prompt(
        self, *, record: int, values: Mapping[str, Any]
    ) -> "tuple[Message, ...]":
        """The messages that open the conversation about a record. Raises CellError."""

    async def prompt_in_loop(
        self, *, record: int, values: Mapping[str, Any]
    ) -> "tuple[Message, ...]":
        """`prompt` for an event loop, which goes on while a large template is rendered."""


class ExpressionGenerator:
    """An expression that reads a model's reply, so it has to wait for its record."""

    def __init__(self, column: ExpressionColumn, random: RandomSource) -> None:
        self._column = column
        self._random = random

    async def generate(self, *, record: int, values: Mapping[str, Any]) -> Cell:
        """The rendered and cast value. Raises CellError."""
        return Cell(
            await evaluate_cell_in_loop(
                self._column, values, chooser=Chooser(self._random, [record])
            )
        )


def group_column(
    plan: DatasetPlan,
    name: str,
    *,
    indices: NDArray[np.int64],
    frame: Frame,
    sampler: GroupSampler,
) -> GroupColumn:
    """A column that needs no model, for many records at once. `sampler` belongs to these records."""
    match column := plan.column(name):
        case SamplerColumn():
            return sampler.column(column, indices=indices, frame=frame)
        case ExpressionColumn():
            chooser = Chooser(RandomSource(plan.config.seed), indices.tolist())
            return evaluate_group(
                column, frame=frame, length=len(indices), chooser=chooser
            )
        case ValidationColumn():
            from sdg_core.generators.validation import validate_group

            return validate_group(plan, column, frame=frame, length=len(indices))
        case ModelColumn() | CustomColumn() | SeedColumn():
            raise TypeError(
                f"column {name!r} ({type(column).__name__}) is not computed per row group"
            )
        case _:
            assert_never(column)


def cell_generators(
    plan: DatasetPlan, models: ModelPool, *, images: "ImageStore | None" = None
) -> dict[str, CellGenerator]:
    """A generator for each column that is computed record by record, in computable order.

    images: where images are stored; without it they stay in their cells.
    """
    threads = ThreadPoolExecutor(CUSTOM_THREADS, thread_name_prefix="sdg-custom")
    names = [name for name in plan.graph.order if name in plan.graph.per_record]
    return {
        name: _cell_generator(plan, name, models=models, images=images, threads=threads)
        for name in names
    }


def _cell_generator(
    plan: DatasetPlan,
    name: str,
    *,
    models: ModelPool,
    images: "ImageStore | None",
    threads: Executor,
) -> CellGenerator:
    match column := plan.column(name):
        case ExpressionColumn():
            return ExpressionGenerator(column, RandomSource(plan.config.seed))
        case ModelColumn():
            from sdg_core.generators.models.dispatch import model_generator

            return model_generator(plan, column, models=models, images=images)
        case CustomColumn():
            from sdg_core.generators.custom.columns import CustomGenerator

            return CustomGenerator(plan, column, models=models, threads=threads)
        case ValidationColumn():
            from sdg_core.generators.validation import ValidationGenerator

            return ValidationGenerator(plan, column)
        case SamplerColumn() | SeedColumn():
            raise TypeError(
                f"column {name!r} ({type(column).__name__}) is not computed per record"
            )
        case _:
            assert_never(column)
