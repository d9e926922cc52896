"""A tool server that answers with odd values, dies, repeats itself or asks back; the argument is the seed."""

import json
import os
import random
import sys
from typing import Any

ODD: list[Any] = [
    None,
    True,
    7,
    10**400,
    "",
    "x",
    [],
    {},
    [[]],
    "\x1b[2J\u202e",
    "x" * 2_000_000,
    float("nan"),
    {"type": "object", "properties": 5},
]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
BACK = ("sampling/createMessage", "roots/list", "elicitation/create", "ping")


def odd(draw: random.Random, value: Any) -> Any:
    """The value with odd values in up to two places."""
    for _ in range(draw.randint(0, 2)):
        node = value
        while isinstance(node, dict | list) and node:
            key: Any = (
                draw.choice([*node])
                if isinstance(node, dict)
                else draw.randrange(len(node))
            )
            if draw.random() < 0.4 or not isinstance(node[key], dict | list):
                node[key] = draw.choice(ODD)
                break
            node = node[key]
    return value


def result(draw: random.Random, asked: dict[str, Any]) -> Any:
    """What a request has for a result."""
    if asked.get("method") == "initialize":
        about = {
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "x", "version": "1"},
        }
        fine = {"protocolVersion": asked["params"]["protocolVersion"], **about}
        return odd(draw, fine) if draw.random() < 0.2 else fine
    if asked.get("method") == "tools/list":
        tools = [
            {"name": name, "inputSchema": dict(SCHEMA)} for name in ("lookup", "two")
        ]
        again = {"nextCursor": "again"} if draw.random() < 0.1 else {}
        return odd(draw, {"tools": tools, **again})
    found = {"type": "text", "text": "found " + os.environ.get("TOKEN", "")}
    return odd(draw, {"content": [found], "isError": False})


def answer(draw: random.Random, asked: dict[str, Any]) -> str:
    """The lines that answer a request."""
    message = {"jsonrpc": "2.0", "id": asked["id"], "result": result(draw, asked)}
    words = json.dumps(message)
    error = odd(draw, {"code": -1, "message": "no \x1b[2J"})
    back = {"jsonrpc": "2.0", "id": 99, "method": draw.choice(BACK), "params": {}}
    ways = [
        words[: len(words) // 2],
        f"garbage\n{words}",
        json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": error}),
        json.dumps(odd(draw, message)),
        f"{words}\n{words}",
        "",
        f"{json.dumps(back)}\n{words}",
    ]
    return draw.choice([*ways, *[words] * len(ways)])


def main() -> None:
    draw = random.Random(sys.argv[1])
    print("\x1b[2J noise", file=sys.stderr, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" not in asked:
            continue
        words = answer(draw, asked)
        if not words:
            sys.exit(3)
        print(words, flush=True)


main()
