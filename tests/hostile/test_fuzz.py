"""Decoders meet anything: what comes out is a value that can be written again, or the error that is documented."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdg_core.config.models import InferenceParameters
from sdg_core.config.yaml_document import DocumentSyntaxError, parse_document
from sdg_core.errors import ModelError, SdgError
from sdg_core.models.providers.anthropic_wire import decode_message
from sdg_core.models.providers.http_errors import Caller, error_from_status, retry_after
from sdg_core.models.providers.openai_media import decode_embeddings, decode_generated
from sdg_core.models.providers.openai_wire import decode_reply
from sdg_core.models.structured import (
    InvalidResponseError,
    extract_json,
    is_exactly,
    validate,
)
from sdg_core.models.types import ChatRequest, EmbeddingRequest, Message
from sdg_core.plan.foreign import dump_exactly, load_exactly
from sdg_core.plan.templates.engine import TemplateSyntaxError, template_references
from sdg_core.plan.types import schema_work
from sdg_core.store.metadata import parse_metadata

CALLER = Caller("p", "http://x/v1", "KEY", key="secret-key-0815")
CHAT = ChatRequest(
    "m",
    (Message("user", "x"),),
    InferenceParameters(),
    response_schema={"type": "object"},
    schema_name="a",
)
EMBEDDING = EmbeddingRequest(
    "m", ("a",), InferenceParameters(generation_type="embedding")
)
ODD = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        2**63,
        10**400,
        1e308,
        "",
        "\ud83d",
        "\x00",
        "nan",
        [],
        {},
        [[]],
        {"a": None},
        "x" * 5_000,
        "429",
        [None],
    ]
)
VALUES = st.recursive(
    ODD | st.integers() | st.floats() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3),
    max_leaves=5,
)
REPLY: dict[str, Any] = {
    "model": "m",
    "choices": [
        {
            "finish_reason": "stop",
            "message": {
                "content": [{"type": "text", "text": "hello"}],
                "reasoning": "why",
                "refusal": None,
                "images": [{"image_url": {"url": "data:,"}}],
                "tool_calls": [
                    {"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}
                ],
            },
        }
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 1},
    },
    "error": None,
    "content": [
        {"type": "text", "text": "t"},
        {"type": "tool_use", "name": "a", "input": {}},
        {"type": "thinking", "thinking": "t"},
    ],
    "stop_reason": "end_turn",
    "data": [
        {"index": 0, "embedding": [1.0, 2.0], "url": "http://x", "b64_json": "aGk="}
    ],
}


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    return [
        path,
        *(place for key, part in parts for place in places(part, (*path, key))),
    ]


@st.composite
def with_odd_values(draw: st.DrawFn, document: Any, *, most: int) -> Any:
    """A copy of a document with odd values in one place, or in so many at most."""
    changed = copy.deepcopy(document)
    for path in draw(
        st.lists(
            st.sampled_from(places(document)[1:]),
            min_size=1,
            max_size=most,
            unique=True,
        )
    ):
        node = changed
        try:
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = copy.deepcopy(
                draw(VALUES)
            )  # what is drawn is one object for all examples
        except (KeyError, IndexError, TypeError):
            continue  # a place inside what was replaced before
    return changed


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A reply with odd values in some places, and sometimes cut or no JSON at all."""
    body = json.dumps(draw(with_odd_values(REPLY, most=3))).encode()
    cut = draw(st.integers(0, 9))
    return (
        body[: len(body) // 2]
        if cut == 0
        else draw(st.binary(max_size=30))
        if cut == 1
        else body
    )


DECODERS: dict[str, Callable[[bytes], Any]] = {
    "openai": lambda body: decode_reply(body, caller=CALLER, model="m"),
    "anthropic": lambda body: decode_message(body, CHAT, caller=CALLER),
    "embeddings": lambda body: decode_embeddings(body, EMBEDDING, caller=CALLER),
    "images": lambda body: decode_generated(body, caller=CALLER, model="m"),
}


@pytest.mark.parametrize("decoder", DECODERS)
@settings(max_examples=120, deadline=None)
@given(body=bodies(), status=st.integers(400, 599), wait=st.text(max_size=8))
def test_replies(decoder: str, body: bytes, status: int, wait: str) -> None:
    fault = error_from_status(
        status, {"retry-after": wait}, body, caller=CALLER, model="m", now=0.0
    )
    assert isinstance(fault, ModelError) and "secret-key" not in str(fault)
    waiting = retry_after({"retry-after": wait}, now=0.0)
    assert waiting is None or waiting >= 0
    try:
        reply = DECODERS[decoder](CALLER.redaction.body(body))
    except ModelError:
        return
    usage = reply[1] if isinstance(reply, tuple) else reply.usage
    orjson.dumps(
        [
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cached_tokens,
            usage.reasoning_tokens,
        ]
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "{",
                "}",
                "[",
                "]",
                ":",
                ",",
                '"',
                "\\",
                "a",
                "1e999",
                "```json\n",
                "```",
                "~~~",
                "\n",
                "null",
                "\ud83d",
            ]
        )
    )
)
def test_json_in_text(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        value = extract_json(text).value
    except InvalidResponseError:
        pass
    else:
        assert load_exactly(dump_exactly(value)) == value
    is_exactly(text, {"type": "array"})


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            "a: |- |[|]|{|}|,|&x |*x|<<: |!!int |!!binary |!y |'|\"|\n|\n  |\t|#|? |>|1_0|0x|-.inf|---|%|@|\x85|é".split(
                "|"
            )
        )
    )
)
def test_documents(parts: list[str]) -> None:
    try:
        parse_document("".join(parts))
    except DocumentSyntaxError as error:
        assert "\n" not in error.message


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            "{{|}}|{%|%}|{#|#}| a | if | for | in | set | end|endif|endfor|raw|(|)|[|]|'|\"|~|.|,|=|1|-|\n|\x00".split(
                "|"
            )
        )
    )
)
def test_template_sources(parts: list[str]) -> None:
    try:
        template_references("".join(parts))
    except TemplateSyntaxError as error:
        assert "\n" not in str(error)


