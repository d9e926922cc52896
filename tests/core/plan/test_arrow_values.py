"""Python values become the arrays that `pyarrow.array` makes of them, error for error."""

import datetime
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.plan.types.arrow_values import (
    array_of,
    integers_of,
    mask_of,
    narrowed,
    series_of,
)

_LEAVES = {
    pa.string(): st.text(st.characters(codec="utf-8"), max_size=5),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
}


def _types() -> st.SearchStrategy[pa.DataType]:
    def larger(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
        fields = st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3)
        return st.one_of(
            inner.map(pa.list_),
            fields.map(lambda found: pa.struct(list(found.items()))),
        )

    return st.recursive(st.sampled_from(list(_LEAVES)), larger, max_leaves=5)


def _values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_list(kind):
        return st.none() | st.lists(_values(kind.value_type), max_size=3)
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries(
            {}, optional={field.name: _values(field.type) for field in kind}
        )
    return st.none() | _LEAVES[kind]


_TYPED = _types().flatmap(
    lambda kind: st.tuples(st.just(kind), st.lists(_values(kind), max_size=8))
)


@given(_TYPED)
def test_plain_values_of_a_type(typed: tuple[pa.DataType, list[Any]]) -> None:
    kind, values = typed
    made, expected = array_of(values, kind), pa.array(values, type=kind)
    made.validate(full=True)
    assert made.type == kind
    assert (
        repr(made.to_pylist()) == repr(expected.to_pylist())
        and made.null_count == expected.null_count
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", None], None),
        ([], None),
        ([None], None),
        ([1, 2.5], None),
        ([{"a": 1}, {"b": "x"}, None], None),
        ([{}], None),
        ((1, 2), pa.int64()),
        ([True], pa.int64()),
        ([1], pa.float64()),
        ([2**60 + 1], pa.float64()),
        ([1.5], pa.int64()),
        ([2**63], pa.int64()),
        ([2**70], None),
        (["x"], pa.int64()),
        ([1, "x"], None),
        (["\ud800"], pa.string()),
        ([b"x"], pa.string()),
        ([{"a": "x", "more": 1}], pa.struct([("a", pa.string())])),
        ([{"a": 1}], pa.struct([("a", pa.string())])),
        ([[1, "x"]], pa.list_(pa.int64())),
        ([(1, 2)], pa.list_(pa.int64())),
        ([np.float64(1.5), np.int64(3)], pa.float64()),
        ([datetime.date(2020, 1, 1), None], None),
        ([Decimal("1.5"), None], None),
        ([object()], None),
    ],
)
def test_other_values_and_what_does_not_fit(
    values: Any, kind: pa.DataType | None
) -> None:
    assert _outcome(lambda: array_of(values, kind)) == _outcome(
        lambda: pa.array(values, type=kind)
    )


def _outcome(convert: Any) -> tuple[str, str]:
    try:
        made = convert()
    except Exception as error:  # noqa: BLE001 - the error is the outcome
        return type(error).__name__, str(error)
    return str(made.type), repr(made.to_pylist())


@given(st.lists(st.booleans(), max_size=40))
def test_masks_and_numbers(mask: list[bool]) -> None:
    flags = np.array(mask, dtype=np.bool_)
    assert mask_of(flags).to_pylist() == mask
    assert (
        integers_of(np.flatnonzero(flags)[::2]).to_pylist()
        == np.flatnonzero(flags)[::2].tolist()
    )


@given(
    st.sampled_from([pa.string(), pa.large_string(), pa.int64(), pa.bool_()]), st.data()
)
def test_an_array_as_a_series(kind: pa.DataType, data: st.DataObject) -> None:
    plain = pa.string() if kind == pa.large_string() else kind
    array = pa.array(data.draw(st.lists(_values(plain), max_size=8)), type=kind)
    part = array.slice(data.draw(st.integers(0, 8)))
    assert series_of("s", part).equals(
        pl.Series("s", part), check_names=True, check_dtypes=True
    )


@given(_TYPED)
def test_a_column_of_polars_narrowed_is_the_column_cast(
    typed: tuple[pa.DataType, list[Any]],
) -> None:
    kind, values = typed
    wide = pl.Series(pl.from_arrow(pa.array(values, type=kind))).to_arrow()
    made = narrowed(wide, kind)
    made.validate(full=True)
    assert repr((made.type, made.to_pylist())) == repr(
        (kind, wide.cast(kind).to_pylist())
    )


@given(_TYPED)
def test_values_whose_type_nobody_says(typed: tuple[pa.DataType, list[Any]]) -> None:
    _, values = typed
    made, expected = array_of(values), pa.array(values)
    made.validate(full=True)
    assert made.type == expected.type
    assert repr(made.to_pylist()) == repr(expected.to_pylist())


def test_plain_values_import_no_pandas() -> None:
    script = (
        "import sys\n"
        "from sdg_core.plan.types.arrow_values import array_of\n"
        "for values in (['a'], [1], [1.5], [True]):\n"
        "    array_of(values)\n"
        "print('pandas' in sys.modules)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "False\n"
