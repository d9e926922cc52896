"""Leaks of evaluation texts into training texts, by n-grams of words that both hold.

Sources: 13-grams as for GPT-3 (Brown et al. 2020, arXiv 2005.14165, appendix C); 8-grams as for GPT-2 (Radford et al. 2019,
section 4) and PaLM (Chowdhery et al. 2022, arXiv 2204.02311, section 8). Words are compared in lower case and without
punctuation. An evaluation text of fewer words than n has no n-gram: it is not searched for, and is listed.

Invariant: the outcome for a text depends on it and on the set of evaluation records only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdg_core.counts import counted
from sdg_core.errors import FilterError
from sdg_core.filters.clusters import Ids
from sdg_core.filters.words import LETTERS_AND_DIGITS, as_texts, ngrams, words_of

DEFAULT_N = 13


@dataclass(frozen=True)
class Overlap:
    """The evaluation record of which a text holds most, by its id: how many of its different n-grams, and their share of all."""

    evaluation_id: int
    ngrams: int
    share: float


class EvaluationIndex:
    """The n-grams of evaluation texts: 16 bytes each. `too_short` lists the ids of texts that have none."""

    def __init__(
        self, ids: Sequence[int] | Ids, texts: Any, *, n: int = DEFAULT_N
    ) -> None:
        """Raises FilterError for an n out of range, ids that repeat, or if no evaluation text has n words."""
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= 100:
            raise FilterError(
                f"decontamination: n is {n!r}, not a whole number from 1 to 100"
            )
        self.n = n
        series = as_texts(texts)
        self._ids = np.asarray(ids, dtype=np.int64)
        if len(self._ids) != len(series) or len(np.unique(self._ids)) != len(self._ids):
            raise FilterError(
                "decontamination: every evaluation text needs a unique id"
            )
        if not len(series):
            raise FilterError(
                "the evaluation set is empty",
                remedy="check its source",
            )
        found, rows = _different_ngrams(series, n)
        if not len(found):
            raise FilterError(
                f"no evaluation text has {counted(n, 'word')}, so none could be matched",
                remedy="use a smaller `n`",
            )
        order = np.argsort(found, kind="stable")
        self._hashes = found[order]
        self._rows = rows[order]
        self._totals = np.bincount(rows, minlength=len(series))
        self.too_short: tuple[int, ...] = tuple(
            np.sort(self._ids[self._totals == 0]).tolist()
        )

    def overlaps(self, texts: Any, *, at_least: float = 0.0) -> list[Overlap | None]:
        """For each text the evaluation record with the largest share of its n-grams in it (on a tie the smallest id), if that
        is `at_least` so much and one n-gram is common; else None. Raises FilterError for a share outside 0 to 1."""
        if (
            isinstance(at_least, bool)
            or not isinstance(at_least, int | float)
            or not 0 <= at_least <= 1
        ):
            raise FilterError(
                f"decontamination: at_least is {at_least!r}, not a number from 0 to 1"
            )
        series = as_texts(texts)
        hashes, rows = _different_ngrams(series, self.n)
        first = np.searchsorted(self._hashes, hashes, side="left")
        count = np.searchsorted(self._hashes, hashes, side="right") - first
        text = np.repeat(rows, count)
        within = np.arange(len(text)) - np.repeat(np.cumsum(count) - count, count)
        evaluation = self._rows[np.repeat(first, count) + within]
        pairs, common = np.unique(
            text * len(self._ids) + evaluation, return_counts=True
        )
        text, evaluation = np.divmod(pairs, len(self._ids))
        share = common / self._totals[evaluation]
        result: list[Overlap | None] = [None] * len(series)
        # The best pair of a text comes last, and so stays.
        for pair in np.lexsort((-self._ids[evaluation], share)):
            if share[pair] >= at_least:
                found = Overlap(
                    int(self._ids[evaluation[pair]]),
                    int(common[pair]),
                    float(share[pair]),
                )
                result[text[pair]] = found
        return result


def _different_ngrams(
    texts: Any, n: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The hashes of the different n-grams of each text, with the text's place."""
    words = words_of(texts.str.to_lowercase(), pattern=LETTERS_AND_DIGITS)
    places, hashes = ngrams(words, n)
    rows = words.row[places]
    order = np.lexsort((hashes, rows))
    hashes = hashes[order]
    rows = rows[order]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (rows[1:] != rows[:-1])
    return hashes[new], rows[new]
