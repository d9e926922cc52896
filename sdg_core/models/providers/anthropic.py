"""Client for Anthropic's Messages API."""

import time
from collections.abc import Callable, Mapping

from yarl import URL

from sdg_core.config.models import ModelProvider
from sdg_core.models.providers.anthropic_wire import (
    decode_message,
    encode_message,
    sets_sampling,
)
from sdg_core.models.providers.http import HttpSender, base_url
from sdg_core.models.types import CURRENT_VERSION, ChatClient, ChatRequest, ChatResponse

_VERSION = "2026-10-21"
_VERSION_WITH_SAMPLING = "2023-06-01"
"""The last version that takes `temperature`, `top_p` and `top_k`; the current one refuses them for every model."""


class AnthropicClient(ChatClient):
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
        own: Mapping[str, str] = provider.extra_headers or {}
        if extra_headers is not None:
            own = extra_headers
        self._version_is_given = "anthropic-version" in map(str.lower, own)
        headers = {"anthropic-version": _VERSION}
        if api_key:
            headers["x-api-key"] = api_key
        self._http = HttpSender(
            provider,
            _with_version(base_url(provider)),
            headers=headers,
            api_key=api_key,
            extra_headers=extra_headers,
            wall_clock=wall_clock,
        )

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Send one request once, in the current version of the API unless it says what only the earlier one takes."""
        body = encode_message(request, self._provider)
        older = CURRENT_VERSION in request.without or sets_sampling(
            request, self._provider
        )
        headers = (
            {"anthropic-version": _VERSION_WITH_SAMPLING}
            if older and not self._version_is_given
            else {}
        )
        return await self._http.post(
            "messages",
            body,
            model=request.model,
            timeout=request.parameters.timeout,
            decode=lambda answer: decode_message(
                answer, request, caller=self._http.caller
            ),
            headers=headers,
        )

    async def check(self) -> None:
        """GET /models."""
        await self._http.check()

    async def aclose(self) -> None:
        """Close all connections; a later request opens new ones."""
        await self._http.aclose()


def _with_version(base: URL) -> URL:
    """People write the address with and without `/v1`."""
    parts = [part for part in base.path.split("/") if part]
    if parts[-1:] == ["v1"]:
        return base
    return base.joinpath("v1").with_query(base.query)
