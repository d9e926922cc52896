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
    least `threshold` that agree in a band. Memory beside the signatures: about 50 bytes a row and 100 MB."""
    bands, rows = bands_and_rows(threshold, width=signatures.shape[1])
    labels = np.arange(len(signatures), dtype=np.int32)
    for band in range(bands):
        keys = np.zeros(len(signatures), dtype=np.uint64)
        for column in range(band * rows, (band + 1) * rows):
            keys = mixed(keys ^ signatures[:, column].astype(np.uint64))
        labels = _joined_by_band(signatures, keys, labels, threshold=threshold)
    return labels


def _joined_by_band(signatures: Signatures, keys: NDArray[np.uint64], labels: Labels, *, threshold: float) -> Labels:
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
    return labels


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
