"""Numeric samplers: random words to numbers by inverse CDF.

Whole-numbered distributions look their uniforms up in a table of the CDF, real ones go through `ppf`. Where scipy has no closed
form and would search value by value, the search runs here over all values at once. A number depends on its own words only.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.samplers import (
    BernoulliMixtureParams,
    BernoulliParams,
    BinomialParams,
    GaussianParams,
    PoissonParams,
    ScipyParams,
    UniformParams,
)
from sdg_core.generators.samplers.normal import standard_normal
from sdg_core.plan.sampling.distributions import distribution, is_discrete
from sdg_core.plan.sampling.rng import Words, to_open_unit, to_unit
from sdg_core.plan.types.arrow_values import number_series
from sdg_core.plan.types.samplers import drawn_type

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NumberParams = (
    UniformParams
    | GaussianParams
    | BernoulliParams
    | BinomialParams
    | PoissonParams
    | BernoulliMixtureParams
    | ScipyParams
)

_SMALLEST_UNIT = 2.0**-54
_MAX_UNIT = 1 - 2.0**-53
_FIRST_TABLE = 1 << 8
_MAX_TABLE = 1 << 20
_NODES = 1 << 10
_STEPS = 200
_COSTLY_CDF = frozenset(
    {
        "dpareto_lognorm",
        "genhyperbolic",
        "geninvgauss",
        "irwinhall",
        "levy_stable",
        "studentized_range",
    }
)
"""Distributions whose CDF is integrated value by value; drawing takes milliseconds each."""


def draw_numbers(params: NumberParams, words: Words) -> Floats | Ints:
    """One number per row of words, neither rounded nor converted."""
    match params:
        case UniformParams():
            return _uniform(params, to_unit(words[:, 0]))
        case GaussianParams():
            standard = standard_normal(to_open_unit(words[:, 0]))
            return params.mean + params.stddev * standard
        case BernoulliParams():
            return (to_unit(words[:, 0]) >= 1 - params.p).astype(np.int64)
        case BinomialParams():
            return _binomial(params, to_unit(words[:, 0]))
        case PoissonParams():
            return _poisson(params, to_unit(words[:, 0]))
        case BernoulliMixtureParams():
            return _mixture(params, words)
        case ScipyParams():
            return _from_scipy(params.dist_name, params.dist_params, words[:, 0])


def drawn_series(
    column: SamplerColumn, params: NumberParams, words: Words
) -> pl.Series:
    """Numbers of the column's type: rounded, then made whole or real by `convert_to`."""
    values = draw_numbers(params, words)
    decimal_places = getattr(params, "decimal_places", None)
    if (
        decimal_places is not None and column.convert_to != "int"
    ):  # rounding twice would favour even numbers
        values = _rounded(values, decimal_places)
    if (
        column.convert_to == "int"
        or column.convert_to != "float"
        and drawn_type(column) == pa.int64()
    ):
        return number_series(column.name, to_int64(values))
    return number_series(column.name, values.astype(np.float64))


def to_int64(values: Floats | Ints) -> Ints:
    """Whole numbers, the nearest ones that fit; halves go to the even neighbour."""
    if values.dtype == np.int64:
        return values.astype(np.int64, copy=False)
    return np.clip(np.rint(values), -(2.0**63), np.nextafter(2.0**63, 0)).astype(
        np.int64
    )


def pick(unit: Floats, count: int | Ints) -> Ints:
    """Uniform whole numbers in `[0, count)`; the bound guards a product that rounds up to `count`."""
    picked: Ints = np.minimum((unit * count).astype(np.int64), count - 1)
    return picked


def _rounded(values: Floats | Ints, decimal_places: int) -> Floats:
    """A number too large to be scaled for rounding has no decimals and stays as it is."""
    with np.errstate(over="ignore"):
        rounded = np.round(values, decimal_places)
    return np.where(np.isfinite(rounded), rounded, values)


