"""Usage of models and what it costs: per model alias, per column, in the currency of the configured prices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sdg_core.config.models import ModelConfig, Prices

UsageByModel = dict[str, dict[str, int]]


UsageByColumn = dict[str, UsageByModel]


def add_usage(first: Mapping[str, Mapping[str, int]], second: Mapping[str, Mapping[str, int]]) -> UsageByModel:
    """Usage per model alias, summed."""
    total = {alias: dict(counts) for alias, counts in first.items()}
    for alias, counts in second.items():
        mine = total.setdefault(alias, {})
        for key, count in counts.items():
            mine[key] = mine.get(key, 0) + count
    return total


def add_usage_by_column(first: Mapping[str, UsageByModel], second: Mapping[str, UsageByModel]) -> UsageByColumn:
    """Usage per column and model alias, summed."""
    return {name: add_usage(first.get(name, {}), second.get(name, {})) for name in (*first, *second)}


_MILLION = 1_000_000


@dataclass(frozen=True)
class Cost:
    """An amount of money."""

    amount: float
    currency: str


def costs(usage: Mapping[str, Mapping[str, int]], models: Iterable[ModelConfig]) -> dict[str, Cost]:
    """The cost per model alias; aliases without prices are absent."""
    prices = {model.alias: model.prices for model in models if model.prices is not None}
    return {
        alias: Cost(_amount(counts, prices[alias]), prices[alias].currency)
        for alias, counts in usage.items()
        if alias in prices
    }


def totals(found: Mapping[str, Cost]) -> dict[str, float]:
    """The sum per currency."""
    sums: dict[str, float] = {}
    for cost in found.values():
        sums[cost.currency] = sums.get(cost.currency, 0.0) + cost.amount
    return sums


def _amount(counts: Mapping[str, int], prices: Prices) -> float:
    """Cached tokens are among the prompt tokens."""
    cached = min(counts.get("cached_tokens", 0), counts.get("prompt_tokens", 0))
    cached_price = prices.cached_tokens if prices.cached_tokens is not None else prices.prompt_tokens
    per_million = (
        (counts.get("prompt_tokens", 0) - cached) * prices.prompt_tokens
        + cached * cached_price
        + counts.get("completion_tokens", 0) * prices.completion_tokens
    )
    by_piece = counts.get("images", 0) * prices.images + counts.get("requests", 0) * prices.requests
    return per_million / _MILLION + by_piece
