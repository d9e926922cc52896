"""Asking each model once, before money is spent: does it answer, how fast, and does it keep to a schema."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sdg_core.config.models import InferenceParameters, ModelConfig
from sdg_core.models.endpoint import ModelEndpoint, RequestFailedError
from sdg_core.models.structured import InvalidResponseError, parse
from sdg_core.models.types import ChatRequest, EmbeddingRequest, ImageRequest, Message

Support = Literal["native", "prompt", "none", "not asked"]
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["answer"],
    "additionalProperties": False,
}
_OPEN_TIMEOUT = 30.0
"""Seconds until an answer is given up: rate limits would otherwise be waited out without end."""
_QUESTION = "Is water wet? Answer yes or no."


@dataclass(frozen=True)
class ModelHealth:
    """The health of one model alias.

    latency: seconds until the reply, waits and retries included; None without a reply.
    structured: `native` (the server enforces a schema), `prompt` (the schema is only in the prompt), `none` (neither
    gave a usable reply), `not asked` (not a chat model, or no answer). note: why it is not native. answered_as: the
    model name that the server reports, if it differs from the requested one: the server may accept any name.
    """

    alias: str
    model: str
    latency: float | None
    structured: Support
    note: str | None = None
    error: str | None = None
    remedy: str | None = None
    answered_as: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it answered."""
        return self.error is None


async def check_health(
    endpoints: Mapping[str, ModelEndpoint], models: Mapping[str, ModelConfig]
) -> tuple[ModelHealth, ...]:
    """One row per alias, in the order of the config, fallbacks left aside."""
    rows = [_row(endpoint, models[alias]) for alias, endpoint in endpoints.items()]
    return tuple(await asyncio.gather(*rows))


async def _row(endpoint: ModelEndpoint, model: ModelConfig) -> ModelHealth:
    started = time.monotonic()
    longest = max(_OPEN_TIMEOUT, model.inference_parameters.timeout)
    try:
        async with asyncio.timeout(longest):
            structured, name = await _ask(endpoint.without_fallback(), model)
    except TimeoutError:
        words = f"no reply within {longest:g} s; the server keeps rate-limiting requests, or is too slow"
        return ModelHealth(
            model.alias,
            model.model,
            None,
            "not asked",
            error=words,
            remedy="try again later",
        )
    except RequestFailedError as error:
        return ModelHealth(
            model.alias,
            model.model,
            None,
            "not asked",
            error=error.message,
            remedy=error.remedy,
        )
    seconds = time.monotonic() - started
    other = name if name != model.model else None
    return ModelHealth(
        model.alias,
        model.model,
        seconds,
        structured,
        endpoint.formats.reason,
        answered_as=other,
    )


async def _ask(
    endpoint: ModelEndpoint, model: ModelConfig
) -> tuple[Support, str | None]:
    """How structured output works, and the model that the server names."""
    parameters = model.inference_parameters
    if parameters.generation_type == "embedding":
        await endpoint.embed(EmbeddingRequest(model.model, (_QUESTION,), parameters))
        return "not asked", None
    if parameters.generation_type == "image":
        await endpoint.make_images(
            ImageRequest(model.model, "A grey square", parameters)
        )
        return "not asked", None
    plain = InferenceParameters(
        timeout=parameters.timeout,
        max_tokens=parameters.max_tokens,
        extra_body=parameters.extra_body,
    )
    request = ChatRequest(
        model.model,
        (Message("user", _QUESTION),),
        plain,
        response_schema=_SCHEMA,
        schema_name="answer",
    )
    reply = await endpoint.chat(request)
    try:
        parse(reply, _SCHEMA)
    except InvalidResponseError:
        return "none", reply.model
    return "native" if endpoint.formats.native else "prompt", reply.model
