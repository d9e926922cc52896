"""JSON out of replies: where it may stand, what is wrong with it, and how a schema is asked for."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.config.models import InferenceParameters
from sdg_core.models.structured import (
    InvalidResponseError,
    extract_json,
    native_schema,
    schema_in_prompt,
    schema_prompt,
    validate,
)
from sdg_core.models.types import ChatRequest, ImagePart, Message, TextPart

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "pets": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"age": {"type": "integer"}},
                "additionalProperties": False,
            },
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("  [1, 2]\n", [1, 2]),
        ('Sure!\n```json\n{"a": 1}\n```\nAnything else?', {"a": 1}),
        ('```json\n{"a": 1}\n```\nno, better:\n```json\n{"a": 2}\n```', {"a": 2}),
        ('```\n{"a": 1}\n```', {"a": 1}),
        ('```json\n{"a": 1}\n```\nas in\n```python\nx = {"b": 2}\n```', {"a": 1}),
        ('```json\n{"a": 1}', {"a": 1}),
        ('The answer is {"a": {"b": [1]}} as I said [x].', {"a": {"b": [1]}}),
        ("From {braces} to [1, 2, 3]", [1, 2, 3]),
        ('{"a": "``` {not} a fence"}', {"a": "``` {not} a fence"}),
    ],
)
def test_where_json_may_stand(text: str, value: Any) -> None:
    assert extract_json(text).value == value


@given(JSON.filter(lambda value: isinstance(value, dict | list)))
def test_any_json_is_found_bare_and_fenced(value: Any) -> None:
    text = orjson.dumps(value).decode()
    assert extract_json(text).value == value
    if "```" not in text:
        assert extract_json(f"Well:\n```json\n{text}\n```").value == value


@given(st.text())
def test_any_text_gives_json_or_an_invalid_reply(text: str) -> None:
    try:
        extract_json(text)
    except InvalidResponseError as error:
        assert not error.truncated


def test_reply_cut_off_by_max_tokens_names_it() -> None:
    with pytest.raises(InvalidResponseError, match="max_tokens") as caught:
        extract_json('{"a": [{"b": 1}, {"b": ', finish_reason="length")
    assert caught.value.truncated and "max_tokens" in str(caught.value.remedy)


def test_reply_that_breaks_off_says_so() -> None:
    with pytest.raises(
        InvalidResponseError, match="the JSON of the reply is incomplete"
    ) as caught:
        extract_json('{"a": [{"b": 1}, {"b": ', finish_reason="stop")
    assert not caught.value.truncated


def test_no_json() -> None:
    with pytest.raises(
        InvalidResponseError, match="holds no JSON; it begins with 'I would rather not"
    ):
        extract_json("I would rather not say.")


def test_every_violation_is_named_with_its_place() -> None:
    with pytest.raises(InvalidResponseError) as caught:
        validate({"pets": [{"age": "old"}]}, SCHEMA)
    assert caught.value.errors == (
        'pets[0].age: "old" is not of type "integer"',
        '(the whole): "name" is a required property',
    )


def test_keys_that_the_schema_forbids_are_pruned_everywhere() -> None:
    value = {"name": "x", "extra": 1, "pets": [{"age": 3, "more": {}}, {"age": 4}]}
    assert validate(value, SCHEMA) == {"name": "x", "pets": [{"age": 3}, {"age": 4}]}
    assert value["extra"] == 1


def test_keys_that_the_schema_allows_stay() -> None:
    assert validate({"a": 1, "b": 2}, {"type": "object", "properties": {"a": {}}}) == {
        "a": 1,
        "b": 2,
    }


def test_instructions_hold_the_schema() -> None:
    told = schema_prompt(SCHEMA)
    assert (
        orjson.loads(
            told.partition("<response_schema>")[2].partition("</response_schema>")[0]
        )
        == SCHEMA
    )
    assert "```json" in told


def test_schema_in_prompt_tells_the_last_user_message() -> None:
    image = ImagePart(url="https://x/y.png")
    messages = (
        Message("user", "a"),
        Message("assistant", "b"),
        Message("user", (TextPart("c"), image)),
    )
    request = ChatRequest("m", messages, InferenceParameters(), response_schema=SCHEMA)
    told = schema_in_prompt(request)
    assert told.response_schema is None and told.messages[:2] == messages[:2]
    assert told.messages[2].content == (
        TextPart("c"),
        image,
        TextPart(schema_prompt(SCHEMA)),
    )
    assert schema_in_prompt(told) == told


class TestNative:
    def test_open_objects_are_closed_and_everything_is_required(self) -> None:
        schema = {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/b"}},
            "$defs": {"b": {"properties": {"c": {}}}},
        }
        closed, strict = native_schema(schema)
        assert strict
        assert closed["required"] == ["a"] and closed["additionalProperties"] is False
        assert closed["$defs"]["b"] == {
            "properties": {"c": {}},
            "additionalProperties": False,
            "required": ["c"],
        }

    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "object"},
            {
                "type": "object",
                "properties": {},
                "additionalProperties": {"type": "integer"},
            },
            {"type": "object", "properties": {"a": {"type": "object"}}},
        ],
    )
    def test_objects_of_any_keys_are_left_as_they_are(
        self, schema: dict[str, Any]
    ) -> None:
        assert native_schema(schema) == (schema, False)

    def test_property_named_like_a_keyword(self) -> None:
        schema = {
            "type": "object",
            "properties": {
                "required": {"type": "string"},
                "properties": {"type": "integer"},
            },
        }
        assert native_schema(schema)[0]["required"] == ["required", "properties"]
