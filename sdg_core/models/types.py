"""What passes between columns and model clients.

Everything here is a value: requests and replies are compared in tests, kept in traces and sent again unchanged.
"""

import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

from sdg_core.config.models import InferenceParameters
from sdg_core.errors import PermanentModelError
from sdg_core.models.usage import Usage
from sdg_core.system.former_names import has_former_names

JsonSchema = Mapping[str, Any]

OUTPUT_CONFIG = "output_config"
CURRENT_VERSION = "current_version"
FEATURES = (OUTPUT_CONFIG, CURRENT_VERSION)
"""What Anthropic's API has had since 2026, and servers that speak as it did before have not."""


@dataclass(frozen=True)
class TextPart:
    """Text among other parts."""

    text: str


@dataclass(frozen=True)
class MediaPart:
    """What is not text: at a `url` that the server fetches, or as base64 `data` of a `media_type` such as image/png."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.data is None):
            raise ValueError("expected either a url or data")
        if self.data is not None and self.media_type is None:
            raise ValueError("data needs its media_type, such as image/png")

    @property
    def address(self) -> str:
        """The url, or the data as a `data:` URL."""
        return (
            self.url
            if self.url is not None
            else f"data:{self.media_type};base64,{self.data}"
        )


class ImagePart(MediaPart):
    """An image."""


class AudioPart(MediaPart):
    """Sound."""


class VideoPart(MediaPart):
    """A video."""


Part = TextPart | ImagePart | AudioPart | VideoPart


@dataclass(frozen=True)
class Tool:
    """A function that the model may call; `parameters` is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: JsonSchema


@dataclass(frozen=True)
class ToolCall:
    """The model asks for a call; `arguments` is JSON as the model wrote it, so possibly malformed."""

    id: str
    name: str
    arguments: str


@has_former_names(signed="provider_blocks")
@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    tool_calls: the assistant's tool calls. tool_call_id: the call that a message of role `tool` answers.
    reasoning: the assistant's reasoning; kept for traces, not sent again. provider_blocks: reasoning blocks in the server's
    format, which it expects back unchanged while tools are used.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str | tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: str | None = None
    provider_blocks: tuple[Mapping[str, Any], ...] = ()

    @property
    def text(self) -> str:
        """The textual parts."""
        if isinstance(self.content, str):
            return self.content
        texts = [part.text for part in self.content if isinstance(part, TextPart)]
        return "\n".join(texts)


@has_former_names(tools_closed="tool_choice_none")
@dataclass(frozen=True)
class ChatRequest:
    """A conversation for `model` to continue.

    seed: the record's random number for this cell; only the simulated client uses it, so that replies differ between
    records with equal prompts and are the same in every run.
    response_schema: the reply must be JSON that satisfies this schema; `schema_name` is its name in the request.
    code_language: the language of requested code; only the simulated client uses it, so that validators can be
    rehearsed.
    tools: tools that the model may call instead of answering. tool_choice_none: no more calls are allowed, but earlier
    calls are still sent.
    without: the `FEATURES` that this model's server has rejected; a client does not use them.
    """

    model: str
    messages: tuple[Message, ...]
    parameters: InferenceParameters
    seed: int = 0
    response_schema: JsonSchema | None = None
    schema_name: str = "response"
    tools: tuple[Tool, ...] = ()
    tool_choice_none: bool = False
    code_language: str | None = None
    without: frozenset[str] = frozenset()


MAX_TOKENS = 2**40
"""Of one request. More is a mistake of the server, -1 as an unsigned number for instance, and would not add up in 64 bits."""


FINISH_REASONS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "max_tokens",
            "max_length",
            "model_length",
            "max_output_tokens",
            "model_context_window_exceeded",
        ),
        "length",
    ),
    **dict.fromkeys(
        (
            "safety",
            "recitation",
            "blocklist",
            "prohibited_content",
            "spii",
            "sensitive",
            "content_filtered",
            "guardrail_intervened",
        ),
        "content_filter",
    ),
    **dict.fromkeys(
        (
            "abort",
            "aborted",
            "cancelled",
            "canceled",
            "insufficient_system_resource",
            "network_error",
            "malformed_function_call",
        ),
        "error",
    ),
}
"""Words of servers for the end of a reply, to the one that OpenAI's API has for it: those of vLLM and SGLang (abort), Mistral
(model_length), DeepSeek (insufficient_system_resource), Gemini (SAFETY), Bedrock (guardrail_intervened), Zhipu (sensitive)."""


