"""Anthropic's structured output and versions of its API, against a server that is as strict as the real one, and an older one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from sdg_core.config.models import InferenceParameters, ModelConfig, ModelProvider
from sdg_core.config.run import RunSettings
from sdg_core.models.open_pool import open_models
from sdg_core.models.pool import ModelPool
from sdg_core.models.structured import parse
from sdg_core.models.types import ChatRequest, Message, Tool
from sdg_core.testing import AnthropicServer, status

CURRENT = "2026-10-21"
EARLIER = "2023-06-01"
SCHEMA = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 1},
        "of": {"$ref": "#/$defs/kind"},
    },
    "required": ["age"],
    "$defs": {
        "kind": {"oneOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}]}
    },
}
OPEN = {"type": "object", "properties": {"any": {"type": "object"}}}


@asynccontextmanager
async def pool_of(
    server: AnthropicServer, **provider: Any
) -> AsyncIterator[tuple[ModelPool, list[str]]]:
    notices: list[str] = []
    given = ModelProvider(
        name="p", provider_type="anthropic", endpoint=server.url, **provider
    )
    models = {"a": (ModelConfig(alias="a", model="claude", provider="p"), given)}
    async with open_models(
        models, settings=RunSettings(), env={}, on_notice=notices.append
    ) as pool:
        yield pool, notices


def ask(
    schema: dict[str, Any] | None = SCHEMA,
    *,
    tools: tuple[Tool, ...] = (),
    **given: Any,
) -> ChatRequest:
    parameters = InferenceParameters(**given)
    return ChatRequest(
        "claude",
        (Message("user", "who?"),),
        parameters,
        response_schema=schema,
        tools=tools,
    )


async def test_a_schema_goes_out_as_output_config() -> None:
    async with AnthropicServer() as server, pool_of(server) as (pool, notices):
        reply = await pool["a"].chat(
            ask(extra_body={"output_config": {"effort": "low"}})
        )
        parse(reply, SCHEMA)
    sent = server.requests[0]["output_config"]
    assert (sent["effort"], sent["format"]["type"]) == ("low", "json_schema")
    assert sent["format"]["schema"] == {
        "type": "object",
        "properties": {"age": {"type": "integer"}, "of": {"$ref": "#/$defs/kind"}},
        "required": ["age", "of"],
        "additionalProperties": False,
        "$defs": {
            "kind": {
                "anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}]
            }
        },
    }
    assert (
        "tools" not in server.requests[0]
        and len(server.requests) == 1
        and notices == []
    )
    assert server.headers[0]["anthropic-version"] == CURRENT


async def test_beside_other_tools_the_answer_is_a_tool() -> None:
    tool = Tool("lookup", "Look up.", {"type": "object", "properties": {}})
    async with AnthropicServer() as server, pool_of(server) as (pool, _):
        await pool["a"].chat(ask(tools=(tool,)))
    assert [tool["name"] for tool in server.requests[0]["tools"]] == [
        "lookup",
        "response",
    ]
    assert (
        "tool_choice" not in server.requests[0]
        and "output_config" not in server.requests[0]
    )


async def test_an_open_object_goes_out_as_a_tool() -> None:
    async with AnthropicServer() as server, pool_of(server) as (pool, _):
        parse(await pool["a"].chat(ask(OPEN)), OPEN)
    assert (
        server.requests[0]["tool_choice"]["name"] == "response"
        and len(server.requests) == 1
    )


async def test_a_server_that_refuses_it_is_given_tools_from_then_on() -> None:
    async with (
        AnthropicServer(older=True) as server,
        pool_of(server) as (pool, notices),
    ):
        first = await pool["a"].chat(ask())
        second = await pool["a"].chat(ask())
        parse(first, SCHEMA)
        parse(second, SCHEMA)
    assert ["output_config" in body for body in server.requests] == [
        True,
        True,
        False,
        False,
    ]
    assert (first.usage.requests, second.usage.requests) == (3, 1)
    assert [headers["anthropic-version"] for headers in server.headers] == [
        CURRENT,
        EARLIER,
        EARLIER,
        EARLIER,
    ]
    assert (
        len(notices) == 2
        and "anthropic-version" in notices[0]
        and "output_config" in notices[1]
    )


async def test_one_schema_that_is_refused_does_not_condemn_the_others() -> None:
    words = "output_config.format.schema: recursive definitions are not supported"

    def blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
        if "tools" in body:
            return [
                {"type": "tool_use", "id": "t", "name": "response", "input": {"odd": 1}}
            ]
        schema = body["output_config"]["format"]["schema"]
        return [
            {
                "type": "text",
                "text": orjson.dumps(
                    {name: 1 for name in schema["properties"]}
                ).decode(),
            }
        ]

    odd = {"type": "object", "properties": {"odd": {"type": "integer"}}}
    even = {"type": "object", "properties": {"even": {"type": "integer"}}}
    async with AnthropicServer(
        faults=[status(400, message=words)], blocks=blocks
    ) as server:
        async with pool_of(server) as (pool, _):
            for schema in (odd, even, odd):
                parse(await pool["a"].chat(ask(schema)), schema)
    assert ["output_config" in body for body in server.requests] == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("given", "version"),
    [
        ({}, CURRENT),
        ({"temperature": 0.7}, EARLIER),
        ({"top_p": 0.5}, EARLIER),
        ({"extra_body": {"top_k": 3}}, EARLIER),
    ],
)
async def test_sampling_parameters_are_sent_in_the_version_that_takes_them(
    given: dict[str, Any], version: str
) -> None:
    async with AnthropicServer() as server, pool_of(server) as (pool, _):
        await pool["a"].chat(ask(None, **given))
    assert [headers["anthropic-version"] for headers in server.headers] == [version]


async def test_a_version_of_the_file_is_kept() -> None:
    async with AnthropicServer() as server:
        async with pool_of(server, extra_headers={"Anthropic-Version": EARLIER}) as (
            pool,
            _,
        ):
            await pool["a"].chat(ask())
    assert server.headers[0]["anthropic-version"] == EARLIER


async def test_a_model_whose_largest_reply_is_below_the_default_is_asked_for_that() -> (
    None
):
    words = "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for claude"
    async with (
        AnthropicServer(faults=[status(400, message=words)]) as server,
        pool_of(server) as (pool, notices),
    ):
        for _ in range(2):
            await pool["a"].chat(ask(None))
    assert [body["max_tokens"] for body in server.requests] == [
        32_000,
        8192,
        8192,
    ] and len(notices) == 1
