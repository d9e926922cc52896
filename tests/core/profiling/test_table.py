"""Statistics of tables against plain Python, on values that are easily got wrong."""

import datetime
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sdg_core.config.columns import SamplerColumn
from sdg_core.profiling.counting import MAX_SHOWN
from sdg_core.profiling.measure import BINS, Limits
from sdg_core.profiling.model import ColumnProfile, Numbers
from sdg_core.profiling.table import (
    MAX_FIELDS,
    Described,
    expected_shares,
    profile_table,
)

FLOATS = st.one_of(
    st.none(),
    st.floats(),
    st.sampled_from([0.0, -0.0, math.nan, math.inf, 5e-324, 1e308, -1e308]),
)
INTS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3))
TEXTS = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(["", "é", "🙂"]),
)
SMALL = settings(max_examples=60, deadline=None)


def profile(values: Sequence[Any], dtype: Any, **options: Any) -> ColumnProfile:
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)}).lazy()
    limits = Limits(len(values), **options)
    (found,) = profile_table(
        frame, [Described("x", "any")], rows=len(values), limits=limits
    )
    return found


def sampler(**config: Any) -> SamplerColumn:
    return SamplerColumn.model_validate(
        {"name": "x", "column_type": "sampler", **config}
    )


def check_numbers(found: Numbers, finite: Sequence[float]) -> None:
    """What is said of numbers is what plain Python says of those that are finite."""
    assert found.values == len(finite)
    assert sum(item.count for item in found.histogram) == len(finite)
    if not finite:
        assert (found.minimum, found.maximum, found.mean, found.quantiles) == (
            None,
            None,
            None,
            {},
        )
        return
    assert (found.minimum, found.maximum) == (min(finite), max(finite))
    exact = (
        statistics.fmean(map(float, finite))
        if math.isfinite(sum(map(float, finite)))
        else None
    )
    scale = max(abs(float(value)) for value in finite)
    if found.mean is not None and exact is not None:
        assert math.isclose(found.mean, exact, rel_tol=1e-8, abs_tol=scale * 1e-8)
    if len(finite) > 1 and (
        scale == 0 or 1e-150 < scale < 1e150
    ):  # squares beyond are none or infinite
        assert found.stddev is not None
        assert math.isclose(
            found.stddev,
            statistics.stdev(map(float, finite)),
            rel_tol=1e-6,
            abs_tol=scale * 1e-6,
        )
    if scale < 1e300:
        assert math.isclose(
            found.quantiles["p50"],
            statistics.median(map(float, finite)),
            rel_tol=1e-8,
            abs_tol=1e-300,
        )
    for low, high in zip(found.histogram, found.histogram[1:], strict=False):
        assert low.high == high.low and float(low.low) <= float(low.high)
    assert len(found.histogram) <= BINS


@SMALL
@example([None, 0.0, 2.225073858507203e-309])
@given(st.lists(FLOATS, max_size=40))
@example([1.7976931345e308])
def test_floats(values: list[float | None]) -> None:
    found = profile(values, pl.Float64)
    there = [value for value in values if value is not None]
    assert (
        found.nulls == len(values) - len(there)
        and found.numbers is not None
        and found.distinct is not None
    )
    assert found.numbers.nan == sum(math.isnan(value) for value in there)
    assert found.numbers.infinite == sum(math.isinf(value) for value in there)
    assert found.distinct.count == len(
        {"nan" if math.isnan(value) else value for value in there}
    )
    check_numbers(found.numbers, [value for value in there if math.isfinite(value)])


@SMALL
@given(st.lists(INTS, max_size=40))
def test_whole_numbers(values: list[int | None]) -> None:
    found = profile(values, pl.Int64)
    there = [value for value in values if value is not None]
    assert found.numbers is not None and found.distinct is not None
    assert (found.nulls, found.distinct.count) == (
        len(values) - len(there),
        len(set(there)),
    )
    check_numbers(found.numbers, there)
    if len(set(there)) <= MAX_SHOWN:
        assert [(item.value, item.count) for item in found.top] == sorted(
            Counter(there).items()
        )


