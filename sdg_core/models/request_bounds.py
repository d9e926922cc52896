"""The most tokens that a request can have, for budgets: a token is at least a byte."""

from sdg_core.models.types import (
    ChatRequest,
    EmbeddingRequest,
    ImageRequest,
    Message,
    TextPart,
)

Request = ChatRequest | EmbeddingRequest | ImageRequest

TOKENS_PER_MESSAGE = 32
"""What chat templates put around a message, at most."""
TOKENS_PER_MEDIA = 16_384
"""What an image or a piece of audio counts as, at most, until a larger one has been seen."""


def prompt_bound(request: Request) -> int:
    """The most tokens that a prompt can have: a token is at least a byte."""
    match request:
        case EmbeddingRequest():
            return sum(_size(text) + TOKENS_PER_MESSAGE for text in request.inputs)
        case ImageRequest():
            media = TOKENS_PER_MEDIA * len(request.context)
            return _size(request.prompt) + TOKENS_PER_MESSAGE + media
        case ChatRequest():
            bound = TOKENS_PER_MESSAGE + sum(map(_message_bound, request.messages))
            for tool in request.tools:
                bound += TOKENS_PER_MESSAGE + _size(str(vars(tool)))
            if request.response_schema is not None:
                bound += _size(str(request.response_schema))
            return bound


def _message_bound(message: Message) -> int:
    bound = TOKENS_PER_MESSAGE + _size(message.text)
    if not isinstance(message.content, str):
        media = [part for part in message.content if not isinstance(part, TextPart)]
        bound += len(media) * TOKENS_PER_MEDIA
    for call in message.tool_calls:
        bound += TOKENS_PER_MESSAGE + _size(call.name) + _size(call.arguments)
    for block in message.provider_blocks:
        bound += _size(str(block))
    return bound


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
