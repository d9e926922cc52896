"""Which seed row a record takes: a pure function of the record index.

Ordered: record i takes row i modulo n. Shuffled: each pass over the data is a permutation of its own, so every seed row comes
up once per pass. The permutation is a balanced Feistel network over the next power of four, walked until it lands below n
(Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002): no table, any n, rows computed independently.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from sdg_core.config.seeds import IndexRange, PartitionBlock, SeedConfig
from sdg_core.counts import counted
from sdg_core.errors import SeedError

Rows = NDArray[np.int64]
_ROUNDS = 8


def selected_range(
    num_rows: int, selection: IndexRange | PartitionBlock | None
) -> tuple[int, int]:
    """`(first, count)` of the seed rows in use. Raises SeedError if the selection holds no row or leaves the data."""
    match selection:
        case IndexRange(start=start, end=end):
            if end >= num_rows:
                raise SeedError(
                    f"seed_config.selection_strategy: end {end} is outside the seed data",
                    remedy=f"it has {counted(num_rows, 'row')}; the last index is {num_rows - 1}",
                )
            return start, end - start + 1
        case PartitionBlock(index=index, num_partitions=parts):
            size = num_rows // parts
            if size == 0:
                raise SeedError(
                    f"seed_config.selection_strategy: {counted(parts, 'partition')} of {counted(num_rows, 'seed row')} "
                    "would be empty",
                    remedy=f"use at most {counted(num_rows, 'partition')}",
                )
            first = index * size
            if index == parts - 1:
                return first, num_rows - first
            return first, size
        case None:
            if num_rows == 0:
                raise SeedError(
                    "the seed data has no rows",
                    remedy="seed_config.source must have at least one row",
                )
            return 0, num_rows


def seed_rows(indices: Rows, *, config: SeedConfig, num_rows: int, seed: int) -> Rows:
    """The absolute seed row of each record index; `num_rows` is the size of the whole seed data."""
    first, count = selected_range(num_rows, config.selection_strategy)
    if config.sampling_strategy == "ordered":
        return first + indices % count
    passes, offsets = np.divmod(indices, count)
    rows = np.empty_like(indices)
    for number in np.unique(passes):
        chosen = passes == number
        key = _pass_key(seed, int(number))
        rows[chosen] = permute(offsets[chosen], size=count, key=key)
    return first + rows


def permute(values: Rows, *, size: int, key: bytes) -> Rows:
    """A keyed permutation of `range(size)` applied to `values`; `key` has 64 bytes."""
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = np.frombuffer(key, dtype="<u8")
    out = _feistel(values.astype(np.uint64), half=half, keys=keys)
    outside = out >= size
    while outside.any():
        out[outside] = _feistel(out[outside], half=half, keys=keys)
        outside = out >= size
    return out.astype(np.int64)


def _feistel(
    values: NDArray[np.uint64], *, half: int, keys: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    mask = np.uint64((1 << half) - 1)
    left = values >> np.uint64(half)
    right = values & mask
    for key in keys[:_ROUNDS]:
        left, right = right, left ^ (_mix(right ^ key) & mask)
    return (left << np.uint64(half)) | right


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _pass_key(seed: int, number: int) -> bytes:
    name = f"{seed}\x00{number}".encode()
    return hashlib.blake2b(name, digest_size=64, person=b"sdg/shuffle").digest()
