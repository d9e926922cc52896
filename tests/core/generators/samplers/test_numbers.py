"""Numeric samplers follow their distributions: goodness of fit with fixed seeds, at 100,000 draws and (slow) at a million."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from sdg_core.config.columns import SamplerColumn
from sdg_core.generators.samplers.numbers import draw_numbers
from sdg_core.generators.samplers.sampler import sample
from sdg_core.plan.sampling.rng import RandomSource

Params = dict[str, Any]
SIZES = [100_000, pytest.param(1_000_000, marks=pytest.mark.long)]
ALPHA = 1e-4


def _column(sampler_type: str, params: Params, *, name: str = "c") -> SamplerColumn:
    return SamplerColumn.model_validate(
        {"name": name, "sampler_type": sampler_type, "params": params}
    )


def _drawn(
    sampler_type: str, params: Params, count: int, *, seed: int = 11, name: str = "c"
) -> NDArray[Any]:
    column = _column(sampler_type, params, name=name)
    return sample(
        column, indices=np.arange(count), frame={}, random=RandomSource(seed)
    ).values.to_numpy()


DISCRETE: dict[str, tuple[str, Params, Any]] = {
    "bernoulli": ("bernoulli", {"p": 0.3}, stats.bernoulli(0.3)),
    "bernoulli rare": ("bernoulli", {"p": 0.001}, stats.bernoulli(0.001)),
    "binomial": ("binomial", {"n": 10, "p": 0.35}, stats.binom(10, 0.35)),
    "binomial wide": (
        "binomial",
        {"n": 1_000_000, "p": 0.35},
        stats.binom(1_000_000, 0.35),
    ),
    "poisson": ("poisson", {"mean": 4.2}, stats.poisson(4.2)),
    "poisson small": ("poisson", {"mean": 0.01}, stats.poisson(0.01)),
    "poisson wide": ("poisson", {"mean": 1e6}, stats.poisson(1e6)),
    "geom": (
        "scipy",
        {"dist_name": "geom", "dist_params": {"p": 0.2}},
        stats.geom(0.2),
    ),
    "nbinom": (
        "scipy",
        {"dist_name": "nbinom", "dist_params": {"n": 5, "p": 0.2, "loc": -3}},
        stats.nbinom(5, 0.2, -3),
    ),
    "skellam": (
        "scipy",
        {"dist_name": "skellam", "dist_params": {"mu1": 3, "mu2": 5}},
        stats.skellam(3, 5),
    ),
    "zipf": ("scipy", {"dist_name": "zipf", "dist_params": {"a": 3}}, stats.zipf(3)),
}
CONTINUOUS: dict[str, tuple[str, Params, Any]] = {
    "uniform": ("uniform", {"low": -3, "high": 4.5}, stats.uniform(-3, 7.5)),
    "gaussian": ("gaussian", {"mean": 5, "stddev": 2}, stats.norm(5, 2)),
    "scipy norm": (
        "scipy",
        {"dist_name": "norm", "dist_params": {"loc": 5, "scale": 2}},
        stats.norm(5, 2),
    ),
    "gamma": ("scipy", {"dist_name": "gamma", "dist_params": {"a": 2}}, stats.gamma(2)),
    "cauchy": ("scipy", {"dist_name": "cauchy"}, stats.cauchy()),
    "searched": (
        "scipy",
        {"dist_name": "exponnorm", "dist_params": {"K": 1.5}},
        stats.exponnorm(1.5),
    ),
    "searched, bounded": (
        "scipy",
        {"dist_name": "argus", "dist_params": {"chi": 1}},
        stats.argus(1),
    ),
    "searched, wide": (
        "scipy",
        {"dist_name": "foldcauchy", "dist_params": {"c": 5}},
        stats.foldcauchy(5),
    ),
}


def chi_square(drawn: NDArray[Any], known: Any) -> float:
    """p of a chi-square test over cells of about equal probability."""
    edges = np.unique(known.ppf(np.linspace(0, 1, 41)[1:-1]))
    expected = np.diff(np.concatenate([[0.0], known.cdf(edges), [1.0]])) * len(drawn)
    counts = np.bincount(
        np.searchsorted(edges, drawn, side="left"), minlength=len(edges) + 1
    )
    kept = expected > 0
    assert counts[~kept].sum() == 0
    return float(stats.chisquare(counts[kept], expected[kept]).pvalue)


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("name", DISCRETE)
def test_whole_numbers_follow_their_distribution(name: str, count: int) -> None:
    kind, params, known = DISCRETE[name]
    drawn = _drawn(kind, params, count)
    assert drawn.dtype == np.int64
    assert chi_square(drawn, known) > ALPHA


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_real_numbers_follow_their_distribution(name: str, count: int) -> None:
    kind, params, known = CONTINUOUS[name]
    drawn = _drawn(kind, params, count)
    assert np.isfinite(drawn).all()
    assert stats.kstest(known.cdf(drawn), "uniform").pvalue > ALPHA


@pytest.mark.parametrize("count", SIZES)
def test_a_mixture_is_zero_or_a_draw(count: int) -> None:
    params = {"p": 0.3, "dist_name": "gamma", "dist_params": {"a": 2, "loc": 1}}
    drawn = _drawn("bernoulli_mixture", params, count)
    hits = drawn[drawn != 0]
    assert stats.binomtest(len(hits), count, 0.3).pvalue > ALPHA
    assert stats.kstest(stats.gamma(2, loc=1).cdf(hits), "uniform").pvalue > ALPHA


@pytest.mark.parametrize("count", SIZES)
def test_categories_follow_their_weights(count: int) -> None:
    counts = np.bincount(
        _drawn("category", {"values": [0, 1, 2, 3], "weights": [1, 2, 3, 4]}, count)
    )
    assert (
        stats.chisquare(counts, count * np.array([0.1, 0.2, 0.3, 0.4])).pvalue > ALPHA
    )


@pytest.mark.parametrize("count", SIZES)
def test_uuids_have_even_bits(count: int) -> None:
    column = _column("uuid", {"short_form": True})
    drawn = sample(
        column, indices=np.arange(count), frame={}, random=RandomSource(11)
    ).values
    numbers = np.array([int(text, 16) for text in drawn.to_list()])
    for shift in range(0, 32, 8):
        assert (
            stats.chisquare(np.bincount((numbers >> shift) & 255, minlength=256)).pvalue
            > ALPHA
        )


@pytest.mark.parametrize(
    ("kind", "params", "expected"),
    [
        ("bernoulli", {"p": 0}, {0}),
        ("bernoulli", {"p": 1}, {1}),
        ("binomial", {"n": 0, "p": 0.5}, {0}),
        ("binomial", {"n": 7, "p": 0}, {0}),
        ("binomial", {"n": 7, "p": 1}, {7}),
        ("poisson", {"mean": 0}, {0}),
        ("bernoulli_mixture", {"p": 0, "dist_name": "norm"}, {0.0}),
        (
            "bernoulli_mixture",
            {"p": 1, "dist_name": "bernoulli", "dist_params": {"p": 1}},
            {1},
        ),
    ],
)
def test_parameters_at_their_limits(
    kind: str, params: Params, expected: set[float]
) -> None:
    assert set(_drawn(kind, params, 1000).tolist()) == expected


EXTREMES = np.array([[0] * 4, [1] * 4, [2**63] * 4, [2**64 - 1] * 4], np.uint64)


@pytest.mark.parametrize(
    ("kind", "params", "known"), [*DISCRETE.values(), *CONTINUOUS.values()]
)
def test_the_outermost_words_give_finite_numbers_within_the_support(
    kind: str, params: Params, known: Any
) -> None:
    values = draw_numbers(_column(kind, params).params, EXTREMES)  # type: ignore[arg-type]
    low, high = known.support()
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()
    assert values.min() >= low and values.max() <= high


def test_tables_agree_with_the_quantiles_of_scipy() -> None:
    words = np.random.default_rng(5).integers(0, 2**64, (2000, 4), dtype=np.uint64)
    unit = (words[:, 0] >> np.uint64(11)).astype(float) * 2.0**-53
    for kind, params, known in DISCRETE.values():
        values = draw_numbers(_column(kind, params).params, words)  # type: ignore[arg-type]
        assert np.mean(values == known.ppf(unit)) > 0.999, (kind, params)


def test_heavy_tails_are_drawn_too() -> None:
    drawn = _drawn("scipy", {"dist_name": "zipf", "dist_params": {"a": 1.3}}, 20_000)
    assert drawn.min() == 1 and drawn.max() > 2**40
    assert (
        stats.binomtest(
            int((drawn == 1).sum()), len(drawn), stats.zipf(1.3).pmf(1)
        ).pvalue
        > ALPHA
    )


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize(
    ("kind", "params"),
    [(kind, params) for kind, params, _ in (*DISCRETE.values(), *CONTINUOUS.values())],
)
def test_neighbouring_records_columns_and_seeds_are_uncorrelated(
    kind: str, params: Params, count: int
) -> None:
    base = _ranks(_drawn(kind, params, count, seed=7, name="c1"))
    others = {
        "record": (base[:-1], base[1:]),
        "column": (base, _ranks(_drawn(kind, params, count, seed=7, name="c2"))),
        "seed": (base, _ranks(_drawn(kind, params, count, seed=8, name="c1"))),
    }
    for what, (one, other) in others.items():
        assert abs(np.corrcoef(one, other)[0, 1]) < 4.5 / count**0.5, what


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks have a variance even where the values have none, and a correlation that outliers do not decide."""
    return stats.rankdata(values) / len(values)
