"""Reading what may be far longer than it should be."""

from typing import Protocol

_BLOCK = 4 * 2**20


class Readable(Protocol):
    """What has bytes, a file or a stream of pyarrow."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


def read_up_to(stream: Readable, most: int) -> bytes:
    """The content, or its first `most` bytes.

    It is read in blocks: pyarrow reserves all that it is told to read at once, and never frees it if the content turns out to
    be damaged.
    """
    blocks: list[bytes] = []
    while most > 0 and (block := stream.read(min(_BLOCK, most))):
        blocks.append(block)
        most -= len(block)
    return b"".join(blocks)
