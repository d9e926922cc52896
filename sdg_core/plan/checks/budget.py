"""Checks of `run.max_cost`: money can only be counted where every model that may be asked has prices, in one currency."""

from collections.abc import Iterable, Sequence

from sdg_core.config.models import ModelConfig
from sdg_core.config.run import RunSettings


def budget_faults(settings: RunSettings, used: Iterable[ModelConfig]) -> Sequence[str]:
    """What keeps a budget from being kept. used: the models that columns ask, and those that step in for them."""
    models = list(used)
    if settings.max_cost is None or not models:
        return ()
    faults = []
    unpriced = [repr(model.alias) for model in models if model.prices is None]
    if unpriced:
        faults.append(
            f"run.max_cost is {settings.max_cost:g}, but the prices of {', '.join(unpriced)} are "
            f"unknown: set prices in model_configs (all 0 if it is free), or use run.max_tokens"
        )
    currencies = {model.prices.currency for model in models if model.prices is not None}
    if len(currencies) > 1:
        listed = " and ".join(sorted(currencies))
        faults.append(
            f"run.max_cost is {settings.max_cost:g}, but prices are in {listed}: use one currency"
        )
    return faults
