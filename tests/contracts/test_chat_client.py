"""What every chat client promises, whatever answers behind it."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.models.openai import OpenAIClient
from sdg_core.models.simulated import SimulatedClient
from sdg_core.models.types import ChatClient, ChatReply, ChatRequest, Message
from tests.support.model_server import ModelServer

PARAMETERS = InferenceParameters(temperature=0.5, max_tokens=500)


@pytest.fixture(params=["openai", "simulated"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[ChatClient]:
    async with ModelServer() as server:
        made: ChatClient
        if request.param == "openai":
            made = OpenAIClient(ModelProvider(name="p", endpoint=server.url), api_key=None)
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
    first, second = await client.chat(ask("a purple submarine")), await client.chat(ask("a wooden bicycle"))
    assert first.text != second.text
    assert re.search("purple|submarine", first.text) and re.search("wooden|bicycle", second.text)


async def test_many_at_once(client: ChatClient) -> None:
    requests = [ask(f"question number {number}", seed=number) for number in range(50)]
    replies: list[ChatReply] = await asyncio.gather(*map(client.chat, requests))
    assert [await client.chat(request) for request in requests] == replies


async def test_unusual_prompts(client: ChatClient) -> None:
    for prompt in ["", " ", "€ 😀 \x00", "x" * 100_000]:
        assert (await client.chat(ask(prompt))).text


async def test_chat_can_be_cancelled_and_the_client_used_again(client: ChatClient) -> None:
    task = asyncio.create_task(client.chat(ask("cancelled")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await client.chat(ask("still there"))).text


async def test_check_passes_and_closing_twice_is_fine(client: ChatClient) -> None:
    await client.check()
    await client.aclose()
    await client.aclose()
