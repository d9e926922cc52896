"""Declared types, and values made to fit them without bending."""

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from sdg_core.plan.types.arrow import conform, declared_type, json_schema_type


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("str", pa.string()),
        ("int", pa.int64()),
        ("float", pa.float64()),
        ("bool", pa.bool_()),
        ("date", pa.date32()),
        ("datetime", pa.timestamp("us")),
        (["int"], pa.list_(pa.int64())),
        (
            {"a": ["str"], "b": {"c": "bool"}},
            pa.struct(
                [("a", pa.list_(pa.string())), ("b", pa.struct([("c", pa.bool_())]))]
            ),
        ),
    ],
)
def test_declared_types(declared: Any, expected: pa.DataType) -> None:
    assert declared_type(declared) == expected


@pytest.mark.parametrize(
    "declared", ["integer", [], {}, ["int", "str"], 3, None, {"a": "text"}]
)
def test_what_is_no_type_is_refused(declared: Any) -> None:
    with pytest.raises(ValueError, match="one of str, int"):
        declared_type(declared)


def test_the_type_of_a_json_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "score": {"type": ["number", "null"]},
            "notes": {"type": "array", "items": {"type": "string"}},
        },
    }
    assert json_schema_type(schema) == pa.struct(
        [("score", pa.float64()), ("notes", pa.list_(pa.string()))]
    )
    for vague in (
        {},
        {"type": "object"},
        {"type": "array"},
        {"type": ["string", "integer"]},
    ):
        with pytest.raises(ValueError, match="does not set a type"):
            json_schema_type(vague)


class Point(BaseModel):
    x: int
    y: float


POINT = {"x": "int", "y": "float"}


@pytest.mark.parametrize(
    ("value", "declared", "expected"),
    [
        (None, "int", None),
        (3.0, "int", 3),
        (np.int32(4), "int", 4),
        (np.float32(0.5), "float", 0.5),
        (2, "float", 2.0),
        (np.bool_(True), "bool", True),
        ((1, None), ["int"], [1, None]),
        (np.array([1, 2]), ["int"], [1, 2]),
        ({"x": 1}, POINT, {"x": 1, "y": None}),
        (Point(x=1, y=2), POINT, {"x": 1, "y": 2.0}),
        (b"ab", "binary", b"ab"),
        (datetime.date(2024, 1, 2), "date", datetime.date(2024, 1, 2)),
        (
            datetime.datetime.fromisoformat("2024-01-02T03:00"),
            "datetime",
            datetime.datetime.fromisoformat("2024-01-02T03:00"),
        ),
    ],
)
def test_values_that_fit(value: Any, declared: Any, expected: Any) -> None:
    data_type = declared_type(declared)
    found = conform(value, data_type)
    assert found == expected
    assert pa.scalar(found, type=data_type).as_py() == expected


@pytest.mark.parametrize(
    ("value", "declared", "message"),
    [
        (1.5, "int", "1.5 is float, not int"),
        ("1", "int", "'1' is str, not int"),
        (True, "int", "True is bool, not int"),
        (True, "float", "True is bool, not float"),
        (7, "str", "7 is int, not str"),
        (b"x", "str", "is bytes, not str"),
        (2**63, "int", "does not fit into 64 bits"),
        (10**400, "float", "does not fit into 64 bits"),
        (float("nan"), "int", "nan is float"),
        ("x\ud800", "str", "a lone surrogate"),
        ([1, "x"], ["int"], "'x' is str, not int"),
        ("ab", ["str"], "is str, not list"),
        ({"x": 1, "z": 2}, POINT, "the key 'z' is not part of"),
        ([1], POINT, "is list, not struct"),
        (
            datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
            "datetime",
            "has a time zone",
        ),
        (
            datetime.datetime.fromisoformat("2024-01-01"),
            "date",
            "is datetime, not date",
        ),
    ],
)
def test_values_that_do_not_fit(value: Any, declared: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conform(value, declared_type(declared))


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner)
    ),
    max_leaves=6,
)
types = st.recursive(
    st.sampled_from(["str", "int", "float", "bool", "date", "datetime", "binary"]),
    lambda inner: (
        st.tuples(inner).map(list)
        | st.fixed_dictionaries({"a": inner}, optional={"b": inner})
    ),
    max_leaves=4,
)


@given(value=anything, declared=types)
def test_arrow_takes_whatever_conforms(value: Any, declared: Any) -> None:
    data_type = declared_type(declared)
    try:
        found = conform(value, data_type)
    except ValueError:
        return
    assert pa.array([found], type=data_type).type == data_type
