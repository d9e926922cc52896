"""Values from outside are kept exactly or refused by name."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.plan.foreign import (
    check_value,
    dump_exactly,
    json_text,
    load_exactly,
    read_json,
)

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal in value and type, NaN included."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same(one[key], other[key]) for key in one
        )
    return type(one) is type(other) and one == other


@given(VALUES)
def test_the_journal_gives_back_what_it_took(value: Any) -> None:
    assert same(load_exactly(dump_exactly(value)), value)


@given(VALUES)
def test_json_text_is_exact_or_refused_with_a_reason(value: Any) -> None:
    try:
        text = json_text(value)
    except ValueError as error:
        assert "not a JSON number" in str(error) or "surrogate" in str(error)
    else:
        assert same(json.loads(text), value) and same(read_json(text), value)


@given(st.recursive(st.integers() | TEXTS, lambda inner: st.lists(inner), max_leaves=8))
def test_integers_of_any_size_and_escaped_half_surrogates_are_read(value: Any) -> None:
    assert same(read_json(json.dumps(value)), value)


@pytest.mark.parametrize("text", ["[NaN]", "[Infinity]", "{", "", "[1,]"])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read_json(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ("a\ud83d", "cell"),
        (["x", {"note": "\udc00"}], r"cell\[1\]\.note"),
        ({"\ud800": 1}, "a key of cell"),
    ],
)
def test_half_a_surrogate_pair_is_refused_with_its_place(
    value: Any, where: str
) -> None:
    with pytest.raises(ValueError, match=f"^{where}: character"):
        check_value(value, where="cell")


def test_nesting_is_bounded() -> None:
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(ValueError, match="nested more than"):
        check_value(deep)
