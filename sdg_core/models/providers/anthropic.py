"""Client for Anthropic's Messages API."""

import time
from collections.abc import Callable, Mapping

from yarl import URL

from sdg_core.config.models import ModelProvider
from sdg_core.models.providers.anthropic_wire import decode_message, encode_message
from sdg_core.models.providers.http import HttpSender, base_url
from sdg_core.models.types import ChatClient, ChatRequest, ChatResponse

_VERSION = "2023-06-01"


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
        headers = {"anthropic-version": _VERSION, **({"x-api-key": api_key} if api_key else {})}
        self._http = HttpSender(
            provider,
            _with_version(base_url(provider)),
            headers=headers,
            api_key=api_key,
            extra_headers=extra_headers,
            wall_clock=wall_clock,
        )

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Send one request once. A schema is asked for as a tool that the model has to call."""
        body = encode_message(request, self._provider)
        answer = await self._http.post("messages", body, model=request.model, timeout=request.parameters.timeout)
        return decode_message(answer, request, caller=self._http.caller)

    async def check(self) -> None:
        """GET /models."""
        await self._http.check()

    async def aclose(self) -> None:
        """Close all connections; a later request opens new ones."""
        await self._http.aclose()


def _with_version(base: URL) -> URL:
    """People write the address with and without `/v1`."""
    parts = [part for part in base.path.split("/") if part]
    return base if parts[-1:] == ["v1"] else base.joinpath("v1").with_query(base.query)
