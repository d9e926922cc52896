"""A model server for benchmarks: OpenAI chat completions from a bare HTTP/1.1 protocol, so that it costs little of the machine.

    python -m benchmarks.mock_model_server [--latency 0.05] [--slow 0.01 --slow-latency 5] [--limited 0.1] [--errors 0.02]
                                           [--limited-latency 0.002] [--dropped 0.01] [--broken 0.005] [--bucket 800]
                                           [--retry-after 1]

Prints its URL on the first line; GET /stats has the number of requests by status. A share of the requests is slow, is refused
with 429, fails with 500, loses its connection, or is answered with broken JSON; which ones depends on the prompt and on how
often it was asked, never on timing. `--bucket` is a true limit instead: a token bucket that fills at so many requests a second.
"""

import argparse
import asyncio
import hashlib
import json
import time
from collections import Counter

TEXT = "The export of last month's invoices stops half way, and nobody has answered the ticket since Tuesday."
STRUCTURED = json.dumps(
    {
        "title": "Export stops half way",
        "severity": "high",
        "tags": ["export", "billing"],
    }
)
JUDGED = json.dumps(
    {"usefulness": {"reasoning": "It names the fault and since when.", "score": 3}}
)

DROPPED = 0
"""The status that stands for a lost connection."""
_SLOW_DOWN = b'{"error": {"message": "slow down"}}'


def reply_to(body: bytes) -> str:
    """What is answered: by a mark in the prompt, and bare JSON only to those who asked for it by `response_format`."""
    for mark, answer in ((b"JUDGE", JUDGED), (b"STRUCTURE", STRUCTURED)):
        if mark in body:
            return answer if b'"response_format"' in body else f"```json\n{answer}\n```"
    return TEXT


def completion(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "id": "chatcmpl-0",
            "object": "chat.completion",
            "created": 0,
            "model": "mock",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 20, "total_tokens": 40},
        }
    ).encode()


class Answers:
    """What the requests get, and when."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.statuses: Counter[int] = Counter()
        self._asked: Counter[bytes] = Counter()
        self._bodies: dict[str, bytes] = {}
        self._tokens = options.bucket
        self._filled_at = time.monotonic()

    def answer(self, body: bytes) -> tuple[int, bytes, float]:
        """Status, body, and seconds to wait."""
        key = hashlib.blake2b(body, digest_size=8).digest()
        self._asked[key] += 1
        digest = hashlib.blake2b(
            key + self._asked[key].to_bytes(4, "little"), digest_size=8
        ).digest()
        drawn = int.from_bytes(digest, "little") / 2**64
        options = self.options
        if options.bucket and not self._take_token():
            return 429, _SLOW_DOWN, options.limited_latency
        share = options.limited
        if drawn < share:
            return 429, _SLOW_DOWN, options.limited_latency
        share += options.errors
        if drawn < share:
            return 500, b'{"error": {"message": "injected"}}', options.latency
        share += options.dropped
        if drawn < share:
            return DROPPED, b"", options.latency
        if drawn < share + options.broken:
            return 200, b'{"id": "chatcmpl-0", "choices": [', options.latency
        slow = drawn > 1 - options.slow
        text = reply_to(body)
        if text not in self._bodies:
            self._bodies[text] = completion(text)
        return (
            200,
            self._bodies[text],
            options.slow_latency if slow else options.latency,
        )

    def _take_token(self) -> bool:
        """Whether the bucket, which holds the requests of one second, has one left."""
        now = time.monotonic()
        rate = self.options.bucket
        self._tokens = min(rate, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Connection(asyncio.Protocol):
    """One connection of a client; requests come one after another."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            length = 0
            for line in head.split(b"\r\n")[1:]:
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._respond(head, body)

    def _respond(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"post"):
            status, content, delay = self._answers.answer(body)
            self._answers.statuses[status] += 1
            closes = b"\r\nconnection: close" in head
            asyncio.get_running_loop().call_later(
                delay, self._send, status, content, closes
            )
        elif head.startswith(b"get /stats"):
            self._send(200, json.dumps(self._answers.statuses).encode())
        else:
            self._send(200, b'{"object": "list", "data": []}')

    def _send(self, status: int, content: bytes, closes: bool = False) -> None:
        if self._transport.is_closing():
            return
        if status == DROPPED:
            self._transport.abort()
            return
        after = self._answers.options.retry_after if status == 429 else None
        more = b"" if after is None else f"retry-after: {after}\r\n".encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n".encode()
        self._transport.write(head + more + b"\r\n" + content)
        if closes:
            self._transport.close()


async def serve(options: argparse.Namespace) -> None:
    answers = Answers(options)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(answers), "127.0.0.1", options.port, backlog=2048
    )
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--slow", type=float, default=0.0)
    parser.add_argument("--slow-latency", type=float, default=5.0)
    parser.add_argument("--limited", type=float, default=0.0)
    parser.add_argument("--errors", type=float, default=0.0)
    parser.add_argument("--limited-latency", type=float)
    parser.add_argument("--dropped", type=float, default=0.0)
    parser.add_argument("--broken", type=float, default=0.0)
    parser.add_argument("--bucket", type=float, default=0.0)
    parser.add_argument("--retry-after")
    options = parser.parse_args()
    if options.limited_latency is None:
        options.limited_latency = options.latency
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
