"""From a few records to all of them: the expected sum, and between which ends it will probably lie.

A column's cells are scaled by what those of the sample used on average. The ends come from the standard error of that average, by
Student's t for nine cases of ten; columns are taken as independent of each other. Of a column with a single
cell in the sample, cells are assumed to differ by half of it, because nothing is known of how they differ. Pure.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from sdg_core.execution.make_sample import UsedByCell
from sdg_core.execution.predicted_skips import PredictedSkips
from sdg_core.plan.usage import UsageByModel

_T_90 = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83)
"""Student's t for a two-sided 90 %, by degrees of freedom from 1 on."""
_T_90_MANY = 1.75
_UNKNOWN_SPREAD = 0.5


@dataclass(frozen=True)
class Scaled:
    """What is expected to be used, and the ends of it."""

    usage: UsageByModel
    low: UsageByModel
    high: UsageByModel


_Terms = dict[tuple[str, str], list[tuple[Sequence[float], int]]]
"""By model alias and what is counted: what the sample used, and how many of its kind there will be; several terms add up."""


def scaled(
    used: UsedByCell,
    work: Mapping[str, int],
    skips: PredictedSkips,
    *,
    chosen: Sequence[int],
) -> Scaled:
    """What a sample used, column by column, scaled to the cells ahead (`work`).

    Where it is known who skips a column, the cells that were made stand for those ahead; else all records of the sample do.
    """
    terms: _Terms = {}
    for column, by_record in used.items():
        cells = work.get(column, 0)
        known = skips.share_made(column) is not None
        size = len(by_record) if known else len(chosen)
        if not cells:
            continue
        of_column = [*by_record.values()]
        for alias, name in _counted_names(of_column):
            given = [usage.get(alias, {}).get(name, 0) for usage in of_column]
            nothing = [0] * (size - len(given))
            terms.setdefault((alias, name), []).append(([*given, *nothing], cells))
    return _summed(terms)


def scaled_to(used: Sequence[Mapping[str, Mapping[str, float]]], count: int) -> Scaled:
    """What some wholes used, such as sources of a pipeline, per model alias, scaled to `count` of them."""
    terms: _Terms = {}
    for alias, name in _counted_names(used):
        values = [usage.get(alias, {}).get(name, 0) for usage in used]
        terms[alias, name] = [(values, count)]
    return _summed(terms)


def _counted_names(
    used: Sequence[Mapping[str, Mapping[str, float]]],
) -> set[tuple[str, str]]:
    """The pairs of model alias and count that occur in any of these."""
    names: set[tuple[str, str]] = set()
    for usage in used:
        for alias, counts in usage.items():
            names.update((alias, name) for name in counts)
    return names


def _summed(terms: _Terms) -> Scaled:
    found = Scaled({}, {}, {})
    for (alias, name), parts in sorted(terms.items()):
        sums = [_total(values, cells) for values, cells in parts]
        total = sum(expected for expected, _ in sums)
        error = math.sqrt(sum(error**2 for _, error in sums))
        seen = sum(sum(values) for values, _ in parts)
        lowest = max(min(total, seen), total - error)
        found.usage.setdefault(alias, {})[name] = math.ceil(total - 1e-9)
        found.low.setdefault(alias, {})[name] = math.floor(lowest)
        found.high.setdefault(alias, {})[name] = math.ceil(total + error)
    return found


def _total(values: Sequence[float], cells: int) -> tuple[float, float]:
    """The expected sum of so many cells, and how far from it the true one may be."""
    mean = fmean(values)
    count = len(values)
    if count >= cells:
        return mean * cells, 0.0
    spread = stdev(values) if count > 1 else _UNKNOWN_SPREAD * mean
    t = _T_90[count - 2] if 2 <= count <= len(_T_90) + 1 else _T_90_MANY
    return mean * cells, t * spread / math.sqrt(count) * math.sqrt(
        1 - count / cells
    ) * cells
