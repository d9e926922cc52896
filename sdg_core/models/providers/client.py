"""The client of a provider, by the kind of API that it speaks."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sdg_core.config.models import ModelProvider
from sdg_core.models.types import ChatClient


def client_of(
    provider: ModelProvider,
    *,
    api_key: str | None,
    extra_headers: Mapping[str, str],
    own: Mapping[str, Any],
    sleep: Callable[[float], Awaitable[None]],
) -> ChatClient:
    """A client, to be closed by the caller. own: what answers for custom providers, by provider."""
    match provider.provider_type:
        case "openai":
            from sdg_core.models.providers.openai import OpenAIClient

            return OpenAIClient(provider, api_key=api_key, extra_headers=extra_headers)
        case "anthropic":
            from sdg_core.models.providers.anthropic import AnthropicClient

            return AnthropicClient(
                provider, api_key=api_key, extra_headers=extra_headers
            )
        case "simulated":
            from sdg_core.models.simulated.client import SimulatedClient

            return SimulatedClient(provider, sleep=sleep)
        case "custom":
            from sdg_core.models.providers.custom import CustomClient

            return CustomClient(provider, own[provider.name])
