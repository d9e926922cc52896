"""Estimates that are kept, so that they can be compared with what happened.

A look starts no dataset: an estimate waits beside the ledger, by dataset and version, until a run goes into that version, whose
`metadata.json` keeps it from then on. The last estimate counts. Losing one loses nothing else.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from sdg_core.counts import counted
from sdg_core.errors import MetadataError, StoreError
from sdg_core.plan.usage import money_text, subtract_usage, sum_costs
from sdg_core.store.atomic import ensure_writable, read_or_none, write_atomic
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.metadata import Metadata, change_metadata, utc_now
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_groups import Footer
from sdg_core.store.spending import Spent

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """An estimate beside what was used since.

    records: to be made, then. made: rows that came since. usage, cost: expected for those records, per model alias and per
    currency; cost_range: its ends. used, used_cost: what was used since, of this version.
    """

    made_at: str
    records: int
    made: int
    usage: Mapping[str, Mapping[str, int]]
    used: Mapping[str, Mapping[str, int]]
    cost: Mapping[str, float]
    cost_range: Mapping[str, Sequence[float]]
    used_cost: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `--json` has it."""
        return dict(vars(self))


def keep_estimate(
    layout: DatasetLayout,
    version: str,
    estimate: Mapping[str, Any],
    *,
    rows: int,
    spent: Spent,
) -> None:
    """Keep an estimate for the version that it is of. rows, spent: what was there before. Where it cannot be written, the run is
    not compared with it."""
    kept = {
        "made_at": utc_now(),
        **estimate,
        "rows_before": rows,
        "spent_before": spent.to_dict(),
    }
    path = _waiting(layout, version)
    try:
        ensure_writable(path.parent)
        write_atomic(path, orjson.dumps(kept))
    except StoreError as error:
        _LOG.warning("the estimate could not be saved: %s", error)


def adopt_estimate(layout: DatasetLayout, version: VersionLayout) -> None:
    """Move an estimate that waits for a version into its metadata."""
    path = _waiting(layout, version.name)
    try:
        content = read_or_none(path)
        if content is None:
            return
        change_metadata(version.metadata, estimate=orjson.loads(content))
        with store_errors("remove", path):
            path.unlink(missing_ok=True)
    except (StoreError, MetadataError, orjson.JSONDecodeError) as error:
        _LOG.warning("the saved estimate could not be read: %s", error)


def compare(
    metadata: Metadata | None, footers: Sequence[Footer], spent: Spent
) -> Comparison | None:
    """The estimate of a version beside what was used since; None without one. spent: by the version, by now."""
    estimate = metadata.estimate if metadata is not None else None
    if not estimate:
        return None
    before = Spent.from_dict(estimate.get("spent_before", {}))
    used = subtract_usage(spent.usage, before.usage)
    money = sum_costs(spent.cost.values())
    money_before = sum_costs(before.cost.values())
    used_cost = {}
    for currency, amount in money.items():
        used_cost[currency] = round(amount - money_before.get(currency, 0.0), 9)
    rows = sum(footer.num_rows for footer in footers)
    return Comparison(
        made_at=str(estimate["made_at"]),
        records=int(estimate["remaining"]),
        made=rows - int(estimate["rows_before"]),
        usage=estimate["usage"],
        used=used,
        cost=estimate["total_cost"],
        cost_range=estimate["cost_range"],
        used_cost=used_cost,
    )


def comparison_text(compared: Comparison, *, simulated: bool) -> str:
    """The comparison in a sentence: in money if there are prices, otherwise in tokens."""
    if compared.cost:
        sums = []
        for currency, amount in compared.cost.items():
            ends = ends_text(compared.cost_range.get(currency, ()))
            sums.append(f"{money_text(amount)} {currency} ({ends})")
        expected = ", ".join(sums)
        paid = [
            f"{money_text(amount)} {name}"
            for name, amount in compared.used_cost.items()
        ]
        used = ", ".join(paid) or "nothing"
        verb = "cost"
        spent = "would have cost" if simulated else "cost"
    else:
        expected = counted(_tokens(compared.usage), "token")
        used = counted(_tokens(compared.used), "token")
        verb = "take"
        spent = "would have taken" if simulated else "took"
    records = counted(compared.records, "record", "were")
    return (
        f"{records} estimated to {verb} {expected}; "
        f"the {compared.made:,} generated since {spent} {used}"
    )


def ends_text(ends: Sequence[float]) -> str:
    """The ends of a range of money."""
    return " to ".join(map(money_text, ends))


def _tokens(usage: Mapping[str, Mapping[str, int]]) -> int:
    tokens = 0
    for counts in usage.values():
        tokens += counts.get("prompt_tokens", 0) + counts.get("completion_tokens", 0)
    return tokens


def _waiting(layout: DatasetLayout, version: str) -> StorePath:
    return layout.root / ".sdg" / "estimates" / f"{layout.dataset}-{version}.json"
