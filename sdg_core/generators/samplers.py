"""Sampler columns, computed for many records at once.

A value is a pure function of (seed, column name, record index, parent value): which records are asked for together, in what
order or by which process, changes nothing. Every kind turns the record's own random words into its value by inverse CDF, so a
record never consumes words of another one. No row is touched by Python code; work per *distinct* value is allowed.

The series has the type that `sdg_core.plan.compile.column_type` announces, and the column's name.
"""

import math
import re
from collections.abc import Sequence
from typing import assert_never

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.samplers import (
    CategoryParams,
    DatetimeParams,
    GaussianParams,
    SubcategoryParams,
    UniformParams,
    UuidParams,
)
from sdg_core.errors import PlanError
from sdg_core.generators.base import Frame
from sdg_core.plan.compile import column_type
from sdg_core.plan.rng import RandomSource, Words, to_open_unit, to_unit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_POLARS = {pa.string(): pl.String(), pa.int64(): pl.Int64(), pa.float64(): pl.Float64()}
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_HEX_UPPER = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_SHORT = 8
_HYPHENS = (8, 13, 18, 23)
_UNIT_SECONDS = {"D": 86_400, "h": 3_600, "m": 60, "s": 1}
_UNIT_MONTHS = {"Y": 12, "M": 1}
_ISO = "%Y-%m-%dT%H:%M:%S"
_NAIVE_DIRECTIVES = {"%%": "%%", "%f": "000000", "%z": "", "%Z": ""}


def sample(column: SamplerColumn, *, indices: NDArray[np.int64], frame: Frame, random: RandomSource) -> pl.Series:
    """The values of the records `indices`; `frame` holds the parent column of a subcategory, row by row.

    Null only where a subcategory's parent value has no list (`unmatched_parents` gives the reasons).
    """
    words = random.words(column.name, indices)
    match column.params:
        case CategoryParams() as params:
            return _listed(column, params.values).gather(_category_codes(params, to_unit(words[:, 0])))
        case SubcategoryParams() as params:
            return _subcategory(column, params, unit=to_unit(words[:, 0]), parent=frame[params.category])
        case UniformParams() as params:
            return _number(column, _uniform(params, to_unit(words[:, 0])), decimal_places=params.decimal_places)
        case GaussianParams() as params:
            return _number(column, _gaussian(params, words[:, 0]), decimal_places=params.decimal_places)
        case UuidParams() as params:
            return _text_series(column.name, _uuid_bytes(params, words))
        case DatetimeParams() as params:
            return _datetime(column, params, to_unit(words[:, 0]))
        case _:
            assert_never(column.params)


def unmatched_parents(column: SamplerColumn, *, frame: Frame) -> dict[int, str]:
    """Positions whose parent value a subcategory has no list for, with the reason; empty for every other sampler."""
    if not isinstance(column.params, SubcategoryParams):
        return {}
    parent = frame[column.params.category]
    codes = _parent_codes(column.params, parent)
    return {
        position: f"{column.params.category} is {parent[position]!r}, for which {column.name!r} lists no values"
        for position in codes.is_null().arg_true().to_list()
    }


def _listed(column: SamplerColumn, values: Sequence[str | int | float]) -> pl.Series:
    """Values of the config as a series of the column's type; whole numbers among real ones become real."""
    dtype = _POLARS[column_type(column)]
    return pl.Series(column.name, [float(value) for value in values] if dtype == pl.Float64 else values, dtype=dtype)


def _pick(unit: Floats, count: int | Ints) -> Ints:
    """Uniform whole numbers in `[0, count)`; the bound guards a product that rounds up to `count`."""
    picked: Ints = np.minimum((unit * count).astype(np.int64), count - 1)
    return picked


def _category_codes(params: CategoryParams, unit: Floats) -> Ints:
    if params.weights is None:
        return _pick(unit, len(params.values))
    weights = np.array(params.weights)
    weights /= weights.max()
    cumulative = np.cumsum(weights)
    codes = np.searchsorted(cumulative, unit * cumulative[-1], side="right")
    last_positive = int(np.flatnonzero(weights)[-1])
    bounded: Ints = np.minimum(codes, last_positive)
    return bounded


def _subcategory(column: SamplerColumn, params: SubcategoryParams, *, unit: Floats, parent: pl.Series) -> pl.Series:
    """All lists end to end in one table; a parent's code gives where its list starts and how long it is."""
    lists = list(params.values.values())
    table = _listed(column, [value for values in lists for value in values])
    counts = np.array([len(values) for values in lists], np.int64)
    codes = _parent_codes(params, parent)
    known = codes.fill_null(0).to_numpy()
    rows = pl.Series((np.cumsum(counts) - counts)[known] + _pick(unit, counts[known]), dtype=pl.Int64)
    if codes.null_count():
        rows = pl.select(pl.when(codes.is_not_null()).then(rows)).to_series()
    return table.gather(rows)


def _parent_codes(params: SubcategoryParams, parent: pl.Series) -> pl.Series:
    """The place of each parent value among the lists, null where it has none. Values match by their text, as in the config."""
    places = {key: place for place, key in enumerate(params.values)}
    distinct = parent.unique().drop_nulls()
    codes = [places.get(str(value), places.get(_whole(value))) for value in distinct.to_list()]
    return parent.replace_strict(distinct, pl.Series(codes, dtype=pl.Int64), default=None, return_dtype=pl.Int64)


