"""What the records that are lacking will ask for, judged by a few of them: requests, tokens, money, time.

The sample is spread over the lacking records and made in memory, so that it says something about all of them; it is asked of the
models and not kept.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sdg_core.execution.preview import make_sample
from sdg_core.models.pool import ModelPool
from sdg_core.plan.compile import DatasetPlan
from sdg_core.plan.prices import Cost, costs, totals
from sdg_core.seeds.readers import Seeds
from sdg_core.store.metadata import UsageByModel


@dataclass(frozen=True)
class Estimate:
    """What is ahead.

    lacking: records to be made. sampled, failed: records tried for this. used: what the sample used. usage, cost: what the
    lacking records are expected to use. seconds: how long that takes with every allowed request busy.
    simulated: some replies are simulated, so that tokens and time are guesses.
    """

    lacking: int
    sampled: int
    failed: int
    first_failure: str | None
    used: UsageByModel
    usage: UsageByModel
    cost: dict[str, Cost]
    seconds: float
    simulated: bool

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
        }


def spread(lacking: Sequence[int], sample: int) -> list[int]:
    """So many of the lacking records, evenly spread."""
    count = min(sample, len(lacking))
    return [lacking[place * len(lacking) // count] for place in range(count)]


async def make_estimate(
    plan: DatasetPlan,
    lacking: Sequence[int],
    *,
    sample: int,
    seeds: Seeds | None,
    models: ModelPool,
    clock: Callable[[], float] = time.monotonic,
) -> Estimate:
    """Make a sample of the lacking records and reckon what all of them will take."""
    chosen = spread(lacking, sample)
    if not chosen:
        return Estimate(0, 0, 0, None, {}, {}, {}, 0.0, plan.simulated)
    made = await make_sample(plan, chosen, seeds=seeds, models=models, clock=clock)
    group = made.group
    usage = {
        alias: {name: math.ceil(count * len(lacking) / len(chosen)) for name, count in counts.items()}
        for alias, counts in group.usage.items()
    }
    first = min(group.failures.values(), default=None)
    slots = max(1, min(models.capacity, len(lacking)))
    per_record = made.together / len(chosen) + (fmean(made.each) / slots if made.each else 0.0)
    return Estimate(
        lacking=len(lacking),
        sampled=len(chosen),
        failed=len(group.failures),
        first_failure=f"column {first.column!r}: {first.message}" if first is not None else None,
        used=group.usage,
        usage=usage,
        cost=costs(usage, plan.config.model_configs),
        seconds=len(lacking) * per_record,
        simulated=plan.simulated,
    )
