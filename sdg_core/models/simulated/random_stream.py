"""Choices of the simulated provider: an endless stream that is a function of a request's digest."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


class RandomStream:
    """Whole numbers and reals, the same for the same digest in every release. `purpose` sets streams of one digest apart."""

    def __init__(self, digest: int, purpose: str) -> None:
        self._key = hashlib.blake2b(
            digest.to_bytes(64, "little") + purpose.encode(), digest_size=32
        ).digest()
        self._count = 0

    def below(self, bound: int) -> int:
        """From 0 to `bound`, exclusive."""
        return int(self.unit() * bound)

    def unit(self) -> float:
        """From 0 to 1, exclusive."""
        self._count += 1
        block = hashlib.blake2b(
            self._count.to_bytes(8, "little"), key=self._key, digest_size=8
        ).digest()
        return (int.from_bytes(block, "little") >> 11) / 2**53

    def between(self, low: int, high: int) -> int:
        """From `low` to `high`, both inclusive."""
        return low + self.below(high - low + 1)

    def pick(self, items: Sequence[_Item]) -> _Item:
        """One of the items."""
        return items[self.below(len(items))]
