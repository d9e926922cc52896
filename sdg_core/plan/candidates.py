"""The number of a candidate: what the random words and the journaled cells of a record's next draw are counted by.

A record that is drawn again is, for everything that is computed of it, another record far behind the last: candidate k of
record i has the number `i + k * STRIDE`. Candidate 0 is the record itself. Only seed rows and files go by the record.
"""

import numpy as np
from numpy.typing import NDArray

STRIDE = 1 << 44
"""More records than a dataset can have: 100,000 row groups of a hundred million."""


def numbers_of(records: NDArray[np.int64], candidate: int) -> NDArray[np.int64]:
    """The numbers of one candidate of each record."""
    return records + candidate * STRIDE


def record_and_candidate(number: int) -> tuple[int, int]:
    """The record of a number, and which of its candidates it stands for."""
    candidate, record = divmod(number, STRIDE)
    return record, candidate
