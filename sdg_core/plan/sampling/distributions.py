"""Probability distributions by name: `scipy.stats`, looked up and checked, imported only by those who draw from one.

Only distributions with an inverse CDF count (`ppf`), because a value is drawn from one random number.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sdg_core.plan.names import did_you_mean
from sdg_core.system.bounded_process import BoundedProcess, WorkEndedError

_MAX = 2.0**63
_SECONDS = 60.0
"""Until the process that tries a distribution is given up. Its own bound, of CPU time, comes first unless the machine is busy."""
_QUICK = frozenset(
    "norm uniform expon gamma beta lognorm weibull_min weibull_max pareto t chi2 laplace logistic cauchy rayleigh halfnorm "
    "gumbel_r gumbel_l triang powerlaw geom randint bernoulli invgamma f maxwell".split()
)
"""Distributions whose quantiles are a formula or a bounded iteration. Others are summed up, integrated or searched for, with
parameters that look harmless for hours (zipfian, nct, levy_stable)."""
_QUICK_IF_MODERATE = frozenset({"binom", "nbinom", "poisson"})
_MODERATE = 1e6
_MAX_OVERFLOW = 1e-3
"""The share of draws beyond 64 bits from which on a distribution is refused."""


def is_discrete(name: str) -> bool:
    """Whether a known distribution has whole numbers as values."""
    from scipy import stats

    return isinstance(getattr(stats, name, None), stats.rv_discrete)


def distribution(name: str, params: Mapping[str, float]) -> Any:
    """The distribution with its parameters fixed; `distribution_fault` must have found none."""
    return _frozen(name, tuple(sorted(params.items())))


@lru_cache(maxsize=256)
def _frozen(name: str, params: tuple[tuple[str, float], ...]) -> Any:
    from scipy import stats

    return getattr(stats, name)(**dict(params))


class TimeoutBudget:
    """How many distributions of a file may take all the time that one may have; what comes then is not tried."""

    def __init__(self) -> None:
        self.left = 3


def distribution_fault(
    name: str, params: Mapping[str, float], *, timeouts: TimeoutBudget | None = None
) -> tuple[str, str] | None:
    """What is wrong with a distribution, as (`dist_name` or `dist_params`, message); None if nothing is."""
    from scipy import stats

    kind = getattr(stats, name, None)
    if not isinstance(kind, stats.rv_continuous | stats.rv_discrete):
        if kind is not None and not name.startswith("_"):
            return (
                "dist_name",
                f"scipy.stats.{name} is not a distribution with an inverse CDF (ppf)",
            )
        return (
            "dist_name",
            f"scipy.stats has no distribution {name!r}{did_you_mean(name, _names())}",
        )
    shapes = [shape.strip() for shape in kind.shapes.split(",")] if kind.shapes else []
    known = [*shapes, "loc"]
    if isinstance(kind, stats.rv_continuous):
        known.append("scale")
    for given in params:
        if given not in known:
            return (
                "dist_params",
                f"{name} has no parameter {given!r}{did_you_mean(given, known)}",
            )
    remaining = [shape for shape in shapes if shape not in params]
    if remaining:
        return "dist_params", f"{name} needs {', '.join(remaining)} as well"
    loc = float(params.get("loc", 0))
    if isinstance(kind, stats.rv_discrete) and not loc.is_integer():
        return (
            "dist_params",
            f"{name} has integer values, so loc must be an integer, not {loc:g}",
        )
    if _is_heavy_tailed(name, params):
        shape = ", ".join(f"{key}={value:g}" for key, value in params.items())
        return (
            "dist_params",
            f"{name} with {shape} draws numbers beyond 64 bits; choose a parameter further from 1",
        )
    return _quantile_fault(name, params, timeouts or TimeoutBudget())


def _is_heavy_tailed(name: str, params: Mapping[str, float]) -> bool:
    """Whether quantiles lie where finding them takes hours: zipf near 1 (by the integral of its tail), logser near 1."""
    from scipy import special

    if name == "zipf" and 1 < params["a"] < 2:
        a = params["a"]
        tail = _MAX ** (1 - a) / ((a - 1) * float(special.zeta(a)))
        return bool(tail > _MAX_OVERFLOW)
    return name == "logser" and 1 - 1e-6 < params["p"] < 1


def _quantile_fault(
    name: str, params: Mapping[str, float], timeouts: TimeoutBudget
) -> tuple[str, str] | None:
    if not timeouts.left and not _is_quick(name, params):
        return (
            "dist_params",
            f"{name} was not checked, because the distributions of other columns take too long; fix those first",
        )
    listed = (
        ", ".join(f"{key}={value:g}" for key, value in params.items())
        or "no parameters"
    )
    try:
        found = _have_quantiles(name, tuple(sorted(params.items())))
    except WorkEndedError:
        timeouts.left -= 1
        return (
            "dist_params",
            f"{name} with {listed} exceeds the time or memory limit of a draw; choose smaller parameters",
        )
    if not found:
        return "dist_params", f"{name} is not defined for {listed}"
    return None


@lru_cache(maxsize=256)
def _have_quantiles(name: str, params: tuple[tuple[str, float], ...]) -> bool:
    request: dict[str, Any] = {"name": name, "params": dict(params)}
    if _is_quick(name, request["params"]):
        from sdg_core.plan.sampling.quantiles import have_quantiles

        return have_quantiles(request)
    process = BoundedProcess(
        "sdg_core.plan.sampling.quantiles:have_quantiles_soon", seconds=_SECONDS
    )
    try:
        return bool(process.call(request))
    finally:
        process.close()


def _is_quick(name: str, params: Mapping[str, float]) -> bool:
    """Whether quantiles are found in no time, whatever the parameters are."""
    if name not in _QUICK_IF_MODERATE:
        return name in _QUICK
    sizes = [abs(value) for value in params.values() if value]
    return all(1 / _MODERATE <= size <= _MODERATE for size in sizes)


def _names() -> list[str]:
    from scipy import stats

    kinds = (stats.rv_continuous, stats.rv_discrete)
    return [name for name in dir(stats) if isinstance(getattr(stats, name), kinds)]
