"""A client of the user behind the same seam as ours: admission, retries, fallbacks and structured output are the same.

The user's class has `async def complete(self, request: ChatRequest) -> ChatResponse | str`. It may also have `embed`,
`make_images`, `check` and `aclose`, which mean what they mean in `ChatClient`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from inspect import isawaitable, signature
from typing import Any, TypeVar

import aiohttp

from sdg_core.config.models import ModelProvider
from sdg_core.errors import (
    ModelError,
    PermanentModelError,
    ReplyDeferredError,
    TransientModelError,
)
from sdg_core.models.types import (
    ChatClient,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImageRequest,
    ImageResponse,
    has_visible_text,
    is_count,
    normalized_finish_reason,
)
from sdg_core.models.usage import Usage
from sdg_core.system.user_calls import await_user, call_user

_Reply = TypeVar("_Reply", ChatResponse, EmbeddingResponse, ImageResponse)


class CustomClient(ChatClient):
    """One provider. `given` is an object of the user, who then closes it, or a class, which is instantiated here.

    A class gets the provider if its constructor takes an argument. Raises PermanentModelError if the constructor fails.
    """

    def __init__(self, provider: ModelProvider, given: Any) -> None:
        its_class = given if isinstance(given, type) else type(given)
        self._where = f"client {its_class.__qualname__} of provider {provider.name!r}"
        self._owned = isinstance(given, type)
        self._client = self._instantiated(given, provider) if self._owned else given

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Ask the user's object once; what it raises is classified."""
        answer = await self._answer(
            self._client.complete, request, timeout=request.parameters.timeout
        )
        reply = (
            ChatResponse(answer, "stop", Usage()) if isinstance(answer, str) else answer
        )
        reply = self._counted(
            reply, ChatResponse, "complete", "a ChatResponse, or text"
        )
        reply = replace(
            reply, finish_reason=normalized_finish_reason(reply.finish_reason)
        )
        if not (
            has_visible_text(reply.text or "") or reply.tool_calls or reply.image_urls
        ):
            raise TransientModelError(
                f"empty reply from {self._where}, finish_reason {reply.finish_reason}"
            )
        return reply

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """As `chat`, if the object has `embed`."""
        method = getattr(self._client, "embed", None)
        if method is None:
            return await super().embed(request)
        answer = await self._answer(method, request, timeout=request.parameters.timeout)
        return self._counted(answer, EmbeddingResponse, "embed", "an EmbeddingResponse")

    async def make_images(self, request: ImageRequest) -> ImageResponse:
        """As `chat`, if the object has `make_images`."""
        method = getattr(self._client, "make_images", None)
        if method is None:
            return await super().make_images(request)
        answer = await self._answer(method, request, timeout=request.parameters.timeout)
        return self._counted(answer, ImageResponse, "make_images", "an ImageResponse")

    async def check(self) -> None:
        """What the object says, if it has `check`."""
        method = getattr(self._client, "check", None)
        if method is not None:
            await self._classified(method)

    async def aclose(self) -> None:
        """Let an object go that was made here."""
        method = getattr(self._client, "aclose", None)
        if method is not None and self._owned:
            await self._classified(method)

    async def _answer(
        self, method: Callable[..., Any], request: Any, *, timeout: float
    ) -> Any:
        try:
            async with asyncio.timeout(timeout) as limit:
                return await self._classified(method, request)
        except TimeoutError:
            assert limit.expired()
            raise TransientModelError(
                f"{self._where} gave no answer within {timeout:g} s"
            ) from None

    async def _classified(self, method: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of the user. Faults of connections are worth another attempt, others are not."""
        try:
            answer = call_user(method, *arguments)
            return await await_user(answer) if isawaitable(answer) else answer
        except (ModelError, ReplyDeferredError):
            raise
        except (OSError, aiohttp.ClientError) as error:  # TimeoutError is an OSError
            raise TransientModelError(
                f"{self._where} failed: {type(error).__name__}: {error}"
            ) from error
        except Exception as error:
            raise PermanentModelError(
                f"{self._where} failed: {type(error).__name__}: {error}"
            ) from error

    def _counted(
        self, reply: Any, kind: type[_Reply], method: str, wanted: str
    ) -> _Reply:
        """The reply, counting at least the one request that it took."""
        if not isinstance(reply, kind):
            found = type(reply).__name__
            raise PermanentModelError(
                f"{method} of {self._where} returned {found}; it must return {wanted}"
            )
        for name, count in vars(reply.usage).items():
            if not is_count(count):
                shown = repr(count)[:40]
                raise PermanentModelError(
                    f"{method} of {self._where}: usage.{name} is {shown}, which is not a count"
                )
        return (
            reply
            if reply.usage.requests
            else replace(reply, usage=replace(reply.usage, requests=1))
        )

    def _instantiated(self, given: type, provider: ModelProvider) -> Any:
        try:
            return (
                call_user(given, provider)
                if signature(given).parameters
                else call_user(given)
            )
        except Exception as error:
            words = f"{self._where} cannot be created: {type(error).__name__}: {error}"
            raise PermanentModelError(
                words, remedy="its constructor must take no arguments, or the provider"
            ) from error
