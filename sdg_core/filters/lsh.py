"""Near-duplicates among MinHash signatures, by locality-sensitive hashing with every candidate pair checked.

Source: Broder 1997 (MinHash); Indyk and Motwani 1998, Leskovec et al., Mining of Massive Datasets, section 3.4 (bands).
Pairs that are already connected are not compared again; that cannot change the connected components.
"""

import numpy as np
from numpy.typing import NDArray

from sdg_core.filters.clusters import components
from sdg_core.filters.words import mixed

Signatures = NDArray[np.uint32]
Labels = NDArray[np.int32]
PAIRS_AT_ONCE = 100_000
FOUND = 0.99


def bands_and_rows(threshold: float, *, width: int) -> tuple[int, int]:
    """As many rows per band as still find a pair at the threshold with a probability of 99 %: 1 - (1 - t^rows)^bands."""
    for rows in range(width, 1, -1):
        bands = width // rows
        if 1 - (1 - threshold**rows) ** bands >= FOUND:
            return bands, rows
    return width, 1


def similar_components(signatures: Signatures, *, threshold: float) -> Labels:
    """A label per signature (a row of `signatures`): the same for those connected by pairs with a share of equal slots of at
    least `threshold` that agree in a band. Memory beside the signatures: two copies of them, about 60 bytes a row and 100 MB.

    Equal signatures are looked at once. Time grows with the square of the largest number of different signatures that agree
    in a band without being similar: texts that share a long template are slow at a low threshold.
    """
    different, place = _different(signatures)
    bands, rows = bands_and_rows(threshold, width=signatures.shape[1])
    labels = np.arange(len(different), dtype=np.int32)
    for band in range(bands):
        keys = _keys(different[:, band * rows : (band + 1) * rows])
        labels = _joined_by_band(different, keys, labels, threshold=threshold)
    return labels[place]


def _different(signatures: Signatures) -> tuple[Signatures, NDArray[np.intp]]:
    """The signatures without repetition, and which of them each row is."""
    if not len(signatures):
        return signatures, np.zeros(0, dtype=np.intp)
    rows = np.ascontiguousarray(signatures).view(np.dtype((np.void, signatures.shape[1] * 4))).ravel()
    _, first, place = np.unique(rows, return_index=True, return_inverse=True)
    return signatures[first], place


def _keys(columns: Signatures) -> NDArray[np.uint64]:
    keys = np.zeros(len(columns), dtype=np.uint64)
    for column in columns.T:
        keys = mixed(keys ^ column.astype(np.uint64))
    return keys


def _joined_by_band(signatures: Signatures, keys: NDArray[np.uint64], labels: Labels, *, threshold: float) -> Labels:
    """Labels after comparing all pairs with the same key: neighbours first, then those two places apart, and so on."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    distance = 1
    places = np.flatnonzero(ordered[1:] == ordered[:-1])
    while len(places):
        left = order[places]
        right = order[places + distance]
        apart = labels[left] != labels[right]
        if apart.any():
            similar = _similar(signatures, left[apart], right[apart], threshold=threshold)
            joined = (labels[left[apart][similar]], labels[right[apart][similar]])
            if len(joined[0]):
                labels = components(len(labels), joined)[labels]
        distance += 1
        places = places[places + distance < len(ordered)]
        places = places[ordered[places] == ordered[places + distance]]
        places = places[_in_open_groups(ordered[places], labels[order[places]], labels[order[places + distance]])]
    return labels


def _in_open_groups(keys: NDArray[np.uint64], left: Labels, right: Labels) -> NDArray[np.bool_]:
    """Which of some pairs, sorted by key, are of groups whose pairs are not all of one component."""
    if not len(keys):
        return np.zeros(0, dtype=np.bool_)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    low = np.minimum.reduceat(np.minimum(left, right), starts)
    high = np.maximum.reduceat(np.maximum(left, right), starts)
    return np.repeat(low != high, np.diff(np.append(starts, len(keys))))


def _similar(
    signatures: Signatures, left: NDArray[np.intp], right: NDArray[np.intp], *, threshold: float
) -> NDArray[np.bool_]:
    needed = threshold * signatures.shape[1] - 1e-9
    parts = [np.zeros(0, dtype=np.bool_)]
    for start in range(0, len(left), PAIRS_AT_ONCE):
        stop = start + PAIRS_AT_ONCE
        equal = (signatures[left[start:stop]] == signatures[right[start:stop]]).sum(axis=1)
        parts.append(equal >= needed)
    return np.concatenate(parts)
