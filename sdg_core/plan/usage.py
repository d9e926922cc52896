"""Usage of models and what it costs: per model alias, per column, in the currency of the configured prices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from sdg_core.config.models import ModelConfig, Prices
from sdg_core.plan.foreign import load_exactly

_MAX_COUNT = 2**63 - 1
UsageByModel = dict[str, dict[str, int]]


UsageByColumn = dict[str, UsageByModel]


def read_usage(data: bytes) -> UsageByModel:
    """Usage per model alias as the journal stores it. Raises ValueError for anything else."""
    try:
        usage = load_exactly(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(usage, dict):
        raise ValueError("not a mapping of model aliases")
    for counts in usage.values():
        if not isinstance(counts, dict) or any(
            type(count) is not int for count in counts.values()
        ):
            raise ValueError("not counts by name")
    return usage


def add_usage(
    first: Mapping[str, Mapping[str, int]], second: Mapping[str, Mapping[str, int]]
) -> UsageByModel:
    """Usage per model alias, summed. A sum stays within 64 bits, so that it can be stored whatever earlier releases took in."""
    total = {alias: dict(counts) for alias, counts in first.items()}
    for alias, counts in second.items():
        count_usage(total, alias, counts)
    return total


def count_usage(total: UsageByModel, alias: str, counts: Mapping[str, int]) -> None:
    """Add what a model alias has used to a total, in place. The sum is that of `add_usage`."""
    mine = total.setdefault(alias, {})
    for key, count in counts.items():
        if count or key not in mine:  # most counts of a request are 0
            mine[key] = min(mine.get(key, 0) + count, _MAX_COUNT)


def subtract_usage(
    whole: Mapping[str, Mapping[str, int]], part: Mapping[str, Mapping[str, int]]
) -> UsageByModel:
    """What is left of `whole`, which may be below 0."""
    rest: UsageByModel = {}
    for alias, counts in whole.items():
        taken = part.get(alias, {})
        rest[alias] = {key: count - taken.get(key, 0) for key, count in counts.items()}
    return rest


def add_usage_by_column(
    first: Mapping[str, UsageByModel], second: Mapping[str, UsageByModel]
) -> UsageByColumn:
    """Usage per column and model alias, summed."""
    return {
        name: add_usage(first.get(name, {}), second.get(name, {}))
        for name in (*first, *second)
    }


_MILLION = Decimal(1_000_000)


@dataclass(frozen=True)
class Cost:
    """An amount of money."""

    amount: float
    currency: str


def costs(
    usage: Mapping[str, Mapping[str, int]], models: Iterable[ModelConfig]
) -> dict[str, Cost]:
    """The cost per model alias; aliases without prices are absent."""
    return {
        alias: Cost(float(amount), currency)
        for alias, (amount, currency) in exact_costs(usage, models).items()
    }


def exact_costs(
    usage: Mapping[str, Mapping[str, int]], models: Iterable[ModelConfig]
) -> dict[str, tuple[Decimal, str]]:
    """As `costs`, without rounding: amount and currency per model alias."""
    prices = {model.alias: model.prices for model in models if model.prices is not None}
    return {
        alias: (_amount(counts, prices[alias]), prices[alias].currency)
        for alias, counts in usage.items()
        if alias in prices
    }


def totals(found: Mapping[str, Cost]) -> dict[str, float]:
    """The sum per currency."""
    return sum_costs(found.values())


def sum_costs(found: Iterable[Cost]) -> dict[str, float]:
    """The sum per currency, without the noise of adding floats."""
    sums: dict[str, Decimal] = {}
    for cost in found:
        sums[cost.currency] = sums.get(cost.currency, Decimal(0)) + exact_amount(
            cost.amount
        )
    return {currency: float(amount) for currency, amount in sums.items()}


@lru_cache(maxsize=256, typed=True)
def exact_amount(amount: float) -> Decimal:
    """The decimal number that a float is written as."""
    return Decimal(repr(amount))


def money_text(amount: float) -> str:
    """An amount of money for display, with significant digits only."""
    if amount >= 1:
        return f"{amount:,.2f}"
    if 0 < amount < 0.001:
        return f"{amount:.2g}"
    digits = f"{amount:.4f}"
    return digits[:4] + digits[4:].rstrip("0")


def _amount(counts: Mapping[str, int], prices: Prices) -> Decimal:
    """Cached tokens are among the prompt tokens."""
    cached = min(counts.get("cached_tokens", 0), counts.get("prompt_tokens", 0))
    cached_price = (
        prices.cached_tokens
        if prices.cached_tokens is not None
        else prices.prompt_tokens
    )
    per_million = (
        (counts.get("prompt_tokens", 0) - cached) * exact_amount(prices.prompt_tokens)
        + cached * exact_amount(cached_price)
        + counts.get("completion_tokens", 0) * exact_amount(prices.completion_tokens)
    )
    images = counts.get("images", 0) * exact_amount(prices.images)
    return (
        per_million / _MILLION
        + images
        + counts.get("requests", 0) * exact_amount(prices.requests)
    )
