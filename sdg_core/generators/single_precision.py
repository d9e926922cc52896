"""Single-precision numbers as Python's: 0.1 of 32 bits is 0.1, not 0.10000000149011612.

The digits are the shortest that give the same number of 32 bits, as numpy, pandas and DuckDB show it; nothing is lost, since
these digits read back as the number.
"""

from typing import Any

import numpy as np
import polars as pl


def python_values(series: pl.Series) -> list[Any]:
    """The values of a column for templates, functions and JSON; those in lists and structs, too."""
    if series.dtype == pl.Float32:
        return series.cast(pl.String).cast(pl.Float64).to_list()
    if not _holds_single(series.dtype):
        return series.to_list()
    return [_by_own_digits(value, series.dtype) for value in series.to_list()]


def _holds_single(dtype: pl.DataType) -> bool:
    match dtype:
        case pl.Float32():
            return True
        case pl.List() | pl.Array():
            return _holds_single(_data_type(dtype.inner))
        case pl.Struct():
            return any(_holds_single(_data_type(field.dtype)) for field in dtype.fields)
        case _:
            return False


def _by_own_digits(value: Any, dtype: pl.DataType) -> Any:
    if value is None:
        return None
    match dtype:
        case pl.Float32():
            return float(str(np.float32(value)))
        case pl.List() | pl.Array():
            inner = _data_type(dtype.inner)
            return [_by_own_digits(item, inner) for item in value]
        case pl.Struct():
            return {
                field.name: _by_own_digits(value[field.name], _data_type(field.dtype))
                for field in dtype.fields
            }
        case _:
            return value


def _data_type(dtype: Any) -> pl.DataType:
    """An instance, also where polars holds the class of a type without parameters."""
    found: pl.DataType = dtype() if isinstance(dtype, type) else dtype
    return found
