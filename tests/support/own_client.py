"""A client class as a user writes one: it answers without a network, as a function of the request."""

from sdg_core.models.simulated.media import small_image, unit_vector
from sdg_core.models.simulated.random_stream import RandomStream
from sdg_core.models.types import (
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImageRequest,
    ImageResponse,
)
from sdg_core.models.usage import Usage
from sdg_core.testing import answer_to
from sdg_core.testing.model_answers import json_of, number_of


class OwnClient:
    """Everything that a client may have."""

    async def complete(self, request: ChatRequest) -> ChatResponse:
        prompt = request.messages[-1].text
        text = (
            json_of(dict(request.response_schema), prompt)
            if request.response_schema
            else answer_to(prompt)
        )
        tokens = sum(len(message.text.split()) for message in request.messages)
        return ChatResponse(
            text,
            "stop",
            Usage(
                requests=1, prompt_tokens=tokens, completion_tokens=len(text.split())
            ),
        )

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        vectors = tuple(unit_vector(number_of(text), 8) for text in request.inputs)
        return EmbeddingResponse(vectors, Usage(requests=1, prompt_tokens=len(vectors)))

    async def make_images(self, request: ImageRequest) -> ImageResponse:
        image = small_image(RandomStream(number_of(request.prompt), "own"))
        return ImageResponse((image,), Usage(requests=1, images=1))
