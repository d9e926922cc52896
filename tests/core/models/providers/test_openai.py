"""The OpenAI client against a real server on a socket: bodies, replies, and every fault by name."""

import asyncio
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

import pytest

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.errors import (
    ModelError,
    PermanentModelError,
    RateLimitedError,
    TransientModelError,
)
from sdg_core.models.providers.http_errors import retry_after
from sdg_core.models.providers.openai import OpenAIClient
from sdg_core.models.types import ChatRequest, Message
from sdg_core.models.usage import Usage
from sdg_core.testing import Fault, ModelServer, answer_to, limited, status

KEY = "sk-secret-0123456789"
NOW = 1_700_000_000.0


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[OpenAIClient]:
    made = make_client(server)
    yield made
    await made.aclose()


def make_client(
    server: ModelServer, *, key: str | None = KEY, **provider: Any
) -> OpenAIClient:
    settings = {"name": "local", "endpoint": server.url, "api_key": "MY_KEY"} | provider
    return OpenAIClient(ModelProvider(**settings), api_key=key, wall_clock=lambda: NOW)


def ask(prompt: str = "hello", *, seed: int = 0, **parameters: Any) -> ChatRequest:
    return ChatRequest(
        model="m",
        messages=(Message("user", prompt),),
        parameters=InferenceParameters(**parameters),
        seed=seed,
    )


async def fault_of(client: OpenAIClient, request: ChatRequest) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await client.chat(request)
    error = caught.value
    assert KEY not in str(error) and KEY not in repr(error) and error.__cause__ is None
    return error


class TestRequest:
    async def test_only_what_is_set_is_sent(
        self, server: ModelServer, client: OpenAIClient
    ) -> None:
        await client.chat(ask("hi", seed=7))
        assert server.requests == [
            {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        ]

    async def test_parameters_and_extra_bodies_in_order_of_precedence(
        self, server: ModelServer
    ) -> None:
        client = make_client(
            server,
            extra_body={"top_k": 1, "min_p": 0.1},
            extra_headers={"X-Team": "blue"},
        )
        await client.chat(
            ask(
                temperature=0.2,
                top_p=0.9,
                max_tokens=5,
                extra_body={"top_k": 2, "top_p": 0.5},
            )
        )
        sent = {
            name: value
            for name, value in server.requests[0].items()
            if name not in ("model", "messages")
        }
        assert sent == {
            "temperature": 0.2,
            "top_p": 0.5,
            "max_tokens": 5,
            "top_k": 2,
            "min_p": 0.1,
        }
        assert server.headers[0]["X-Team"] == "blue"
        await client.aclose()

    async def test_key_is_sent_and_extra_headers_may_replace_it(
        self, server: ModelServer
    ) -> None:
        for extra, expected in [
            ({}, f"Bearer {KEY}"),
            ({"authorization": "Basic abc"}, "Basic abc"),
        ]:
            provider = ModelProvider(
                name="local",
                endpoint=server.url,
                extra_headers=dict.fromkeys(extra, "$AUTH"),
            )
            client = OpenAIClient(provider, api_key=KEY, extra_headers=extra)
            await client.chat(ask())
            assert server.headers[-1].getall("Authorization") == [expected]  # type: ignore[attr-defined]
            await client.aclose()

    async def test_endpoint_may_end_with_a_slash_and_carry_a_query(
        self, server: ModelServer
    ) -> None:
        client = make_client(server, endpoint=f"{server.url}/?api-version=1")
        assert (await client.chat(ask("x"))).text == answer_to("x")
        await client.aclose()

    async def test_text_that_is_not_unicode_is_a_permanent_fault(
        self, client: OpenAIClient
    ) -> None:
        error = await fault_of(client, ask("\ud800"))
        assert isinstance(error, PermanentModelError) and "'m'" in str(error)


class TestReply:
    async def test_text_reason_and_usage(self, client: OpenAIClient) -> None:
        reply = await client.chat(ask("one two three"))
        assert (
            reply.text == answer_to("one two three") and reply.finish_reason == "stop"
        )
        tokens = len(reply.text.split())
        assert reply.usage == Usage(1, 0, 3, tokens, 1, 2)

    async def test_usage_may_be_missing(
        self, server: ModelServer, client: OpenAIClient
    ) -> None:
        server.script.append(Fault("no_usage"))
        assert (await client.chat(ask())).usage == Usage(requests=1)

    async def test_reason_length(
        self, server: ModelServer, client: OpenAIClient
    ) -> None:
        server.script.append(Fault("length"))
        assert (await client.chat(ask())).finish_reason == "length"


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "seconds"),
        [
            (limited(), None),
            (limited("3"), 3.0),
            (limited("0.25"), 0.25),
            (limited("soon"), None),
            (limited(formatdate(NOW + 90, usegmt=True)), 90.0),
            (limited(formatdate(NOW - 90, usegmt=True)), 0.0),
            (
                Fault(
                    "limited", headers={"retry-after-ms": "1500", "retry-after": "9"}
                ),
                1.5,
            ),
            (status(503, headers={"Retry-After": "2"}), 2.0),
            (status(529), None),
        ],
        ids=repr,
    )
    async def test_rate_limits(
        self,
        server: ModelServer,
        client: OpenAIClient,
        fault: Fault,
        seconds: float | None,
    ) -> None:
        server.script.append(fault)
        error = await fault_of(client, ask())
        assert isinstance(error, RateLimitedError) and error.retry_after == seconds
        assert fault.message in str(error)

    @pytest.mark.parametrize(
        "fault",
        [*(status(code) for code in (408, 409, 425, 500, 502, 503, 504))]
        + [
            Fault(kind)
            for kind in (
                "reset",
                "truncated",
                "html",
                "broken_json",
                "no_choices",
                "null_content",
            )
        ],
        ids=lambda fault: f"{fault.kind}-{fault.status}",
    )
    async def test_transient_faults_leave_the_client_usable(
        self, server: ModelServer, client: OpenAIClient, fault: Fault
    ) -> None:
        server.script.append(fault)
        error = await fault_of(client, ask())
        assert isinstance(error, TransientModelError) and server.url in str(error)
        assert (await client.chat(ask("again"))).text == answer_to("again")

    async def test_timeout(self, server: ModelServer, client: OpenAIClient) -> None:
        server.script.append(Fault("hang"))
        error = await fault_of(client, ask(timeout=0.05))
        assert isinstance(error, TransientModelError) and "0.05 s" in str(error)

    async def test_nobody_listens(self, server: ModelServer) -> None:
        client = make_client(server, endpoint="http://127.0.0.1:1/v1")
        assert isinstance(await fault_of(client, ask()), TransientModelError)
        with pytest.raises(
            PermanentModelError,
            match=r"cannot be reached(.|\n)*model_providers\[local\]\.endpoint",
        ):
            await client.check()
        await client.aclose()

    @pytest.mark.parametrize("code", [400, 404, 413, 422])
    async def test_permanent_faults_carry_the_servers_words(
        self, server: ModelServer, client: OpenAIClient, code: int
    ) -> None:
        server.script.append(status(code, message="context length exceeded"))
        error = await fault_of(client, ask())
        assert isinstance(error, PermanentModelError)
        for part in ("context length exceeded", str(code), server.url, "'m'"):
            assert part in str(error)
        assert (error.remedy is not None) == (code == 404)

    async def test_redirects_are_reported_not_followed(
        self, server: ModelServer, client: OpenAIClient
    ) -> None:
        server.script.append(status(308, headers={"Location": "https://elsewhere/v1"}))
        error = await fault_of(client, ask())
        assert isinstance(error, PermanentModelError) and "https://elsewhere/v1" in str(
            error
        )

    async def test_header_that_cannot_be_sent(self, server: ModelServer) -> None:
        client = make_client(server, extra_headers={"X-Bad": "a\r\nb"})
        assert isinstance(await fault_of(client, ask()), PermanentModelError)
        await client.aclose()


