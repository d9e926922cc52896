"""Forms that answers come in without having been asked for: streams of events, and thoughts inside the text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.config.models import InferenceParameters
from sdg_core.errors import PermanentModelError, RateLimitedError, TransientModelError
from sdg_core.models.providers.anthropic_wire import decode_message
from sdg_core.models.providers.event_stream import is_event_stream
from sdg_core.models.providers.http_errors import Caller
from sdg_core.models.providers.openai_wire import decode_reply
from sdg_core.models.providers.reasoning_text import split_reasoning
from sdg_core.models.types import ChatRequest, ChatResponse, Message, ToolCall

CALLER = Caller("p", "http://x/v1", None)
USAGE = {"prompt_tokens": 3, "completion_tokens": 4}
REQUEST = ChatRequest("m", (Message("user", "q"),), InferenceParameters())


def stream(*events: Any, end: str = "\n", done: bool = True, before: str = "") -> bytes:
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    lines = [
        f"data: {text}{end}{end}" for text in [*texts, *(["[DONE]"] if done else [])]
    ]
    return (before + "".join(lines)).encode("utf-8", "surrogatepass")


def chunk(reason: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"object": "chat.completion.chunk", "model": "real", "choices": [choice]}


def decoded(body: bytes) -> ChatResponse:
    return decode_reply(body, caller=CALLER, model="m")


@given(
    pieces=st.lists(st.text(), min_size=1),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    before=st.sampled_from(
        ["", ": OPENROUTER PROCESSING\n\n", "\ufeff", "event: message\n", "\n"]
    ),
)
def test_a_stream_is_its_answer(pieces: list[str], end: str, before: str) -> None:
    text = "".join(pieces) + "."
    chunks = [
        chunk(role="assistant", content=""),
        *(chunk(content=piece) for piece in [*pieces, "."]),
    ]
    usage = {"choices": [], "usage": USAGE}
    whole = {
        "model": "real",
        "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    body = stream(*chunks, chunk("stop"), usage, end=end, before=before)
    assert decoded(body) == decoded(json.dumps(whole).encode())
    assert decoded(stream(whole, done=False)) == decoded(json.dumps(whole).encode())


def test_a_stream_with_calls_and_thoughts() -> None:
    first = {"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}
    more = [
        {"index": 0, "function": {"arguments": piece}} for piece in ('{"a"', ": 1}")
    ]
    other = {"index": 1, "id": "d", "function": {"name": "g", "arguments": "{}"}}
    chunks = [chunk(tool_calls=[call]) for call in (first, *more, other)]
    reply = decoded(
        stream(
            chunk(reasoning_content="be"),
            chunk(reasoning_content="cause"),
            *chunks,
            chunk("tool_calls"),
        )
    )
    assert reply.tool_calls == (
        ToolCall("c", "f", '{"a": 1}'),
        ToolCall("d", "g", "{}"),
    )
    assert reply.reasoning == "because" and reply.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (
            stream(chunk(content="half an ans"), done=False),
            TransientModelError,
            "event stream.*ends in the middle",
        ),
        (
            stream(chunk(content="half"), '{"choices": [{"del', done=False),
            TransientModelError,
            "event stream",
        ),
        (
            b": nothing but a comment\n\n",
            TransientModelError,
            "event stream.*holds no event",
        ),
        (stream(done=True), TransientModelError, "event stream.*holds no event"),
        (
            stream({"error": {"message": "slow down", "code": 429}}),
            RateLimitedError,
            "slow down",
        ),
        (
            stream(chunk(content="a"), {"error": {"message": "no", "code": 401}}),
            PermanentModelError,
            "401",
        ),
        (stream(chunk("stop")), TransientModelError, "empty reply"),
        (stream("[1]", "7", done=False), TransientModelError, "ends in the middle"),
        (
            stream(
                {"choices": [{"delta": 7}, 8], "usage": 9}, {"choices": 5}, done=False
            ),
            TransientModelError,
            "ends in the middle",
        ),
    ],
)
def test_a_stream_without_a_whole_answer(
    body: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        decoded(body)


def test_a_key_in_pieces_is_taken_out() -> None:
    caller = Caller("p", "http://x/v1", "KEY", key="sk-0123456789abcdef0123456789")
    body = stream(
        chunk(content="it is sk-0123456789"),
        chunk(content="abcdef0123456789"),
        chunk("stop"),
    )
    assert "abcdef" not in decode_reply(body, caller=caller, model="m").text


def test_a_stream_of_anthropic() -> None:
    events = [
        {
            "type": "message_start",
            "message": {"model": "real", "content": [], "usage": {"input_tokens": 3}},
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": ""},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "thinking_delta", "thinking": "hm"},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "signature_delta", "signature": "s"},
        },
        {
            "type": "content_block_start",
            "index": 1,
            "content_block": {"type": "text", "text": ""},
        },
        {"type": "ping"},
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "text_delta", "text": "a"},
        },
        {
            "type": "content_block_delta",
            "index": 1,
            "delta": {"type": "text_delta", "text": "b"},
        },
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "c", "name": "f"},
        },
        {
            "type": "content_block_delta",
            "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": '{"a":'},
        },
        {
            "type": "content_block_delta",
            "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": " 1}"},
        },
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 4},
        },
        {"type": "message_stop"},
    ]
    reply = decode_message(stream(*events, done=False), REQUEST, caller=CALLER)
    assert (reply.text, reply.reasoning, reply.model) == ("ab", "hm", "real")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 4)
    assert [call.name for call in reply.tool_calls] == ["f"] and json.loads(
        reply.tool_calls[0].arguments
    ) == {"a": 1}
    assert reply.provider_blocks == (
        {"type": "thinking", "thinking": "hm", "signature": "s"},
    )
    with pytest.raises(TransientModelError, match="ends in the middle"):
        decode_message(stream(*events[:-2], done=False), REQUEST, caller=CALLER)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.text(), part),
)


@given(JSON, st.sampled_from(["", " ", "\n", "\ufeff"]))
def test_no_json_is_taken_for_a_stream(value: Any, before: str) -> None:
    assert not is_event_stream((before + json.dumps(value)).encode())


OPENINGS = [
    "<think>",
    "<thinking>",
    "<Thinking>",
    "<thought>",
    "<seed:think>",
    "[THINK]",
]


@pytest.mark.parametrize("opening", OPENINGS)
def test_tags_of_thoughts(opening: str) -> None:
    closing = f"{opening[0]}/{opening[1:]}"
    assert split_reasoning(f"\n{opening}\na\n{closing}\n\nb {closing}") == (
        "a",
        f"b {closing}",
    )
    assert split_reasoning(f"a\n{closing}\nb") == ("a", "b")
    assert split_reasoning(f"{opening}never ends") == ("never ends", "")
    text = f"HTML ends it with {closing}, and opens it with {opening}"
    assert split_reasoning(text) == (None, text)


@pytest.mark.parametrize("opening", OPENINGS[1:])
def test_tags_that_a_prompt_asks_for_are_part_of_the_answer(opening: str) -> None:
    closing = f"{opening[0]}/{opening[1:]}"
    for text in (f"{opening}a{closing}b", f"a\n{closing}b"):
        assert split_reasoning(text, asked_for=f"write {opening} first".encode()) == (
            None,
            text,
        )
        assert split_reasoning(text, asked_for=b"write") == ("a", "b")
    assert split_reasoning("<think>a</think>b", asked_for=b"<think>") == ("a", "b")


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        (
            "<|channel|>analysis<|message|>a <b> c<|end|><|start|>assistant<|channel|>final<|message|>yes\n<|return|>",
            "a <b> c",
            "yes",
        ),
        ("<|start|>assistant<|channel|>final<|message|>yes", None, "yes"),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>yes", "a", "yes"),
        ("<|channel|>analysis<|message|>on and on", "on and on", ""),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.f "
            '<|constrain|>json<|message|>{"x": 1}<|call|>',
            'a\n{"x": 1}',
            "",
        ),
        ("<|channel|>final <|constrain|>json<|message|>{}<|return|>", None, "{}"),
        ("analysisWe need to answer.assistantfinalYes.", "We need to answer.", "Yes."),
        ("analysis of a text", None, "analysis of a text"),
        (
            "In Harmony <|channel|>final<|message|> comes last",
            None,
            "In Harmony <|channel|>final<|message|> comes last",
        ),
    ],
)
def test_channels(text: str, thought: str | None, said: str) -> None:
    assert split_reasoning(text) == (thought, said)


def test_a_reply_of_thoughts_alone_is_empty() -> None:
    for content in ("<thinking>on", "<|channel|>analysis<|message|>on"):
        body = json.dumps(
            {"choices": [{"message": {"content": content}, "finish_reason": "length"}]}
        ).encode()
        with pytest.raises(TransientModelError, match="raise max_tokens"):
            decoded(body)
