"""Conditions: the compiled path and the template engine agree; the first that holds wins; a fault fails its record."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.config.columns import SamplerColumn
from sdg_core.errors import CellError
from sdg_core.generators.samplers.conditions import (
    choose_branches,
    compiled_condition,
    evaluate_condition,
)
from sdg_core.generators.samplers.sampler import sample
from sdg_core.plan.sampling.rng import RandomSource
from sdg_core.plan.templates.engine import condition_template
from sdg_core.plan.templates.render import compiled

INTS = st.one_of(
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1]),
)
FLOATS = st.one_of(
    st.floats(),
    st.sampled_from(
        [0.0, -0.0, 1.0, 2.0, 2.0**53, 9007199254740994.0, float("nan"), float("inf")]
    ),
)
TEXTS = st.one_of(st.sampled_from(["", "a", "b", "1", "é", "Z"]), st.text(max_size=3))


@st.composite
def frames(draw: st.DrawFn) -> dict[str, pl.Series]:
    count = draw(st.integers(1, 6))

    def column(values: st.SearchStrategy[Any], dtype: Any) -> pl.Series:
        element = (
            st.one_of(st.none(), values) if draw(st.integers(0, 4)) == 0 else values
        )
        return pl.Series(
            draw(st.lists(element, min_size=count, max_size=count)), dtype=dtype
        )

    return {
        "i": column(INTS, pl.Int64),
        "j": column(INTS, pl.Int64),
        "f": column(FLOATS, pl.Float64),
        "s": column(TEXTS, pl.String),
        "b": column(st.booleans(), pl.Boolean),
    }


LITERALS = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "2.5",
        "1.0",
        "'a'",
        "''",
        "true",
        "9007199254740993",
        "9223372036854775808",
    ]
)
NAMES = st.sampled_from("ijfsb")
OPERATORS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
COMPARISONS = st.one_of(
    st.tuples(st.one_of(NAMES, LITERALS), OPERATORS, st.one_of(NAMES, LITERALS)).map(
        " ".join
    ),
    st.tuples(
        NAMES,
        st.sampled_from(["in", "not in"]),
        st.sampled_from(["[1, 2]", "['a', 'b']", "(1, -3)", "[1, 'a']", "'abc'"]),
    ).map(" ".join),
    NAMES,
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner)
        .map("".join)
        .map("({})".format),
        inner.map("not {}".format),
        inner.map("({})".format),
    ),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None)
@given(condition=CONDITIONS, frame=frames())
def test_both_ways_agree_on_every_record(
    condition: str, frame: dict[str, pl.Series]
) -> None:
    length = len(frame["i"])
    quick = compiled_condition(condition, frame=frame, length=length)
    if quick is None:
        return
    template = compiled(condition_template(condition))
    slow = [
        template.render({name: series[row] for name, series in frame.items()}) == "1"
        for row in range(length)
    ]
    assert quick.tolist() == slow


@pytest.mark.parametrize(
    "condition",
    [
        "i > 1",
        "i >= j",
        "s == 'a'",
        "s in ['a', 'b']",
        "f < 2.5 and not b",
        "i > 0 or s != ''",
        "-1 < i",
        "b",
        "i",
    ],
)
def test_plain_comparisons_are_compiled(condition: str) -> None:
    frame = {
        "i": pl.Series([1, 2]),
        "j": pl.Series([2, 2]),
        "f": pl.Series([1.0, 3.0]),
        "s": pl.Series(["a", "b"]),
        "b": pl.Series([True, False]),
    }
    assert compiled_condition(condition, frame=frame, length=2) is not None


def test_what_is_not_certain_goes_to_the_engine() -> None:
    frame = {
        "i": pl.Series([1, None]),
        "f": pl.Series([float("nan"), 1.0]),
        "s": pl.Series(["a", "b"]),
    }
    for condition in ("i > 0", "f > 0", "s > 1", "s|length > 1", "1 < s < 2", "s == i"):
        assert compiled_condition(condition, frame=frame, length=2) is None
    truth, failed = evaluate_condition(
        "s|upper == 'B'", name="c", frame=frame, length=2
    )
    assert (truth.tolist(), failed) == ([False, True], {})


def test_a_constant_condition_holds_for_all_or_none() -> None:
    assert (
        evaluate_condition("1 < 2", name="c", frame={}, length=3)[0].tolist()
        == [True] * 3
    )
    assert (
        evaluate_condition("false", name="c", frame={}, length=2)[0].tolist()
        == [False] * 2
    )


def _column(conditional: dict[str, Any], **params: Any) -> SamplerColumn:
    data = {
        "name": "c",
        "sampler_type": "uniform",
        "params": {"low": 0, "high": 1, **params},
    }
    return SamplerColumn.model_validate({**data, "conditional_params": conditional})


def test_the_first_condition_that_holds_wins() -> None:
    column = _column(
        {"a > 5": {"low": 10, "high": 11}, "a > 2": {"low": 20, "high": 21}}
    )
    frame = {"a": pl.Series([1, 3, 6, 2, 9])}
    branches, failed = choose_branches(column, frame=frame, length=5)
    assert (branches.tolist(), failed) == ([2, 1, 0, 2, 0], {})
    drawn = sample(
        column, indices=np.arange(5), frame=frame, random=RandomSource(1)
    ).values
    assert [int(value) // 10 for value in drawn.to_list()] == [0, 2, 1, 0, 1]


def test_a_branch_draws_what_the_column_would_draw_with_its_parameters() -> None:
    column = _column({"a > 5": {"low": 10, "high": 11}})
    frame = {"a": pl.Series([1, 6, 9])}
    drawn = sample(
        column, indices=np.arange(3), frame=frame, random=RandomSource(1)
    ).values
    plain = sample(
        _column({}), indices=np.arange(3), frame={}, random=RandomSource(1)
    ).values
    other = sample(
        _column({}, low=10, high=11),
        indices=np.arange(3),
        frame={},
        random=RandomSource(1),
    ).values
    assert drawn.to_list() == [plain[0], other[1], other[2]]


def test_a_condition_that_cannot_be_told_fails_its_record_unless_an_earlier_one_holds() -> (
    None
):
    column = _column(
        {"a == 1": {"low": 2, "high": 3}, "10 // b > 1": {"low": 4, "high": 5}}
    )
    frame = {"a": pl.Series([1, 0, 0]), "b": pl.Series([0, 0, 5])}
    drawn = sample(column, indices=np.arange(3), frame=frame, random=RandomSource(1))
    assert drawn.values.is_null().to_list() == [False, True, False]
    assert list(drawn.failed) == [1] and "condition '10 // b > 1'" in drawn.failed[1]
    assert int(drawn.values[2] or 0) == 4


def test_a_condition_is_no_way_into_the_template() -> None:
    with pytest.raises((CellError, ValueError)):
        compiled(condition_template("a %}{% include 'x'"))
