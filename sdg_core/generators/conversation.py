"""Asking until the reply can be used: what is wrong is fed back as a turn of the user, then it is all asked afresh.

Which turn comes next is a pure decision. Every request counts: in the usage of the cell if one of the replies will do, else in
that of the failure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sdg_core.config.run import RunSettings
from sdg_core.errors import ModelError
from sdg_core.generators.base import FailedCellError
from sdg_core.models.endpoint import FailedRequestError, ModelEndpoint
from sdg_core.models.types import ChatReply, ChatRequest, Message, Usage


class UnusableReplyError(ModelError):
    """A reply came, but holds no cell; the message is what the model is told about it."""


@dataclass(frozen=True)
class Limits:
    """Corrections in each conversation, and fresh conversations after the first."""

    corrections: int
    restarts: int


def limits_of(settings: RunSettings) -> Limits:
    """The limits that a run sets."""
    return Limits(settings.max_conversation_correction_steps, settings.max_conversation_restarts)


@dataclass(frozen=True)
class Turn:
    """Where a cell stands: in its first conversation or a fresh one, before any correction or after some."""

    restart: int = 0
    correction: int = 0

    def after_unusable(self, limits: Limits) -> "Turn | None":
        """The turn to take after a reply that cannot be used; None to give up."""
        if self.correction < limits.corrections:
            return Turn(self.restart, self.correction + 1)
        return Turn(self.restart + 1) if self.restart < limits.restarts else None


@dataclass(frozen=True)
class Conversation:
    """How it went: the value, the reply that held it, the messages of the last conversation, and what all of them used."""

    value: Any
    reply: ChatReply
    messages: tuple[Message, ...]
    usages: Mapping[str, Usage]


def corrected(request: ChatRequest, reply: ChatReply, problem: str) -> ChatRequest:
    """The conversation with a reply that cannot be used, and why."""
    said = f"This reply cannot be used: {problem}\n\nReply again, in full and in the form that was asked for."
    messages = (*request.messages, _answer(reply), Message("user", said))
    return replace(request, messages=messages)


async def converse(
    endpoint: ModelEndpoint,
    opening: Callable[[int], ChatRequest],
    read: Callable[[ChatReply], Any],
    *,
    alias: str,
    limits: Limits,
) -> Conversation:
    """Ask until `read` takes a reply. Raises FailedCellError.

    opening: the request that begins a conversation, by its number. read: the value in a reply; raises ModelError or ValueError
    with what is wrong with it.
    """
    usages: dict[str, Usage] = {}
    turn, request, asked = Turn(), opening(0), 0
    while True:
        try:
            reply = await endpoint.chat(request)
        except FailedRequestError as error:
            count(usages, error.usages(alias))
            raise FailedCellError(
                error.message, kind=error.kind, attempts=asked + error.attempts, usages=usages
            ) from error
        count(usages, reply.usages(alias))
        asked += reply.usage.requests
        try:
            value = read(reply)
        except (ModelError, ValueError) as error:
            problem = error.message if isinstance(error, ModelError) else str(error)
            following = turn.after_unusable(limits)
            if following is None:
                raise FailedCellError(problem, kind="malformed", attempts=asked, usages=usages) from error
            request = corrected(request, reply, problem) if following.correction else opening(following.restart)
            turn = following
        else:
            return Conversation(value, reply, (*request.messages, _answer(reply)), usages)


def count(usages: dict[str, Usage], more: Mapping[str, Usage]) -> None:
    """Add usages by alias."""
    for alias, usage in more.items():
        usages[alias] = usages.get(alias, Usage()) + usage


def _answer(reply: ChatReply) -> Message:
    return Message("assistant", reply.text, tool_calls=reply.tool_calls, reasoning=reply.reasoning)
