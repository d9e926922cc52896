"""Vectors and images of the simulated provider."""

import struct
import zlib

import numpy as np

from sdg_core.models.simulated.random_stream import RandomStream
from sdg_core.models.types import Image

DIMENSIONS = 64
_SIDE = 32
_CELLS = 4


def unit_vector(digest: int, dimensions: int) -> tuple[float, ...]:
    """A direction, uniformly distributed, that is a function of the digest."""
    words = [digest >> shift & 0xFFFFFFFF for shift in range(0, 512, 32)]
    bits = np.random.Philox(np.random.SeedSequence(words))
    drawn = np.random.Generator(bits).standard_normal(dimensions)
    direction = drawn / np.linalg.norm(drawn)
    return tuple(direction.tolist())


def small_image(draws: RandomStream) -> Image:
    """A PNG of coloured squares."""
    size = _SIDE // _CELLS
    rows: list[bytes] = []
    for _ in range(_CELLS):
        squares = [_colour(draws) * size for _ in range(_CELLS)]
        rows += [b"\0" + b"".join(squares)] * size
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    text = b"Comment\0simulated"
    pixels = zlib.compress(b"".join(rows), 9)
    chunks = [
        _chunk(b"IHDR", header),
        _chunk(b"tEXt", text),
        _chunk(b"IDAT", pixels),
        _chunk(b"IEND", b""),
    ]
    return Image(b"\x89PNG\r\n\x1a\n" + b"".join(chunks), "image/png")


def _colour(draws: RandomStream) -> bytes:
    return bytes(draws.below(256) for _ in range(3))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
    )
