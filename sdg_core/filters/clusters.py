"""Duplicates as clusters: which records were taken for the same, and which one of each cluster stays.

Invariant: the result is a function of the set of (record id, content, score). Records are put in the order of their ids before
anything is decided, a cluster is a connected component of the pairs found, and ties go to the smaller id.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sdg_core.counts import counted
from sdg_core.errors import FilterError
from sdg_core.plan.names import did_you_mean

Keep = Literal["first", "last", "best"]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Duplicates:
    """What was decided of some records: 17 bytes a record.

    `ids` ascend; `cluster` names each record's cluster by the smallest id in it; `kept` says which records stay: one of each
    cluster. `method` names the algorithm with the version of what computes it.
    """

    method: str
    ids: Ids
    cluster: Ids
    kept: NDArray[np.bool_]

    def keeps(self, ids: Sequence[int] | Ids) -> NDArray[np.bool_]:
        """Whether each of some records stays. Raises FilterError for an id that was not seen."""
        return self.kept[self._places(ids)]

    def clusters_of(self, ids: Sequence[int] | Ids) -> Ids:
        """The cluster of each of some records. Raises FilterError for an id that was not seen."""
        return self.cluster[self._places(ids)]

    def groups(self) -> dict[int, list[int]]:
        """The clusters of two records or more: their ids, by the smallest."""
        order = np.lexsort((self.ids, self.cluster))
        names, starts = np.unique(self.cluster[order], return_index=True)
        parts = np.split(self.ids[order], starts)[1:]
        every = zip(names.tolist(), parts, strict=True)
        return {name: part.tolist() for name, part in every if len(part) > 1}

    @property
    def share(self) -> float:
        """The share of records that do not stay; 0 if there are none."""
        return float(1 - self.kept.mean()) if len(self.kept) else 0.0

    def _places(self, ids: Sequence[int] | Ids) -> NDArray[np.intp]:
        wanted = np.asarray(ids, dtype=np.int64)
        places = np.searchsorted(self.ids, wanted)
        places[places == len(self.ids)] = 0
        unseen = wanted if len(self.ids) == 0 else wanted[self.ids[places] != wanted]
        if len(unseen):
            raise FilterError(
                f"record {int(unseen[0])} was not part of the deduplicated records"
            )
        return places


class Records:
    """The ids and scores of the records seen so far, in the order of their coming: 16 bytes a record."""

    def __init__(self, *, keep: str) -> None:
        if keep not in get_args(Keep):
            raise FilterError(
                f"unknown value {keep!r} for keep{did_you_mean(keep, get_args(Keep))}"
            )
        self.keep = keep
        self._ids: list[Ids] = []
        self._scores: list[NDArray[np.float64]] = []

    def add(
        self,
        ids: Sequence[int] | Ids,
        *,
        count: int,
        scores: Sequence[float | None] | None,
    ) -> None:
        """Takes note of a batch of `count` records. A missing or NaN score is worse than any other."""
        found = np.asarray(ids)
        if found.ndim != 1 or (found.dtype.kind not in "iu" and found.size):
            raise FilterError("record ids must be integers, one per record")
        if (scores is not None) != (self.keep == "best"):
            raise FilterError(
                f"`scores` are required with keep='best' and not valid otherwise; keep is {self.keep!r}"
            )
        given = np.zeros(count) if scores is None else as_scores(scores)
        if len(found) != count or len(given) != count:
            raise FilterError(
                f"{counted(len(found), 'id')} and {counted(len(given), 'score')} were given for {counted(count, 'record')}"
            )
        self._ids.append(found.astype(np.int64))
        self._scores.append(given)

    def order(self) -> NDArray[np.intp]:
        """Where, in the order of coming, the records with ascending ids are. Raises FilterError for an id that came twice."""
        ids = self._all_ids()
        order = np.argsort(ids, kind="stable")
        ascending = ids[order]
        twice = ascending[1:][ascending[1:] == ascending[:-1]]
        if len(twice):
            raise FilterError(
                f"record id {int(twice[0])} occurs twice",
                remedy="give every record a unique id",
            )
        return order

    def decide(self, labels: NDArray[np.integer[Any]], *, method: str) -> Duplicates:
        """The survivors, from a component label for each record, in the order of ascending ids."""
        order = self.order()
        ids = self._all_ids()[order]
        scores = np.concatenate([*self._scores, np.zeros(0)])[order]
        _, first, component = np.unique(labels, return_index=True, return_inverse=True)
        rank = {
            "first": np.zeros(len(ids)),
            "last": -np.arange(len(ids)),
            "best": -scores,
        }[self.keep]
        best = np.lexsort((np.arange(len(ids)), rank, component))
        starts = np.flatnonzero(np.diff(component[best], prepend=-1))
        kept = np.zeros(len(ids), dtype=np.bool_)
        kept[best[starts]] = True
        return Duplicates(
            method=method, ids=ids, cluster=ids[first[component]], kept=kept
        )

    def _all_ids(self) -> Ids:
        return np.concatenate([*self._ids, np.zeros(0, dtype=np.int64)])


def as_scores(scores: Sequence[float | None]) -> NDArray[np.float64]:
    """Scores as numbers; a missing one and NaN become minus infinity. Raises FilterError for what is not a number."""
    numbers = [math.nan if score is None else score for score in scores]
    try:
        values = np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FilterError(f"scores must be numbers: {error}") from error
    return np.where(np.isnan(values), -np.inf, values)


def components(
    count: int, pairs: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]
) -> NDArray[np.int32]:
    """The connected component of each of `count` nodes, from pairs of nodes; whatever the order of the pairs.

    Raises FilterError where scipy was left out of the environment.
    """
    if find_spec("scipy") is None:
        raise FilterError(
            "near-duplicates require the library scipy, which is not installed",
            remedy="pip install 'sdg-dagster[dedup]'",
        )
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(pairs[0]), dtype=np.bool_)
    graph = coo_array((ones, pairs), shape=(count, count))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return labels


def checked_threshold(threshold: float, *, method: str) -> float:
    """A similarity above 0 and up to 1. Raises FilterError for anything else."""
    if (
        isinstance(threshold, bool)
        or not isinstance(threshold, int | float)
        or not 0 < threshold <= 1
    ):
        raise FilterError(
            f"deduplication by {method}: threshold is {threshold!r}, not a number above 0 and up to 1"
        )
    return float(threshold)
