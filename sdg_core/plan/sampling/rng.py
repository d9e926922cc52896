"""Counter-based randomness: every (column, record) owns its words, no matter which caller asks or in which order.

Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11) maps a 128-bit key and a 256-bit counter to
four 64-bit words. Here the key is blake2b(seed, column) and the counter is, from its lowest word up:
record index, block (for columns that need more than four words), 0, attempt (of a rejected draw).
numpy increments the counter before it generates, hence the minus one.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
_COUNTER_SPACE = 1 << 256
_UNIT = 2.0**-53
_GAP = 512
"""Records that may lie between two wanted ones before seeking is cheaper than generating what lies between."""


@dataclass(frozen=True)
class RandomSource:
    """The random words of one dataset; `seed` is the dataset's seed.

    attempts: for records that are drawn again, the attempt of each one that is asked for, equal ones side by side.
    """

    seed: int
    attempts: NDArray[np.int64] | None = field(default=None, compare=False)

    def words(
        self,
        column: str,
        indices: NDArray[np.int64],
        *,
        block: int = 0,
        attempt: int = 0,
    ) -> Words:
        """Four words per record: shape `(len(indices), 4)`, for record indices that ascend (within each attempt)."""
        key = column_key(self.seed, column)
        if self.attempts is None or len(indices) == 0:
            return _words(key, indices, block=block, attempt=attempt)
        if len(self.attempts) != len(indices):
            raise ValueError(
                f"{len(indices)} records with attempts of {len(self.attempts)}"
            )
        changes = np.flatnonzero(np.diff(self.attempts)) + 1
        bounds = [0, *changes.tolist(), len(indices)]
        parts = []
        for start, stop in pairwise(bounds):
            attempt = int(self.attempts[start])
            parts.append(_words(key, indices[start:stop], block=block, attempt=attempt))
        return np.concatenate(parts)


class RecordChoices:
    """The choices of one record, one after another; `purpose` sets them apart from what else is drawn for the record."""

    def __init__(self, random: RandomSource, purpose: str, record: int) -> None:
        self._random = random
        self._purpose = purpose
        self._record = np.array([record], dtype=np.int64)
        self._count = 0
        self._words: Words = np.empty(0, np.uint64)

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound`, exclusive."""
        place = self._count % 4
        if place == 0:
            self._words = self._random.words(
                self._purpose, self._record, block=self._count // 4
            )[0]
        self._count += 1
        return min(
            int(float(to_unit(self._words[place : place + 1])[0]) * bound), bound - 1
        )


def column_key(seed: int, column: str) -> int:
    """The 128-bit Philox key of a column."""
    digest = hashlib.blake2b(
        f"{seed}\x00{column}".encode(), digest_size=16, person=b"sdg/column"
    ).digest()
    return int.from_bytes(digest, "little")


def to_unit(words: Words) -> NDArray[np.float64]:
    """The upper 53 bits of each word as a real number in `[0, 1)`."""
    return (words >> np.uint64(11)).astype(np.float64) * _UNIT


def to_open_unit(words: Words) -> NDArray[np.float64]:
    """As `to_unit`, shifted half a step so that neither 0 nor 1 occurs (inverse CDFs of unbounded distributions)."""
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * (2 * _UNIT)


def _words(key: int, indices: NDArray[np.int64], *, block: int, attempt: int) -> Words:
    parts = []
    for run in _close_runs(indices):
        start = int(run[0])
        count = int(run[-1] - run[0]) + 1
        words = _block_words(
            key, start=start, count=count, block=block, attempt=attempt
        )
        parts.append(words if count == len(run) else words[run - start])
    if not parts:
        return np.empty((0, 4), np.uint64)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _close_runs(indices: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Indices in ascending runs without wide gaps, in the order given."""
    if len(indices) == 0:
        return
    steps = np.diff(indices)
    bounds = [
        0,
        *(np.flatnonzero((steps < 1) | (steps > _GAP)) + 1).tolist(),
        len(indices),
    ]
    for start, stop in zip(bounds, bounds[1:], strict=False):
        yield indices[start:stop]


def _block_words(
    key: int, *, start: int, count: int, block: int, attempt: int
) -> Words:
    counter = (start + (block << 64) + (attempt << 192) - 1) % _COUNTER_SPACE
    return (
        np.random.Philox(key=key, counter=counter)
        .random_raw(4 * count)
        .reshape(count, 4)
    )
