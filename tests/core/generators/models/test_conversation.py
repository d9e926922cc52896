"""Conversations as a pure step: driven by generated replies, calls and faults, without a model, a tool or an event loop."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sdg_core.config.models import InferenceParameters
from sdg_core.errors import PermanentModelError, TransientModelError
from sdg_core.generators.models.conversation import (
    Ask,
    CallTools,
    Conversation,
    Done,
    Event,
    GiveUp,
    Limits,
    Step,
    ToolResults,
    UnusableResponseError,
)
from sdg_core.models.endpoint import RequestFailedError
from sdg_core.models.structured import Extracted
from sdg_core.models.types import ChatRequest, ChatResponse, Message, ToolCall
from sdg_core.models.usage import Usage

CALLS = (ToolCall("1", "lookup", "{}"), ToolCall("2", "lookup", "{}"))


def opening(number: int) -> ChatRequest:
    return ChatRequest(
        "m",
        (Message("user", f"question {number}"),),
        InferenceParameters(),
        seed=number,
    )


def read(reply: ChatResponse) -> Extracted:
    if not reply.text.startswith("value"):
        raise UnusableResponseError("it holds no value")
    # ValueError is a complaint as well
    return Extracted(int(reply.text.removeprefix("value ")))


def reply(
    text: str, finish_reason: str = "stop", calls: tuple[ToolCall, ...] = ()
) -> ChatResponse:
    return ChatResponse(
        text,
        finish_reason,
        Usage(requests=2, retries=1, completion_tokens=3),
        tool_calls=calls,
    )


GOOD = reply("value 7")
USELESS = st.sampled_from(
    [
        reply("none"),
        reply("value x"),
        reply("", calls=CALLS),
        reply("value 1", calls=CALLS),
    ]
)
FAULT = RequestFailedError(
    TransientModelError("gone"), kind="transient", attempts=3, alias="other"
)
REPLIES = st.one_of(
    st.just(GOOD),
    USELESS,
    USELESS,
    USELESS,
    st.sampled_from([reply("value", "length"), reply("no", "refusal")]),
)
CONVERSATIONS = st.builds(
    Conversation,
    opening=st.just(opening),
    read=st.just(read),
    alias=st.just("writer"),
    limits=st.builds(Limits, st.integers(0, 3), st.integers(0, 3)),
    max_tool_turns=st.none() | st.integers(0, 3),
    keep_truncated=st.booleans(),
)


def events(
    conversation: Conversation, data: st.DataObject
) -> list[tuple[Step, Event | None]]:
    """Every step of a conversation with what came after it; None after the last."""
    steps: list[tuple[Step, Event | None]] = []
    step: Step = conversation.start()
    while isinstance(step, Ask | CallTools):
        event: Event
        if isinstance(step, Ask):
            event = data.draw(
                st.one_of(REPLIES, REPLIES, REPLIES, REPLIES, st.just(FAULT))
            )
        else:
            answers = tuple(
                Message("tool", "42", tool_call_id=call.id) for call in step.calls
            )
            event = data.draw(
                st.sampled_from(
                    [ToolResults(answers), PermanentModelError("the server is lost")]
                )
            )
        steps.append((step, event))
        step = conversation.step(step.state, event)
    return [*steps, (step, None)]


@given(CONVERSATIONS, st.data())
def test_a_conversation_ends_within_its_limits_and_counts_every_request(
    conversation: Conversation, data: st.DataObject
) -> None:
    steps = events(conversation, data)
    limits = conversation.limits
    turns = (
        (conversation.max_tool_turns + 1)
        if conversation.max_tool_turns is not None
        else 0
    )
    asked = [event for step, event in steps if isinstance(step, Ask)]
    assert len(asked) <= (limits.corrections + 1) * (limits.restarts + 1) + turns
    assert sum(isinstance(step, CallTools) for step, _ in steps) <= max(0, turns - 1)
    sent = sum(
        event.attempts if isinstance(event, RequestFailedError) else 2
        for event in asked
    )
    last = steps[-1][0]
    assert isinstance(last, Done | GiveUp)
    usage_by_alias = (
        last.usage_by_alias if isinstance(last, Done) else last.error.usage_by_alias
    )
    assert sum(usage.requests for usage in usage_by_alias.values()) == sent
    if isinstance(last, GiveUp):
        assert last.error.attempts == sent
    assert usage_by_alias.get("other", Usage()).requests == (
        3 if asked[-1] is FAULT else 0
    ), "of the alias that was asked"


@given(CONVERSATIONS, st.data())
def test_the_outcome_is_that_of_the_last_event(
    conversation: Conversation, data: st.DataObject
) -> None:
    steps = events(conversation, data)
    event = steps[-2][1]
    match steps[-1][0]:
        case Done(value, last, messages, _):
            assert last is event and value == read(last).value
            assert messages[-1].text == last.text
        case GiveUp(error, cause):
            assert error.kind in ("truncated", "malformed", "transient", "permanent")
            if isinstance(event, ChatResponse):
                assert (error.reply, error.finish_reason) == (
                    event.text,
                    event.finish_reason,
                )
            else:
                assert cause is event and error.message == event.message  # type: ignore[union-attr]
        case other:
            raise AssertionError(other)


@given(CONVERSATIONS, st.data())
def test_requests_go_on_from_what_was_said_or_begin_afresh(
    conversation: Conversation, data: st.DataObject
) -> None:
    states = [
        step.state for step, _ in events(conversation, data) if isinstance(step, Ask)
    ]
    for before, after in pairwise(states):
        messages = after.request.messages
        if after.turn.restart == before.turn.restart:
            assert messages[: len(before.request.messages)] == before.request.messages
            assert len(messages) >= len(before.request.messages) + 2, (
                "the reply, and what is wrong with it or was found"
            )
        else:
            assert messages == (
                after.transcript or opening(after.turn.restart).messages
            )
            assert after.request.seed == after.turn.restart
        used_up = (
            conversation.max_tool_turns is not None
            and after.tool_turns > conversation.max_tool_turns
        )
        assert after.request.tool_choice_none == used_up


@given(CONVERSATIONS, st.data())
def test_every_call_has_its_answer_right_behind_it(
    conversation: Conversation, data: st.DataObject
) -> None:
    for step, _ in events(conversation, data):
        messages = step.state.request.messages if isinstance(step, Ask) else ()
        for place, message in enumerate(messages):
            answers = messages[place + 1 : place + 1 + len(message.tool_calls)]
            assert [answer.tool_call_id for answer in answers] == [
                call.id for call in message.tool_calls
            ]


@given(CONVERSATIONS, st.data())
def test_a_step_is_a_function_of_its_state_and_event(
    conversation: Conversation, data: st.DataObject
) -> None:
    """So replies that are found later lead to the same cell as replies that were waited for."""
    steps = events(conversation, data)
    again = replace(conversation)
    for (step, event), (following, _) in pairwise(steps):
        assert isinstance(step, Ask | CallTools) and event is not None
        repeated = again.step(step.state, event)
        if isinstance(following, GiveUp):
            assert isinstance(repeated, GiveUp)
            assert vars(repeated.error) == vars(following.error)
        else:
            assert repeated == following
