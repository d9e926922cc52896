"""A model server that keeps every byte that comes to it, and repeats the key that it was sent where a prompt says so."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.hostile.campaign.outgoing_inputs import RECORDER
from tests.hostile.quirks import at, good, whole

_ECHO = re.compile(rb"echo:([\w-]+)")


def _answer(route: str, body: bytes, key: str) -> bytes:  # noqa: C901 - a line for each way
    found = _ECHO.search(body)
    way = found[1].decode() if found else ""
    message: Any = good(route)
    evil = f"the key is {key}"
    match way:
        case "text":
            message = at(message, "choices.0.message.content", evil)
        case "model":
            message["model"] = key
        case "reason":
            message = at(message, "choices.0.finish_reason", key)
        case "refusal":
            message = at(message, "choices.0.message.refusal", evil)
        case "reasoning":
            message = at(message, "choices.0.message.reasoning_content", evil)
        case "json":
            message = at(
                message, "choices.0.message.content", json.dumps({"a": key, key: 1})
            )
        case "escaped":
            escaped = "".join(f"\\u{ord(sign):04x}" for sign in key)
            return whole(
                json.dumps(at(message, "choices.0.message.content", "KEY"))
                .replace("KEY", escaped)
                .encode()
            )
        case "usage":
            message["usage"] = {key: key, "prompt_tokens": key}
        case "error":
            return whole(
                json.dumps({"error": {"message": evil, "code": key}}).encode(),
                status=f"400 {key}",
            )
        case "error-list":
            return whole(json.dumps([key, {"error": key}]).encode(), status="500 X")
        case "header":
            return whole(
                b"",
                f"Location: http://127.0.0.1:1/{key}",
                f"X-Key: {key}",
                status="307 X",
            )
        case "tool":
            call = {
                "id": key,
                "type": "function",
                "function": {"name": key, "arguments": json.dumps({"a": key})},
            }
            message = at(message, "choices.0.message.tool_calls", [call])
        case _ if b"call tools" in body and b'"role":"tool"' not in body.replace(
            b" ", b""
        ):
            calls = [
                {
                    "id": "1",
                    "type": "function",
                    "function": {"name": name, "arguments": '{"a": "x"}'},
                }
                for name in ("lookup", "nosuch")
            ]
            message = at(message, "choices.0.message.tool_calls", calls)
    return whole(json.dumps(message).encode())


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        asked = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", asked)
        body = await reader.readexactly(int(length[1])) if length else b""
        RECORDER.seen += asked + body
        key = re.search(rb"(?i)(?:bearer|x-api-key:) *([^\r\n]+)", asked)
        writer.write(
            _answer(asked.split()[1].decode(), body, key[1].decode() if key else "none")
        )
        await writer.drain()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # the client has gone
    finally:
        writer.close()


@contextmanager
def recording() -> Iterator[None]:
    """The server in a thread of its own, at the port of RECORDER."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(_serve, "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    RECORDER.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
