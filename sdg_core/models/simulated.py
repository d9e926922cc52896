"""Replies without a network: for rehearsing a dataset before anything is paid for.

A reply is a function of model, messages, sampling parameters and the record's seed, so that a rehearsal repeats exactly and
resumes like a real run. It reads as English, says that it is simulated, and names a few words of the prompt, so that a
wrong template shows. `max_tokens` cuts the text but does not choose another one; the mark itself is never cut.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import orjson

from sdg_core.config.models import ModelProvider
from sdg_core.models.types import ChatClient, ChatReply, ChatRequest, Usage

MARK: Final = "[simulated] "
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
_ADVERBS: Final = (
    "again always carefully clearly early exactly nearby often once quickly quietly slowly soon together".split()
)


class SimulatedClient(ChatClient):
    """Answers at once, or after the provider's simulated latency, passed to `sleep` in seconds."""

    def __init__(self, provider: ModelProvider, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._extra_body = provider.extra_body
        self._latency = provider.simulation.latency
        self._sleep = sleep

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Compose the reply; a latency of 0 still yields to the event loop once."""
        await self._sleep(self._latency)
        prompt = request.messages[-1].content if request.messages else ""
        text = _compose(_Draws(self._digest(request)), echo=_long_words(prompt))
        limit = request.parameters.max_tokens
        tokens = _tokens(len(text))
        cut = limit is not None and tokens > limit
        if limit is not None and cut:
            text, tokens = text[: limit * _CHARS_PER_TOKEN].rstrip(), limit
        sent = sum(len(message.content) for message in request.messages)
        return ChatReply(
            text=MARK + text,
            finish_reason="length" if cut else "stop",
            usage=Usage(requests=1, prompt_tokens=_tokens(sent), completion_tokens=tokens),
        )

    async def check(self) -> None:
        """There is nothing that could be down."""

    async def aclose(self) -> None:
        """There is nothing to release."""

    def _digest(self, request: ChatRequest) -> int:
        parameters = request.parameters
        identity = orjson.dumps(
            [
                request.model,
                [[message.role, message.content] for message in request.messages],
                [parameters.temperature, parameters.top_p, parameters.extra_body, self._extra_body],
                str(request.seed),
            ],
            option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS,
        )
        return int.from_bytes(hashlib.blake2b(identity, digest_size=64, person=b"sdg/simulated").digest(), "little")


class _Draws:
    """A finite stream of choices out of one large number; 512 bits are more than the longest reply takes."""

    def __init__(self, number: int) -> None:
        self._number = number

    def below(self, bound: int) -> int:
        self._number, drawn = divmod(self._number, bound)
        return drawn

    def pick(self, words: Sequence[str]) -> str:
        return words[self.below(len(words))]


def _compose(draws: _Draws, *, echo: Sequence[str]) -> str:
    first = f"About {_enumerate(_echoed(draws, echo))}: {_clause(draws)}."
    return " ".join([first, *(f"{_clause(draws).capitalize()}." for _ in range(draws.below(4)))])


def _clause(draws: _Draws) -> str:
    subject = f"{draws.pick(_ADJECTIVES)} {draws.pick(_NOUNS)}"
    target = f"{draws.pick(_ADJECTIVES)} {draws.pick(_NOUNS)}"
    clause = f"the {subject} {draws.pick(_VERBS)} the {target}"
    return f"{clause} {draws.pick(_ADVERBS)}" if draws.below(2) else clause


def _echoed(draws: _Draws, words: Sequence[str]) -> Sequence[str]:
    """Up to three neighbouring words of the prompt, from a place of its own for every reply."""
    if not words:
        return ["this request"]
    start = draws.below(max(1, len(words) - 2))
    return words[start : start + 3]


def _enumerate(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _long_words(text: str) -> list[str]:
    return list(dict.fromkeys(_LONG_WORD.findall(text)))


def _tokens(characters: int) -> int:
    return -(-characters // _CHARS_PER_TOKEN)
