"""Every JSON schema has one Arrow type, and what satisfies the schema fits it."""

import json
from typing import Any, Literal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.models import structured
from sdg_core.models.simulated.client import SimulatedClient
from sdg_core.models.types import ChatRequest, Message
from sdg_core.plan.types.json_schema import OPEN, compile_schema, fit, shape_of

TEXT, INT, NUMBER, BOOL = (
    {"type": kind} for kind in ("string", "integer", "number", "boolean")
)
NULL = {"type": "null"}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (TEXT, pa.string()),
        (INT, pa.int64()),
        (NUMBER, pa.float64()),
        (BOOL, pa.bool_()),
        (NULL, pa.string()),
        ({}, pa.string()),
        ({"type": "object"}, pa.string()),
        ({"type": "object", "additionalProperties": INT}, pa.string()),
        ({"type": ["string", "null"]}, pa.string()),
        ({"type": ["integer", "number"]}, pa.float64()),
        ({"type": ["integer", "string"]}, pa.string()),
        ({"enum": ["a", "b", None]}, pa.string()),
        ({"enum": [1, 2]}, pa.int64()),
        ({"enum": [1, 2.5]}, pa.float64()),
        ({"enum": [True, False]}, pa.bool_()),
        ({"enum": [1, "a"]}, pa.string()),
        ({"const": 3}, pa.int64()),
        ({"type": "number", "enum": [1, 2]}, pa.int64()),
        ({"type": "array"}, pa.list_(pa.string())),
        ({"type": "array", "items": INT}, pa.list_(pa.int64())),
        ({"items": INT}, pa.list_(pa.int64())),
        ({"type": "array", "items": {}}, pa.list_(pa.string())),
        ({"type": "array", "prefixItems": [INT, NUMBER], "maxItems": 2}, pa.list_(pa.float64())),
        ({"type": "array", "prefixItems": [INT, TEXT], "items": False}, pa.list_(pa.string())),
        ({"$schema": DRAFT_7, "items": [INT, INT], "additionalItems": False}, pa.list_(pa.int64())),
        (an_object(a=INT, b=an_object(c=TEXT)), pa.struct({"a": pa.int64(), "b": pa.struct({"c": pa.string()})})),
        ({"properties": {"a": INT}}, pa.struct({"a": pa.int64()})),
        ({"anyOf": [an_object(a=INT), NULL]}, pa.struct({"a": pa.int64()})),
        ({"oneOf": [an_object(a=INT), an_object(b=TEXT)]}, pa.struct({"a": pa.int64(), "b": pa.string()})),
        ({"anyOf": [an_object(a=INT), an_object(a=TEXT)]}, pa.struct({"a": pa.string()})),
        ({"anyOf": [INT, TEXT]}, pa.string()),
        ({"anyOf": [INT, {}]}, pa.string()),
        ({"allOf": [an_object(a=INT), an_object(b=TEXT)]}, pa.struct({"a": pa.int64(), "b": pa.string()})),
        ({"allOf": [{"$ref": "#/$defs/x"}], "$defs": {"x": INT}}, pa.int64()),
        ({"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": BOOL}}, pa.bool_()),
        (an_object(next={"$ref": "#"}, a=INT), pa.struct({"next": pa.string(), "a": pa.int64()})),
    ],
    ids=str,
)  # fmt: skip
def test_the_type_of_a_schema(schema: dict[str, Any], expected: pa.DataType) -> None:
    compile_schema(schema)
    assert shape_of(schema).type == expected


def test_a_pydantic_model() -> None:
    class Line(BaseModel):
        product: str
        count: int | None = None
        tags: dict[str, int] = {}

    class Order(BaseModel):
        state: Literal["open", "paid"]
        lines: list[Line]
        first: Line | None = None
        price: float | int
        anything: Any = None

    shape = shape_of(Order.model_json_schema())
    line = pa.struct({"product": pa.string(), "count": pa.int64(), "tags": pa.string()})
    assert shape.type == pa.struct(
        {
            "state": pa.string(),
            "lines": pa.list_(line),
            "first": line,
            "price": pa.float64(),
            "anything": pa.string(),
        }
    )
    order = {
        "state": "open",
        "lines": [{"product": "x", "tags": {"a": 1}, "more": 1}],
        "price": 1,
        "anything": [1],
    }
    fitted = fit(order, shape)
    assert fitted["lines"] == [{"product": "x", "count": None, "tags": '{"a":1}'}]
    assert (
        fitted["price"] == 1.0
        and fitted["anything"] == "[1]"
        and fitted["first"] is None
    )