@SMALL
@given(st.lists(TEXTS, max_size=40))
def test_texts(values: list[str | None]) -> None:
    found = profile(values, pl.String)
    there = [value for value in values if value is not None]
    assert found.lengths is not None and found.distinct is not None
    assert (found.nulls, found.distinct.count) == (
        len(values) - len(there),
        len(set(there)),
    )
    assert found.duplicates == len(there) - len(set(there))
    assert found.empty == there.count("") and found.lengths.total == sum(
        map(len, there)
    )
    check_numbers(found.lengths, [len(value) for value in there])
    counts = Counter(there)
    ranked = sorted(counts.values(), reverse=True)[:MAX_SHOWN]
    assert [item.count for item in found.top] == (ranked if found.duplicates else [])
    assert all(counts[str(item.value)] == item.count for item in found.top)


@SMALL
@given(
    st.lists(st.one_of(st.none(), st.lists(st.integers(0, 5), max_size=4)), max_size=30)
)
def test_lists(values: list[list[int] | None]) -> None:
    found = profile(values, pl.List(pl.Int64))
    there = [value for value in values if value is not None]
    assert found.kind == "list" and found.lengths is not None and found.distinct is None
    assert (found.nulls, found.empty, found.lengths.total) == (
        len(values) - len(there),
        there.count([]),
        sum(map(len, there)),
    )
    check_numbers(found.lengths, [len(value) for value in there])


@SMALL
@given(st.lists(st.one_of(st.none(), st.booleans()), max_size=30))
def test_truths(values: list[bool | None]) -> None:
    found = profile(values, pl.Boolean)
    assert found.kind == "boolean" and found.nulls == values.count(None)
    assert {item.value: item.count for item in found.top} == {
        truth: values.count(truth) for truth in (True, False) if truth in values
    }


@SMALL
@given(st.lists(st.one_of(st.none(), st.datetimes()), max_size=30))
def test_times(values: list[datetime.datetime | None]) -> None:
    found = profile(values, pl.Datetime("us"))
    there = [value for value in values if value is not None]
    assert (
        found.kind == "time"
        and found.distinct is not None
        and found.distinct.count == len(set(there))
    )
    if not there:
        assert found.times is None
        return
    assert found.times is not None and sum(
        item.count for item in found.times.histogram
    ) == len(there)
    earliest, latest = (
        time.replace(microsecond=0).isoformat() for time in (min(there), max(there))
    )
    assert (found.times.earliest, found.times.latest) == (earliest, latest)


@SMALL
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {"a": INTS, "b": st.fixed_dictionaries({"c": TEXTS})}
            ),
        ),
        max_size=20,
    )
)
def test_fields_of_structs(values: list[dict[str, Any] | None]) -> None:
    found = profile(
        values, pl.Struct({"a": pl.Int64, "b": pl.Struct({"c": pl.String})})
    )
    a, c = found.fields
    assert (found.kind, found.nulls) == ("struct", values.count(None)) and (
        a.name,
        c.name,
    ) == (
        "x.a",
        "x.b.c",
    )
    whole = [value for value in values if value is not None]
    assert a.nulls == found.nulls + sum(value["a"] is None for value in whole)
    assert c.distinct is not None
    assert c.distinct.count == len({value["b"]["c"] for value in whole} - {None})


def test_few_fields_of_a_wide_struct_are_described_and_the_others_counted() -> None:
    names = [f"f{number}" for number in range(MAX_FIELDS + 5)]
    found = profile(
        [dict.fromkeys(names, 1)], pl.Struct(dict.fromkeys(names, pl.Int64))
    )
    assert (
        len(found.fields) + found.fields_left_out == len(names)
        and found.fields_left_out == 6
    )


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [
        ([b"ab", None], pl.Binary, "other"),
        ([None, None], pl.Null, "other"),
        ([datetime.timedelta(1), None], pl.Duration, "other"),
        ([datetime.date(2020, 1, 1), None], pl.Date, "time"),
        ([datetime.time(12, 30), None], pl.Time, "time"),
        (["a", None], pl.Categorical, "text"),
        (["1.50", None], pl.Decimal(10, 2), "number"),
        ([[1.0, 2.0], None], pl.Array(pl.Float64, 2), "list"),
        ([[{"a": 1}], None], pl.List(pl.Struct({"a": pl.Int64})), "list"),
        ([2**64 - 1, None], pl.UInt64, "number"),
    ],
)
def test_every_type_has_a_profile(values: list[Any], dtype: Any, kind: str) -> None:
    found = profile(values, dtype)
    assert found.kind == kind and found.nulls == values.count(None)
    assert profile(values[:1], dtype).nulls == values[:1].count(None)


