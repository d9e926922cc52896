"""The Anthropic client against a server that is as strict as the real one."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.errors import (
    ModelError,
    PermanentModelError,
    RateLimitedError,
    TransientModelError,
)
from sdg_core.models.providers.anthropic import AnthropicClient
from sdg_core.models.types import (
    AudioPart,
    ChatRequest,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolCall,
)
from sdg_core.models.usage import Usage
from sdg_core.testing import AnthropicServer, Fault, status

KEY = "sk-ant-secret-0123456789"


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with AnthropicServer() as running:
        yield running


def make_client(server: AnthropicServer, **provider: Any) -> AnthropicClient:
    settings = {
        "name": "p",
        "provider_type": "anthropic",
        "endpoint": server.url,
        "api_key": "MY_KEY",
    } | provider
    return AnthropicClient(ModelProvider(**settings), api_key=KEY)


def ask(*messages: Message, **given: Any) -> ChatRequest:
    return ChatRequest(
        "claude", messages or (Message("user", "hi"),), InferenceParameters(), **given
    )


async def fault_of(
    server: AnthropicServer, request: ChatRequest | None = None
) -> ModelError:
    client = make_client(server)
    with pytest.raises(ModelError) as caught:
        await client.chat(request or ask())
    await client.aclose()
    assert KEY not in str(caught.value) and KEY not in repr(client)
    return caught.value


async def test_endpoint_has_a_default() -> None:
    provider = ModelProvider(name="p", provider_type="anthropic")
    assert provider.endpoint == "https://api.anthropic.com"
    assert (
        AnthropicClient(provider, api_key=None)._http.caller.endpoint
        == "https://api.anthropic.com/v1"
    )


async def test_system_stands_apart_and_max_tokens_has_a_default(
    server: AnthropicServer,
) -> None:
    client = make_client(server, endpoint=server.url + "/v1")
    await client.chat(ask(Message("system", "Be terse."), Message("user", "hi")))
    assert server.requests[0] == {
        "model": "claude",
        "max_tokens": 32_000,
        "system": "Be terse.",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }
    assert (
        server.headers[0]["x-api-key"] == KEY
        and "Authorization" not in server.headers[0]
    )
    await client.aclose()


async def test_usage_counts_the_cache_as_part_of_the_prompt(
    server: AnthropicServer,
) -> None:
    client = make_client(server)
    assert (await client.chat(ask())).usage == Usage(1, 0, 10, 7, 3, 0)
    await client.aclose()


async def test_thinking_is_reasoning() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hmm", "signature": "s"},
        {"type": "text", "text": "yes"},
    ]
    async with AnthropicServer(blocks=lambda body: blocks) as server:
        client = make_client(server)
        reply = await client.chat(ask())
        assert (reply.reasoning, reply.text, reply.finish_reason) == (
            "hmm",
            "yes",
            "stop",
        )
        await client.aclose()


async def test_images_as_url_and_as_data(server: AnthropicServer) -> None:
    client = make_client(server)
    parts = (
        ImagePart(url="https://x/y.png"),
        ImagePart(data="aGk=", media_type="image/png"),
        TextPart("what?"),
    )
    await client.chat(ask(Message("user", parts)))
    first, second, _ = server.requests[0]["messages"][0]["content"]
    assert first["source"] == {"type": "url", "url": "https://x/y.png"}
    assert second["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": "aGk=",
    }
    await client.aclose()


async def test_sound_is_refused_before_anything_is_sent(
    server: AnthropicServer,
) -> None:
    error = await fault_of(
        server, ask(Message("user", (AudioPart(url="https://x/y.mp3"),)))
    )
    assert (
        isinstance(error, PermanentModelError)
        and "audio" in str(error)
        and server.requests == []
    )


async def test_tools_and_their_results() -> None:
    def blocks(body: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "type": "tool_use",
                "id": "t1",
                "name": "lookup",
                "input": {"word": "quay"},
            }
        ]

    async with AnthropicServer(blocks=blocks) as server:
        client = make_client(server)
        tool = Tool("lookup", "Look up.", {"type": "object"})
        turns = (
            Message("user", "q"),
            Message(
                "assistant",
                "",
                tool_calls=(
                    ToolCall("a", "lookup", "{}"),
                    ToolCall("b", "lookup", "not json"),
                ),
            ),
            Message("tool", "one", tool_call_id="a"),
            Message("tool", "two", tool_call_id="b"),
        )
        reply = await client.chat(ask(*turns, tools=(tool,)))
        assert (
            reply.tool_calls == (ToolCall("t1", "lookup", '{"word":"quay"}'),)
            and reply.finish_reason == "tool_calls"
        )
        results = server.requests[0]["messages"][2]["content"]
        assert [block["tool_use_id"] for block in results] == ["a", "b"]
        await client.aclose()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (status(429, headers={"retry-after": "7"}), RateLimitedError),
        (status(529), RateLimitedError),
        (status(500), TransientModelError),
        (Fault("html"), TransientModelError),
        (status(400), PermanentModelError),
        (status(413), PermanentModelError),
    ],
    ids=lambda value: getattr(value, "kind", None) and f"{value.kind}-{value.status}",
)
async def test_faults(
    server: AnthropicServer, fault: Fault, kind: type[ModelError]
) -> None:
    server.script.append(fault)
    error = await fault_of(server)
    assert type(error) is kind
    if fault.status == 429 and fault.kind == "status":
        assert isinstance(error, RateLimitedError) and error.retry_after == 7.0


async def test_wrong_key(server: AnthropicServer) -> None:
    server.api_key = "another"
    error = await fault_of(server)
    assert (
        isinstance(error, PermanentModelError)
        and "MY_KEY" in str(error)
        and "[API key]" in str(error)
    )