METADATA = {
    "schema_version": 1,
    "dataset_name": "t",
    "config_hash": "sha256:0",
    "seed": 0,
    "simulated": False,
    "buffer_size": 10,
    "num_completed_batches": 1,
    "post_generation_state": "none",
    "usage": {},
    "created_at": "2026-01-01T00:00:00Z",
}


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.dictionaries(st.sampled_from(list(METADATA)), VALUES).map(
            lambda more: json.dumps(METADATA | more).encode()
        ),
    )
)
def test_metadata(tmp_path: Path, content: bytes) -> None:
    try:
        parse_metadata(tmp_path / "metadata.json", content)
    except SdgError as error:
        assert "metadata.json" in str(error)


def deep(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = {"c": value}
    return value


def of_two(keyword: str) -> Any:
    option = {"type": "object", "properties": {"c": {"$ref": "#/$defs/n"}}}
    options = [option | {"required": ["x"]}, option | {"required": ["y"]}]
    return {"$defs": {"n": {keyword: options}}, "$ref": "#/$defs/n"}


def twice_each(keyword: str) -> Any:
    definitions: Any = {
        f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(60)
    }
    return {"$defs": definitions | {"d60": {"type": "string"}}, "$ref": "#/$defs/d0"}


def unevaluated() -> Any:
    schema: Any = {"properties": {"a": True}}
    for _ in range(40):
        schema = {"allOf": [schema], "unevaluatedProperties": {"type": "integer"}}
    return schema


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (of_two("anyOf"), deep({}, 40)),
        (of_two("oneOf"), deep({}, 18)),
        (twice_each("allOf"), "x"),
        (unevaluated(), {f"k{n}": 1 for n in range(20)}),
        ({"items": {"type": "string"}}, [*range(300_000)]),
    ],
    ids=["anyOf", "oneOf", "twice each", "unevaluated", "all wrong"],
)
def test_schemas_that_take_very_long_to_check(
    monkeypatch: pytest.MonkeyPatch, schema: Any, value: Any
) -> None:
    monkeypatch.setattr(schema_work, "_SECONDS", 0.5)
    with pytest.raises(InvalidResponseError, match="takes more than"):
        validate(value, schema)


def test_a_schema_that_leads_back_into_itself() -> None:
    with pytest.raises(InvalidResponseError, match="does not match its schema"):
        validate(deep(1, 2), of_two("anyOf"))
    assert validate("x", {"$ref": "#"}) == "x"


@pytest.mark.parametrize("odd", ["nice \ud83d", 10**400, float("nan")])
def test_values_that_json_cannot_hold_are_checked_against_a_schema(odd: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "boolean"}, "b": True}}
    for value in ({"a": odd}, {"a": "x", "b": odd}):
        with pytest.raises(InvalidResponseError):
            validate(value, schema)
