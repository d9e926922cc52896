"""The samplers of one row group while they are drawn: what one leaves for another."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sdg_core.config.columns import ExpressionColumn, SamplerColumn
from sdg_core.generators.base import Frame, GroupColumn
from sdg_core.generators.expressions import evaluate_group
from sdg_core.generators.samplers.sampler import sample
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.kinds import resizes
from sdg_core.plan.sampling.constraint_groups import (
    ConstraintGroup,
    describe_constraint,
)
from sdg_core.plan.sampling.rng import RandomSource
from sdg_core.seeds.readers import Seeds

if TYPE_CHECKING:
    from sdg_core.generators.samplers.rejection import RejectionStats


class GroupSampler:
    """Draws samplers in computable order; those that a constraint ties together are drawn with the first of them.

    Exact times are kept for the samplers that count from them, unless the rows may change in between: then their text is read.
    """

    def __init__(self, plan: DatasetPlan) -> None:
        self._plan = plan
        self._random = RandomSource(plan.config.seed)
        self._keeps = not any(resizes(column) for column in plan.config.columns)
        self._unformatted: dict[str, pl.Series] = {}
        self._ahead: dict[str, GroupColumn] = {}

    def column(
        self, column: SamplerColumn, *, indices: NDArray[np.int64], frame: Frame
    ) -> GroupColumn:
        """The sampler's values for the records `indices`; `frame` holds what it reads. Raises ConstraintError."""
        constraint_groups = [
            group
            for group in self._plan.graph.constraint_groups
            if column.name in group.samplers
        ]
        if not constraint_groups:
            drawn = sample(
                column,
                indices=indices,
                frame=frame,
                random=self._random,
                unformatted=self._unformatted,
            )
        else:
            if column.name not in self._ahead:
                columns, _ = self.constraint_group(
                    constraint_groups[0], indices=indices, frame=frame
                )
                self._ahead.update(columns)
            drawn = self._ahead.pop(column.name)
        if (
            self._keeps
            and drawn.unformatted is not None
            and drawn.unformatted.dtype.is_temporal()
        ):
            self._unformatted[column.name] = drawn.unformatted
        return drawn

    def constraint_group(
        self, group: ConstraintGroup, *, indices: NDArray[np.int64], frame: Frame
    ) -> tuple[dict[str, GroupColumn], "RejectionStats"]:
        """All samplers of a group, and how many draws that took. Raises ConstraintError."""
        from sdg_core.generators.samplers.rejection import draw_constraint_group

        return draw_constraint_group(
            group,
            indices=indices,
            frame=frame,
            unformatted=self._unformatted,
            draw_step=self._again,
        )

    def _again(
        self,
        name: str,
        *,
        indices: NDArray[np.int64],
        frame: Frame,
        unformatted: Frame,
        attempts: NDArray[np.int64],
    ) -> GroupColumn:
        match column := self._plan.column(name):
            case SamplerColumn():
                random = replace(self._random, attempts=attempts)
                return sample(
                    column,
                    indices=indices,
                    frame=frame,
                    random=random,
                    unformatted=unformatted,
                )
            case ExpressionColumn():
                return evaluate_group(column, frame=frame, length=len(indices))
            case _:
                raise TypeError(
                    f"column {name!r} ({type(column).__name__}) cannot be drawn again"
                )


@dataclass(frozen=True)
class Acceptance:
    """Acceptance of constraints that share samplers: the share of draws that satisfied all of them, and the number of
    records that no draw satisfied (or that failed for another reason)."""

    constraints: tuple[str, ...]
    rate: float
    records: int
    failing: int


def measure_acceptance(
    plan: DatasetPlan, seeds: Seeds | None, *, most: int = 2000
) -> tuple[Acceptance, ...]:
    """Draw the first records (at most `most`) of what constraints tie together; models and functions are not called.

    Raises ConstraintError for constraints that no draw satisfies.
    """
    indices = np.arange(min(plan.num_records, most))
    if not plan.graph.constraint_groups:
        return ()
    frame: dict[str, pl.Series] = (
        seeds.read(indices).to_dict() if seeds is not None else {}
    )
    sampler = GroupSampler(plan)
    found = list[Acceptance]()
    wanted = {name for group in plan.graph.constraint_groups for name in group.inputs}
    # inputs that are no seed columns: expressions of seed columns
    for name in plan.graph.order:
        column = plan.column(name)
        if name not in wanted or not isinstance(column, ExpressionColumn):
            continue
        if set(plan.graph.dependencies[name]) <= set(frame):
            frame[name] = evaluate_group(
                column, frame=frame, length=len(indices)
            ).values
    for group in plan.graph.constraint_groups:
        if set(group.inputs) <= set(frame):
            columns, stats = sampler.constraint_group(
                group, indices=indices, frame=frame
            )
            failing: set[int] = set()
            for made in columns.values():
                failing.update(made.failed)
            what = tuple(map(describe_constraint, group.constraints))
            found.append(Acceptance(what, stats.rate, len(indices), len(failing)))
    return tuple(found)
