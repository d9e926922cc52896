"""Duplicates among records: equal texts, texts that share most of their words, vectors of one direction.

Two passes: `add` takes batches of records, `decide` answers with `Duplicates`, whose `keeps` serves the second pass.
Whatever the batches and their order, the same records stay (see `clusters`). Record ids are whole numbers, each used once.
A record whose content is null is a cluster of its own and stays: nothing is known of what it equals.

| method | bytes a record until `decide` | ten million records |
|---|---|---|
| exact | 32 | 0.4 GB, three times that while it decides |
| minhash of 128 slots | 529 | 5.3 GB, and 1.5 GB while it decides |
| embedding of 256 numbers | 1040 | 10 GB; time grows with the square of the number: for up to a million |
"""

import hashlib
from array import array
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.errors import FilterError
from sdg_core.filters.clusters import (
    Duplicates,
    Ids,
    Records,
    checked_threshold,
    components,
)
from sdg_core.filters.lsh import Signatures, similar_components
from sdg_core.filters.words import (
    LETTERS_AND_DIGITS,
    Words,
    as_texts,
    mixed,
    ngrams,
    words_of,
)
from sdg_core.filters.words import VERSION as WORDS_VERSION
from sdg_core.plan.names import did_you_mean

SEED = 1
ROWS_PER_BATCH = 2048
ROWS_MORE = 1 << 16
TEXTS_PER_BATCH = 1024
"""Texts whose words are computed at one time: few enough for the processor's cache."""
SIGNATURES_PER_BATCH = 64
"""Signatures that are lists of numbers at one time."""
ROUNDING = 1e-6
Scores = Sequence[float | None] | None


def normalised(texts: pl.Series) -> pl.Series:
    """Texts as they are compared: Unicode NFKC, lower case, runs of white space as one blank, none at the ends."""
    return (
        texts.str.normalize("NFKC")
        .str.to_lowercase()
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )


class ExactDuplicates:
    """Records whose normalised texts are equal, by a 128-bit BLAKE2 digest: 32 bytes a record with id and score."""

    def __init__(self, *, keep: str = "first") -> None:
        self._records = Records(keep=keep)
        self._digests: list[NDArray[np.uint64]] = []
        self._nulls: list[NDArray[np.bool_]] = []

    def add(
        self, ids: Sequence[int] | Ids, texts: Any, *, scores: Scores = None
    ) -> None:
        """Takes a batch of records. Raises FilterError for values that are not texts."""
        series = normalised(as_texts(texts))
        self._records.add(ids, count=len(series), scores=scores)
        encoded = ((text or "").encode() for text in series)
        digests = b"".join(
            hashlib.blake2b(text, digest_size=16).digest() for text in encoded
        )
        self._digests.append(np.frombuffer(digests, dtype=np.uint64).reshape(-1, 2))
        self._nulls.append(series.is_null().to_numpy())

    def decide(self) -> Duplicates:
        """The clusters and who stays. Raises FilterError for an id that came twice."""
        order = self._records.order()
        digests = np.concatenate([*self._digests, np.zeros((0, 2), dtype=np.uint64)])[
            order
        ]
        nulls = _joined(self._nulls)[order]
        pairs = digests.view([("high", "u8"), ("low", "u8")]).ravel()
        _, labels = np.unique(pairs, return_inverse=True)
        return self._records.decide(_alone(labels, nulls=nulls), method="exact")


