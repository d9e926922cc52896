"""Asking until the reply can be used: what is wrong is fed back as a turn of the user, then it is all asked afresh.

A conversation is a pure step, `(state, event) -> ask | call tools | done | give up`; `converse` carries the steps out. So the
replies may come at once, or from a service that answers a day later: the same replies give the same cell.
Every request counts: in the usage of the cell if one of the replies will do, else in that of the failure. What a conversation has
learnt from tools is kept when it is started afresh, so no call is made twice. A model that has used up its turns of tools is told
so, and may then only answer.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sdg_core.config.run import RunSettings
from sdg_core.errors import ModelError, ReplyDeferredError
from sdg_core.generators.base import CellFailedError, DeferredCell
from sdg_core.models.endpoint import ModelEndpoint, RequestFailedError
from sdg_core.models.retry import error_kind
from sdg_core.models.structured import Extracted
from sdg_core.models.types import ChatRequest, ChatResponse, Message, ToolCall
from sdg_core.models.usage import Usage
from sdg_core.store.failures import FailureKind

if TYPE_CHECKING:
    from sdg_core.models.mcp.toolbox import Toolbox

_CUT_SHORT = {
    "length": "the reply was cut off at max_tokens",
    "content_filter": "the provider's content filter ended the reply",
}
_ENDED_BADLY = {
    "error": "the server broke the reply off",
    "refusal": "the model refused to answer",
}
_MAX_SHOWN_TEXT = 200


def incomplete(
    reply: ChatResponse,
    *,
    keep_truncated: bool = False,
    model: str = "the model",
    max_tokens: int | None = None,
) -> str | None:
    """Why a reply is not the whole answer, by its finish reason, with the text that came; None for a whole one.

    model: what the file calls it. max_tokens: what it was asked with; None where the server set the limit.
    """
    reason = reply.finish_reason or ""
    found = _ENDED_BADLY.get(reason)
    if found is None and not keep_truncated:
        found = _CUT_SHORT.get(reason)
    if found is None:
        return None
    advice = ""
    if reason == "length" and max_tokens is not None:
        advice = (
            f"; raise inference_parameters.max_tokens of {model} above {max_tokens}"
        )
    elif reason == "length":
        advice = f"; set inference_parameters.max_tokens of {model}, which the server limits by itself"
    text = reply.text.strip()
    shown = text if len(text) <= _MAX_SHOWN_TEXT else f"{text[:_MAX_SHOWN_TEXT]}..."
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
    return Limits(
        settings.max_conversation_correction_steps, settings.max_conversation_restarts
    )


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
class ConversationState:
    """Where a conversation stands: the request that is to be answered, and what came before it.

    transcript: what was said until tools answered last; a fresh conversation begins with it, so that no call is made twice.
    tool_turns: replies so far that asked for tools. usage_by_alias: of all requests so far;
    requests: how many were sent.
    """

    request: ChatRequest
    turn: Turn = Turn()
    tool_turns: int = 0
    transcript: tuple[Message, ...] = ()
    usage_by_alias: Mapping[str, Usage] = field(default_factory=dict)
    requests: int = 0

    def counting(
        self, usage_by_alias: Mapping[str, Usage], *, requests: int
    ) -> "ConversationState":
        """The same after one more request, its retries included."""
        together = dict(self.usage_by_alias)
        for alias, usage in usage_by_alias.items():
            together[alias] = together[alias] + usage if alias in together else usage
        return ConversationState(
            self.request,
            self.turn,
            self.tool_turns,
            self.transcript,
            usage_by_alias=together,
            requests=self.requests + requests,
        )


@dataclass(frozen=True)
class Ask:
    """The model is to be sent `state.request`."""

    state: ConversationState


@dataclass(frozen=True)
class CallTools:
    """These tools are to be called."""

    state: ConversationState
    calls: tuple[ToolCall, ...]


@dataclass(frozen=True)
class Done:
    """It is over: the value, the reply that held it, the messages of the last conversation, and what all of them used.

    repaired: the reply was almost JSON.
    """

    value: Any
    reply: ChatResponse
    messages: tuple[Message, ...]
    usage_by_alias: Mapping[str, Usage]
    repaired: bool = False


@dataclass(frozen=True)
class GiveUp:
    """It is over without a value. cause: the fault or the complaint that ended it, if there was one."""

    error: CellFailedError
    cause: Exception | None = None


@dataclass(frozen=True)
class ToolResults:
    """What tools have answered, in the order of the calls."""

    messages: tuple[Message, ...]


Event = ChatResponse | ToolResults | ModelError
"""What a conversation waits for: a reply, answers of tools, or the fault for which there will be neither."""
Step = Ask | CallTools | Done | GiveUp


@dataclass(frozen=True)
class Conversation:
    """The rules of the conversations about one cell. Every method is a pure function, so a run that waits for the replies and one
    that finds them later do the same.

    opening: the request that begins a conversation, by its number. read: the value in a reply; raises ModelError or ValueError
    with what is wrong with it. alias: what is asked. max_tool_turns: replies that may call tools; None where there are no tools.
    keep_truncated: a reply that was cut short will do. One that will not do is not asked for again, because the same limit would
    cut it again.
    """

    opening: Callable[[int], ChatRequest]
    read: Callable[[ChatResponse], Extracted]
    alias: str
    limits: Limits
    max_tool_turns: int | None = None
    keep_truncated: bool = False

    def start(self) -> Ask:
        """The first request."""
        return Ask(ConversationState(self.opening(0)))

    def step(self, state: ConversationState, event: Event) -> Step:
        """What to do when the event has come that `state` waits for."""
        match event:
            case ChatResponse():
                return self._replied(state, event)
            case ToolResults():
                return self._ask_with(state, event.messages)
            case RequestFailedError():
                counted = state.counting(
                    event.usage_by_alias(self.alias), requests=event.attempts
                )
                return _failed(counted, event, kind=event.kind)
            case _:  # of a tool's server
                return _failed(state, event, kind=error_kind(event))

    def _replied(self, state: ConversationState, reply: ChatResponse) -> Step:
        state = state.counting(
            reply.usage_by_alias(self.alias), requests=reply.usage.requests
        )
        if reply.tool_calls and self._tools_are_open(state):
            return self._call_tools(state, reply)
        cut = incomplete(
            reply,
            keep_truncated=self.keep_truncated,
            model=f"model {self.alias!r}",
            max_tokens=state.request.parameters.max_tokens,
        )
        if cut is not None:
            return GiveUp(_unusable(state, cut, reply, kind="truncated"))
        try:
            found = self.read(reply)
        except (ModelError, ValueError) as error:
            return self._after_unusable(state, reply, error)
        messages = (*state.request.messages, assistant_message(reply))
        return Done(
            found.value, reply, messages, state.usage_by_alias, repaired=found.repaired
        )

    def _tools_are_open(self, state: ConversationState) -> bool:
        """Whether tools may still be asked for, or the model does not know yet that they may not."""
        return (
            self.max_tool_turns is not None and state.tool_turns <= self.max_tool_turns
        )

    def _call_tools(self, state: ConversationState, reply: ChatResponse) -> Step:
        messages = (*state.request.messages, assistant_message(reply))
        asked = replace(state.request, messages=messages)
        state = replace(state, request=asked, tool_turns=state.tool_turns + 1)
        if self._tools_are_open(state):
            return CallTools(state, reply.tool_calls)

        why = f"the {self.max_tool_turns} turns in which tools may be called are used up. Answer now, with what you know."
        from sdg_core.models.mcp.toolbox import tool_rejection

        rejections = [tool_rejection(call, why) for call in reply.tool_calls]
        return self._ask_with(state, tuple(rejections))

    def _ask_with(self, state: ConversationState, results: tuple[Message, ...]) -> Ask:
        """Ask again with what the tools have answered."""
        transcript = (*state.request.messages, *results)
        request = replace(
            state.request,
            messages=transcript,
            tool_choice_none=not self._tools_are_open(state),
        )
        return Ask(replace(state, request=request, transcript=transcript))

    def _after_unusable(
        self,
        state: ConversationState,
        reply: ChatResponse,
        error: ModelError | ValueError,
    ) -> Step:
        """Tell the model what is wrong with its reply, or begin afresh, or give up."""
        problem = error.message if isinstance(error, ModelError) else str(error)
        following = state.turn.after_unusable(self.limits)
        if following is None:
            return GiveUp(_unusable(state, problem, reply, kind="malformed"), error)
        if following.correction:
            request = corrected(state.request, reply, problem)
        else:
            request = self._restarted(following.restart, state)
        return Ask(replace(state, request=request, turn=following))

    def _restarted(self, restart: int, state: ConversationState) -> ChatRequest:
        """The opening of a fresh conversation, which knows what tools have said."""
        opening = self.opening(restart)
        if not state.transcript:
            return opening
        return replace(
            opening,
            messages=state.transcript,
            tool_choice_none=not self._tools_are_open(state),
        )


def assistant_message(reply: ChatResponse) -> Message:
    """A reply as a message of the conversation."""
    return Message(
        "assistant",
        reply.text,
        tool_calls=reply.tool_calls,
        reasoning=reply.reasoning,
        provider_blocks=reply.provider_blocks,
    )


def corrected(request: ChatRequest, reply: ChatResponse, problem: str) -> ChatRequest:
    """The conversation with a reply that cannot be used, and why. Calls in it are answered, because servers insist on it."""
    from sdg_core.models.mcp.toolbox import tool_rejection

    refused = (tool_rejection(call, "an answer is wanted") for call in reply.tool_calls)
    correction = f"This reply cannot be used: {problem}\n\nReply again, in full and in the requested form."
    messages = (
        *request.messages,
        assistant_message(reply),
        *refused,
        Message("user", correction),
    )
    return replace(request, messages=messages)


def _failed(
    state: ConversationState, error: ModelError, *, kind: FailureKind
) -> GiveUp:
    failed = CellFailedError(
        error.message,
        kind=kind,
        attempts=state.requests,
        usage_by_alias=state.usage_by_alias,
        ends_run=error.ends_run,
        remedy=error.remedy,
    )
    return GiveUp(failed, error)


def _unusable(
    state: ConversationState, message: str, reply: ChatResponse, *, kind: FailureKind
) -> CellFailedError:
    """The failure of a cell whose last reply will not do, with that reply."""
    return CellFailedError(
        message,
        kind=kind,
        attempts=state.requests,
        usage_by_alias=state.usage_by_alias,
        reply=reply.text,
        finish_reason=reply.finish_reason,
    )


async def converse(
    conversation: Conversation, endpoint: ModelEndpoint, toolbox: "Toolbox | None"
) -> Done | DeferredCell:
    """Carry a conversation out. Only requests go through the model's admission; calls of tools hold no slot of it.

    Deferred: the reply to one of its requests comes later. Raises CellFailedError.
    """
    step: Step = conversation.start()
    while True:
        match step:
            case Done():
                return step
            case GiveUp():
                raise step.error from step.cause
            case Ask() | CallTools():
                try:
                    event = await _awaited(step, endpoint, toolbox)
                except ReplyDeferredError:
                    return DeferredCell(step.state.usage_by_alias)
                schema = step.state.request.response_schema
                if (
                    isinstance(event, ChatResponse)
                    and schema is not None
                    and not _is_checked_at_once(schema)
                ):
                    step = await asyncio.to_thread(conversation.step, step.state, event)
                else:
                    step = conversation.step(step.state, event)


def _is_checked_at_once(schema: Mapping[str, Any]) -> bool:
    from sdg_core.plan.types.schema_work import is_linear

    return is_linear(schema)


async def _awaited(
    step: Ask | CallTools, endpoint: ModelEndpoint, toolbox: "Toolbox | None"
) -> Event:
    try:
        if isinstance(step, Ask):
            return await endpoint.chat(step.state.request)
        assert toolbox is not None
        return ToolResults(await toolbox.answer(step.calls))
    except ModelError as error:
        return error