def test_what_does_not_fit_names_its_place() -> None:
    shape = shape_of(an_object(a={"type": "array", "items": an_object(b=INT)}))
    with pytest.raises(ValueError, match=r"a\[1\].b: .*64 bits"):
        fit({"a": [{"b": 1}, {"b": 2**70}]}, shape)
    with pytest.raises(ValueError, match=r"a\[0\]: expected an object"):
        fit({"a": ["x"]}, shape)
    with pytest.raises(ValueError, match="the value: expected an object"):
        fit([], shape)


def test_definitions_that_multiply_are_refused() -> None:
    defs = {
        f"d{n}": an_object(
            x={"$ref": f"#/$defs/d{n + 1}"}, y={"$ref": f"#/$defs/d{n + 1}"}
        )
        for n in range(30)
    }
    with pytest.raises(ValueError, match="multiply each other"):
        shape_of({"$ref": "#/$defs/d0", "$defs": {**defs, "d30": INT}})


leaves = st.one_of(
    st.sampled_from([TEXT, INT, NUMBER, BOOL, NULL, {}]),
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True).map(
        lambda values: {"enum": values}
    ),
    st.lists(st.integers(-9, 9), min_size=1, unique=True).map(
        lambda values: {"enum": values, "type": "integer"}
    ),
    st.just({"type": ["string", "null"]}),
    st.just({"type": "object", "additionalProperties": {"type": "integer"}}),
)
names = st.text("abcdefg_ äπ.$-", min_size=1, max_size=4)


def _objects(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def made(properties: dict[str, Any], closed: bool, needed: int) -> dict[str, Any]:
        schema = {**an_object(**properties), "required": sorted(properties)[:needed]}
        return {**schema, "additionalProperties": False} if closed else schema

    return st.builds(
        made,
        st.dictionaries(names, children, max_size=3),
        st.booleans(),
        st.integers(0, 3),
    )


schemas = st.recursive(
    leaves,
    lambda children: st.one_of(
        children.map(lambda item: {"type": "array", "items": item, "maxItems": 3}),
        _objects(children),
        st.lists(children, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        children.map(lambda part: {"anyOf": [part, NULL]}),
    ),
    max_leaves=8,
)
scalars = [
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(["a", "b", "x"]),
]
values = st.recursive(
    st.one_of(*scalars, st.floats(-(2.0**62), 2.0**62)),
    lambda children: st.one_of(
        st.lists(children, max_size=2), st.dictionaries(names, children, max_size=2)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas, st.integers(0, 2**64 - 1))
async def test_a_simulated_reply_is_of_its_schema_and_fits_the_type(
    schema: dict[str, Any], seed: int
) -> None:
    compiled = compile_schema(schema)
    client = SimulatedClient(ModelProvider(name="p", provider_type="simulated"))
    request = ChatRequest(
        "m",
        (Message("user", "a word"),),
        InferenceParameters(),
        seed=seed,
        response_schema=schema,
    )
    value = structured.parse(await client.chat(request), schema)
    assert compiled.is_valid(value)
    shape = shape_of(schema)
    fitted = fit(value, shape)
    assert pa.array([fitted, None], type=shape.type).to_pylist() == [fitted, None]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas, values)
def test_what_satisfies_a_schema_fits_its_type(
    schema: dict[str, Any], value: Any
) -> None:
    assume(compile_schema(schema).is_valid(value))
    shape = shape_of(schema)
    fitted = fit(value, shape)
    assert pa.array([fitted], type=shape.type).to_pylist() == [fitted]
    if shape == OPEN and value is not None:
        assert json.loads(fitted) == value
