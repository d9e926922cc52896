"""Structured output as servers really do it: held to, ignored, refused, crashed over; found out once and told."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sdg_core.config.models import InferenceParameters, ModelConfig, ModelProvider
from sdg_core.config.run import RunSettings
from sdg_core.models.endpoint import RequestFailedError
from sdg_core.models.open_pool import open_models
from sdg_core.models.pool import ModelPool
from sdg_core.models.structured import InvalidResponseError, parse
from sdg_core.models.types import ChatRequest, Message
from sdg_core.testing import Fault, ModelServer, limited, status

SCHEMA = {
    "type": "object",
    "properties": {
        "mood": {"enum": ["glad", "sad"]},
        "age": {"type": "integer", "minimum": 1, "maximum": 99},
    },
    "required": ["mood", "age"],
    "additionalProperties": False,
}


async def no_wait(_: float) -> None:
    await asyncio.sleep(0)


@asynccontextmanager
async def pool_of(server: ModelServer, *aliases: str) -> AsyncIterator[ModelPool]:
    provider = ModelProvider(name="p", endpoint=server.url)
    models = {
        alias: (ModelConfig(alias=alias, model="m", provider="p"), provider)
        for alias in aliases or ("a",)
    }
    async with open_models(
        models, settings=RunSettings(num_retries=3), env={}, sleep=no_wait
    ) as pool:
        yield pool


def ask(prompt: str = "How is she?", **given: Any) -> ChatRequest:
    return ChatRequest(
        "m",
        (Message("user", prompt),),
        InferenceParameters(**given),
        response_schema=SCHEMA,
    )


def with_format(server: ModelServer) -> list[bool]:
    return ["response_format" in body for body in server.requests]


async def test_held_to() -> None:
    async with ModelServer() as server, pool_of(server) as pool:
        for _ in range(2):
            parse(await pool["a"].chat(ask()), SCHEMA)
        assert with_format(server) == [True, True] and pool["a"].formats.native is True
        sent = server.requests[0]["response_format"]
        assert sent == {
            "type": "json_schema",
            "json_schema": {"name": "response", "schema": SCHEMA, "strict": True},
        }


@pytest.mark.parametrize(
    ("formats", "first", "reason"),
    [
        ("ignored", [True, False], "ignores response_format"),
        ("refused", [True, False], "refuses response_format.*not supported"),
        ("crashes", [True, True, False], "refuses response_format.*internal error"),
    ],
)
async def test_found_out_once_and_told_once(
    formats: Any, first: list[bool], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with (
            ModelServer(formats=formats) as server,
            pool_of(server, "a", "b") as pool,
        ):
            reply = await pool["a"].chat(ask())
            parse(reply, SCHEMA)
            assert with_format(server) == first and reply.usage.requests == len(first)
            parse(await pool["b"].chat(ask("And he?")), SCHEMA)
            assert with_format(server) == [*first, False]
    [record] = caplog.records
    assert re.search(reason, record.getMessage())


async def test_a_crash_that_has_nothing_to_do_with_it_is_not_blamed() -> None:
    async with ModelServer(faults=[status(500)]) as server, pool_of(server) as pool:
        parse(await pool["a"].chat(ask()), SCHEMA)
        assert with_format(server) == [True, True] and pool["a"].formats.native is True


async def test_a_wrong_model_is_not_blamed_on_the_format() -> None:
    async with (
        ModelServer(faults=[status(404, message="no such model")] * 2) as server,
        pool_of(server) as pool,
    ):
        with pytest.raises(RequestFailedError, match="no such model") as caught:
            await pool["a"].chat(ask())
        assert caught.value.usage.requests == 2 and pool["a"].formats.native is None


async def test_rate_limits_while_finding_out() -> None:
    async with (
        ModelServer(faults=[limited()] * 7, formats="refused") as server,
        pool_of(server) as pool,
    ):
        parse(await pool["a"].chat(ask()), SCHEMA)
        assert pool["a"].formats.native is False


async def test_one_schema_that_is_refused_does_not_condemn_the_others() -> None:
    words = "Invalid schema for response_format 'response': oneOf is not permitted"
    async with (
        ModelServer(faults=[None, status(400, message=words)]) as server,
        pool_of(server) as pool,
    ):
        parse(await pool["a"].chat(ask()), SCHEMA)
        odd = replace(
            ask(),
            response_schema={
                "type": "object",
                "properties": {"a": {"oneOf": [{"type": "null"}]}},
            },
        )
        for _ in range(2):
            await pool["a"].chat(odd)
        parse(await pool["a"].chat(ask()), SCHEMA)
        assert (
            with_format(server) == [True, True, False, False, True]
            and pool["a"].formats.native is True
        )


async def test_a_reply_cut_off_shows_nothing_and_names_max_tokens() -> None:
    async with ModelServer(faults=[Fault("cut")]) as server, pool_of(server) as pool:
        reply = await pool["a"].chat(ask())
        with pytest.raises(InvalidResponseError, match="max_tokens"):
            parse(reply, SCHEMA)
        assert pool["a"].formats.native is None and len(server.requests) == 1


async def test_many_at_once_find_out_together() -> None:
    async with ModelServer(formats="ignored") as server, pool_of(server) as pool:
        replies = await asyncio.gather(
            *(pool["a"].chat(ask(f"{number}")) for number in range(40))
        )
        for reply in replies:
            parse(reply, SCHEMA)
        assert sum(reply.usage.requests for reply in replies) == len(server.requests)


async def test_reset_after_a_500_is_lived_through() -> None:
    faults = [status(500), Fault("reset"), Fault("reset")]
    async with ModelServer(faults=faults) as server, pool_of(server) as pool:
        request = ChatRequest("m", (Message("user", "x"),), InferenceParameters())
        assert (await pool["a"].chat(request)).usage.retries == 3


class TestHealth:
    async def test_rows(self) -> None:
        async with (
            ModelServer(
                formats="ignored", faults=[Fault("another_model")] * 2
            ) as server,
            pool_of(server) as pool,
        ):
            [row] = await pool.check_models()
        assert (
            row.ok
            and row.structured == "prompt"
            and "ignores" in str(row.note)
            and row.answered_as == "the-only-one"
        )
        assert row.latency is not None and row.latency < 5

    async def test_failure_is_a_row_with_its_remedy(self) -> None:
        async with ModelServer(api_key="another") as server, pool_of(server) as pool:
            [row] = await pool.check_models()
        assert (
            not row.ok
            and "401" in str(row.error)
            and "api_key" in str(row.remedy)
            and row.latency is None
        )
