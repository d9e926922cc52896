"""Samplers that pick from listed values, and UUIDs."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.samplers import CategoryParams, SubcategoryParams, UuidParams
from sdg_core.generators.samplers.numbers import pick, to_int64
from sdg_core.plan.sampling.rng import Words, to_unit
from sdg_core.plan.types.arrow_values import number_series, text_series
from sdg_core.plan.types.samplers import drawn_type, listed_values

_POLARS = {pa.string(): pl.String(), pa.int64(): pl.Int64(), pa.float64(): pl.Float64()}
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_HEX_UPPER = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_SHORT = 8
_HYPHENS = (8, 13, 18, 23)


def draw_category(
    column: SamplerColumn, params: CategoryParams, words: Words
) -> pl.Series:
    """One of the values, by weight."""
    unit = to_unit(words[:, 0])
    if params.weights is None:
        places = number_series("", pick(unit, len(params.values)))
        return _listed(column, params.values).gather(places)
    weights = np.array(params.weights)
    weights /= weights.max()
    cumulative = np.cumsum(weights)
    codes = np.searchsorted(cumulative, unit * cumulative[-1], side="right")
    last_positive = int(np.flatnonzero(weights)[-1])
    places = number_series("", np.minimum(codes, last_positive))
    return _listed(column, params.values).gather(places)


def draw_subcategory(
    column: SamplerColumn, params: SubcategoryParams, words: Words, *, parent: pl.Series
) -> tuple[pl.Series, dict[int, str]]:
    """A value of the parent's list; null, with the reason by position, where the parent has none.

    All lists lie end to end in one table; a parent's code gives where its list starts and how long it is.
    """
    table = _listed(column, listed_values(params))
    lengths = [len(values) for values in params.values.values()]
    counts = np.array(lengths, np.int64)
    starts = np.cumsum(counts) - counts
    codes = _parent_codes(params, parent)
    known = codes.fill_null(0).to_numpy()
    picked = pick(to_unit(words[:, 0]), counts[known])
    rows = number_series("", starts[known] + picked)
    if not codes.null_count():
        return table.gather(rows), {}
    failed = {}
    for position in codes.is_null().arg_true().to_list():
        failed[position] = (
            f"{params.category} is {parent[position]!r}, for which {column.name!r} lists no values"
        )
    known_rows = pl.select(pl.when(codes.is_not_null()).then(rows)).to_series()
    return table.gather(known_rows), failed


def draw_uuid(column: SamplerColumn, params: UuidParams, words: Words) -> pl.Series:
    """128 bits of the first two words, big-endian, with RFC 4122's version and variant, as text."""
    return text_series(column.name, _uuid_bytes(params, words))


def _listed(column: SamplerColumn, values: Sequence[str | int | float]) -> pl.Series:
    """Values of the config as a series of the column's type; whole numbers among real ones become real."""
    drawn = drawn_type(column)
    if column.convert_to == "int" and drawn != pa.int64():
        numbers = np.array(list(map(float, values)))
        return number_series(column.name, to_int64(numbers))
    if column.convert_to == "float" or drawn == pa.float64():
        return pl.Series(column.name, list(map(float, values)), dtype=pl.Float64)
    return pl.Series(column.name, values, dtype=_POLARS[drawn])


def _parent_codes(params: SubcategoryParams, parent: pl.Series) -> pl.Series:
    """The place of each parent value among the lists, null where it has none. Values match by their text, as in the config."""
    places = {key: place for place, key in enumerate(params.values)}
    distinct = parent.unique().drop_nulls()
    found = [
        places.get(str(value), places.get(_whole(value)))
        for value in distinct.to_list()
    ]
    codes = pl.Series(found, dtype=pl.Int64)
    return parent.replace_strict(distinct, codes, default=None, return_dtype=pl.Int64)


def _whole(value: object) -> str:
    """The text of a number that the config wrote as whole and its column holds as real: 1 for 1.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _uuid_bytes(params: UuidParams, words: Words) -> NDArray[np.uint8]:
    """One row of ASCII per record: 128 bits of the first two words, big-endian, with RFC 4122's version and variant."""
    bits = np.empty((len(words), 2), ">u8")
    bits[:, 0] = (words[:, 0] & np.uint64(0xFFFF_FFFF_FFFF_0FFF)) | np.uint64(0x4000)
    bits[:, 1] = (words[:, 1] >> np.uint64(2)) | np.uint64(1 << 63)
    digits = _HEX_UPPER if params.uppercase else _HEX
    both_digits = np.stack([np.repeat(digits, 16), np.tile(digits, 16)], axis=1)
    pairs = both_digits.view(np.uint16).ravel()
    hexadecimal = pairs[bits.view(np.uint8)].view(np.uint8)
    prefix = np.frombuffer((params.prefix or "").encode(), np.uint8)
    width = _SHORT if params.short_form else 36
    text = np.empty((len(words), len(prefix) + width), np.uint8)
    text[:, : len(prefix)] = prefix
    body = text[:, len(prefix) :]
    taken = 0
    starts = [0, *(hyphen + 1 for hyphen in _HYPHENS)]
    stops = [*_HYPHENS, 36]
    for start, stop in zip(starts, stops, strict=True):
        if start < width:
            body[:, start:stop] = hexadecimal[:, taken : taken + stop - start]
            taken += stop - start
    if params.short_form:
        return text
    if not params.hyphens:
        hyphens = [len(prefix) + hyphen for hyphen in _HYPHENS]
        return np.delete(text, hyphens, axis=1)
    body[:, list(_HYPHENS)] = ord("-")
    return text
