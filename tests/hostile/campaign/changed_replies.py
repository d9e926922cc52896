"""Replies that a server which works would give, and what chance makes of them."""

import base64
import copy
import hashlib
import json
import random
from typing import Any

from sdg_core.testing.model_answers import PNG
from tests.hostile.campaign.commands import KEY

Draw = random.Random
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**63,
    2**64,
    10**400,
    -(2**70),
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "x",
    "429",
    "null",
    "\ud83d",
    "\ud83d\ude00",
    "\x00",
    "\x1b[2J",
    "\u202e",
    "x" * 5_000,
    "{" * 900,
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "function_call",
    "error",
    "refusal",
    "max_tokens",
    "tool_use",
    '```json\n{"a": 1}\n```',
    "<think>x",
    "</think>",
    '{"a": "1"}',
    '{"a": 1e400}',
    '{"a": 1, "a": 2}',
    "[1]",
    [],
    {},
    [[]],
    [None],
    {"a": None},
    [{}],
    ["x"],
    {"": ""},
    {"type": "text"},
    {"type": "text", "text": 5},
    [1.0] * 3,
    [1.0, None],
    ["1"],
    [[1.0]],
    [True, 1.0],
    KEY,
    {"code": 500},
    {"message": ["x"]},
    "data:,",
    "data:image/png;base64,%",
)


PARTS = (
    b"\x00",
    b"\xff",
    b"{",
    b"}",
    b"[" * 300,
    b'"',
    b"\\",
    b"\\ud83d",
    b"1e999",
    b"9" * 400,
    b"NaN",
    b"\n",
    b"\xed\xa0\x80",
    b"data: ",
)


def good_reply(route: str, prompt: str) -> dict[str, Any]:
    """What a server that works says to a prompt, with every part that a reply may have."""
    value = int(hashlib.sha256(prompt.encode()).hexdigest()[:6], 16)
    says = json.dumps({"a": value})
    if route.endswith("/embeddings"):
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return {
            "object": "list",
            "model": "m",
            "data": [{"index": 0, "embedding": [float(value), 2.0]}],
            "usage": usage,
        }
    if route.endswith("/generations"):
        return {
            "created": 1,
            "data": [
                {"b64_json": base64.b64encode(PNG).decode(), "revised_prompt": "x"}
            ],
            "usage": {"input_tokens": 1},
        }
    if route.endswith("/messages"):
        content = [
            {"type": "thinking", "thinking": "why", "signature": "s"},
            {"type": "text", "text": says, "citations": None},
        ]
        usage = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 1}
        return {
            "id": "i",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": content,
            "stop_reason": "end_turn",
            "usage": usage,
        }
    message: dict[str, Any] = {
        "role": "assistant",
        "content": says,
        "reasoning_content": "why",
        "refusal": None,
        "tool_calls": None,
    }
    if "draw" in prompt:
        message["images"] = [
            {
                "type": "image_url",
                "image_url": {
                    "url": "data:image/png;base64," + base64.b64encode(PNG).decode()
                },
            }
        ]
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message}
    return {
        "id": "i",
        "object": "chat.completion",
        "model": "m",
        "choices": [choice],
        "usage": usage,
        "system_fingerprint": "f",
    }


def calls(draw: Draw, reply: dict[str, Any]) -> dict[str, Any]:
    """The reply as one that calls tools."""
    name = draw.choice(["lookup", "nosuch", "", "fail"])
    arguments: Any = draw.choice(
        [
            '{"word": "x"}',
            "{",
            "",
            {"word": "x"},
            '{"word": 5}',
            None,
            "[]",
            '{"word": "\\ud83d"}',
        ]
    )
    if "choices" in reply:
        message = reply["choices"][0]["message"]
        message["content"] = draw.choice([None, "", "text"])
        message["tool_calls"] = [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
        ] * draw.choice([1, 1, 2, 30])
        reply["choices"][0]["finish_reason"] = "tool_calls"
    elif "content" in reply:
        reply["content"].append(
            {"type": "tool_use", "id": "c1", "name": name, "input": arguments}
        )
    return reply


def changed(draw: Draw, reply: Any) -> bytes:  # noqa: C901 - a line for each way
    """A reply with some changes: odd values, parts that are missing, doubled, renamed or wrapped; or bytes of it."""
    reply = copy.deepcopy(reply)
    if draw.random() < 0.15:
        reply = calls(draw, reply)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        node = reply
        while isinstance(node, dict | list) and node:
            key: Any = (
                draw.choice([*node])
                if isinstance(node, dict)
                else draw.randrange(len(node))
            )
            inner = node[key]
            if isinstance(inner, dict | list) and inner and draw.random() < 0.8:
                node = inner
                continue
            match draw.randrange(8):
                case 0:
                    del node[key]
                case 1 if isinstance(node, list):
                    node.append(copy.deepcopy(inner))
                case 1:
                    node[
                        draw.choice(["text", "content", "error", "type", "refusal"])
                    ] = node.pop(key)
                case 2:
                    node[key] = [inner] if draw.random() < 0.5 else {"value": inner}
                case _:
                    node[key] = copy.deepcopy(draw.choice(ODD))
            break
    body = bytearray(json.dumps(reply).encode())
    if draw.random() < 0.25:
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(body) + 1)
            match draw.randrange(4):
                case 0:
                    del body[at:]
                case 1:
                    del body[at : at + draw.randint(1, 30)]
                case 2 if body:
                    body[min(at, len(body) - 1)] ^= 1 << draw.randrange(8)
                case _:
                    body[at:at] = draw.choice(PARTS)
    return bytes(body)
