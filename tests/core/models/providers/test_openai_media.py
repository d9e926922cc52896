"""Embeddings, images, parts and reasoning in OpenAI's formats, over a socket."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.errors import ModelError, TransientModelError
from sdg_core.models.providers.http_errors import Caller, server_words
from sdg_core.models.providers.openai import OpenAIClient
from sdg_core.models.providers.openai_media import decode_embeddings
from sdg_core.models.providers.openai_wire import decode_reply
from sdg_core.models.providers.reasoning_text import split_reasoning
from sdg_core.models.types import (
    AudioPart,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    ImagePart,
    ImageRequest,
    Message,
    TextPart,
    ToolCall,
    VideoPart,
)
from sdg_core.testing import Fault, ModelServer
from sdg_core.testing.model_answers import PNG

CALLER = Caller("p", "http://x/v1", None)


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def client(server: ModelServer) -> AsyncIterator[OpenAIClient]:
    made = OpenAIClient(
        ModelProvider(name="p", endpoint=server.url), api_key="secret-key"
    )
    yield made
    await made.aclose()


def embed(**given: Any) -> EmbeddingRequest:
    return EmbeddingRequest(
        "e", ("a", "b", "c"), InferenceParameters(generation_type="embedding", **given)
    )


def draw(model: str = "dall-e-3") -> ImageRequest:
    return ImageRequest(
        model, "a lighthouse", InferenceParameters(generation_type="image")
    )


async def test_embeddings_come_in_the_order_of_the_texts(client: OpenAIClient) -> None:
    plain = await client.embed(embed(dimensions=5))
    packed = await client.embed(embed(dimensions=5, encoding_format="base64"))
    assert [len(vector) for vector in plain.vectors] == [5, 5, 5]
    for first, second in zip(plain.vectors, packed.vectors, strict=True):
        assert first == pytest.approx(second, abs=1e-6)
    assert plain.usage.prompt_tokens == 3


@pytest.mark.parametrize("kind", ["html", "no_choices", "broken_json"])
async def test_no_embeddings_in_a_200(
    server: ModelServer, client: OpenAIClient, kind: Any
) -> None:
    server.script.append(Fault("html" if kind == "html" else "status", status=200))
    with pytest.raises(TransientModelError):
        await client.embed(embed())


@pytest.mark.parametrize(
    "vectors, why",
    [
        ([[1.0, 2.0]], "1 vector for 3 texts"),
        ([[1.0], [2.0], "?"], "a vector is empty, or is not a list of numbers"),
        ([[1.0], [2.0], [1.0, 2.0]], "vectors of 1 and 2 numbers"),
        ([[[1.0], [2.0]], [[1.0]], [[1.0]]], "one vector per token"),
    ],
)
def test_what_is_wrong_with_the_vectors_is_said(vectors: list[Any], why: str) -> None:
    rows = [
        {"index": index, "embedding": vector} for index, vector in enumerate(vectors)
    ]
    with pytest.raises(ModelError, match=why):
        decode_embeddings(orjson.dumps({"data": rows}), embed(), caller=CALLER)


def test_the_words_of_a_server_are_one_line() -> None:
    body = orjson.dumps(
        {"error": {"message": "1 validation error:\n  {'type': 'x'}\n\n  File"}}
    )
    assert server_words(body, CALLER) == "1 validation error: {'type': 'x'} File"
    assert (
        server_words(b"<html>\n <body>busy</body>\n", CALLER)
        == "<html> <body>busy</body>"
    )


async def test_image_as_base64_and_by_url_without_the_key(
    server: ModelServer, client: OpenAIClient
) -> None:
    reply = await client.make_images(draw())
    assert (
        reply.images[0].content == PNG
        and reply.usage.images == 1
        and reply.usage.completion_tokens == 5
    )
    reply = await client.make_images(draw("gpt-image-1"))
    assert reply.images[0].content == PNG and "Authorization" not in server.headers[-1]


async def test_image_of_a_chat_model_that_answers_in_words(
    client: OpenAIClient,
) -> None:
    with pytest.raises(TransientModelError, match="without an image"):
        await client.make_images(draw("some-chat-model"))


async def test_parts(server: ModelServer, client: OpenAIClient) -> None:
    parts = (
        TextPart("look"),
        ImagePart(data="aGk=", media_type="image/png"),
        AudioPart(data="aGk=", media_type="audio/mpeg"),
        VideoPart(url="https://x/y.mp4"),
    )
    await client.chat(
        ChatRequest("m", (Message("user", parts),), InferenceParameters())
    )
    assert server.requests[0]["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
        {"type": "video_url", "video_url": {"url": "https://x/y.mp4"}},
    ]


@pytest.mark.parametrize(
    "media", [{}, {"url": "u", "data": "d", "media_type": "t"}, {"data": "d"}]
)
def test_media_is_a_url_or_data(media: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="expected|needs"):
        ImagePart(**media)


def reply_of(message: dict[str, Any], reason: str = "stop") -> ChatResponse:
    body = orjson.dumps({"choices": [{"message": message, "finish_reason": reason}]})
    return decode_reply(body, caller=CALLER, model="m")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_in_a_field_of_its_own(field: str) -> None:
    reply = reply_of({"content": "yes", field: "because"})
    assert (reply.text, reply.reasoning) == ("yes", "because")


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("<think>a\nb</think>\n\nyes", "a\nb", "yes"),
        ("a\n</think>yes", "a", "yes"),
        ("<think></think>yes", None, "yes"),
        ("yes", None, "yes"),
        ("say <think>x</think>", None, "say <think>x</think>"),
        ("<think>never ends", "never ends", ""),
    ],
)
def test_reasoning_before_the_text(text: str, thought: str | None, said: str) -> None:
    assert split_reasoning(text) == (thought, said)


def test_thinking_until_max_tokens_says_so() -> None:
    with pytest.raises(TransientModelError, match="raise max_tokens"):
        reply_of({"content": "<think>and on and on"}, "length")


def test_tool_calls() -> None:
    calls = [
        {"id": "c", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"function": {"name": "g", "arguments": {}}},
    ]
    reply = reply_of(
        {"content": None, "tool_calls": [*calls, "nonsense"]}, "tool_calls"
    )
    assert (
        reply.tool_calls
        == (ToolCall("c", "f", '{"a": 1}'), ToolCall("call_1", "g", "{}"))
        and reply.text == ""
    )


def test_image_in_a_chat_reply() -> None:
    reply = reply_of(
        {
            "content": "",
            "images": [{"image_url": {"url": "data:image/png;base64,aGk="}}],
        }
    )
    assert reply.image_urls == ("data:image/png;base64,aGk=",)