def _whole(value: object) -> str:
    """The text of a number that the config wrote as whole and its column holds as real: 1 for 1.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _uniform(params: UniformParams, unit: Floats) -> Floats:
    low, high = float(params.low), float(params.high)
    width = high - low
    values = low + unit * width if math.isfinite(width) else low * (1 - unit) + high * unit
    return np.minimum(values, np.nextafter(high, low))


def _gaussian(params: GaussianParams, words: Words) -> Floats:
    from scipy.special import ndtri  # 0.3 s to import; only those who draw from a normal distribution pay

    standard: Floats = ndtri(to_open_unit(words))
    return params.mean + params.stddev * standard


def _number(column: SamplerColumn, values: Floats, *, decimal_places: int | None) -> pl.Series:
    """Round, then convert; a number too large to be scaled for rounding has no decimals and stays as it is."""
    if decimal_places is not None:
        with np.errstate(over="ignore"):
            rounded = np.round(values, decimal_places)
        values = np.where(np.isfinite(rounded), rounded, values)
    if column.convert_to == "int":
        values = np.clip(np.rint(values), -(2.0**63), np.nextafter(2.0**63, 0))
        return pl.Series(column.name, values.astype(np.int64))
    series = pl.Series(column.name, values)
    return series.cast(pl.String) if column.convert_to == "str" else series


def _uuid_bytes(params: UuidParams, words: Words) -> NDArray[np.uint8]:
    """One row of ASCII per record: 128 bits of the first two words, big-endian, with RFC 4122's version and variant."""
    bits = np.empty((len(words), 2), ">u8")
    bits[:, 0] = (words[:, 0] & np.uint64(0xFFFF_FFFF_FFFF_0FFF)) | np.uint64(0x4000)
    bits[:, 1] = (words[:, 1] >> np.uint64(2)) | np.uint64(1 << 63)
    digits = _HEX_UPPER if params.uppercase else _HEX
    pairs = np.stack([np.repeat(digits, 16), np.tile(digits, 16)], axis=1).view(np.uint16).ravel()
    hexadecimal = pairs[bits.view(np.uint8)].view(np.uint8)
    prefix = np.frombuffer((params.prefix or "").encode(), np.uint8)
    width = _SHORT if params.short_form else 36
    text = np.empty((len(words), len(prefix) + width), np.uint8)
    text[:, : len(prefix)] = prefix
    body = text[:, len(prefix) :]
    taken = 0
    for start, stop in zip((0, *(place + 1 for place in _HYPHENS)), (*_HYPHENS, 36), strict=True):
        if start < width:
            body[:, start:stop] = hexadecimal[:, taken : taken + stop - start]
            taken += stop - start
    if not params.short_form:
        body[:, list(_HYPHENS)] = ord("-")
    return text


def _text_series(name: str, text: NDArray[np.uint8]) -> pl.Series:
    """Rows of UTF-8 bytes, all of one width, as a series of text without a Python string per row."""
    count, width = text.shape
    offsets = np.arange(count + 1, dtype=np.int64) * width
    array = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))
    return pl.Series(name, array, dtype=pl.String)


def _datetime(column: SamplerColumn, params: DatetimeParams, unit: Floats) -> pl.Series:
    """Times are formatted once per distinct value where there are fewer of those than records."""
    count = _steps_between(params)
    steps = _pick(unit, count)
    form = _strftime_format(column)
    if count > len(steps):
        return _format_times(column, _times(params, steps), form=form)
    return _format_times(column, _times(params, np.arange(count)), form=form).gather(steps)


def _seconds(text: str) -> np.datetime64:
    return np.datetime64(text, "s")


def _times(params: DatetimeParams, steps: Ints) -> NDArray[np.datetime64]:
    """`start` plus whole steps. Months and years keep the day of the month, or take the last day of a shorter month."""
    start = _seconds(params.start)
    if params.unit in _UNIT_SECONDS:
        return np.asarray(start + (steps * _UNIT_SECONDS[params.unit]).astype("m8[s]"))
    first = start.astype("M8[M]")
    months = first + (steps * _UNIT_MONTHS[params.unit]).astype("m8[M]")
    into_month = start - first.astype("M8[s]")
    day = into_month.astype("m8[D]")
    last_day = (months + 1).astype("M8[D]") - months.astype("M8[D]") - 1
    return np.asarray(months.astype("M8[s]") + np.minimum(day, last_day) + (into_month - day))


def _steps_between(params: DatetimeParams) -> int:
    """How many whole steps from `start` lie before `end`; at least one, because the config has checked start < end."""
    start, end = _seconds(params.start), _seconds(params.end)
    if params.unit in _UNIT_SECONDS:
        return max(1, -(int((start - end).astype(np.int64)) // _UNIT_SECONDS[params.unit]))
    months = int((end.astype("M8[M]") - start.astype("M8[M]")).astype(np.int64))
    whole = months // _UNIT_MONTHS[params.unit]
    return max(1, whole + int(_times(params, np.array([whole]))[0] < end))


def _strftime_format(column: SamplerColumn) -> str:
    """The format with Python's meaning of the directives that the formatter treats otherwise (no fraction, no zone here)."""
    return re.sub("%[%fzZ]", lambda found: _NAIVE_DIRECTIVES[found[0]], column.convert_to or _ISO)


def _format_times(column: SamplerColumn, times: NDArray[np.datetime64], *, form: str) -> pl.Series:
    try:
        return pl.Series(column.name, times.astype("M8[ms]")).dt.strftime(form)
    except pl.exceptions.PolarsError as error:
        raise PlanError(
            f"column {column.name!r}: convert_to {column.convert_to!r} is not a date format",
            remedy="use strftime directives, as in %Y-%m-%d %H:%M",
        ) from error
