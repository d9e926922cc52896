"""Replies without a network: for rehearsing a dataset before anything is paid for.

A reply is a function of model, messages, sampling parameters and the record's seed, so that a rehearsal repeats exactly and
resumes like a real run. It reads as English, says that it is simulated, and names a few words of the prompt, so that a
wrong template shows. `max_tokens` cuts the text but does not choose another one; the mark itself is never cut.
"""

import asyncio
import hashlib
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import orjson

from sdg_core.config.models import Latency, ModelProvider
from sdg_core.errors import RateLimitedError, TransientModelError
from sdg_core.models.simulated.code import fenced_code
from sdg_core.models.simulated.json import conforming
from sdg_core.models.simulated.lengths import (
    code_of,
    drawn_characters,
    stretched,
    text_of,
)
from sdg_core.models.simulated.media import DIMENSIONS, small_image, unit_vector
from sdg_core.models.simulated.random_stream import RandomStream
from sdg_core.models.types import (
    ChatClient,
    ChatRequest,
    ChatResponse,
    EmbeddingRequest,
    EmbeddingResponse,
    ImageRequest,
    ImageResponse,
    JsonSchema,
    Message,
    TextPart,
)
from sdg_core.models.usage import Usage

MARK: Final = "[simulated] "
_LINE: Final = "\n"
_CHARS_PER_TOKEN: Final = 4
_LONG_WORD = re.compile(r"[^\W\d_]{4,20}")

_ADJECTIVES: Final = (
    "brief calm careful clear common curious early exact fair familiar firm gentle honest large late light local modest narrow "
    "new open patient plain practical quiet rare recent regular second short simple small steady strong sudden useful warm "
    "whole wide young"
).split()
_NOUNS: Final = (
    "answer balance bridge budget change choice claim detail document draft effort engineer example figure garden harbour "
    "idea island journey ledger lesson letter map market measure meeting message method mistake number order parcel plan "
    "problem process question reader reason record report request result river road rule sample season signal step story "
    "table teacher tool town value visit window worker"
).split()
_VERBS: Final = (
    "answers builds carries checks describes explains follows gathers improves joins keeps leaves lists marks meets needs "
    "offers opens replaces reviews saves sends shows supports takes"
).split()
_ADVERBS: Final = "again always carefully clearly early exactly nearby often once quickly quietly slowly soon together".split()


