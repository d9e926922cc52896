"""Words and word n-grams of many texts at once, as flat arrays: what rules, deduplication and decontamination share.

Invariant: the words of a text stand together and in order, so that an n-gram is n neighbouring entries with the same row.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.errors import FilterError

VERSION = 2
"""Of words, their hashes and n-grams; changes with whatever makes other n-grams of the same text."""
RUNS = r"\S+"
"""A word is a run of characters that are not white space (Unicode's White_Space): the definition of Gopher and C4."""
LETTERS_AND_DIGITS = r"[[\p{Han}\p{Hiragana}]&&[\p{L}\p{M}\p{N}]]|[[\p{L}\p{M}\p{N}]--[\p{Han}\p{Hiragana}]]+"
"""A word without its punctuation, for comparing texts. Chinese and Japanese put no spaces between words: there each ideograph and
each hiragana is a word of its own, as in Unicode's UAX #29."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FIRST_OF_SEVERAL = 0xC0
"""The smallest byte that begins a character of several bytes in UTF-8."""
LONG = 64
_NO = 0
_YES = 1
_UNKNOWN = 2
_ALONE = 3
"""A character that is a word of its own."""


@dataclass(frozen=True)
class Words:
    """The words of texts: of which text each is (`row`), its 64-bit hash, and how many characters it has."""

    row: NDArray[np.int64]
    hash: NDArray[np.uint64]
    length: NDArray[np.int64]


def as_texts(texts: Any) -> pl.Series:
    """A column of texts as a polars Series. Raises FilterError if it holds anything but texts and nulls."""
    try:
        is_series = isinstance(texts, pl.Series)
        series = texts if is_series else pl.Series(values=texts, strict=True)
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise FilterError(f"these values are not a column of texts: {error}") from error
    if series.dtype == pl.Null:
        return series.cast(pl.String)
    if series.dtype != pl.String:
        raise FilterError(
            f"expected a column of texts, got {series.dtype}",
            remedy="name a column of text",
        )
    return series


def words_of(texts: pl.Series, *, pattern: str = RUNS) -> Words:
    """The words of each text: runs of characters that match `pattern`, RUNS or LETTERS_AND_DIGITS. A null has none.

    Memory: 24 bytes a word, and a megabyte, or 20 times the longest text, while it is computed.
    """
    separated = (texts.fill_null("") + _BETWEEN).rechunk()
    column = separated.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(
        pa.large_string()
    )
    _, offsets, content = column.buffers()
    if content is None or not len(column):
        return Words(
            np.zeros(0, dtype=np.int64),
            np.zeros(0, dtype=np.uint64),
            np.zeros(0, dtype=np.int64),
        )
    bounds = np.frombuffer(offsets, dtype=np.int64)[
        column.offset : column.offset + len(column) + 1
    ]
    text = np.frombuffer(content, dtype=np.uint8)
    blocks = np.searchsorted(
        bounds, np.arange(bounds[0], bounds[-1] + 1, _BYTES_PER_BATCH)
    )
    edges = np.unique([0, *blocks.tolist(), len(column)])
    parts = []
    for first, last in pairwise(edges.tolist()):
        within = bounds[first : last + 1]
        parts.append(_words_between(within, text, first=first, pattern=pattern))
    return Words(*(np.concatenate(found) for found in zip(*parts, strict=True)))


def _words_between(
    bounds: NDArray[np.int64], text: NDArray[np.uint8], *, first: int, pattern: str
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
    """Rows, hashes and lengths of the words of some texts, which stand between neighbouring bounds and end with what is in no
    word. first: the row of the first text."""
    block = text[bounds[0] : bounds[-1]]
    edges = bounds - bounds[0]
    inside, alone, after = _inside_words(block, pattern)
    changes = np.flatnonzero(np.diff(inside, prepend=False))
    starts = changes[0::2]
    stops = changes[1::2]
    if len(alone):
        starts = np.union1d(starts, np.concatenate([alone, after[inside[after]]]))
        stops = np.union1d(
            stops, np.concatenate([after, alone[inside[alone - 1] & (alone > 0)]])
        )
    counts = np.diff(np.searchsorted(starts, edges))
    lengths = stops - starts
    if block.max(initial=0) >= _FIRST_OF_SEVERAL:
        characters = np.cumsum(_is_first_byte(block), dtype=np.int64)
        lengths = characters[stops - 1] - characters[starts] + 1
    return (
        np.repeat(np.arange(first, first + len(counts)), counts),
        _hashes(block, starts, stops),
        lengths,
    )


def _inside_words(
    block: NDArray[np.uint8], pattern: str
) -> tuple[NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
    """Whether each byte of UTF-8 text belongs to a character of a word; where characters that are words of their own begin, and
    where what follows them does."""
    classes = _classes(pattern)
    # faster than an index
    inside: NDArray[np.bool_] = np.take(classes[:256] == _YES, block)
    nowhere = np.zeros(0, dtype=np.intp)
    if block.max(initial=0) < _FIRST_OF_SEVERAL:
        return inside, nowhere, nowhere
    first = np.flatnonzero(block >= _FIRST_OF_SEVERAL)
    width = 2 + (block[first] >= 0xE0).astype(np.int64) + (block[first] >= 0xF0)
    code = block[first] & (0x7F >> width)
    for step in (1, 2, 3):
        longer = width > step
        code[longer] = code[longer] << 6 | block[first[longer] + step] & 0x3F
    found = classes[code]
    if (found == _UNKNOWN).any():
        new = np.unique(code[found == _UNKNOWN])
        classes[new] = _classified(new, pattern)
        found = classes[code]
    for step in range(4):
        longer = width > step
        inside[first[longer] + step] = (found[longer] == _YES) | (
            found[longer] == _ALONE
        )
    alone = np.flatnonzero(found == _ALONE)
    return inside, first[alone], first[alone] + width[alone]


@lru_cache(maxsize=2)
def _classes(pattern: str) -> NDArray[np.uint8]:
    """For each code point whether it belongs to a word; those beyond ASCII are looked up when they are met."""
    classes = np.full(0x110000, _UNKNOWN, dtype=np.uint8)
    classes[:128] = _classified(np.arange(128), pattern)
    return classes


def _classified(codes: NDArray[Any], pattern: str) -> NDArray[np.uint8]:
    """What each code point is to a pattern: of two that are alone, two words are made."""
    characters = pl.Series([chr(code) for code in codes.tolist()], dtype=pl.String)
    whole = rf"\A(?:{pattern})\z"
    inside = characters.str.contains(whole).to_numpy()
    joins = (characters + characters).str.contains(whole).to_numpy()
    kinds = np.where(joins, _YES, _ALONE)
    return np.where(inside, kinds, _NO).astype(np.uint8)


def _is_first_byte(block: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each byte is the first of its character."""
    first: NDArray[np.bool_] = (block & 0xC0) != 0x80
    return first


def _hashes(
    block: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """A 64-bit hash of each word, the same in every release and on every machine.

    SplitMix64's finaliser over each eight bytes (the last ones filled up by zeros), which start from the number of bytes; BLAKE2
    of words of more than LONG bytes, which would take numpy too many steps.
    """
    padded = np.concatenate([block, np.zeros(8, dtype=np.uint8)])
    eights = np.ndarray(len(block) + 1, dtype="<u8", buffer=padded, strides=(1,))
    size = stops - starts
    hashes = size.astype(np.uint64) * _MIX
    some: slice | NDArray[np.intp] = slice(None)
    for place in range(0, min(int(size.max(initial=0)), LONG), 8):
        if place:
            some = np.flatnonzero(size > place)
        left = np.minimum(size[some] - place, 8)
        hashes[some] = mixed(
            hashes[some] ^ (eights[starts[some] + place] & _FIRST_BYTES[left])
        )
    for word in np.flatnonzero(size > LONG).tolist():
        digest = hashlib.blake2b(
            block[starts[word] : stops[word]].tobytes(), digest_size=8
        ).digest()
        hashes[word] = int.from_bytes(digest, "little")
    return hashes


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
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


_BYTES_PER_BATCH = 1 << 18
_BETWEEN = "\n"
"""Ends each text in the block: in no word of any pattern."""
_FIRST_BYTES = np.array([2 ** (8 * count) - 1 for count in range(9)], dtype=np.uint64)
"""Masks of so many bytes of eight, the first of which is the lowest."""
