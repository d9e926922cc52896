"""The random words of records for a column that reads more than four of them."""

import numpy as np
from numpy.typing import NDArray

from sdg_core.plan.sampling.rng import RandomSource, Words, to_unit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_WORDS_PER_BLOCK = 4


class WordStream:
    """The random words of some records, fetched when first asked for: four slots to a block of the random source."""

    def __init__(self, random: RandomSource, column: str, indices: Ints) -> None:
        self._random = random
        self._column = column
        self._indices = indices
        self._blocks: dict[int, Words] = {}

    def __len__(self) -> int:
        return len(self._indices)

    def words(self, slot: int) -> Words:
        """The words of one slot, one per record."""
        block, place = divmod(slot, _WORDS_PER_BLOCK)
        if block not in self._blocks:
            self._blocks[block] = self._random.words(
                self._column, self._indices, block=block
            )
        return np.ascontiguousarray(self._blocks[block][:, place])

    def unit(self, slot: int) -> Floats:
        """The words of one slot as real numbers in `[0, 1)`."""
        return to_unit(self.words(slot))

    def pick(self, slot: int, count: int | Ints) -> Ints:
        """Uniform whole numbers in `[0, count)`."""
        picked: Ints = np.minimum((self.unit(slot) * count).astype(np.int64), count - 1)
        return picked


class SelectedWords(WordStream):
    """The words of some of the records of other draws."""

    def __init__(self, draws: WordStream, rows: Ints) -> None:
        self._draws = draws
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def words(self, slot: int) -> Words:
        """The words of one slot, one per record."""
        return self._draws.words(slot)[self._rows]