class SimulatedClient(ChatClient):
    """Answers at once, or after the provider's simulated latency, passed to `sleep` in seconds."""

    def __init__(
        self,
        provider: ModelProvider,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._extra_body = provider.extra_body
        self._simulation = provider.simulation
        self._sleep = sleep
        self._attempts: dict[int, int] = {}

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Compose the reply; a latency of 0 still yields to the event loop once."""
        digest = self._digest(request)
        spoiled = await self._meet(digest)
        text = self._text(request, digest)
        if spoiled:
            text = text[: len(text) // 2]
        limit = request.parameters.max_tokens
        tokens = _tokens(len(text))
        cut = limit is not None and tokens > limit
        if limit is not None and cut:
            text = text[: limit * _CHARS_PER_TOKEN].rstrip()
            tokens = limit
        if request.response_schema is None:
            opening = _LINE if request.code_language else ""
            text = f"{MARK}{opening}{text}"
        sent = sum(len(message.text) for message in request.messages)
        return ChatResponse(
            text=text,
            finish_reason="length" if cut else "stop",
            usage=Usage(
                requests=1, prompt_tokens=_tokens(sent), completion_tokens=tokens
            ),
        )

    async def embed(self, request: EmbeddingRequest) -> EmbeddingResponse:
        """A direction per text; equal texts have equal vectors, whatever the record, as those of real models."""
        parameters = request.parameters
        await self._meet(
            _hash([request.model, list(request.inputs), str(request.seed)])
        )
        dimensions = parameters.dimensions or DIMENSIONS
        vectors = []
        for text in request.inputs:
            digest = _hash(
                [request.model, text, self._extra_body, parameters.extra_body]
            )
            vectors.append(unit_vector(digest, dimensions))
        sent = sum(map(len, request.inputs))
        usage = Usage(requests=1, prompt_tokens=_tokens(sent))
        return EmbeddingResponse(tuple(vectors), usage)

    async def make_images(self, request: ImageRequest) -> ImageResponse:
        """A small PNG of coloured squares, with the word simulated in its comment."""
        context = [part.address for part in request.context]
        body = [request.parameters.extra_body, self._extra_body]
        digest = _hash(
            [request.model, request.prompt, context, body, str(request.seed)]
        )
        await self._meet(digest)
        usage = Usage(requests=1, prompt_tokens=_tokens(len(request.prompt)), images=1)
        return ImageResponse((small_image(RandomStream(digest, "image")),), usage)

    async def check(self) -> None:
        """There is nothing that could be down."""

    async def aclose(self) -> None:
        """There is nothing to release."""

    async def _meet(self, digest: int) -> bool:
        """Sleep, then raise the fault that this attempt meets, if any. Returns whether the reply is broken off.

        Attempts are counted only while a request has met nothing but faults, so that memory stays flat.
        """
        simulation = self._simulation
        attempt = self._attempts.get(digest, 0)
        draws = RandomStream(digest, f"attempt {attempt}")
        await self._sleep(_seconds(simulation.latency, draws))
        fate = draws.unit()
        if fate < simulation.rate_limited + simulation.transient:
            self._attempts[digest] = attempt + 1
            if fate < simulation.rate_limited:
                raise RateLimitedError("the simulated provider asks to slow down")
            raise TransientModelError("the simulated provider failed")
        self._attempts.pop(digest, None)
        return draws.unit() < simulation.malformed

    def _text(self, request: ChatRequest, digest: int) -> str:
        more = RandomStream(digest, "length")
        length = self._simulation.tokens_of(request.schema_name)
        characters = (
            drawn_characters(length, more) - len(MARK) if length is not None else None
        )

        def sentence() -> str:
            return f"{_clause(more).capitalize()}."

        if request.code_language is not None:
            code = fenced_code(
                request.code_language, RandomStream(digest, "code"), nouns=_NOUNS
            )
            if characters is None:
                return code
            return code_of(code, request.code_language, characters, sentence)
        if request.response_schema is None:
            prompt = request.messages[-1].text if request.messages else ""
            long_words = dict.fromkeys(_LONG_WORD.findall(prompt))
            text = _compose(_WordDraws(digest), echo=list(long_words))
            if characters is None:
                return text
            return text_of(text, characters, sentence)
        schema = request.response_schema
        value = _json_value(schema, digest)
        if characters is not None:
            value = stretched(
                value, characters, schema=schema, mark=MARK, sentence=sentence
            )
        return orjson.dumps(value).decode()

    def _digest(self, request: ChatRequest) -> int:
        parameters = request.parameters
        identity: list[Any] = [
            request.model,
            [[message.role, _message_text(message)] for message in request.messages],
            [
                parameters.temperature,
                parameters.top_p,
                parameters.extra_body,
                self._extra_body,
            ],
            str(request.seed),
        ]
        if request.response_schema is not None:
            identity.append(dict(request.response_schema))
        return _hash(identity)


def _hash(identity: list[Any]) -> int:
    content = orjson.dumps(
        identity, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    )
    return int.from_bytes(
        hashlib.blake2b(content, digest_size=64, person=b"sdg/simulated").digest(),
        "little",
    )


def _message_text(message: Message) -> Any:
    if isinstance(message.content, str):
        return message.content
    said = []
    for part in message.content:
        said.append(part.text if isinstance(part, TextPart) else part.address)
    return said


def _seconds(latency: Latency, draws: RandomStream) -> float:
    """Normally distributed by Box and Muller's method."""
    if not latency.stddev:
        return latency.mean
    normal = math.sqrt(-2 * math.log(1 - draws.unit())) * math.cos(
        2 * math.pi * draws.unit()
    )
    return max(0.0, latency.mean + latency.stddev * normal)


def _json_value(schema: JsonSchema, digest: int) -> Any:
    draws = RandomStream(digest, "json")
    return conforming(
        schema,
        draws,
        words=lambda: f"{MARK}{draws.pick(_ADJECTIVES)} {draws.pick(_NOUNS)}",
    )


class _WordDraws:
    """A finite stream of choices out of one large number; 512 bits are more than the longest reply takes."""

    def __init__(self, number: int) -> None:
        self._number = number

    def below(self, bound: int) -> int:
        self._number, drawn = divmod(self._number, bound)
        return drawn

    def pick(self, words: Sequence[str]) -> str:
        return words[self.below(len(words))]


def _compose(draws: _WordDraws, *, echo: Sequence[str]) -> str:
    subject = _enumerate(_echoed(draws, echo))
    sentences = [f"About {subject}: {_clause(draws)}."]
    for _ in range(draws.below(4)):
        sentences.append(f"{_clause(draws).capitalize()}.")
    return " ".join(sentences)


def _clause(draws: "_WordDraws | RandomStream") -> str:
    subject = f"{draws.pick(_ADJECTIVES)} {draws.pick(_NOUNS)}"
    target = f"{draws.pick(_ADJECTIVES)} {draws.pick(_NOUNS)}"
    clause = f"the {subject} {draws.pick(_VERBS)} the {target}"
    return f"{clause} {draws.pick(_ADVERBS)}" if draws.below(2) else clause


def _echoed(draws: _WordDraws, words: Sequence[str]) -> Sequence[str]:
    """Up to three neighbouring words of the prompt, from a place of its own for every reply."""
    if not words:
        return ["this request"]
    start = draws.below(max(1, len(words) - 2))
    return words[start : start + 3]


def _enumerate(words: Sequence[str]) -> str:
    *first, last = words
    if not first:
        return last
    return f"{', '.join(first)} and {last}"


def _tokens(characters: int) -> int:
    return -(-characters // _CHARS_PER_TOKEN)
