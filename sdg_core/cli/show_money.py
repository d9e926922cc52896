"""Money as commands print it: what a run and a dataset have cost, over all versions and with what lies above.

Invariant: money of a rehearsal is never shown as if it were paid.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from sdg_core.api import comparison_text, money_text, totals
from sdg_core.counts import counted

if TYPE_CHECKING:
    from sdg_core.api import (
        Cost,
        DatasetStatus,
        Estimate,
        RunSummary,
        SelectionCounts,
        UsageByModel,
    )
    from sdg_core.api.pipelines import PipelineStatus, PipelineSummary

WOULD = "simulated, would cost "


def cost_lines(cost: "Mapping[str, Cost]") -> list[str]:
    """A line per model, and the sum of several."""
    lines = [
        f"{alias}: {money_text(item.amount)} {item.currency}"
        for alias, item in cost.items()
    ]
    if len(cost) > 1:
        lines.append(f"{sums(totals(cost))} in total")
    return lines


def used_and_paid(
    current: "DatasetStatus | PipelineStatus",
) -> Iterator[tuple[str, str]]:
    """What a dataset has used and cost: its files, replies that wait in the journal, earlier versions, its upstream; and what it
    was estimated to cost."""
    for version, columns in current.carried.items():
        cells = counted(sum(columns.values()), "cell")
        yield "carried", f"{cells} from version {version}"
    for line in usage_lines(current.usage):
        yield "usage", line
    for alias, reasons in current.retry_reasons.items():
        counts = [f"{count:,} x {reason}" for reason, count in reasons.items()]
        yield "retries", f"{alias}: {', '.join(counts)}"
    would = WOULD if current.simulated else ""
    for line in cost_lines(current.cost):
        yield "cost", would + line
    spending = current.spending
    for version, spent in spending.earlier.items():
        if spent.total:
            yield (
                "",
                f"version {version}, the source of reused cells: {sums(spent.total)}",
            )
    if spending.earlier and spending.total:
        yield "total", f"{would}{sums(spending.total)}"
    for name, cost in spending.upstream.items():
        yield "upstream", f"{name}: {sums(cost)}"
    estimate = getattr(current, "estimate", None)
    if estimate is not None:
        yield "estimate", comparison_text(estimate, simulated=current.simulated)


def sums(total: Mapping[str, float]) -> str:
    """Sums of money, a currency each."""
    texts = [f"{money_text(amount)} {currency}" for currency, amount in total.items()]
    return ", ".join(texts)


def _differs(total: Mapping[str, float], run: Mapping[str, float]) -> bool:
    for currency, amount in total.items():
        if money_text(amount) != money_text(run.get(currency, 0.0)):
            return True
    return False


def estimate_costs(result: "Estimate") -> Iterator[str]:
    """What the remaining records are expected to cost, per model and in all, and between which ends."""
    would = WOULD if result.simulated else ""
    for line in cost_lines(result.cost):
        yield would + line
    for currency, ends in result.cost_range.items():
        yield f"{would}between {money_text(ends[0])} and {money_text(ends[1])} {currency} (90% interval)"


def run_costs(summary: "RunSummary | PipelineSummary") -> Iterator[str]:
    """What a run has cost, and what its dataset has cost so far; nothing without prices."""
    spending = summary.spending
    would = WOULD if summary.simulated else ""
    if summary.cost:
        yield f"cost: {would}{sums(summary.cost)} in this run"
    if _differs(spending.total, summary.cost):
        versions = len(spending.earlier) + 1
        over = f" over {counted(versions, 'version')}" if versions > 1 else ""
        yield f"cost: {would}{sums(spending.total)} in total{over}"
    for name, cost in spending.upstream.items():
        yield f"cost of its upstream {name}: {sums(cost)}"


def usage_lines(usage: "UsageByModel") -> list[str]:
    """What each model used, a line each."""
    return [_usage_line(alias, counts) for alias, counts in usage.items()]


def _usage_line(alias: str, counts: "Mapping[str, int]") -> str:
    requests = counted(counts.get("requests", 0), "request")
    retries = counted(counts.get("retries", 0), "retry")
    read = f"{counts.get('prompt_tokens', 0):,} prompt"
    written = counted(counts.get("completion_tokens", 0), "completion token")
    line = f"{alias}: {requests} ({retries}), {read} and {written}"
    repaired = counts.get("repaired", 0)
    if repaired:
        line += f", {counted(repaired, 'reply', 'were')} almost JSON and repaired"
    return line


def selection_lines(
    found: "SelectionCounts", cost: "Mapping[str, Cost]", *, unit: str
) -> "Iterator[tuple[str, str]]":
    """What selecting came to, and what rejected candidates used, as rows of a table. unit: what has a row."""
    best = f", {found.fallback:,} used the best one instead" if found.fallback else ""
    rejected = counted(found.rejected, "candidate")
    yield (
        "selected",
        f"{rejected} rejected; {counted(found.dropped, unit)} without a row{best}",
    )
    for line in (*usage_lines(found.usage), *cost_lines(cost)):
        yield "", f"of that for rejected candidates: {line}"
