"""What the remaining records will ask for, judged by a few of them: requests, tokens, money, time.

The sample is spread over the remaining records and made in memory, so that it stands for all of them; it is asked of the
models, and its replies are kept for the run. What each column of it used is scaled to the cells that the column has to make:
cells that a run takes over, from the journal or from earlier versions, cost nothing, and are counted as `sdg plan` counts them.
Cells that are skipped cost nothing either, as far as that can be told beforehand.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from sdg_core.dataset.events import Observer
from sdg_core.dataset.handle import Dataset, scan_version
from sdg_core.dataset.resume import choose_version
from sdg_core.execution.dry_run import plan_columns
from sdg_core.execution.extrapolation import scaled
from sdg_core.execution.make_sample import Sample, make_sample
from sdg_core.execution.open_row_group import expand_to_whole_group
from sdg_core.execution.predicted_skips import (
    MAX_RECORDS,
    PredictedSkips,
    predict_skips,
)
from sdg_core.ledger.journal import Journal
from sdg_core.models.pool import ModelPool
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.usage import Cost, UsageByModel, costs, totals
from sdg_core.seeds.readers import Seeds
from sdg_core.store.layout import VersionLayout


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
        if not self.remaining:
            return True
        return bool(self.to_make) and not any(self.to_make.values())

    def cells(self, column: str) -> int:
        """How many cells of a column are to be made."""
        return self.to_make.get(column, len(self.remaining))


def remaining_work(dataset: Dataset) -> tuple[VersionLayout, RemainingWork]:
    """What a run would have to do just now, and in which version.

    Raises RefusedError, a MetadataError or LedgerError where it could not begin."""
    plan = dataset.plan
    version = choose_version(dataset.layout, plan, mode=plan.config.run.resume)
    work = [
        expand_to_whole_group(status, plan)
        for status in scan_version(dataset, version.layout)
    ]
    remaining: list[int] = []
    for status in work:
        remaining += status.remaining
    to_make: dict[str, int] = {}
    if remaining:
        for column in plan_columns(
            dataset, version, np.array(remaining, dtype=np.int64)
        ):
            to_make[column.column] = column.to_make
    return version.layout, RemainingWork(remaining, to_make)


@dataclass(frozen=True)
class Estimate:
    """The expected remaining work.

    remaining: records to generate. reused: their existing cells in columns that cost money. sampled, failed: records
    tried for the estimate. used: usage of this sample; replayed: replies reused from an earlier sample. kept: whether
    replies are kept for the run. usage, cost: expected for the remaining records. low, high: bounds of a 90%
    interval, as far as a small sample allows. skipped: cells that will be skipped, in columns whose conditions are
    known in advance.
    seconds: expected duration at full concurrency.
    simulated: some replies are simulated, so tokens and time are guesses.
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
    low: UsageByModel = field(default_factory=dict)
    high: UsageByModel = field(default_factory=dict)
    cost_range: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def total_cost(self) -> dict[str, float]:
        """The expected cost per currency; empty without prices."""
        return totals(self.cost)

    def kept_facts(self) -> dict[str, Any]:
        """The values that are later compared with the run."""
        names = (
            "remaining",
            "usage",
            "low",
            "high",
            "total_cost",
            "cost_range",
            "seconds",
            "simulated",
        )
        return {name: self.to_dict()[name] for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `sdg estimate --json` prints it."""
        cost = {alias: vars(cost) for alias, cost in self.cost.items()}
        cost_range = {
            currency: list(ends) for currency, ends in self.cost_range.items()
        }
        return {
            **vars(self),
            "cost": cost,
            "total_cost": self.total_cost,
            "cost_range": cost_range,
            "lacking": self.remaining,  # the name before 0.2
        }


def spread(remaining: Sequence[int], sample: int) -> list[int]:
    """So many of the remaining records, evenly spread."""
    count = min(sample, len(remaining))
    return [remaining[place * len(remaining) // count] for place in range(count)]


def chosen_sample(
    remaining: Sequence[int],
    skips: PredictedSkips,
    *,
    sample: int,
    columns: Iterable[str],
) -> list[int]:
    """The records to try: evenly spread, and for each of these columns that all of those skip, one that does not."""
    chosen = spread(remaining, sample)
    for column in columns:
        makers = skips.makers(column) if skips.share_made(column) else []
        if makers and not set(makers) & set(chosen):
            chosen.append(makers[len(makers) // 2])
    return sorted(chosen)


async def make_estimate(
    plan: DatasetPlan,
    backlog: RemainingWork,
    *,
    sample: int,
    seeds: Seeds | None,
    models: ModelPool,
    samples: Journal | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_event: Observer = lambda event: None,
) -> Estimate:
    """Make a sample of the remaining records and reckon what all of them will take. Nothing is asked if nothing has to be."""
    remaining = backlog.remaining
    if backlog.nothing_to_ask:
        return Estimate(
            len(remaining), 0, 0, None, {}, {}, {}, 0.0, plan.simulated, backlog.reused
        )
    looked_at = sorted({*spread(remaining, MAX_RECORDS), *spread(remaining, sample)})
    loop = asyncio.get_running_loop()
    skips = await asyncio.to_thread(
        predict_skips,
        plan,
        looked_at,
        seeds=seeds,
        models=models,
        loop=loop,
        clock=clock,
    )
    chosen = chosen_sample(remaining, skips, sample=sample, columns=backlog.to_make)
    made = await make_sample(
        plan,
        chosen,
        seeds=seeds,
        models=models,
        clock=clock,
        on_event=on_event,
        samples=samples,
    )
    group = made.group
    work = {column: _cells(backlog, skips, column) for column in made.used}
    expected = scaled(made.used, work, skips, chosen=chosen)
    first = min(group.every_failure, default=None)
    first_failure = None
    if first is not None:
        first_failure = f"column {first.column!r}: {first.message}"
    prices = plan.config.model_configs
    lowest = totals(costs(expected.low, prices))
    highest = totals(costs(expected.high, prices))
    cost_range = {
        name: (lowest.get(name, 0.0), amount) for name, amount in highest.items()
    }
    return Estimate(
        remaining=len(remaining),
        sampled=len(chosen),
        failed=len(group.every_failure),
        first_failure=first_failure,
        used=models.spending.used,
        usage=expected.usage,
        cost=costs(expected.usage, prices),
        seconds=_seconds(
            made, backlog, skips, work, sampled=len(chosen), capacity=models.capacity
        ),
        simulated=plan.simulated,
        reused=backlog.reused,
        replayed=group.replayed,
        kept=samples is not None,
        low=expected.low,
        high=expected.high,
        cost_range=cost_range,
        skipped=_skipped(backlog, skips),
    )


def _cells(backlog: RemainingWork, skips: PredictedSkips, column: str) -> int:
    """How many cells of a column a run will make: those that are not there, less those that will be skipped."""
    to_make = backlog.cells(column)
    share = skips.share_made(column)
    if share is None:
        return to_make
    reused = len(backlog.remaining) - to_make
    not_skipped = round(share * len(backlog.remaining))
    return max(0, min(to_make, not_skipped - reused))


def _skipped(backlog: RemainingWork, skips: PredictedSkips) -> dict[str, int]:
    skipped = {}
    for column in backlog.to_make:
        count = backlog.cells(column) - _cells(backlog, skips, column)
        if count:
            skipped[column] = count
    return skipped


def _seconds(
    made: Sample,
    backlog: RemainingWork,
    skips: PredictedSkips,
    work: Mapping[str, int],
    *,
    sampled: int,
    capacity: int,
) -> float:
    """How long the remaining records take: what is computed for all at once, and requests with every slot busy.

    Loading libraries and name lists happens once, so the first look is no measure of what a record takes.
    """
    records = len(backlog.remaining)
    computed = skips.seconds
    if computed is None:
        computed = made.group_seconds / sampled
    slots = max(1, min(capacity, records))
    requested = 0.0
    if made.per_record_seconds:
        busy = _busy_share(made, backlog, work, sampled=sampled)
        requested = fmean(made.per_record_seconds) / slots * busy
    return records * (computed + requested)


def _requests_of(used: Iterable[UsageByModel]) -> int:
    requests = 0
    for usage in used:
        for counts in usage.values():
            requests += counts.get("requests", 0)
    return requests


def _busy_share(
    made: Sample, backlog: RemainingWork, work: Mapping[str, int], *, sampled: int
) -> float:
    """The part of the sample's time per record that the run will need: by requests, or by cells where no model is asked."""
    asked = {
        column: _requests_of(by_record.values())
        for column, by_record in made.used.items()
    }
    if any(asked.values()):
        to_come = 0.0
        for column, cells in work.items():
            per_cell = asked[column] / max(1, len(made.used[column]))
            to_come += per_cell * cells
        per_record = sum(asked.values()) / sampled
        return to_come / (per_record * len(backlog.remaining))
    full = len(backlog.to_make) * len(backlog.remaining)
    return sum(backlog.to_make.values()) / full if full else 1.0
