"""Client for servers that speak OpenAI's API over HTTP (vLLM, llama.cpp, OpenAI itself, most gateways)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from sdg_core.config.models import ModelProvider
from sdg_core.errors import TransientModelError
from sdg_core.models.providers.http import HttpSender, base_url
from sdg_core.models.providers.images import check_content
from sdg_core.models.providers.openai_media import (
    decode_embeddings,
    decode_generated,
    encode_embeddings,
    encode_image_chat,
    encode_image_generation,
    image_of_data_url,
    prefers_chat,
)
from sdg_core.models.providers.openai_wire import decode_reply, encode_request
from sdg_core.models.types import (
    ChatClient,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    Image,
    ImageRequest,
    ImageResponse,
)


class OpenAIClient(ChatClient):
    """One provider. `api_key` is the key itself; `extra_headers` are the provider's, with variables replaced."""

    def __init__(
        self,
        provider: ModelProvider,
        *,
        api_key: str | None,
        extra_headers: Mapping[str, str] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = HttpSender(
            provider,
            base_url(provider),
            headers=headers,
            api_key=api_key,
            extra_headers=extra_headers,
            wall_clock=wall_clock,
        )

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Send one request once."""
        body = encode_request(request, self._provider)
        return await self._chat(
            body, model=request.model, timeout=request.parameters.timeout
        )

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Send one request once."""
        body = encode_embeddings(request, self._provider)
        return await self._http.post(
            "embeddings",
            body,
            model=request.model,
            timeout=request.parameters.timeout,
            decode=lambda answer: decode_embeddings(
                answer, request, caller=self._http.caller
            ),
        )

    async def make_images(self, request: ImageRequest) -> ImageResponse:
        """Ask the image service, or the chat service of a model that draws; images at a URL are fetched."""
        model = request.model
        seconds = request.parameters.timeout
        caller = self._http.caller
        if prefers_chat(request):
            body = encode_image_chat(request, self._provider)
            reply = await self._chat(body, model=model, timeout=seconds)
            urls = reply.image_urls
            usage = replace(reply.usage, images=len(urls))
            if not urls:
                raise TransientModelError(
                    f"{caller.where(model)} answered without an image: {reply.text[:200]}"
                )
        else:
            body = encode_image_generation(request, self._provider)
            urls, usage = await self._http.post(
                "images/generations",
                body,
                model=model,
                timeout=seconds,
                decode=partial(decode_generated, caller=caller, model=model),
            )
        images = tuple(
            [await self._image(url, model=model, timeout=seconds) for url in urls]
        )
        return ImageResponse(images, usage)

    async def check(self) -> None:
        """GET /models."""
        await self._http.check()

    async def aclose(self) -> None:
        """Close all connections; a later request opens new ones."""
        await self._http.aclose()

    async def _chat(self, body: bytes, *, model: str, timeout: float) -> ChatResponse:
        return await self._http.post(
            "chat/completions",
            body,
            model=model,
            timeout=timeout,
            decode=lambda answer: decode_reply(
                answer, caller=self._http.caller, model=model, asked=body
            ),
        )

    async def _image(self, url: str, *, model: str, timeout: float) -> Image:
        if url.startswith("data:"):
            image = image_of_data_url(url, caller=self._http.caller, model=model)
        else:
            content, media_type = await self._http.fetch(
                url, model=model, timeout=timeout
            )
            image = Image(content, media_type or "image/png")
        check_content(image.content, where=self._http.caller.where(model))
        return image
