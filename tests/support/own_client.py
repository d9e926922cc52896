"""A client class as a user writes one: it answers without a network, as a function of the request."""

from sdg_core.models.simulated_draws import DrawStream
from sdg_core.models.simulated_media import small_picture, unit_vector
from sdg_core.models.types import (
    ChatReply,
    ChatRequest,
    EmbeddingReply,
    EmbeddingRequest,
    ImageReply,
    ImageRequest,
    Usage,
)
from tests.support.model_answers import json_of, number_of
from tests.support.model_server import answer_to


class OwnClient:
    """Everything that a client may have."""

    async def complete(self, request: ChatRequest) -> ChatReply:
        prompt = request.messages[-1].text
        text = json_of(dict(request.response_schema), prompt) if request.response_schema else answer_to(prompt)
        tokens = sum(len(message.text.split()) for message in request.messages)
        return ChatReply(text, "stop", Usage(requests=1, prompt_tokens=tokens, completion_tokens=len(text.split())))

    async def embed(self, request: EmbeddingRequest) -> EmbeddingReply:
        vectors = tuple(unit_vector(number_of(text), 8) for text in request.inputs)
        return EmbeddingReply(vectors, Usage(requests=1, prompt_tokens=len(vectors)))

    async def make_images(self, request: ImageRequest) -> ImageReply:
        picture = small_picture(DrawStream(number_of(request.prompt), "own"))
        return ImageReply((picture,), Usage(requests=1, images=1))
