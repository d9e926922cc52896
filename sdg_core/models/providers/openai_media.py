"""OpenAI's formats of embeddings and images, both ways, without I/O."""

import base64
import binascii
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sdg_core.config.models import ModelProvider
from sdg_core.counts import counted
from sdg_core.errors import PermanentModelError, TransientModelError
from sdg_core.models.providers.http_errors import Caller, server_words
from sdg_core.models.providers.openai_wire import (
    encode_request,
    read_json,
    text_or_none,
    usage_of,
    write_json,
)
from sdg_core.models.types import (
    ChatRequest,
    EmbeddingRequest,
    EmbeddingResponse,
    Image,
    ImageRequest,
    Message,
    Part,
    TextPart,
)
from sdg_core.models.usage import Usage

_GENERATES = (
    "dall-e",
    "dalle",
    "gpt-image",
    "imagen",
    "stable-diffusion",
    "sd-",
    "sd_",
)
"""Parts of the names of models behind /images/generations, as in Data Designer; any other model is asked over chat, where
OpenRouter has its image models (https://openrouter.ai/docs/features/multimodal/image-generation)."""
_MAGIC = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)


def encode_embeddings(request: EmbeddingRequest, provider: ModelProvider) -> bytes:
    """The JSON body; the same precedence as for chat."""
    parameters = request.parameters
    body: dict[str, Any] = {"model": request.model, "input": list(request.inputs)}
    for name in ("encoding_format", "dimensions"):
        if getattr(parameters, name) is not None:
            body[name] = getattr(parameters, name)
    return write_json(
        body | (provider.extra_body or {}) | (parameters.extra_body or {}),
        model=request.model,
    )


def decode_embeddings(
    body: bytes, request: EmbeddingRequest, *, caller: Caller
) -> EmbeddingResponse:
    """The vectors, in the order of the inputs. Raises TransientModelError unless there is one for each, alike in length."""
    where = caller.where(request.model)
    answer = read_json(body, caller=caller, model=request.model)
    rows = _rows(answer)
    if all(isinstance(row.get("index"), int) for row in rows):
        rows.sort(key=_index_of)
    embeddings = [row.get("embedding") for row in rows]
    if any(map(_is_unpooled, embeddings)):
        raise PermanentModelError(
            f"{where} returned one vector per token instead of one per text",
            remedy="start the server with pooling (llama-server: --pooling mean)",
        )
    vectors = tuple(map(_vector, embeddings))
    for vector in vectors:
        if not all(map(math.isfinite, vector)):
            raise PermanentModelError(
                f"{where} returned a vector that contains NaN or infinity"
            )
    fault = (
        _fault_of(vectors, len(request.inputs)) if rows else server_words(body, caller)
    )
    if fault is not None:
        raise TransientModelError(
            f"{where} returned 200 without usable embeddings: {fault}"
        )
    return EmbeddingResponse(vectors, usage_of(answer.get("usage")))


def _rows(answer: object) -> list[dict[str, Any]]:
    """The mappings in the `data` of an answer."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        return []
    return [row for row in data if isinstance(row, dict)]


def _index_of(row: dict[str, Any]) -> int:
    return int(row["index"])


def _fault_of(vectors: Sequence[Sequence[float]], expected: int) -> str | None:
    """What is wrong with the vectors of so many texts."""
    lengths = sorted({len(vector) for vector in vectors})
    if len(vectors) != expected:
        return f"{counted(len(vectors), 'vector')} for {counted(expected, 'text')}"
    if lengths[0] == 0:
        return "a vector is empty, or is not a list of numbers"
    if len(lengths) > 1:
        return f"vectors of {' and '.join(map(str, lengths))} numbers"
    return None


def prefers_chat(request: ImageRequest) -> bool:
    """Whether an image is asked for over chat: by the model's name, or because images go in, or `modalities` is set."""
    if request.context or "modalities" in (request.parameters.extra_body or {}):
        return True
    name = request.model.lower()
    return not any(part in name for part in _GENERATES)


def encode_image_chat(request: ImageRequest, provider: ModelProvider) -> bytes:
    """A chat request for an image: images first, then the prompt. A model that wants `modalities` has them in `extra_body`."""
    content: str | tuple[Part, ...] = request.prompt
    if request.context:
        content = (*request.context, TextPart(request.prompt))
    chat = ChatRequest(request.model, (Message("user", content),), request.parameters)
    return encode_request(chat, provider)


def encode_image_generation(request: ImageRequest, provider: ModelProvider) -> bytes:
    """A request for an image of its own service. Models name the format by themselves, or do not know the parameter."""
    body: dict[str, Any] = {"model": request.model, "prompt": request.prompt, "n": 1}
    if "gpt-image" not in request.model.lower():
        body["response_format"] = "b64_json"
    extra = request.parameters.extra_body or {}
    return write_json(body | (provider.extra_body or {}) | extra, model=request.model)


def decode_generated(
    body: bytes, *, caller: Caller, model: str
) -> tuple[tuple[str, ...], Usage]:
    """URLs or `data:` URLs of the images, and the usage. Raises TransientModelError if there is none."""
    answer = read_json(body, caller=caller, model=model)
    urls = map(_address, _rows(answer))
    found = tuple(url for url in urls if url is not None)
    if not found:
        raise TransientModelError(
            f"{caller.where(model)} returned 200 without an image: {server_words(body, caller)}"
        )
    return found, _image_usage(answer.get("usage"), len(found))


def image_of_data_url(url: str, *, caller: Caller, model: str) -> Image:
    """The image in a `data:` URL. Raises TransientModelError if it cannot be read."""
    head, _, data = url.partition(",")
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise TransientModelError(
            f"{caller.where(model)} answered with an image that is not base64"
        ) from None
    named = head.removeprefix("data:").partition(";")[0]
    return Image(content, _media_type(content) or named or "image/png")


def _media_type(content: bytes) -> str | None:
    for magic, media_type in _MAGIC:
        if content.startswith(magic):
            return media_type
    return None


def _address(row: dict[str, Any]) -> str | None:
    data = text_or_none(row.get("b64_json"))
    if data is not None:
        return f"data:;base64,{data}"
    return text_or_none(row.get("url"))


def _image_usage(raw: object, images: int) -> Usage:
    """The image service calls its tokens input and output."""
    given = raw if isinstance(raw, dict) else {}
    usage = {}
    for name, ours in (
        ("input_tokens", "prompt_tokens"),
        ("output_tokens", "completion_tokens"),
    ):
        if given.get(name) is not None:
            usage[ours] = given[name]
    return replace(usage_of(usage), images=images)


def _is_unpooled(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def _vector(value: object) -> tuple[float, ...]:
    """Numbers, or base64 of little-endian 32-bit floats."""
    if isinstance(value, str):
        try:
            content = base64.b64decode(value, validate=True)
            numbers = np.frombuffer(content, dtype="<f4")
        except (binascii.Error, ValueError):
            return ()
        return tuple(numbers.astype(float).tolist())
    if not isinstance(value, list):
        return ()
    if any(type(number) not in (int, float) for number in value):
        return ()
    try:
        return tuple(map(float, value))
    except OverflowError:
        return ()
