"""What servers answer that are broken, or mean harm: a table by name, and one server that gives the answer that a prompt names.

An answer is the bytes of an HTTP answer, or a function that writes to the connection as it likes. The server serves chat
completions, embeddings, images and Anthropic's messages: answers that are a reply are made for the route that is asked.
"""

import asyncio
import base64
import gzip
import json
import re
import struct
import threading
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sdg_core.testing.model_answers import PNG

DRAW = "?draw"
"""Added to the route where a chat model is asked for an image."""
KEY = "sk-live-4711-quirk"
_NAME = re.compile(rb"quirk:([\w.-]+)")
Write = Callable[[asyncio.StreamWriter], Awaitable[None]]
JSON = "application/json"


def head(status: str = "200 OK", *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode(
        "utf-8", "surrogateescape"
    )


def whole(
    body: bytes, *headers: str, status: str = "200 OK", kind: str = JSON
) -> bytes:
    return (
        head(
            status,
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *headers,
        )
        + body
    )


def good(route: str, **changed: Any) -> dict[str, Any]:
    """What a server that works answers."""
    if route.endswith("/messages"):
        answer: dict[str, Any] = {
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": '{"a": 1}'}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
    elif route.endswith("/embeddings"):
        answer = {
            "data": [{"index": 0, "embedding": [1.0, 2.0]}],
            "usage": {"prompt_tokens": 1},
        }
    elif route.endswith("/generations"):
        answer = {
            "data": [{"b64_json": base64.b64encode(PNG).decode()}],
            "usage": {"input_tokens": 1},
        }
    else:
        message: dict[str, Any] = {"role": "assistant", "content": '{"a": 1}'}
        if route.endswith(DRAW):
            message["images"] = [
                {
                    "image_url": {
                        "url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
                    }
                }
            ]
        answer = {
            "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        }
    return {**answer, **changed}


def with_text(route: str, text: str) -> dict[str, Any]:
    """A reply that says something else."""
    answer = good(route)
    if "choices" in answer:
        answer["choices"][0]["message"]["content"] = text
    elif "content" in answer:
        answer["content"][0]["text"] = text
    else:
        answer["data"] = [text]
    return answer


def at(answer: Any, path: str, value: Any) -> Any:
    """The answer with another value at a place; where it has no such place, at the place of the same name nearest to it."""
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    node = answer
    for part in way:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            node = answer
    if (
        isinstance(node, list)
        and isinstance(last, int)
        and last < len(node)
        or isinstance(node, dict)
    ):
        node[last] = value
    return answer


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def body_of(route: str) -> bytes:
    return json.dumps(good(route)).encode()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte now and then, without end."""
    writer.write(head("200 OK", "Content-Length: 100000"))
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def drip_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(head("200 OK", f"Content-Type: {JSON}"))
    while True:
        writer.write(b'{"a": "' + b"x" * 2**18)
        await writer.drain()


async def endless_chunks(writer: asyncio.StreamWriter) -> None:
    writer.write(head("200 OK", "Transfer-Encoding: chunked"))
    while True:
        writer.write(b"10000\r\n" + b"[" * 2**16 + b"\r\n")
        await writer.drain()


async def endless_informational(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
        await writer.drain()
        await asyncio.sleep(0.02)


async def endless_gzip(writer: asyncio.StreamWriter) -> None:
    writer.write(
        head("200 OK", "Content-Encoding: gzip", "Content-Type: application/json")
    )
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    while True:
        writer.write(packer.compress(b" " * 2**22) + packer.flush(zlib.Z_SYNC_FLUSH))
        await writer.drain()


async def silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def silent_after_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(head("200 OK", "Content-Length: 50"))
    await asyncio.sleep(3600)


def reset(first: bytes) -> Write:
    """The connection is reset after some bytes."""

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        linger = struct.pack("ii", 1, 0)
        # SOL_SOCKET, SO_LINGER
        writer.get_extra_info("socket").setsockopt(1, 13, linger)
        writer.transport.abort()

    return write


TRANSPORT: dict[str, bytes | Write | Callable[[str], bytes]] = {
    "closed": b"",
    "closed-in-status": b"HTTP/1.1 2",
    "closed-in-headers": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "closed-before-body": head("200 OK", "Content-Length: 10"),
    "closed-in-body": head("200 OK", "Content-Length: 1000") + b'{"choices": [',
    "closed-in-chunk": head("200 OK", "Transfer-Encoding: chunked") + b"ff\r\n{",
    "closed-before-last-chunk": head("200 OK", "Transfer-Encoding: chunked")
    + b"2\r\n{}\r\n",
    "reset-at-once": reset(b""),
    "reset-in-headers": reset(b"HTTP/1.1 200 OK\r\nA: b"),
    "reset-in-body": reset(head("200 OK", "Content-Length: 1000") + b"{"),
    "drip": drip,
    "drip-headers": drip_headers,
    "endless": endless,
    "endless-chunks": endless_chunks,
    "endless-informational": endless_informational,
    "endless-gzip": endless_gzip,
    "silent": silent,
    "silent-after-headers": silent_after_headers,
    "garbage": b"\x00\xff\xfe\r\n\r\n" * 20,
    "tls": bytes.fromhex("1503010002022f"),
    "http09": b'{"choices": []}',
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http99": b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "no-reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
    "status-words": b"HTTP/1.1 abc OK\r\n\r\n",
    "status-0": b"HTTP/1.1 000 OK\r\n\r\n",
    "status-long": b"HTTP/1.1 99999999999 OK\r\n\r\n",
    "status-escape": b"HTTP/1.1 400 \x1b[2J\x1b]0;x\x07\r\nContent-Length: 0\r\n\r\n",
    "long-header": head("200 OK", "X: " + "y" * 200_000) + b"{}",
    "many-headers": head("200 OK", *(f"X{n}: y" for n in range(20_000))) + b"{}",
    "header-no-colon": head("200 OK", "nonsense") + b"{}",
    "header-zero": head("200 OK", "X: a\0b") + b"{}",
    "length-negative": head("200 OK", "Content-Length: -5") + b"{}",
    "length-words": head("200 OK", "Content-Length: ten") + b"{}",
    "length-twice": head("200 OK", "Content-Length: 2", "Content-Length: 3") + b"{}x",
    "length-huge": head("200 OK", f"Content-Length: {10**30}") + b"{}",
    "length-and-chunked": head(
        "200 OK", "Content-Length: 2", "Transfer-Encoding: chunked"
    )
    + b"2\r\n{}\r\n0\r\n\r\n",
    "chunk-words": head("200 OK", "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n",
    "chunk-huge": head("200 OK", "Transfer-Encoding: chunked") + b"f" * 40 + b"\r\n{}",
    "no-gzip": whole(b"{}", "Content-Encoding: gzip"),
    "half-gzip": lambda route: whole(
        gzip.compress(body_of(route))[:30], "Content-Encoding: gzip"
    ),
    "twice-gzip": lambda route: whole(
        gzip.compress(gzip.compress(body_of(route))), "Content-Encoding: gzip"
    ),
    "gzip-bomb": whole(gzip.compress(b"[" * 2**27, 1), "Content-Encoding: gzip"),
    "deflate-bomb": whole(zlib.compress(b" " * 2**27, 1), "Content-Encoding: deflate"),
    "odd-encoding": lambda route: whole(body_of(route), "Content-Encoding: nonsense"),
}
"""Nothing of these is a reply, but for the last, whose name of an encoding is passed over."""

STATUSES: dict[str, bytes | Write | Callable[[str], bytes]] = {
    **{
        f"status-{code}": whole(b'{"error": {"message": "no"}}', status=f"{code} X")
        for code in (
            201,
            204,
            205,
            206,
            300,
            304,
            400,
            402,
            405,
            408,
            409,
            413,
            415,
            418,
            422,
            425,
            426,
            429,
            431,
            451,
        )
    },
    **{
        f"status-{code}": whole(b"<h1>no</h1>", status=f"{code} X", kind="text/html")
        for code in (499, 500, 501, 599, 600, 999)
    },
    **{
        f"redirect-{code}": whole(
            b"", f"Location: http://127.0.0.1:{{other}}/v1/{code}", status=f"{code} X"
        )
        for code in (301, 302, 303, 307, 308)
    },
    "redirect-itself": whole(b"", "Location: ?quirk", status="302 X"),
    "redirect-file": whole(b"", "Location: file:" + "///etc/passwd", status="302 X"),
    "redirect-escape": whole(b"", f"Location: http://x/\x1b[2J?{KEY}", status="302 X"),
    **{
        f"retry-{name}": whole(b"{}", f"Retry-After: {value}", status="429 X")
        for name, value in (
            ("negative", "-5"),
            ("infinite", "1e999"),
            ("nan", "nan"),
            ("words", "soon"),
            ("date", "Thu, 99 Foo 99999 99:99:99 GMT"),
            ("past", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ("empty", ""),
            ("digits", "9" * 5_000),
        )
    },
    "status-103": lambda route: (
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + whole(body_of(route))
    ),
    "status-101": head(
        "101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"
    )
    + b"\x81\x05hello",
    "cookie": lambda route: whole(body_of(route), "Set-Cookie: a=b; Domain=.com"),
    "gateway-header": lambda route: whole(body_of(route), "X-Policy: " + "y" * 20_000),
    "error-echo": whole(
        f'{{"error": {{"message": "key {KEY} \\u001b[2J"}}}}'.encode(), status="400 X"
    ),
    "error-list": whole(b'[{"error": [1]}]', status="400 X"),
    "error-deep": whole(nested(3_000), status="500 X"),
    "error-long": whole(
        b'{"error": {"message": "' + b"x" * 300_000 + b'"}}', status="400 X"
    ),
    "error-half": whole(b'{"error": {"message": "\\ud83d"}}', status="400 X"),
    "error-codes": whole(
        json.dumps({"error": {"code": ["a"], "type": {"b": 1}}}).encode(),
        status="429 X",
    ),
}

BODIES: dict[str, bytes | Write | Callable[[str], bytes]] = {
    "empty": whole(b""),
    "blank": whole(b" \n" * 50_000),
    "html": whole(b"<html><body>Bad gateway</body></html>", kind="text/html"),
    "sse": lambda route: whole(
        b"data: " + body_of(route) + b"\n\ndata: [DONE]\n\n", kind="text/event-stream"
    ),
    "ndjson": lambda route: whole(body_of(route) + b"\n" + body_of(route)),
    "mark": lambda route: whole(b"\xef\xbb\xbf" + body_of(route)),
    "utf16": lambda route: whole(body_of(route).decode().encode("utf-16")),
    "latin1": whole('{"choices": "\xe9"}'.encode("latin-1")),
    "zeros": whole(b"\0" * 1_000),
    "half-json": lambda route: whole(body_of(route)[:-9]),
    "trailing": lambda route: whole(body_of(route) + b"}"),
    "nan": whole(b'{"choices": [NaN]}'),
    "deep": whole(nested(900)),
    "deeper": whole(nested(100_000)),
    "brackets": whole(b"[" * 2**20),
    "quotes": whole(b'"' + b'\\"' * 2**19),
    "digits": whole(b'{"usage": ' + b"9" * 100_000 + b"}"),
    "exponent": whole(b'{"choices": 1e400000000}'),
    "half-surrogates": whole(b'{"error": {"message": "\\ud83d"}}'),
    "error-in-200": whole(
        b'{"error": {"message": "x", "code": "' + b"9" * 5_000 + b'"}}'
    ),
    "error-number": whole(b'{"error": {"code": 429, "message": 1e999}}'),
    "error-nested": whole(b'{"error": ' + nested(800) + b"}"),
    "error-is-list": whole(b'{"error": [[1], {"code": 500}]}'),
    "same-keys": whole(b"{" + b'"choices": 1,' * 10_000 + b'"choices": 2}'),
    **{
        f"top-{name}": whole(text)
        for name, text in (
            ("null", b"null"),
            ("list", b"[]"),
            ("text", b'"x"'),
            ("number", b"7"),
        )
    },
}

_ODD: dict[str, Any] = {
    "null": None,
    "true": True,
    "list": [],
    "object": {},
    "text": "x",
    "number": 7,
    "nested": [[[{"a": None}]]],
}
_PLACES = (
    "choices",
    "choices.0",
    "choices.0.message",
    "choices.0.message.content",
    "choices.0.message.tool_calls",
    "choices.0.message.images",
    "choices.0.message.images.0.image_url",
    "choices.0.finish_reason",
    "content",
    "content.0",
    "content.0.text",
    "stop_reason",
    "data",
    "data.0",
    "data.0.embedding",
    "data.0.index",
    "data.0.b64_json",
    "data.0.url",
    "usage",
    "model",
)


def _counts(value: Any) -> dict[str, Any]:
    names = (
        "prompt_tokens",
        "completion_tokens",
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
    )
    return {
        **dict.fromkeys(names, value),
        "prompt_tokens_details": {"cached_tokens": value},
    }


REPLIES: dict[str, Callable[[str], Any]] = {
    **{
        f"{name}-at-{place}": (lambda route, p=place, v=value: at(good(route), p, v))
        for place in _PLACES
        for name, value in _ODD.items()
    },
    **{
        f"tokens-{name}": (lambda route, v=value: good(route, usage=_counts(v)))
        for name, value in (
            ("64-bit", 2**63 - 1),
            ("beyond", 2**64),
            ("huge", 10**300),
            ("negative", -5),
            ("real", 1.5),
            ("infinite", float("inf")),
            ("text", "5"),
            ("true", True),
            ("list", [5]),
        )
    },
    "key-in-text": lambda route: with_text(route, f"the key is {KEY}"),
    "key-in-model": lambda route: good(route, model=KEY),
    "key-in-reason": lambda route: at(
        at(good(route), "choices.0.finish_reason", KEY), "stop_reason", KEY
    ),
    "key-escaped": lambda route: with_text(
        route, "".join(f"\\u{ord(sign):04x}" for sign in KEY)
    ),
    "half-in-text": lambda route: with_text(route, "nice \ud83d"),
    "zero-in-text": lambda route: with_text(route, "a\0b"),
    "escapes-in-text": lambda route: with_text(
        route, "\x1b]52;c;QQ==\x07\u202eevil\x9b2J"
    ),
    "formula": lambda route: with_text(route, "=cmd|' /C calc'!A0"),
    "markdown": lambda route: with_text(route, "![x](http://evil.example/x.png)"),
    "long-text": lambda route: with_text(route, "word " * 100_000),
    "long-model": lambda route: good(route, model="m" * 200_000),
    "deep-call": lambda route: at(
        good(route),
        "choices.0.message.tool_calls",
        [{"id": 5, "function": {"name": "f", "arguments": json.loads(nested(600))}}],
    ),
    "deep-use": lambda route: at(
        good(route),
        "content",
        [{"type": "tool_use", "name": "f", "input": json.loads(nested(600))}],
    ),
    "image-elsewhere": lambda route: at(
        good(route), "data.0", {"url": "http://127.0.0.1:{other}/latest/meta-data"}
    ),
    "image-file": lambda route: at(
        good(route), "data.0", {"url": "file:" + "///etc/passwd"}
    ),
    "image-html": lambda route: at(
        good(route), "data.0", {"b64_json": base64.b64encode(b"<html>").decode()}
    ),
    "image-cut": lambda route: at(
        good(route), "data.0", {"b64_json": base64.b64encode(PNG[:50]).decode()}
    ),
    "image-no-base64": lambda route: at(good(route), "data.0", {"b64_json": "%%%"}),
    "image-data-url": lambda route: at(
        good(route), "data.0", {"url": "data:text/html,<script>"}
    ),
    "vector-nan": lambda route: at(
        good(route), "data.0", {"embedding": [float("nan"), 1.0]}
    ),
    "vector-texts": lambda route: at(good(route), "data.0", {"embedding": ["1", "2"]}),
    "vector-huge": lambda route: at(good(route), "data.0", {"embedding": [10**400, 1]}),
    "vector-base64": lambda route: at(good(route), "data.0", {"embedding": "AAA"}),
    "vector-twice": lambda route: good(
        route, data=[{"embedding": [1.0]}, {"embedding": [1.0]}]
    ),
    "many-choices": lambda route: good(
        route, choices=good(route).get("choices", [{}]) * 20_000
    ),
    "many-blocks": lambda route: at(
        good(route), "content", [{"type": "text", "text": '{"a": 1}'}] * 20_000
    ),
}

Answer = bytes | Write | Callable[[str], bytes]
QUIRKS: dict[str, Answer] = {
    **TRANSPORT,
    **STATUSES,
    **BODIES,
    **{
        name: (lambda route, m=make: whole(json.dumps(m(route)).encode()))
        for name, make in REPLIES.items()
    },
}


class QuirkServer:
    """Answers as the prompt says, `quirk:NAME`, and well without one.

    asked: the names so far. other: what came to the port where nothing may be asked.
    """

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.other: list[bytes] = []
        self.port = 0
        self._other_port = 0
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        """Listen on two ports."""
        for answer in (self._answer, self._other_route):
            self._servers.append(
                await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
            )
        self.port, self._other_port = (
            server.sockets[0].getsockname()[1] for server in self._servers
        )

    async def stop(self) -> None:
        """End all connections."""
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _other_route(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.other.append(await reader.read(2**16))
        writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            asked = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", asked)
            body = await reader.readexactly(int(length[1])) if length else b""
            route = asked.split()[1].decode() + (DRAW if b" draw" in body else "")
            found = _NAME.search(body)
            answer: Answer = whole(body_of(route))
            if found is not None and found[1] != b"none":
                self.asked.add(found[1].decode())
                answer = QUIRKS[found[1].decode()]
            if not isinstance(answer, bytes):
                made = (
                    answer(route) if not asyncio.iscoroutinefunction(answer) else answer
                )
                answer = made if isinstance(made, bytes) else answer
            if isinstance(answer, bytes):
                writer.write(answer.replace(b"{other}", str(self._other_port).encode()))
                await writer.drain()
            else:
                await answer(writer)  # type: ignore[misc]
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            writer.close()


@contextmanager
def quirk_server() -> Iterator[QuirkServer]:
    """The server in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = QuirkServer()
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