class MinhashDuplicates:
    """Records whose texts have a Jaccard similarity of about `threshold` or more, over n-grams of words.

    Words are compared in lower case and without punctuation, texts without letters and digits by their signs; a text of fewer
    than `ngram` words is one n-gram. Signatures are full-set R-MinHash (rensa; Dahlgaard et al. 2017, arXiv 1704.04370) of
    `width` 32-bit slots: 4 * width + 16 bytes a record; the standard error of a similarity of 0.7 is 0.04 with 128 slots.
    `signatures_of` may be given in rensa's place.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.7,
        keep: str = "first",
        ngram: int = 1,
        width: int = 128,
        signatures_of: Callable[
            [NDArray[np.uint64], NDArray[np.uint64], int], Signatures
        ]
        | None = None,
    ) -> None:
        self._threshold = checked_threshold(threshold, method="minhash")
        for name, value, most in (("ngram", ngram, 100), ("width", width, 4096)):
            if (
                isinstance(value, bool)
                or not isinstance(value, int)
                or not 1 <= value <= most
            ):
                raise FilterError(
                    f"deduplication by minhash: {name} is {value!r}, not a whole number from 1 to {most}"
                )
        self._ngram = ngram
        self._width = width
        self._signatures_of = signatures_of or rensa_signatures
        self._method = "minhash"
        if signatures_of is None:
            self._method = f"minhash (rensa {rensa_version()}, words {WORDS_VERSION})"
        self._records = Records(keep=keep)
        self._signatures: Signatures = np.empty((0, width), dtype=np.uint32)
        self._count = 0
        self._empty: list[NDArray[np.bool_]] = []

    def add(
        self, ids: Sequence[int] | Ids, texts: Any, *, scores: Scores = None
    ) -> None:
        """Takes a batch of records. Raises FilterError for values that are not texts."""
        series = as_texts(texts)
        self._records.add(ids, count=len(series), scores=scores)
        if len(self._signatures) < self._count + len(series):
            # In place: pages are handed on, not copied, so that there is never a second copy of the signatures.
            self._signatures.resize(
                (self._count + max(len(series), ROWS_MORE), self._width), refcheck=False
            )
        for start in range(0, len(series), TEXTS_PER_BATCH):
            hashes, offsets = _shingles(
                series[start : start + TEXTS_PER_BATCH], self._ngram
            )
            stop = self._count + len(offsets) - 1
            self._signatures[self._count : stop] = self._signatures_of(
                hashes, offsets, self._width
            )
            self._count = stop
            self._empty.append(np.diff(offsets) == 0)

    def decide(self) -> Duplicates:
        """The clusters and who stays; a blank text is like no other. Raises FilterError for an id given twice."""
        order = self._records.order()
        similar = similar_components(
            self._signatures[: self._count], threshold=self._threshold
        )
        labels = _alone(similar, nulls=_joined(self._empty))
        return self._records.decide(labels[order], method=self._method)


class EmbeddingDuplicates:
    """Records whose vectors have a cosine similarity of `threshold` or more: 4 bytes a number, and 16 MB for a block of products.

    Every pair is computed in blocks of 2,048 rows, a millionth is forgiven for rounding. Values are lists of numbers of one size.
    """

    def __init__(self, *, threshold: float = 0.95, keep: str = "first") -> None:
        self._threshold = checked_threshold(threshold, method="embedding")
        self._records = Records(keep=keep)
        self._vectors: list[NDArray[np.float32]] = []
        self._nulls: list[NDArray[np.bool_]] = []
        self._size: int | None = None

    def add(
        self, ids: Sequence[int] | Ids, vectors: Any, *, scores: Scores = None
    ) -> None:
        """Takes a batch of records. Raises FilterError for vectors of several sizes, without direction, or not finite."""
        units, nulls = unit_vectors(vectors, size=self._size, ids=ids)
        self._records.add(ids, count=len(nulls), scores=scores)
        if len(units):
            self._size = units.shape[1]
            self._vectors.append(units)
        self._nulls.append(nulls)

    def decide(self) -> Duplicates:
        """The clusters and who stays. Raises FilterError for an id that came twice."""
        order = self._records.order()
        nulls = _joined(self._nulls)
        has_vector = ~nulls[order]
        place_of_vector = np.cumsum(~nulls) - 1
        vectors = np.concatenate(
            [*self._vectors, np.zeros((0, self._size or 1), dtype=np.float32)]
        )
        units = vectors[place_of_vector[order][has_vector]]
        labels = np.zeros(len(order), dtype=np.int64)
        labels[has_vector] = _close_components(units, threshold=self._threshold)
        return self._records.decide(
            _alone(labels, nulls=~has_vector), method="embedding"
        )


def _joined(parts: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """The flags of all batches; none of no batch."""
    return np.concatenate([*parts, np.zeros(0, dtype=np.bool_)])


METHODS = {
    "exact": ExactDuplicates,
    "minhash": MinhashDuplicates,
    "embedding": EmbeddingDuplicates,
}


def duplicates_by(
    method: str, **parameters: Any
) -> ExactDuplicates | MinhashDuplicates | EmbeddingDuplicates:
    """What finds duplicates by a method, `exact`, `minhash` or `embedding`. Raises FilterError for any other."""
    if method not in METHODS:
        raise FilterError(
            f"unknown deduplication method {method!r}{did_you_mean(method, METHODS)}"
        )
    if method == "exact" and "threshold" in parameters:
        raise FilterError(
            "deduplication by exact: texts are equal or not, there is no threshold"
        )
    found: ExactDuplicates | MinhashDuplicates | EmbeddingDuplicates = METHODS[method](
        **parameters
    )
    return found


def rensa_signatures(
    hashes: NDArray[np.uint64], offsets: NDArray[np.uint64], width: int
) -> Signatures:
    """Signatures of the texts whose n-gram hashes stand between neighbouring offsets. Raises FilterError without rensa."""
    rensa_version()
    from rensa import RMinHash

    slots = array("I")
    for first in range(0, len(offsets) - 1, SIGNATURES_PER_BATCH):
        bounds = offsets[first : first + SIGNATURES_PER_BATCH + 1]
        part = hashes[bounds[0] : bounds[-1]]
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            part, bounds - bounds[0], width, SEED
        )
        for row in matrix.to_rows():
            # the fastest of the ways from lists of numbers to memory
            slots.fromlist(row)
    return np.frombuffer(slots, dtype=np.uint32).reshape(-1, width)


@cache
def rensa_version() -> str:
    """The release of rensa and of its algorithm, which decides what signatures look like. Raises FilterError without rensa."""
    if find_spec("rensa") is None:
        raise FilterError(
            "deduplication by minhash requires the library rensa",
            remedy="pip install 'sdg-dagster[dedup]'",
        )
    from rensa import RMinHash

    return f"{version('rensa')}, algorithm {RMinHash.ALGORITHM_VERSION}"


def unit_vectors(
    vectors: Any, *, size: int | None = None, ids: Sequence[int] | Ids | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The vectors that are not null, each of length 1, and which are null. Raises FilterError as `EmbeddingDuplicates.add`.

    size: that of vectors seen before. ids: of the records, for errors; default their places.
    """
    sizes = np.zeros(0)
    try:
        if isinstance(vectors, pl.Series):
            vectors = vectors.to_arrow()
        column = pa.array(vectors)
        nulls = np.asarray(column.is_null())
        column = column.drop_null()
        if len(column) and pa.types.is_nested(column.type):
            sizes = np.asarray(column.value_lengths())
    except (pa.ArrowException, TypeError, AttributeError) as error:
        raise FilterError(f"these values are not vectors: {error}") from error
    if len(column) and not len(sizes):
        raise FilterError(f"expected a column of vectors, got {column.type}")
    if not len(column):
        return np.zeros((0, size or 0), dtype=np.float32), nulls
    records = np.flatnonzero(~nulls) if ids is None else np.asarray(ids)[~nulls]
    usual = size if size is not None else int(sizes[0])
    unusual = np.flatnonzero(sizes != usual)
    if len(unusual):
        place = int(unusual[0])
        raise FilterError(
            f"vectors of different sizes: {usual}, and {sizes[place]} of record {records[place]}",
            remedy="use one embedding model for all records",
        )
    try:
        numbers = column.flatten().cast(pa.float64()).to_numpy(zero_copy_only=False)
        flat = numbers.reshape(len(column), usual)
    except pa.ArrowException as error:
        raise FilterError(f"expected vectors of numbers, got {column.type}") from error
    largest = np.abs(flat).max(axis=1, initial=0.0)
    for wrong, reason in (
        (~np.isfinite(largest), "contains a null or a number that is not finite"),
        (largest == 0, "is all zero"),
    ):
        if wrong.any():
            raise FilterError(
                f"the vector of record {records[wrong][0]} {reason}, so it has no direction",
                remedy="remove such records with an earlier filter, or embed their texts again",
            )
    flat = flat / largest[:, None]  # so that squares neither overflow nor vanish
    lengths = np.linalg.norm(flat, axis=1)
    return (flat / lengths[:, None]).astype(np.float32), nulls


