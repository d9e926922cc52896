"""Single-precision numbers as Python's: 0.1 of 32 bits is 0.1, not 0.10000000149011612.

The digits are the shortest that give the same number of 32 bits, as numpy, pandas and DuckDB show it; nothing is lost, since
these digits read back as the number.
"""

from typing import Any

import polars as pl


def python_values(series: pl.Series) -> list[Any]:
    """The values of a column for templates, functions and JSON; those in lists and structs, too."""
    if not _is_single(series.dtype):
        return series.to_list()
    return series.cast(_replaced(series.dtype, pl.String())).cast(_replaced(series.dtype, pl.Float64())).to_list()


def _is_single(dtype: pl.DataType) -> bool:
    match dtype:
        case pl.Float32():
            return True
        case pl.List() | pl.Array():
            return _is_single(_inner(dtype))
        case pl.Struct():
            return any(_is_single(_data_type(field.dtype)) for field in dtype.fields)
        case _:
            return False


def _replaced(dtype: pl.DataType, new: pl.DataType) -> pl.DataType:
    """The type with another one in place of single precision."""
    match dtype:
        case pl.Float32():
            return new
        case pl.List():
            return pl.List(_replaced(_inner(dtype), new))
        case pl.Array():
            return pl.Array(_replaced(_inner(dtype), new), dtype.size)
        case pl.Struct():
            return pl.Struct({field.name: _replaced(_data_type(field.dtype), new) for field in dtype.fields})
        case _:
            return dtype


def _inner(dtype: pl.List | pl.Array) -> pl.DataType:
    return _data_type(dtype.inner)


def _data_type(dtype: Any) -> pl.DataType:
    """An instance, also where polars holds the class of a type without parameters."""
    found: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return found