def _uniform(params: UniformParams, unit: Floats) -> Floats:
    low = float(params.low)
    high = float(params.high)
    width = high - low
    values = (
        low + unit * width if math.isfinite(width) else low * (1 - unit) + high * unit
    )
    return np.minimum(values, np.nextafter(high, low))


def _binomial(params: BinomialParams, unit: Floats) -> Ints:
    if params.n == 0 or params.p == 0:
        return np.full(len(unit), 0, np.int64)
    if params.p == 1:
        return np.full(len(unit), params.n, np.int64)
    return _whole("binom", {"n": float(params.n), "p": params.p}, unit)


def _poisson(params: PoissonParams, unit: Floats) -> Ints:
    return (
        np.zeros(len(unit), np.int64)
        if params.mean == 0
        else _whole("poisson", {"mu": params.mean}, unit)
    )


def _mixture(params: BernoulliMixtureParams, words: Words) -> Floats | Ints:
    hit = to_unit(words[:, 0]) >= 1 - params.p
    drawn = _from_scipy(params.dist_name, params.dist_params, words[hit, 1])
    values: Any = np.zeros(len(words), drawn.dtype)
    values[hit] = drawn
    mixed: Floats | Ints = values
    return mixed


def _from_scipy(name: str, params: dict[str, float], words: Words) -> Floats | Ints:
    if is_discrete(name):
        return _whole(name, params, to_unit(words))
    return _real(name, params, to_open_unit(words))


def _whole(name: str, params: dict[str, float], unit: Floats) -> Ints:
    """The smallest value whose CDF lies above the uniform. Beyond the table (very wide distributions) it is searched for."""
    first, cumulative = _table(name, tuple(sorted(params.items())))
    values = first + np.searchsorted(cumulative, unit, side="right")
    beyond = unit >= cumulative[-1]
    if beyond.any():
        if name == "zipf":
            values[beyond] = _zipf_tail(params, unit[beyond])
        else:
            quantiles = distribution(name, params).ppf(unit[beyond])
            values[beyond] = to_int64(np.asarray(quantiles, np.float64))
    return values


@lru_cache(maxsize=64)
def _table(name: str, params: tuple[tuple[str, float], ...]) -> tuple[int, Floats]:
    """The first value and the CDF from there on, as far as uniforms reach but at most `_MAX_TABLE` values."""
    first, probabilities, sums_up = _law(name, dict(params))
    cumulative = np.empty(0)
    length = 0
    step = 1.0
    while length < _MAX_TABLE and (not length or cumulative[-1] < _MAX_UNIT):
        if step < _SMALLEST_UNIT and cumulative[-1] > 0.5:
            break  # the rest is less than a uniform can tell
        more = max(length, _FIRST_TABLE)
        found = probabilities(first + np.arange(length, length + more))
        last = cumulative[-1] if length else 0.0
        cumulative = np.concatenate(
            [cumulative, last + np.cumsum(found) if sums_up else found]
        )
        length = length + more
        step = float(cumulative[-1] - last)
    return first, np.maximum.accumulate(cumulative)


def _law(
    name: str, params: dict[str, float]
) -> tuple[int, Callable[[Ints], Floats], bool]:
    """A value below which next to nothing lies, the CDF from there on, and false; or, where scipy adds up the CDF again for
    each value, the probabilities, and true. Counts do without `scipy.stats`, which takes a second to import."""
    from scipy import special

    if name == "poisson" and params.keys() == {"mu"}:
        mean = params["mu"]
        return _far_below(mean, mean), lambda values: special.pdtr(values, mean), False
    if name == "binom" and params.keys() == {"n", "p"}:
        n = params["n"]
        p = params["p"]

        def binomial_cdf(k: Ints) -> Floats:
            below_n = special.betaincc(k + 1, np.maximum(n - k, 1), p)
            return np.where(k < n, below_n, 1.0)

        return _far_below(n * p, n * p * (1 - p)), binomial_cdf, False
    from scipy import stats

    known = distribution(name, params)
    first = float(known.ppf(_SMALLEST_UNIT))
    if not math.isfinite(first):
        first = known.support()[0]
    sums_up = type(getattr(stats, name))._cdf is stats.rv_discrete._cdf
    if sums_up:
        return int(first), known.pmf, True
    return int(first), known.cdf, False


