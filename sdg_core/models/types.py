"""What passes between columns and model clients."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Literal

from sdg_core.config.models import InferenceParameters


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class ChatRequest:
    """A conversation to be continued by `model`.

    seed: the record's own random number for this cell; only the simulated client uses it, so that replies differ between
    records with equal prompts and repeat between runs.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: InferenceParameters
    seed: int = 0


@dataclass(frozen=True)
class Usage:
    """Counts that add up: requests sent (retries included), retries, and tokens as the server reports them."""

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(Usage)))


@dataclass(frozen=True)
class ChatReply:
    """The text of a reply, why it ended (`stop`, `length`, ...; None if the server does not say) and what it used."""

    text: str
    finish_reason: str | None
    usage: Usage


class ChatClient(ABC):
    """One endpoint under one account. Implementations classify every fault; they never wait or retry."""

    @abstractmethod
    async def chat(self, request: ChatRequest) -> ChatReply:
        """Send one request once. Raises RateLimitedError, TransientModelError or PermanentModelError."""

    @abstractmethod
    async def check(self) -> None:
        """Make sure, without cost, that the endpoint answers and accepts the key. Raises ModelError with the remedy."""

    @abstractmethod
    async def aclose(self) -> None:
        """Release connections."""
