"""Probability distributions by name: `scipy.stats`, looked up and checked, imported only by those who draw from one.

Only distributions with an inverse CDF count (`ppf`), because a value is drawn from one random number.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from sdg_core.plan.names import did_you_mean

_PROBES = (0.25, 0.5, 0.75)
_LARGEST = 2.0**63
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


def distribution_fault(name: str, params: Mapping[str, float]) -> tuple[str, str] | None:
    """What is wrong with a distribution, as (`dist_name` or `dist_params`, message); None if nothing is."""
    from scipy import stats

    kind = getattr(stats, name, None)
    if not isinstance(kind, stats.rv_continuous | stats.rv_discrete):
        if kind is not None and not name.startswith("_"):
            return "dist_name", f"scipy.stats.{name} is not a distribution with an inverse CDF (ppf)"
        return "dist_name", f"scipy.stats has no distribution {name!r}{did_you_mean(name, _names())}"
    shapes = [shape.strip() for shape in kind.shapes.split(",")] if kind.shapes else []
    known = [*shapes, "loc", *(["scale"] if isinstance(kind, stats.rv_continuous) else [])]
    for given in params:
        if given not in known:
            return "dist_params", f"{name} has no parameter {given!r}{did_you_mean(given, known)}"
    remaining = [shape for shape in shapes if shape not in params]
    if remaining:
        return "dist_params", f"{name} needs {', '.join(remaining)} as well"
    if isinstance(kind, stats.rv_discrete) and not float(params.get("loc", 0)).is_integer():
        return "dist_params", f"{name} has whole values, so loc must be whole, not {params['loc']:g}"
    if _is_heavy_tailed(name, params):
        shape = ", ".join(f"{key}={value:g}" for key, value in params.items())
        return "dist_params", f"{name} with {shape} draws numbers beyond 64 bits; move the parameter away from 1"
    if not _has_quantiles(name, params):
        listed = ", ".join(f"{key}={value:g}" for key, value in params.items()) or "no parameters"
        return "dist_params", f"{name} is not defined for {listed}"
    return None


def _is_heavy_tailed(name: str, params: Mapping[str, float]) -> bool:
    """Whether quantiles lie where finding them takes hours: zipf near 1 (by the integral of its tail), logser near 1."""
    from scipy import special

    if name == "zipf" and 1 < params["a"] < 2:
        a = params["a"]
        tail = _LARGEST ** (1 - a) / ((a - 1) * float(special.zeta(a)))
        return bool(tail > _MAX_OVERFLOW)
    return name == "logser" and 1 - 1e-6 < params["p"] < 1


def _has_quantiles(name: str, params: Mapping[str, float]) -> bool:
    with np.errstate(all="ignore"):
        try:
            values = np.asarray(distribution(name, params).ppf(_PROBES), np.float64)
        except (ValueError, ArithmeticError, RuntimeError):
            return False
    return bool(np.isfinite(values).all() and (not is_discrete(name) or (np.abs(values) < _LARGEST).all()))


def _names() -> list[str]:
    from scipy import stats

    kinds = (stats.rv_continuous, stats.rv_discrete)
    return [name for name in dir(stats) if isinstance(getattr(stats, name), kinds)]