def _far_below(mean: float, variance: float) -> int:
    return max(0, math.floor(mean - 10 * math.sqrt(variance)) - 20)


def _zipf_tail(params: dict[str, float], unit: Floats) -> Ints:
    """scipy would sum millions of terms per value; the survival function has a closed form."""
    from scipy.special import zeta

    power = params["a"]
    wanted = 1 - unit
    low = np.zeros(len(unit))
    high = np.full(len(unit), 2.0**62)
    for _ in range(64):
        middle = np.floor((low + high) / 2)
        above = zeta(power, middle + 1) / zeta(power, 1) < wanted
        low = np.where(above, low, middle)
        high = np.where(above, middle, high)
    return to_int64(high + params.get("loc", 0.0))


def _real(name: str, params: dict[str, float], unit: Floats) -> Floats:
    from scipy import stats

    known = distribution(name, params)
    kind = type(getattr(stats, name))
    searches = (
        kind._ppf is stats.rv_continuous._ppf
        and kind._cdf is not stats.rv_continuous._cdf
    )
    if not searches or name in _COSTLY_CDF:
        return np.asarray(known.ppf(unit), np.float64)
    nodes, quantiles = _quantiles(name, tuple(sorted(params.items())))
    place = np.clip(np.searchsorted(nodes, unit, side="right") - 1, 0, len(nodes) - 2)
    return _solve(known, unit, low=quantiles[place], high=quantiles[place + 1])


@lru_cache(maxsize=64)
def _quantiles(
    name: str, params: tuple[tuple[str, float], ...]
) -> tuple[Floats, Floats]:
    """Uniforms and their quantiles, between which every draw is searched for."""
    known = distribution(name, dict(params))
    ends = np.array([_SMALLEST_UNIT, _MAX_UNIT])
    low, high = np.asarray(known.ppf(ends), np.float64)
    inner = np.arange(1, _NODES) / _NODES
    lowest = np.full(_NODES - 1, low)
    highest = np.full(_NODES - 1, high)
    found = _solve(known, inner, low=lowest, high=highest)
    nodes = np.concatenate([ends[:1], inner, ends[1:]])
    quantiles = np.concatenate([[low], np.maximum.accumulate(found), [high]])
    return nodes, quantiles


def _solve(known: Any, unit: Floats, *, low: Floats, high: Floats) -> Floats:
    """The x with `cdf(x) == unit` in each bracket: regula falsi (Illinois), or halving where that is too slow."""
    low = low.copy()
    high = high.copy()
    below = known.cdf(low) - unit
    above = known.cdf(high) - unit
    active = np.flatnonzero(
        high - low > 4 * np.spacing(np.maximum(np.abs(low), np.abs(high)))
    )
    for step in range(_STEPS):
        if not len(active):
            break
        a = low[active]
        b = high[active]
        fa = below[active]
        fb = above[active]
        with np.errstate(divide="ignore", invalid="ignore"):
            x = b - fb * (b - a) / (fb - fa)
        x = np.where((x > a) & (x < b) & (step % 3 != 2), x, a + (b - a) / 2)
        fx = known.cdf(x) - unit[active]
        left = fx < 0
        low[active], below[active] = np.where(left, x, a), np.where(left, fx, fa / 2)
        high[active], above[active] = np.where(left, b, x), np.where(left, fb / 2, fx)
        wide = high[active] - low[active] > 4 * np.spacing(
            np.maximum(np.abs(a), np.abs(b))
        )
        active = active[wide & (fx != 0)]
        # an exact hit lies at `high`, which is what is returned
    return high
