"""What every chat client promises, whatever answers behind it."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.errors import PermanentModelError
from sdg_core.models.providers.anthropic import AnthropicClient
from sdg_core.models.providers.custom import CustomClient
from sdg_core.models.providers.openai import OpenAIClient
from sdg_core.models.simulated.client import SimulatedClient
from sdg_core.models.structured import parse
from sdg_core.models.types import (
    ChatClient,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    ImagePart,
    ImageRequest,
    Message,
    TextPart,
    Tool,
    ToolCall,
)
from sdg_core.testing import AnthropicServer, ModelServer
from tests.support.own_client import OwnClient

PARAMETERS = InferenceParameters(temperature=0.5, max_tokens=500)


SCHEMA = {
    "type": "object",
    "properties": {
        "mood": {"enum": ["glad", "sad"]},
        "age": {"type": "integer", "minimum": 1, "maximum": 99},
    },
    "required": ["mood", "age"],
    "additionalProperties": False,
}
PIXEL = ImagePart(data="aGVsbG8=", media_type="image/png")


@pytest.fixture(params=["openai", "anthropic", "simulated", "custom"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[ChatClient]:
    async with ModelServer() as server, AnthropicServer() as other:
        made: ChatClient
        if request.param == "openai":
            made = OpenAIClient(
                ModelProvider(name="p", endpoint=server.url), api_key=None
            )
        elif request.param == "anthropic":
            provider = ModelProvider(
                name="p", provider_type="anthropic", endpoint=other.url
            )
            made = AnthropicClient(provider, api_key=None)
        elif request.param == "custom":
            made = CustomClient(
                ModelProvider(name="p", provider_type="custom"), OwnClient
            )
        else:
            made = SimulatedClient(ModelProvider(name="p", provider_type="simulated"))
        yield made
        await made.aclose()


def ask(prompt: str, *, seed: int = 0) -> ChatRequest:
    messages = (Message("system", "You are terse."), Message("user", prompt))
    return ChatRequest(model="m", messages=messages, parameters=PARAMETERS, seed=seed)


async def test_reply_has_text_a_reason_and_usage(client: ChatClient) -> None:
    reply = await client.chat(ask("Describe a lighthouse keeper"))
    assert reply.text.strip() and reply.finish_reason == "stop"
    assert reply.usage.requests == 1 and reply.usage.retries == 0
    assert reply.usage.prompt_tokens > 0 and reply.usage.completion_tokens > 0


async def test_same_request_same_reply(client: ChatClient) -> None:
    assert await client.chat(ask("one thing")) == await client.chat(ask("one thing"))


async def test_reply_depends_on_the_prompt_and_shows_it(client: ChatClient) -> None:
    first, second = (
        await client.chat(ask("a purple submarine")),
        await client.chat(ask("a wooden bicycle")),
    )
    assert first.text != second.text
    assert re.search("purple|submarine", first.text) and re.search(
        "wooden|bicycle", second.text
    )


async def test_many_at_once(client: ChatClient) -> None:
    requests = [ask(f"question number {number}", seed=number) for number in range(50)]
    replies: list[ChatResponse] = await asyncio.gather(*map(client.chat, requests))
    assert [await client.chat(request) for request in requests] == replies


async def test_unusual_prompts(client: ChatClient) -> None:
    for prompt in ["", " ", "€ 😀 \x00", "x" * 100_000]:
        assert (await client.chat(ask(prompt))).text


async def test_chat_can_be_cancelled_and_the_client_used_again(
    client: ChatClient,
) -> None:
    task = asyncio.create_task(client.chat(ask("cancelled")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await client.chat(ask("still there"))).text


async def test_a_schema_is_kept_to(client: ChatClient) -> None:
    reply = await client.chat(
        replace(ask("How is she?"), response_schema=SCHEMA, schema_name="person")
    )
    assert parse(reply, SCHEMA) == orjson.loads(reply.text)
    assert reply.finish_reason == "stop" and reply.tool_calls == ()


async def test_images_go_with_the_prompt(client: ChatClient) -> None:
    message = Message("user", (TextPart("What is on the image of a harbour?"), PIXEL))
    request = replace(ask(""), messages=(message,))
    assert "harbour" in (await client.chat(request)).text


async def test_a_conversation_with_tools_is_taken(client: ChatClient) -> None:
    tool = Tool(
        "lookup",
        "Look a word up.",
        {"type": "object", "properties": {"word": {"type": "string"}}},
    )
    call = ToolCall("c1", "lookup", '{"word": "quay"}')
    messages = (
        Message("user", "What is a quay?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "a place for ships", tool_call_id="c1"),
        Message("user", "Now answer about the quay"),
    )
    assert (await client.chat(replace(ask(""), messages=messages, tools=(tool,)))).text


async def test_vectors_or_a_clear_refusal(client: ChatClient) -> None:
    request = EmbeddingRequest(
        "m", ("one", "two", "one"), InferenceParameters(generation_type="embedding")
    )
    if isinstance(client, AnthropicClient):
        with pytest.raises(PermanentModelError, match="does not provide embeddings"):
            await client.embed(request)
        return
    reply = await client.embed(request)
    first, second, third = reply.vectors
    assert first == third != second and len(first) == len(second)
    assert sum(x * x for x in first) == pytest.approx(1.0)
    assert reply.usage.prompt_tokens > 0


async def test_images_or_a_clear_refusal(client: ChatClient) -> None:
    request = ImageRequest(
        "dall-e-3", "a lighthouse", InferenceParameters(generation_type="image")
    )
    if isinstance(client, AnthropicClient):
        with pytest.raises(PermanentModelError, match="does not generate images"):
            await client.make_images(request)
        return
    reply = await client.make_images(request)
    assert [image.media_type for image in reply.images] == [
        "image/png"
    ] and reply.usage.images == 1
    assert (
        reply.images[0].content.startswith(b"\x89PNG")
        and await client.make_images(request) == reply
    )


async def test_check_passes_and_closing_twice_is_fine(client: ChatClient) -> None:
    await client.check()
    await client.aclose()
    await client.aclose()
