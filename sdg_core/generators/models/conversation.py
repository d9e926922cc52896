"""Asking until the reply can be used: what is wrong is fed back as a turn of the user, then it is all asked afresh.

Which turn comes next is a pure decision. Every request counts: in the usage of the cell if one of the replies will do, else in
that of the failure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sdg_core.config.run import RunSettings
from sdg_core.errors import ModelError
from sdg_core.generators.base import CellFailedError
from sdg_core.generators.models.tool_loop import ToolSession, UsageTally, assistant_message
from sdg_core.models.endpoint import ModelEndpoint, RequestFailedError
from sdg_core.models.mcp.toolbox import Toolbox, refusal
from sdg_core.models.retry import error_kind
from sdg_core.models.types import ChatRequest, ChatResponse, Message, Usage
from sdg_core.store.failures import FailureKind

_CUT_SHORT = {
    "length": "the reply was cut off at max_tokens",
    "content_filter": "the provider's content filter ended the reply",
}
_ENDED_BADLY = {
    "error": "the server broke the reply off",
    "refusal": "the model refused to answer",
}
_SHOWN_TEXT = 200


def incomplete(reply: ChatResponse, *, keep_truncated: bool = False) -> str | None:
    """Why a reply is not the whole answer, by its finish reason, with the text that came; None for a whole one."""
    reason = reply.finish_reason or ""
    found = _ENDED_BADLY.get(reason)
    if found is None and not keep_truncated:
        found = _CUT_SHORT.get(reason)
    if found is None:
        return None
    advice = "; raise inference_parameters.max_tokens of the model" if reason == "length" else ""
    text = reply.text.strip()
    shown = text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}..."
    return f"{found} (finish_reason {reason}){advice}; the text so far: {shown!r}"


class UnusableResponseError(ModelError):
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
    reply: ChatResponse
    messages: tuple[Message, ...]
    usages: Mapping[str, Usage]


def corrected(request: ChatRequest, reply: ChatResponse, problem: str) -> ChatRequest:
    """The conversation with a reply that cannot be used, and why. Calls in it are answered, because servers insist on it."""
    refused = (refusal(call, "an answer is wanted") for call in reply.tool_calls)
    said = f"This reply cannot be used: {problem}\n\nReply again, in full and in the form that was asked for."
    messages = (*request.messages, assistant_message(reply), *refused, Message("user", said))
    return replace(request, messages=messages)


async def converse(
    endpoint: ModelEndpoint,
    opening: Callable[[int], ChatRequest],
    read: Callable[[ChatResponse], Any],
    *,
    alias: str,
    limits: Limits,
    toolbox: Toolbox | None = None,
    keep_truncated: bool = False,
) -> Conversation:
    """Ask until `read` takes a reply. Raises CellFailedError.

    opening: the request that begins a conversation, by its number. read: the value in a reply; raises ModelError or ValueError
    with what is wrong with it. toolbox: what the model may call before it answers. keep_truncated: a reply that was cut short
    will do. One that will not do is not asked for again, because the same limit would cut it again.
    """
    spent = UsageTally()
    tools = ToolSession(toolbox)
    turn = Turn()
    request = opening(0)
    while True:
        try:
            request, reply = await tools.ask(endpoint, request, alias=alias, spent=spent)
        except RequestFailedError as error:
            spent.add(error.usages(alias), requests=error.attempts)
            raise CellFailedError(
                error.message,
                kind=error.kind,
                attempts=spent.requests,
                usages=spent.usages,
                ends_run=error.ends_run,
                remedy=error.remedy,
            ) from error
        except ModelError as error:  # of a tool's server
            raise CellFailedError(
                error.message, kind=error_kind(error), attempts=spent.requests, usages=spent.usages
            ) from error
        cut = incomplete(reply, keep_truncated=keep_truncated)
        if cut is not None:
            raise _unusable(cut, reply, kind="truncated", spent=spent)
        try:
            value = read(reply)
        except (ModelError, ValueError) as error:
            problem = error.message if isinstance(error, ModelError) else str(error)
            following = turn.after_unusable(limits)
            if following is None:
                raise _unusable(problem, reply, kind="malformed", spent=spent) from error
            if following.correction:
                request = corrected(request, reply, problem)
            else:
                request = tools.resumed(opening(following.restart))
            turn = following
        else:
            return Conversation(value, reply, (*request.messages, assistant_message(reply)), spent.usages)


def _unusable(message: str, reply: ChatResponse, *, kind: FailureKind, spent: UsageTally) -> CellFailedError:
    """The failure of a cell whose last reply will not do, with that reply."""
    return CellFailedError(
        message,
        kind=kind,
        attempts=spent.requests,
        usages=spent.usages,
        reply=reply.text,
        finish_reason=reply.finish_reason,
    )
