"""Near-duplicates among MinHash signatures, by locality-sensitive hashing with every candidate pair checked.

Source: Broder 1997 (MinHash); Indyk and Motwani 1998, Leskovec et al., Mining of Massive Datasets, section 3.4 (bands).
Pairs that are already connected are not compared again; that cannot change the connected components.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdg_core.filters.clusters import components
from sdg_core.filters.words import mixed

Signatures = NDArray[np.uint32]
Labels = NDArray[np.int32]
Places = NDArray[np.intp]
PAIRS_PER_BATCH = 100_000
ROWS_PER_BATCH = 4_096
BANDS_PER_BATCH = 4
"""Bands whose keys are made together, because they lie together in memory; 8 bytes a row each."""
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
    least `threshold` that agree in a band. Memory beside the signatures: about 80 bytes a row and 100 MB.

    Equal signatures are looked at once. Time grows with the square of the largest number of different signatures that agree
    in a band without being similar: texts that share a long template are slow at a low threshold.
    """
    chosen, place = _different(signatures)
    bands, rows = bands_and_rows(threshold, width=signatures.shape[1])
    labels = np.arange(len(chosen), dtype=np.int32)
    for first in range(0, bands, BANDS_PER_BATCH):
        several = min(BANDS_PER_BATCH, bands - first)
        columns = slice(first * rows, (first + several) * rows)
        for keys in _keys(signatures, columns, chosen, bands=several):
            labels = _joined_by_band(
                signatures, chosen, keys, labels, threshold=threshold
            )
    return labels[place]


def _different(signatures: Signatures) -> tuple[Places, Places]:
    """Where the different signatures are, and for each row which of them it is equal to."""
    (keys,) = _keys(signatures, slice(None), None, bands=1)
    _, chosen, place = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(chosen)  # rows are looked at in their order in memory
    chosen = chosen[order]
    place = np.argsort(order)[place]
    others = np.flatnonzero(chosen[place] != np.arange(len(place)))
    equal = [np.zeros(0, dtype=np.bool_)]
    for start in range(0, len(others), PAIRS_PER_BATCH):
        some = others[start : start + PAIRS_PER_BATCH]
        equal.append((signatures[some] == signatures[chosen[place[some]]]).all(axis=1))
    # of equal key all the same: looked at by themselves
    unlike = others[~np.concatenate(equal)]
    place[unlike] = len(chosen) + np.arange(len(unlike))
    return np.concatenate([chosen, unlike]), place


def _keys(
    signatures: Signatures, columns: slice, chosen: Places | None, *, bands: int
) -> NDArray[np.uint64]:
    """For each of so many bands, which share some columns, a key of each row, or of each chosen row: a sum with random odd
    weights modulo 2^64."""
    count = len(signatures) if chosen is None else len(chosen)
    keys = np.empty((bands, count), dtype=np.uint64)
    places = range(*columns.indices(signatures.shape[1]))
    # Two slots are read as one number, where a band can be cut so.
    together = 2 if len(places) // bands % 2 == 0 else 1
    kind = np.uint64 if together == 2 else np.uint32
    numbered = np.arange(
        places.start, places.start + len(places) // together, dtype=np.uint64
    )
    weights: NDArray[Any] = (mixed(numbered) | np.uint64(1)).reshape(bands, -1)
    for start in range(0, count, ROWS_PER_BATCH):
        some = slice(start, start + ROWS_PER_BATCH)
        part = (
            signatures[some, columns]
            if chosen is None
            else signatures[chosen[some], columns]
        )
        numbers: NDArray[Any] = part.view(kind).reshape(len(part), bands, -1)
        keys[:, some] = np.einsum("rbs,bs->br", numbers, weights)
    return keys


def _joined_by_band(
    signatures: Signatures,
    chosen: Places,
    keys: NDArray[np.uint64],
    labels: Labels,
    *,
    threshold: float,
) -> Labels:
    """Labels after comparing all pairs with the same key: neighbours first, then those two places apart, and so on."""
    order, ordered = _sorted(keys)
    distance = 1
    places = np.flatnonzero(ordered[1:] == ordered[:-1])
    while len(places):
        left = order[places]
        right = order[places + distance]
        apart = labels[left] != labels[right]
        if apart.any():
            similar = _similar(
                signatures,
                chosen[left[apart]],
                chosen[right[apart]],
                threshold=threshold,
            )
            joined = (labels[left[apart][similar]], labels[right[apart][similar]])
            if len(joined[0]):
                labels = _merged(labels, joined)
        distance += 1
        places = places[places + distance < len(ordered)]
        places = places[ordered[places] == ordered[places + distance]]
        places = places[
            _in_open_groups(
                ordered[places], labels[order[places]], labels[order[places + distance]]
            )
        ]
    return labels


def _sorted(keys: NDArray[np.uint64]) -> tuple[Places, NDArray[np.uint64]]:
    """Where the keys are in ascending order, and the keys in that order, as far as their first bits go.

    A key gives its last bits up for its place, because sorting numbers is far faster than sorting places by numbers. Keys that
    seem equal by that are compared as if they were.
    """
    bits = np.uint64(max(len(keys) - 1, 1).bit_length())
    packed = (keys >> bits << bits) | np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    ordered = packed >> bits
    return (packed ^ (ordered << bits)).astype(np.intp), ordered


def _merged(labels: Labels, joined: tuple[Labels, Labels]) -> Labels:
    """Labels after joining some of them; a component has the smallest of its labels."""
    nodes, ends = np.unique(np.concatenate(joined), return_inverse=True)
    found = components(len(nodes), (ends[: len(joined[0])], ends[len(joined[0]) :]))
    _, first = np.unique(found, return_index=True)
    names = np.arange(len(labels), dtype=np.int32)
    names[nodes] = nodes[first[found]]
    return names[labels]


def _in_open_groups(
    keys: NDArray[np.uint64], left: Labels, right: Labels
) -> NDArray[np.bool_]:
    """Which of some pairs, sorted by key, are of groups whose pairs are not all of one component."""
    if not len(keys):
        return np.zeros(0, dtype=np.bool_)
    is_first = np.concatenate([[True], keys[1:] != keys[:-1]])
    starts = np.flatnonzero(is_first)
    sizes = np.diff(np.append(starts, len(keys)))
    low = np.minimum.reduceat(np.minimum(left, right), starts)
    high = np.maximum.reduceat(np.maximum(left, right), starts)
    return np.repeat(low != high, sizes)


def _similar(
    signatures: Signatures, left: Places, right: Places, *, threshold: float
) -> NDArray[np.bool_]:
    needed = threshold * signatures.shape[1] - 1e-9
    parts = [np.zeros(0, dtype=np.bool_)]
    for start in range(0, len(left), PAIRS_PER_BATCH):
        stop = start + PAIRS_PER_BATCH
        equal = (signatures[left[start:stop]] == signatures[right[start:stop]]).sum(
            axis=1
        )
        parts.append(equal >= needed)
    return np.concatenate(parts)
