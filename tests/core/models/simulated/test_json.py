"""The simulated provider beyond text: JSON of any schema, vectors, images, and faults on demand."""

import asyncio
import zlib
from dataclasses import replace
from typing import Any

import jsonschema_rs
import orjson
import pytest

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.errors import PermanentModelError, RateLimitedError, TransientModelError
from sdg_core.models.simulated.client import MARK, SimulatedClient
from sdg_core.models.types import ChatRequest, EmbeddingRequest, ImageRequest, Message

SCHEMAS: list[dict[str, Any]] = [
    {"type": "string", "minLength": 60, "maxLength": 61},
    {"type": "string", "maxLength": 3},
    {"type": "string", "pattern": r"^[A-Z]{3}-\d{2,4}(x|yz)?$"},
    {"type": "string", "pattern": r"^[^a-y ]\w+\.$"},
    *(
        {"type": "string", "format": name}
        for name in (
            "date",
            "date-time",
            "email",
            "uri",
            "uuid",
            "ipv4",
            "ipv6",
            "time",
        )
    ),
    {"type": "integer", "minimum": 3, "exclusiveMaximum": 5},
    {"type": "integer", "multipleOf": 7, "minimum": 8, "maximum": 20},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 0.001},
    {"type": "number", "maximum": -5},
    {"type": ["string", "null"]},
    {"enum": [1, "two", None]},
    {"const": {"a": 1}},
    {
        "anyOf": [
            {"type": "integer"},
            {"type": "array", "items": {"type": "boolean"}, "minItems": 4},
        ]
    },
    {
        "allOf": [
            {
                "type": "object",
                "properties": {"a": {"type": "null"}},
                "required": ["a"],
            },
            {"required": ["b"]},
        ]
    },
    {
        "type": "array",
        "items": {"enum": ["a", "b", "c"]},
        "uniqueItems": True,
        "minItems": 3,
    },
    {
        "type": "array",
        "prefixItems": [{"type": "integer"}, {"const": "x"}],
        "items": False,
        "minItems": 2,
    },
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "v": {"type": "integer"},
                    "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["v", "kids"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/node",
    },
]


def client_of(**simulation: Any) -> SimulatedClient:
    settings = {"name": "p", "provider_type": "simulated", "simulation": simulation}
    return SimulatedClient(ModelProvider.model_validate(settings))


def ask(seed: int = 0, schema: dict[str, Any] | None = None) -> ChatRequest:
    return ChatRequest(
        "m",
        (Message("user", "x"),),
        InferenceParameters(),
        seed=seed,
        response_schema=schema,
    )


@pytest.mark.parametrize(
    "schema", SCHEMAS, ids=lambda schema: orjson.dumps(schema).decode()[:60]
)
async def test_json_satisfies_its_schema(schema: dict[str, Any]) -> None:
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    for seed in range(25):
        text = (await client_of().chat(ask(seed, schema))).text
        validator.validate(orjson.loads(text))
        assert text == (await client_of().chat(ask(seed, schema))).text


async def test_text_inside_is_marked_and_varies() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
    }
    texts = {(await client_of().chat(ask(seed, schema))).text for seed in range(100)}
    assert len(texts) > 80 and all(
        orjson.loads(text)["a"].startswith(MARK) for text in texts
    )


IMPOSSIBLE: list[dict[str, Any]] = [
    {"type": "string", "pattern": "(?<=a)b"},
    {"not": {}},
    {"$ref": "#"},
    {"type": "integer", "minimum": 2, "maximum": 1},
]


@pytest.mark.parametrize("schema", IMPOSSIBLE, ids=repr)
async def test_schema_that_cannot_be_met_is_a_clear_error(
    schema: dict[str, Any],
) -> None:
    with pytest.raises(
        PermanentModelError, match="simulated provider cannot generate a value"
    ):
        await client_of().chat(ask(schema=schema))


async def test_vectors_have_the_dimensions_asked_for() -> None:
    request = EmbeddingRequest(
        "m", ("a", "b"), InferenceParameters(generation_type="embedding", dimensions=9)
    )
    reply = await client_of().embed(request)
    assert [len(vector) for vector in reply.vectors] == [9, 9]
    assert (await client_of().embed(replace(request, inputs=("b",), seed=5))).vectors[
        0
    ] == reply.vectors[1]


async def test_image_is_a_valid_png_of_its_record() -> None:
    request = ImageRequest("m", "a quay", InferenceParameters(generation_type="image"))
    content = (await client_of().make_images(request)).images[0].content
    start = content.index(b"IDAT")
    size = int.from_bytes(content[start - 4 : start], "big")
    assert len(zlib.decompress(content[start + 4 : start + 4 + size])) == 32 * (
        1 + 32 * 3
    )
    assert (await client_of().make_images(replace(request, seed=1))).images[
        0
    ].content != content


async def fates(client: SimulatedClient, seeds: range) -> list[str]:
    found = []
    for seed in seeds:
        try:
            found.append("ok" if (await client.chat(ask(seed))).text else "")
        except (RateLimitedError, TransientModelError) as error:
            found.append(type(error).__name__)
    return found


async def test_faults_come_at_their_rates_and_depend_on_nothing_but_request_and_attempt() -> (
    None
):
    rates = {"rate_limited": 0.2, "transient": 0.1}
    first = await fates(client_of(**rates), range(1000))
    assert first == list(reversed(await fates(client_of(**rates), range(999, -1, -1))))
    assert (
        150 < first.count("RateLimitedError") < 250
        and 60 < first.count("TransientModelError") < 140
    )


async def test_a_faulty_provider_gives_the_replies_of_a_good_one_in_the_end() -> None:
    client = client_of(rate_limited=0.4, transient=0.2)
    for seed in range(50):
        while (await fates(client, range(seed, seed + 1))) != ["ok"]:
            pass
        assert client._attempts == {}


async def test_malformed_replies_break_off() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
    }
    client, broken = client_of(malformed=0.3), 0
    for seed in range(300):
        try:
            orjson.loads((await client.chat(ask(seed, schema))).text)
        except orjson.JSONDecodeError:
            broken += 1
    assert 60 < broken < 120


async def test_latency_is_distributed_and_never_negative() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    simulation = {"latency": {"mean": 0.1, "stddev": 0.05}}
    provider = ModelProvider.model_validate(
        {"name": "p", "provider_type": "simulated", "simulation": simulation}
    )
    client = SimulatedClient(provider, sleep=sleep)
    for seed in range(500):
        await client.chat(ask(seed))
    assert min(slept) >= 0 and 0.09 < sum(slept) / 500 < 0.11 and len(set(slept)) > 400
