"""Reading the body of an HTTP answer, decoded, up to a bound, and working on it: a server decides how long its answer is, not how
much memory it takes here, nor for how long other requests wait."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

MAX_BODY_BYTES = 64 * 2**20
_CHUNK = 2**18
_LONG = 2**18
"""What is longer is worked on in a thread: 64 MiB are possible, and take seconds."""

Content = TypeVar("Content", bytes, str)
Result = TypeVar("Result")


class BodyTooLargeError(ValueError):
    """A body goes on beyond the bound."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the response is longer than {limit:,} bytes")


class _Stream(Protocol):
    async def read(self, n: int = -1) -> bytes: ...


async def read_bounded(stream: _Stream, *, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body. Raises BodyTooLargeError once it is longer than `limit` bytes; nothing more is read then."""
    body = bytearray()
    while chunk := await stream.read(_CHUNK):
        body += chunk
        if len(body) > limit:
            raise BodyTooLargeError(limit)
    return bytes(body)


async def work_on(content: Content, work: Callable[[Content], Result]) -> Result:
    """The outcome of work on an answer, which keeps the event loop from nothing else if the answer is long."""
    if len(content) <= _LONG:
        return work(content)
    return await asyncio.to_thread(work, content)