def test_times_are_shown_as_what_they_are() -> None:
    assert profile([datetime.date(2020, 1, 1)], pl.Date).times.earliest == "2020-01-01"  # type: ignore[union-attr]
    assert profile([datetime.time(12, 30)], pl.Time).times.latest == "12:30:00"  # type: ignore[union-attr]
    zoned = [datetime.datetime(2020, 1, 1, 12, tzinfo=datetime.UTC)]
    assert (
        profile(zoned, pl.Datetime("us", "UTC")).times.latest == "2020-01-01T12:00:00Z"
    )  # type: ignore[union-attr]


def test_beyond_the_limit_counts_are_estimates_and_quantiles_of_a_sample_and_both_say_so() -> (
    None
):
    found = profile(
        [f"text {number}" for number in range(5_000)], pl.String, exact_rows=500
    )
    assert (
        found.distinct is not None
        and found.distinct.approximate
        and abs(found.distinct.count - 5_000) < 500
    )
    assert (
        found.lengths is not None
        and found.lengths.sampled
        and found.lengths.quantiles["p50"] == 9
    )
    assert (found.lengths.values, found.lengths.minimum, found.lengths.maximum) == (
        5_000,
        6,
        9,
    )
    few = profile(["a", "b"] * 1_000, pl.String, exact_rows=500)
    assert few.distinct is not None and not few.distinct.approximate, (
        "few values are counted one by one"
    )
    assert [item.count for item in few.top] == [1_000, 1_000]


def test_texts_that_repeat_are_named_though_there_are_many_others() -> None:
    found = profile(
        ["again"] * 30 + ["twice"] * 2 + [f"text {number}" for number in range(400)],
        pl.String,
    )
    assert [(item.value, item.count) for item in found.top] == [
        ("again", 30),
        ("twice", 2),
    ]
    assert found.duplicates == 30
    spread = [text for number in range(2_000) for text in (f"text {number}", "again")]
    large = profile(spread, pl.String, exact_rows=900)
    assert [(item.value, item.count) for item in large.top] == [("again", 2_000)], (
        "found in a part, counted in all"
    )


def test_sampled_times_are_times_though_they_are_text() -> None:
    params = {"start": "2026-01-01", "end": "2026-02-01"}
    frame = pl.DataFrame({"x": ["01.02.2026", "03.01.2026", None]}).lazy()
    column = sampler(sampler_type="datetime", params=params, convert_to="%d.%m.%Y")
    (found,) = profile_table(frame, [Described("x", "string", column=column)], rows=3)
    assert found.kind == "time" and found.nulls == 1 and found.times is not None
    assert found.times.earliest == "2026-01-03T00:00:00"
    column = sampler(sampler_type="datetime", params=params, convert_to="%A")
    (found,) = profile_table(frame, [Described("x", "string", column=column)], rows=3)
    assert found.kind == "text", "a format that holds no whole date"


def test_the_share_that_weights_ask_for() -> None:
    weighted = sampler(
        sampler_type="category",
        params={"values": ["a", "b", "a"], "weights": [1, 2, 1]},
    )
    assert expected_shares(weighted) == {"a": 0.5, "b": 0.5}
    assert expected_shares(
        sampler(sampler_type="category", params={"values": [1, 2, 4, 8]})
    ) == dict.fromkeys("1248", 0.25)
    assert expected_shares(sampler(sampler_type="uuid", params={})) is None
    frame = pl.DataFrame({"x": ["a", "a", "b", "b"]}).lazy()
    (found,) = profile_table(
        frame, [Described("x", "string", column=weighted, expected={"a": 0.25})], rows=4
    )
    assert [(item.value, item.share, item.expected) for item in found.top] == [
        ("a", 0.5, 0.25),
        ("b", 0.5, None),
    ]


def test_a_table_without_rows() -> None:
    for dtype in (
        pl.Float64,
        pl.String,
        pl.Boolean,
        pl.List(pl.Int64),
        pl.Datetime("us"),
        pl.Struct({"a": pl.Int64}),
    ):
        found = profile([], dtype)
        assert found.nulls == 0 and found.top == ()
