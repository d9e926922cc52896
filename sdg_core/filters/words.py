"""Words and word n-grams of many texts at once, as flat arrays: what rules, deduplication and decontamination share.

Invariant: the words of a text stand together and in order, so that an n-gram is n neighbouring entries with the same row.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.errors import FilterError

VERSION = 1
"""Of words, their hashes and n-grams; changes with whatever makes other n-grams of the same text."""
RUNS = r"\S+"
"""A word is a run of characters that are not white space (Unicode's White_Space): the definition of Gopher and C4."""
LETTERS_AND_DIGITS = r"[\p{L}\p{M}\p{N}]+"
"""A word without its punctuation, for comparing texts."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Words:
    """The words of texts: of which text each is (`row`), its 64-bit hash, and how many characters it has."""

    row: NDArray[np.int64]
    hash: NDArray[np.uint64]
    length: NDArray[np.int64]


def as_texts(texts: object) -> pl.Series:
    """A column of texts as a polars Series. Raises FilterError if it holds anything but texts and nulls."""
    try:
        series = texts if isinstance(texts, pl.Series) else pl.Series(values=texts, strict=True)  # type: ignore[arg-type]
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise FilterError(f"these values are not a column of texts: {error}") from error
    if series.dtype == pl.Null:
        return series.cast(pl.String)
    if series.dtype != pl.String:
        raise FilterError(f"a column of texts is needed, not of {series.dtype}", remedy="name a column that holds text")
    return series


def words_of(texts: pl.Series, *, pattern: str = RUNS) -> Words:
    """The words of each text, as matches of `pattern`; a null has none. About 100 bytes a word while it is computed."""
    frame = pl.DataFrame({"text": texts}).with_row_index("row")
    found = frame.select("row", pl.col("text").str.extract_all(pattern).alias("word")).explode("word").drop_nulls()
    return Words(
        row=found["row"].cast(pl.Int64).to_numpy(),
        hash=_hashes(found["word"]),
        length=found["word"].str.len_chars().cast(pl.Int64).to_numpy(),
    )


def _hashes(words: pl.Series) -> NDArray[np.uint64]:
    """A 64-bit hash of each word, the same in every release and on every machine.

    A polynomial over its bytes, each mapped to 64 random bits (Karp and Rabin 1987; Cohen 1997 for the table), modulo 2^64:
    the difference of two prefix sums, divided by the power at which the word begins.
    """
    column = words.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    _, offsets, content = column.buffers()
    if content is None or not len(column):
        return np.zeros(len(column), dtype=np.uint64)
    bounds = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
    text = np.frombuffer(content, dtype=np.uint8)
    hashes = np.zeros(len(column), dtype=np.uint64)
    for start in range(0, len(column), _WORDS_AT_ONCE):
        block = bounds[start : start + _WORDS_AT_ONCE + 1]
        hashes[start : start + _WORDS_AT_ONCE] = _hashes_between(block - block[0], text[block[0] : block[-1]])
    return mixed(hashes)


def _hashes_between(bounds: NDArray[np.int64], text: NDArray[np.uint8]) -> NDArray[np.uint64]:
    size = 1 << len(text).bit_length()
    prefix = np.zeros(len(text) + 1, dtype=np.uint64)
    np.cumsum(_BYTES[text] * _powers(_BASE, size)[: len(text)], out=prefix[1:])
    hashes: NDArray[np.uint64] = (prefix[bounds[1:]] - prefix[bounds[:-1]]) * _powers(_INVERSE, size)[bounds[:-1]]
    return hashes


@lru_cache(maxsize=4)
def _powers(base: int, count: int) -> NDArray[np.uint64]:
    """base^0, base^1, ... modulo 2^64."""
    powers = np.full(count, base, dtype=np.uint64)
    powers[:1] = 1
    result: NDArray[np.uint64] = np.cumprod(powers, dtype=np.uint64)
    return result


def ngrams(words: Words, n: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """The place of each n-gram's first word among `words`, and its hash. Hashes are of 64 bits: two different n-grams
    among a billion are taken for one with a probability of about 3 %, two given ones of 5e-20."""
    count = max(len(words.row) - n + 1, 0)
    places = np.flatnonzero(words.row[:count] == words.row[n - 1 : n - 1 + count])
    hashes = np.zeros(len(places), dtype=np.uint64)
    for step in range(n):
        hashes = mixed(hashes ^ words.hash[places + step])
    return places, hashes


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser (Steele et al., 2014): every bit of a value reaches every bit of the result."""
    values = values + _MIX
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_BASE = 0xD1342543DE82EF95
_INVERSE = pow(_BASE, -1, 2**64)
_WORDS_AT_ONCE = 16_384
_BYTES = mixed(np.arange(256, dtype=np.uint64))
