"""Answers that come as a stream of events although none was asked for: the whole answer that its pieces make up.

Some gateways stream whatever they are asked. Format: server-sent events (WHATWG HTML, 9.2), in them the chunks of OpenAI's chat
completions (`choices[0].delta`), or the events of Anthropic's messages. A stream that ends before its answer does is no answer.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sdg_core.plan.foreign import read_json

_FIELD = re.compile(rb"\s*(?:data|event|id|retry)?:")
"""How a stream begins: with a field, or with a comment, which servers send to keep a connection open."""
_LINE_END = re.compile(rb"\r\n|\n|\r")
_DONE = b"[DONE]"
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def is_event_stream(body: bytes) -> bool:
    """Whether a body is a stream of events. No JSON document is."""
    return _FIELD.match(body.removeprefix(b"\xef\xbb\xbf")) is not None


def answer_of_stream(body: bytes) -> Any:
    """The answer as it would have come in one piece. Raises ValueError, with a reason, for a stream that holds no whole one."""
    events = [*_events(body)]
    found = [read_json(data) for data in events if data != _DONE]
    if not found:
        raise ValueError("it holds no event")
    for event in found:
        if isinstance(event, dict) and (
            event.get("error") or event.get("object") == "error"
        ):
            return event
    chunks = [event for event in found if isinstance(event, dict)]
    if any(chunk.get("type") == "message_start" for chunk in chunks):
        return _anthropic(chunks)
    return _openai(chunks, ended=_DONE in events)


def _events(body: bytes) -> Iterable[bytes]:
    """The data of each event."""
    lines: list[bytes] = []
    for line in [*_LINE_END.split(body.removeprefix(b"\xef\xbb\xbf")), b""]:
        text = line.lstrip()
        if not text:
            if lines:
                yield b"\n".join(lines).strip()
            lines = []
        elif text.startswith(b"data:"):
            lines.append(text.removeprefix(b"data:").removeprefix(b" "))


def _openai(chunks: list[dict[str, Any]], *, ended: bool) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant"}
    calls: dict[int, dict[str, Any]] = {}
    answer: dict[str, Any] = {}
    finish_reason = None
    for chunk in chunks:
        answer |= {
            name: chunk[name] for name in ("id", "model", "usage") if chunk.get(name)
        }
        for choice in _dicts(chunk.get("choices")):
            if choice.get("index", 0) != 0:
                continue
            finish_reason = choice.get("finish_reason") or finish_reason
            if isinstance(choice.get("message"), dict):
                message |= choice["message"]
                ended = True
            delta = choice.get("delta")
            if isinstance(delta, dict):
                _add_texts(message, delta)
                message.setdefault("images", []).extend(_dicts(delta.get("images")))
                _add_calls(calls, delta)
    if finish_reason is None and not ended:
        raise ValueError("it ends in the middle of the response")
    if calls:
        message["tool_calls"] = [calls[place] for place in sorted(calls)]
    return {**answer, "choices": [{"message": message, "finish_reason": finish_reason}]}


def _add_texts(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name in _TEXTS:
        piece = delta.get(name)
        if isinstance(piece, list):
            texts = [part.get("text") for part in _dicts(piece)]
            piece = "".join(text for text in texts if isinstance(text, str))
        if isinstance(piece, str):
            message[name] = (message.get(name) or "") + piece


def _add_calls(calls: dict[int, dict[str, Any]], delta: Mapping[str, Any]) -> None:
    """The first piece of a call has its name, all of them pieces of its arguments."""
    for piece in _dicts(delta.get("tool_calls")):
        index = piece.get("index")
        if not isinstance(index, int):
            index = len(calls)
        call = calls.setdefault(index, {"function": {"arguments": ""}})
        function = piece.get("function")
        if piece.get("id"):
            call["id"] = piece["id"]
        if isinstance(function, dict):
            if function.get("name"):
                call["function"]["name"] = function["name"]
            if isinstance(function.get("arguments"), str):
                call["function"]["arguments"] += function["arguments"]


def _anthropic(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    ended = False
    for chunk in chunks:
        index = chunk.get("index")
        block = blocks.setdefault(index, {}) if isinstance(index, int) else {}
        match chunk:
            case {"type": "message_start", "message": dict(message)}:
                answer = message
            case {"type": "content_block_start", "content_block": dict(opening)}:
                block |= opening
            case {"type": "content_block_delta", "delta": dict(delta)}:
                _add_to_block(block, delta)
            case {"type": "message_delta", "delta": dict(delta)}:
                answer |= delta
                before = answer.get("usage") or {}
                usage = chunk.get("usage")
                now = usage if isinstance(usage, dict) else {}
                answer["usage"] = {**before, **now}
            case {"type": "message_stop"}:
                ended = True
    if not ended and not answer.get("stop_reason"):
        raise ValueError("it ends in the middle of the response")
    for block in blocks.values():
        if "partial_json" in block:
            block["input"] = read_json(block.pop("partial_json") or "{}")
    return {**answer, "content": [blocks[place] for place in sorted(blocks)]}


def _add_to_block(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name in ("text", "thinking", "signature", "partial_json"):
        if isinstance(delta.get(name), str):
            block[name] = (block.get(name) or "") + delta[name]


def _dicts(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]
