"""Which of the remaining records skip a column, as far as that can be told without asking a model or calling a function.

Samplers, seed data and expressions are computed as a run computes them, so the answer is exact for every record that is looked
at. Where a condition reads what models or functions make, nothing is known. Pure but for reading seed data.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sdg_core.config.columns import CustomColumn, SkippableColumn, ValidationColumn
from sdg_core.generators.single_precision import python_values
from sdg_core.generators.skip import SkipRule, skip_flags, skip_rules
from sdg_core.generators.whole_group import GroupPhases, Rows
from sdg_core.models.pool import ModelPool
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.templates.engine import template_references
from sdg_core.seeds.readers import Seeds

MAX_RECORDS = 10_000
"""Records that are looked at; a share of so many is known to a hundredth."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class PredictedSkips:
    """Of the records that were looked at, those that skip a column. seconds: what computing a record took, once everything is
    loaded; None if that was not measured."""

    records: Sequence[int] = ()
    skipped: Mapping[str, Mask] = field(default_factory=dict)
    seconds: float | None = None

    def share_made(self, column: str) -> float | None:
        """The share of records that do not skip a column; None if that is not known."""
        mask = self.skipped.get(column)
        return None if mask is None else 1.0 - float(mask.mean())

    def makers(self, column: str) -> list[int]:
        """The records that do not skip a column."""
        return [
            self.records[place]
            for place in np.flatnonzero(~self.skipped[column]).tolist()
        ]


def can_predict_skips(plan: DatasetPlan) -> bool:
    """Whether the columns that need no record of their own are samplers, seed data and expressions only."""
    columns = [plan.column(name) for name in plan.graph.columns_of(0, per_record=False)]
    return not any(
        isinstance(column, CustomColumn | ValidationColumn) for column in columns
    )


def predict_skips(
    plan: DatasetPlan,
    records: Sequence[int],
    *,
    seeds: Seeds | None,
    models: ModelPool,
    loop: asyncio.AbstractEventLoop,
    clock: Callable[[], float] = time.monotonic,
) -> PredictedSkips:
    """Predict which of some records, ascending, skip a column. Called in a thread. Raises SeedError."""
    if not can_predict_skips(plan) or not records:
        return PredictedSkips()
    phases = GroupPhases(plan, models, loop=loop)

    def computed(chosen: Sequence[int]) -> Rows:
        indices = np.array(chosen, dtype=np.int64)
        from_seeds = seeds.read(indices).to_dict() if seeds is not None else {}
        rows = phases.begin(indices, from_seeds)
        phases.compute(0, rows)
        return rows

    rules = {
        name: rule
        for name, rule in skip_rules(plan).items()
        if name in plan.graph.per_record
    }
    step = max(1, len(records) // 1_000)
    a_few = records[::step][:1_000]
    rows = computed(records if rules else a_few)
    began = clock()
    computed(a_few)
    seconds = (clock() - began) / len(a_few)
    return PredictedSkips(records, _known_skips(plan, rules, rows), seconds)


def _known_skips(
    plan: DatasetPlan, rules: Mapping[str, SkipRule], rows: Rows
) -> dict[str, Mask]:
    """The rules whose outcome follows from what is computed, in computable order."""
    values = {name: python_values(series) for name, series in rows.frame.items()}
    known: dict[str, Mask] = dict(rows.skipped)
    found: dict[str, Mask] = {}
    for name, rule in rules.items():
        reads = _reads(plan, name)
        if not reads <= values.keys() or not rule.skip_sources <= known.keys():
            continue
        inputs = []
        for place in range(len(rows.indices)):
            read_values = {read: values[read][place] for read in reads}
            skipped = {other for other in rule.skip_sources if known[other][place]}
            inputs.append((read_values, skipped))
        mask = np.array(skip_flags(rule, inputs)[0], dtype=bool)
        found[name] = mask
        known |= dict.fromkeys(rule.names, mask)
    return found


def _reads(plan: DatasetPlan, name: str) -> frozenset[str]:
    column = plan.column(name)
    if not isinstance(column, SkippableColumn) or column.skip is None:
        return frozenset()
    return template_references(column.skip.when)