def normalized_finish_reason(given: str | None) -> str | None:
    """The finish reason in OpenAI's words; one that is not known, as it is given."""
    word = (given or "").strip().lower()
    if word in ("length", "content_filter", "error", "refusal", "stop", "tool_calls"):
        return word
    return FINISH_REASONS.get(word, given)


def has_visible_text(text: str) -> bool:
    """Whether a reply has more than blanks and characters without width."""
    if text.isascii():
        return not text.isspace() and text != ""
    for mark in text:
        if not mark.isspace() and unicodedata.category(mark) != "Cf":
            return True
    return False


def is_count(value: object) -> TypeGuard[int]:
    """Whether a value is a number of tokens, or the like, that one request can have."""
    return type(value) is int and 0 <= value <= MAX_TOKENS


class Response:
    """What every reply says besides its content.

    alias: the model alias that answered, set by the pool; another one than was asked when its fallback stepped in.
    prior_usage: what other aliases used before that one answered.
    """

    usage: Usage
    alias: str | None
    prior_usage: Mapping[str, Usage]

    def usage_by_alias(self, asked: str) -> dict[str, Usage]:
        """Usage by alias, for a caller who asked the alias `asked`."""
        return {**self.prior_usage, self.alias or asked: self.usage}


@has_former_names(signed="provider_blocks", earlier="prior_usage")
@dataclass(frozen=True)
class ChatResponse(Response):
    """The text of a reply and its finish reason (`stop`, `length`, `tool_calls`, ...; None if the server does not
    report one).

    text: without the reasoning; empty only if there are tool_calls or image_urls. reasoning: the model's reasoning,
    if the server returns it. image_urls: images in a chat model's reply, as URLs or `data:` URLs. model: the model
    that the server reports; some servers accept any name and use the only model they have. provider_blocks: as in Message.
    """

    text: str
    finish_reason: str | None
    usage: Usage
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    image_urls: tuple[str, ...] = ()
    model: str | None = field(default=None, compare=False)
    provider_blocks: tuple[Mapping[str, Any], ...] = ()
    alias: str | None = None
    prior_usage: Mapping[str, Usage] = field(default_factory=dict)


@dataclass(frozen=True)
class EmbeddingRequest:
    """Texts to embed, one vector per text, in order. `seed` as in ChatRequest."""

    model: str
    inputs: tuple[str, ...]
    parameters: InferenceParameters
    seed: int = 0


@has_former_names(earlier="prior_usage")
@dataclass(frozen=True)
class EmbeddingResponse(Response):
    """One vector per input, all of the same length."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage
    alias: str | None = None
    prior_usage: Mapping[str, Usage] = field(default_factory=dict)


@dataclass(frozen=True)
class Image:
    """An encoded image, such as a PNG."""

    content: bytes
    media_type: str


@dataclass(frozen=True)
class ImageRequest:
    """An image to generate. `context` are images to start from. `seed` as in ChatRequest."""

    model: str
    prompt: str
    parameters: InferenceParameters
    context: tuple[ImagePart, ...] = ()
    seed: int = 0


@has_former_names(earlier="prior_usage")
@dataclass(frozen=True)
class ImageResponse(Response):
    """At least one image."""

    images: tuple[Image, ...]
    usage: Usage
    alias: str | None = None
    prior_usage: Mapping[str, Usage] = field(default_factory=dict)


class ChatClient(ABC):
    """One endpoint under one account. Implementations classify every fault; they never wait or retry."""

    @abstractmethod
    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Send one request once. Raises RateLimitedError, TransientModelError or PermanentModelError.

        Raises ReplyDeferredError if the request was accepted and its reply arrives later; repeat the same request to
        get it.
        """

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """Turn texts into vectors. Raises as `chat` does, and PermanentModelError if this client cannot."""
        raise PermanentModelError(
            f"the provider of model {request.model!r} does not provide embeddings",
            remedy="use another provider",
        )

    async def make_images(self, request: ImageRequest) -> ImageResponse:
        """Make images. Raises as `chat` does, and PermanentModelError if this client cannot."""
        raise PermanentModelError(
            f"the provider of model {request.model!r} does not generate images",
            remedy="use another provider",
        )

    @abstractmethod
    async def check(self) -> None:
        """Check at no cost that the endpoint answers and accepts the key. Raises ModelError with the remedy."""

    @abstractmethod
    async def aclose(self) -> None:
        """Release connections."""


# Names before 0.2, for clients that import them; removed in 0.3.
ChatReply = ChatResponse
EmbeddingReply = EmbeddingResponse
ImageReply = ImageResponse