class TestKey:
    async def test_wrong_key_names_the_variable_and_never_the_key(
        self, server: ModelServer
    ) -> None:
        server.api_key = "another"
        client = make_client(server)
        error = await fault_of(client, ask())
        assert (
            isinstance(error, PermanentModelError)
            and "MY_KEY" in str(error)
            and "[API key]" in str(error)
        )
        with pytest.raises(PermanentModelError, match="MY_KEY") as caught:
            await client.check()
        assert KEY not in str(caught.value)
        assert KEY not in repr(client) and KEY not in repr(client._http.caller)
        await client.aclose()

    async def test_missing_key_says_how_to_configure_one(
        self, server: ModelServer
    ) -> None:
        server.api_key = "another"
        client = make_client(server, key=None, api_key=None)
        assert "model_providers[local].api_key" in str(await fault_of(client, ask()))
        await client.aclose()

    async def test_key_across_the_cut_of_a_long_body(
        self, server: ModelServer, client: OpenAIClient
    ) -> None:
        server.script.append(status(400, message="x" * 250 + KEY))
        assert "sk-secret" not in str(await fault_of(client, ask()))


async def test_check_accepts_a_server_without_the_route(server: ModelServer) -> None:
    client = make_client(server, endpoint=server.url + "/nowhere")
    await client.check()
    await client.aclose()


async def test_no_limit_on_connections_below_the_gate(
    server: ModelServer, client: OpenAIClient
) -> None:
    server.script.extend([Fault("hang")] * 150)
    tasks = [
        asyncio.create_task(client.chat(ask(f"{number}"))) for number in range(150)
    ]
    await server.seen(150)
    assert server.peak == 150
    server.let_go()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "Mon, 99 Foo", "", "1e400"])
def test_retry_after_that_means_nothing(value: str) -> None:
    assert retry_after({"retry-after": value}, now=NOW) is None


def test_negative_retry_after_is_now() -> None:
    assert retry_after({"retry-after": "-5"}, now=NOW) == 0.0