def _close_components(
    units: NDArray[np.float32], *, threshold: float
) -> NDArray[np.int32]:
    labels = np.arange(len(units), dtype=np.int32)
    for start in range(0, len(units), ROWS_PER_BATCH):
        rows = units[start : start + ROWS_PER_BATCH]
        for other in range(start, len(units), ROWS_PER_BATCH):
            products = rows @ units[other : other + ROWS_PER_BATCH].T
            left, right = np.nonzero(products >= threshold - ROUNDING)
            pairs = (labels[left + start], labels[right + other])
            if (pairs[0] != pairs[1]).any():
                labels = components(len(labels), pairs)[labels]
    return labels


def _shingles(
    texts: pl.Series, n: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The hashes of each text's n-grams one after another, and where each text's begin, with the end of the last."""
    words = _compared_words(texts.str.to_lowercase())
    if n == 1:
        return words.hash, _offsets(words.row, len(texts))
    places, hashes = ngrams(words, n)
    rows = words.row[places]
    short = np.bincount(rows, minlength=len(texts))[words.row] == 0
    if short.any():
        # A text with too few words: one hash for all of them, in their order.
        whole, starts = np.unique(words.row[short], return_index=True)
        ends = np.append(starts[1:], short.sum())
        hashes_of_short = words.hash[short]
        sums = []
        for start, end in zip(starts, ends, strict=True):
            sums.append(_hash_of(hashes_of_short[start:end]))
        rows = np.concatenate([rows, whole])
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        hashes = np.concatenate([hashes, np.array(sums, dtype=np.uint64)])[order]
    return hashes, _offsets(rows, len(texts))


def _offsets(rows: NDArray[np.int64], count: int) -> NDArray[np.uint64]:
    """Where the values of each of `count` rows begin, with the end of the last; `rows` ascend."""
    ends = np.cumsum(np.bincount(rows, minlength=count))
    return np.concatenate([[0], ends]).astype(np.uint64)


def _compared_words(texts: pl.Series) -> Words:
    """The words of each text without their punctuation; of a text without any, such as one of emoji, all between blanks."""
    words = words_of(texts, pattern=LETTERS_AND_DIGITS)
    bare = np.flatnonzero(np.bincount(words.row, minlength=len(texts)) == 0)
    signs = words_of(texts.gather(bare))
    if not len(signs.row):
        return words
    rows = np.concatenate([words.row, bare[signs.row]])
    order = np.argsort(rows, kind="stable")
    hashes = np.concatenate([words.hash, signs.hash])
    lengths = np.concatenate([words.length, signs.length])
    return Words(rows[order], hashes[order], lengths[order])


def _hash_of(words: NDArray[np.uint64]) -> np.uint64:
    value = np.zeros(1, dtype=np.uint64)
    for word in words:
        value = mixed(value ^ word)
    return np.uint64(value[0])


def _alone(labels: NDArray[Any], *, nulls: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Labels in which each record of `nulls` has one of its own."""
    result = labels.astype(np.int64)
    result[nulls] = len(labels) + np.arange(nulls.sum())
    return result
