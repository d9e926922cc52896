"""A client whose server may die and come back: requests that were on their way are asked again, of the next life."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from sdg_core.errors import TransientModelError
from sdg_core.models.serving.process import ModelServerProcess
from sdg_core.models.types import (
    ChatClient,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImageRequest,
    ImageResponse,
)
from sdg_core.models.usage import Usage

_Reply = TypeVar("_Reply", ChatResponse, EmbeddingResponse, ImageResponse)
_Request = TypeVar("_Request", ChatRequest, EmbeddingRequest, ImageRequest)
_MAX_ATTEMPTS = 2
"""Lives that one request may take with it; then its loss is an ordinary fault, for it may be what kills the server."""


class ServedClient(ChatClient):
    """`client`, asked while `server` is ready."""

    def __init__(self, client: ChatClient, server: ModelServerProcess) -> None:
        self._client = client
        self._server = server

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """As the client does, once the server is ready."""
        return await self._ask(self._client.chat, request)

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """As the client does, once the server is ready."""
        return await self._ask(self._client.embed, request)

    async def make_images(self, request: ImageRequest) -> ImageResponse:
        """As the client does, once the server is ready."""
        return await self._ask(self._client.make_images, request)

    async def check(self) -> None:
        """As the client does, once the server is ready."""
        await self._server.alive()
        await self._client.check()

    async def aclose(self) -> None:
        """Release the client's connections; the server is ended by who has started it."""
        await self._client.aclose()

    async def _ask(
        self, send: Callable[[_Request], Awaitable[_Reply]], request: _Request
    ) -> _Reply:
        lost = 0
        while True:
            life = await self._server.alive()
            try:
                reply = await send(request)
            except TransientModelError as error:
                if (
                    error.status is not None
                    or lost == _MAX_ATTEMPTS
                    or not await self._server.has_ended(life)
                ):
                    raise
                lost += 1
                continue
            self._server.answered()
            return (
                replace(reply, usage=reply.usage + Usage(requests=lost, retries=lost))
                if lost
                else reply
            )
