"""What the remaining records will ask for, judged by a few of them: requests, tokens, money, time.

The sample is spread over the remaining records and made in memory, so that it stands for all of them; it is asked of the
models, and its replies are kept for the run. What each column of it used is scaled to the cells that the column has to make:
cells that a run takes over, from the journal or from earlier versions, cost nothing. They are counted as `sdg plan` counts them.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from sdg_core.dataset.events import Observer
from sdg_core.dataset.handle import Dataset, scan_version
from sdg_core.dataset.resume import choose_version
from sdg_core.execution.dry_run import plan_columns
from sdg_core.execution.open_row_group import expand_to_whole_group
from sdg_core.execution.preview import Sample, make_sample
from sdg_core.ledger.journal import Journal
from sdg_core.models.pool import ModelPool
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.usage import Cost, UsageByModel, add_usage, costs, totals
from sdg_core.seeds.readers import Seeds


@dataclass(frozen=True)
class RemainingWork:
    """What a run would have to do. remaining: records to be made, ascending. to_make: cells, by column that costs something."""

    remaining: Sequence[int]
    to_make: Mapping[str, int]

    @property
    def reused(self) -> int:
        """Cells that are there already."""
        return sum(len(self.remaining) - cells for cells in self.to_make.values())

    @property
    def nothing_to_ask(self) -> bool:
        """Whether every cell that costs something is there."""
        return not self.remaining or (bool(self.to_make) and not any(self.to_make.values()))

    def cells(self, column: str) -> int:
        """How many cells of a column are to be made."""
        return self.to_make.get(column, len(self.remaining))


def remaining_work(dataset: Dataset) -> RemainingWork:
    """What a run would have to do just now. Raises RefusedError, a MetadataError or LedgerError where it could not begin."""
    plan = dataset.plan
    version = choose_version(dataset.layout, plan, mode=plan.config.run.resume)
    work = [expand_to_whole_group(status, plan) for status in scan_version(dataset, version.layout)]
    remaining = [record for status in work for record in status.remaining]
    columns = plan_columns(dataset, version, np.array(remaining, dtype=np.int64)) if remaining else ()
    return RemainingWork(remaining, {column.column: column.to_make for column in columns})


@dataclass(frozen=True)
class Estimate:
    """What is ahead.

    remaining: records to be made. reused: cells of theirs that are there already, in columns that cost something. sampled,
    failed: records tried for this. used: what the sample used now; replayed: replies that an earlier one had asked for. kept:
    whether replies are kept for the run. usage, cost: what the remaining records are expected to use.
    seconds: how long that takes with every allowed request busy.
    simulated: some replies are simulated, so that tokens and time are guesses.
    """

    remaining: int
    sampled: int
    failed: int
    first_failure: str | None
    used: UsageByModel
    usage: UsageByModel
    cost: dict[str, Cost]
    seconds: float
    simulated: bool
    reused: int = 0
    replayed: int = 0
    kept: bool = False

    @property
    def total_cost(self) -> dict[str, float]:
        """The expected cost per currency; empty without prices."""
        return totals(self.cost)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `sdg estimate --json` prints it."""
        return {
            **vars(self),
            "cost": {alias: vars(cost) for alias, cost in self.cost.items()},
            "total_cost": self.total_cost,
            "lacking": self.remaining,  # the name before 0.2
        }


def spread(remaining: Sequence[int], sample: int) -> list[int]:
    """So many of the remaining records, evenly spread."""
    count = min(sample, len(remaining))
    return [remaining[place * len(remaining) // count] for place in range(count)]


async def make_estimate(
    plan: DatasetPlan,
    ahead: RemainingWork,
    *,
    sample: int,
    seeds: Seeds | None,
    models: ModelPool,
    samples: Journal | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_event: Observer = lambda event: None,
) -> Estimate:
    """Make a sample of the remaining records and reckon what all of them will take. Nothing is asked if nothing has to be."""
    remaining = ahead.remaining
    if ahead.nothing_to_ask:
        return Estimate(len(remaining), 0, 0, None, {}, {}, {}, 0.0, plan.simulated, ahead.reused)
    chosen = spread(remaining, sample)
    made = await make_sample(plan, chosen, seeds=seeds, models=models, clock=clock, on_event=on_event, samples=samples)
    group = made.group
    usage = _scaled(made, ahead, sampled=len(chosen))
    first = min(group.every_failure, default=None)
    slots = max(1, min(models.capacity, len(remaining)))
    each = fmean(made.each) / slots * _busy_share(made, ahead) if made.each else 0.0
    return Estimate(
        remaining=len(remaining),
        sampled=len(chosen),
        failed=len(group.every_failure),
        first_failure=f"column {first.column!r}: {first.message}" if first is not None else None,
        used=models.spending.used,
        usage=usage,
        cost=costs(usage, plan.config.model_configs),
        seconds=len(remaining) * (made.together / len(chosen) + each),
        simulated=plan.simulated,
        reused=ahead.reused,
        replayed=group.replayed,
        kept=samples is not None,
    )


def _scaled(made: Sample, ahead: RemainingWork, *, sampled: int) -> UsageByModel:
    """What the sample used, column by column, times the cells to make for each that was tried."""
    usage: UsageByModel = {}
    for column, by_model in made.group.usage_by_column.items():
        if cells := ahead.cells(column):
            more = {
                alias: {name: math.ceil(n * cells / sampled) for name, n in counts.items()}
                for alias, counts in by_model.items()
            }
            usage = add_usage(usage, more)
    return usage


def _busy_share(made: Sample, ahead: RemainingWork) -> float:
    """The part of the sample's time per record that the run will need: by requests, or by cells where no model is asked."""
    asked = {
        column: sum(counts.get("requests", 0) for counts in by_model.values())
        for column, by_model in made.group.usage_by_column.items()
    }
    weights = asked if any(asked.values()) else dict.fromkeys(ahead.to_make, 1)
    full = sum(weights.values()) * len(ahead.remaining)
    return sum(weight * ahead.cells(column) for column, weight in weights.items()) / full if full else 1.0
