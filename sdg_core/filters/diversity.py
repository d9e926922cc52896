"""How varied records are, in a few numbers: distinct n-grams, and how near each record's nearest neighbour is.

The share of duplicates is `Duplicates.share`. Invariant: no number depends on the order of the records.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sdg_core.errors import FilterError
from sdg_core.filters.deduplicate import unit_vectors
from sdg_core.filters.words import LETTERS_AND_DIGITS, as_texts, ngrams, words_of

ROWS_PER_BATCH = 2048
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Nearest:
    """The cosine similarity of vectors to their nearest neighbour: how many vectors, mean, quantiles by their share, maximum."""

    vectors: int
    mean: float
    quantiles: dict[float, float]
    maximum: float


def distinct_n(texts: Any, n: int) -> float | None:
    """Different n-grams of words over all n-grams of all texts (Li et al. 2016, arXiv 1510.03055); None if there are none.

    Words are compared in lower case and without punctuation. Raises FilterError for an n out of range.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 100:
        raise FilterError(f"distinct-n: n is {n!r}, not a whole number from 1 to 100")
    lower_case = as_texts(texts).str.to_lowercase()
    _, hashes = ngrams(words_of(lower_case, pattern=LETTERS_AND_DIGITS), n)
    if not len(hashes):
        return None
    return len(np.unique(hashes)) / len(hashes)


def nearest_neighbours(vectors: Any) -> Nearest | None:
    """A summary over vectors that are not null; None for fewer than two. Time grows with the square of their number, so
    give a sample of more than 100,000. Memory beside the vectors: 16 MB. Raises FilterError as deduplication by embedding."""
    units, _ = unit_vectors(vectors)
    if len(units) < 2:
        return None
    best = np.full(len(units), -np.inf, dtype=np.float32)
    for start in range(0, len(units), ROWS_PER_BATCH):
        rows = units[start : start + ROWS_PER_BATCH]
        for other in range(0, len(units), ROWS_PER_BATCH):
            products = rows @ units[other : other + ROWS_PER_BATCH].T
            if other == start:
                np.fill_diagonal(products, -np.inf)
            np.maximum(
                best[start : start + len(rows)],
                products.max(axis=1),
                out=best[start : start + len(rows)],
            )
    best = np.sort(np.clip(best, -1, 1)).astype(np.float64)
    quantiles = {share: float(np.quantile(best, share)) for share in QUANTILES}
    return Nearest(
        vectors=len(best),
        mean=float(best.mean()),
        quantiles=quantiles,
        maximum=float(best[-1]),
    )
