"""Timedeltas: whole units after a reference, which may be a sampler of any format or seed data of any kind."""

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from sdg_core.config.columns import SamplerColumn
from sdg_core.generators.base import GroupColumn
from sdg_core.generators.samplers.datetimes import TIME_TYPE, time_values
from sdg_core.generators.samplers.sampler import sample
from sdg_core.plan.sampling.rng import RandomSource

MARCH = datetime.datetime(2024, 3, 1)  # noqa: DTZ001


def _timedelta(*, convert_to: str | None = None, **params: Any) -> SamplerColumn:
    data = {
        "name": "d",
        "sampler_type": "timedelta",
        "params": {"reference_column_name": "r", **params},
    }
    return SamplerColumn.model_validate({**data, "convert_to": convert_to})


def _drawn(
    column: SamplerColumn, reference: pl.Series, *, unformatted: pl.Series | None = None
) -> GroupColumn:
    known = {} if unformatted is None else {"r": unformatted}
    return sample(
        column,
        indices=np.arange(len(reference)),
        frame={"r": reference},
        random=RandomSource(3),
        unformatted=known,
    )


@pytest.mark.parametrize(
    ("unit", "seconds"), [("D", 86_400), ("h", 3_600), ("m", 60), ("s", 1)]
)
def test_deltas_are_whole_units_within_their_bounds_and_uniform(
    unit: str, seconds: int
) -> None:
    reference = pl.Series(["2024-02-28T23:30:00"] * 100_000)
    drawn = _drawn(_timedelta(dt_min=2, dt_max=9, unit=unit), reference).values
    start = datetime.datetime(2024, 2, 28, 23, 30)  # noqa: DTZ001
    deltas = [
        (datetime.datetime.fromisoformat(text) - start).total_seconds() / seconds
        for text in drawn.to_list()
    ]
    counts = np.bincount(np.array(deltas, int))
    assert counts[:2].sum() == 0 and len(counts) == 9
    assert stats.chisquare(counts[2:]).pvalue > 1e-4


def test_a_format_of_the_reference_loses_nothing() -> None:
    reference = pl.Series(["in spring"] * 3)
    time = datetime.datetime(2024, 3, 1, 12, 30, 15)  # noqa: DTZ001
    unformatted = pl.Series([time] * 3, dtype=TIME_TYPE)
    drawn = _drawn(_timedelta(dt_min=1, dt_max=2), reference, unformatted=unformatted)
    assert drawn.values.to_list() == ["2024-03-02T12:30:15"] * 3
    assert drawn.unformatted is not None and drawn.unformatted.dtype == TIME_TYPE


@pytest.mark.parametrize(
    "reference",
    [
        pl.Series(["2024-03-01"]),
        pl.Series(["2024-03-01T00:00:00Z"]),
        pl.Series([datetime.date(2024, 3, 1)]),
        pl.Series([MARCH]),
        pl.Series([MARCH], dtype=pl.Datetime("ns", "Europe/Berlin")),
    ],
)
def test_seed_data_may_hold_times_of_any_kind(reference: pl.Series) -> None:
    expected = "2024-03-02T00:00:00"
    if getattr(reference.dtype, "time_zone", None):
        reference = reference.dt.replace_time_zone("Europe/Berlin")
        reference = pl.Series([MARCH]).dt.replace_time_zone("Europe/Berlin")
        expected = "2024-03-01T23:00:00"  # moments with a zone are taken in UTC
    assert _drawn(_timedelta(dt_min=1, dt_max=2), reference).values.to_list() == [
        expected
    ]


def test_a_reference_that_is_no_time_fails_its_record() -> None:
    drawn = _drawn(
        _timedelta(dt_min=1, dt_max=2), pl.Series(["2024-03-01", "soon", None])
    )
    assert drawn.values.to_list() == ["2024-03-02T00:00:00", None, None]
    assert drawn.failed[
        1
    ] == "r is 'soon', which is not an ISO 8601 date or time" and set(drawn.failed) == {
        1,
        2,
    }
    assert _drawn(
        _timedelta(dt_min=1, dt_max=2), pl.Series([1, 2])
    ).values.to_list() == [
        None,
        None,
    ]


def test_formats_apply() -> None:
    drawn = _drawn(
        _timedelta(dt_min=90, dt_max=91, unit="m", convert_to="%d.%m.%y %H:%M"),
        pl.Series(["2024-03-01"]),
    )
    assert drawn.values.to_list() == ["01.03.24 01:30"]


def test_many_equal_times_and_many_different_ones_are_formatted_alike() -> None:
    few = pl.Series(["2024-03-01"] * 5000)
    column = _timedelta(dt_min=0, dt_max=50)
    many = _drawn(column, few).values
    assert many[:500].to_list() == _drawn(column, few[:500]).values.to_list()


def test_text_is_read_once_per_distinct_value() -> None:
    times = time_values(
        pl.Series(["2024-01-01T10:00:00", None, "x", "2024-01-01T10:00:00"])
    )
    assert (
        times.is_null().to_list() == [False, True, True, False]
        and times.dtype == TIME_TYPE
    )
