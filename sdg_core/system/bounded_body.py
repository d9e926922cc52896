"""Reading the body of an HTTP answer, decoded, up to a bound: a server decides how long its answer is, not how much memory it
takes here."""

from typing import Protocol

MAX_BODY_BYTES = 64 * 2**20
_CHUNK = 2**18


class BodyTooLargeError(ValueError):
    """A body goes on beyond the bound."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer is longer than {limit:,} bytes")


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
