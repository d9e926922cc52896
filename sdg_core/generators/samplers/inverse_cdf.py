"""Weighted draws by inverse CDF for many records, several times as fast as a binary search per record."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_BUCKETS_PER_WEIGHT = 8


class InverseCdf:
    """Finds `searchsorted(cumulative, value, side="right")` for values from 0 to below the last, largest one.

    A table gives the answer for the lower end of the bucket a value falls into; few values lie beyond the next weights.
    """

    def __init__(self, cumulative: Floats) -> None:
        self._cumulative = cumulative
        buckets = 1 << (_BUCKETS_PER_WEIGHT * len(cumulative)).bit_length()
        self._scale = buckets / cumulative[-1]
        self._first = np.searchsorted(
            cumulative, np.arange(buckets + 1) / self._scale, side="right"
        )

    def __call__(self, values: Floats) -> Ints:
        """The place of each value among the weights."""
        last = len(self._cumulative) - 1
        codes: Ints = np.minimum(
            self._first[(values * self._scale).astype(np.int64)], last
        )
        codes -= (codes > 0) & (
            self._cumulative[codes - 1] > values
        )  # a value that rounding put one bucket too high
        behind = np.flatnonzero((self._cumulative[codes] <= values) & (codes < last))
        while len(behind):
            codes[behind] += 1
            behind = behind[
                (self._cumulative[codes[behind]] <= values[behind])
                & (codes[behind] < last)
            ]
        return codes
