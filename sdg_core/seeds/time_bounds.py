"""Moments and spans that seed columns may hold: those that Python's `datetime` has, years 1 to 9999.

Arrow's dates reach millions of years further ("infinity" of a database is one), and would fail where they are shown, exported or
read by a template, after the models were paid. So they are refused when the data is opened.
"""

import datetime
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from sdg_core.errors import SeedError

_EPOCH = datetime.date(1970, 1, 1).toordinal()
_FIRST_DAY = datetime.date.min.toordinal() - _EPOCH
_LAST_DAY = datetime.date.max.toordinal() - _EPOCH
_MAX_DAYS = datetime.timedelta.max.days
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def is_bounded(data_type: pa.DataType) -> bool:
    """Whether there are times in this type, at any depth."""
    if bounds(data_type) is not None:
        return True
    children = [data_type.field(place).type for place in range(data_type.num_fields)]
    return any(is_bounded(child) for child in children)


def bounds(data_type: pa.DataType) -> tuple[int, int] | None:
    """The least and the greatest number that may stand for a time of this type; None for other types."""
    if pa.types.is_date32(data_type):
        return _FIRST_DAY, _LAST_DAY
    if pa.types.is_date64(data_type):
        return _FIRST_DAY * 86_400_000, (_LAST_DAY + 1) * 86_400_000 - 1
    if pa.types.is_timestamp(data_type):
        day = 86_400 * _PER_SECOND[data_type.unit]
        margin = (
            1 if data_type.tz is not None else 0
        )  # the wall clock of a zone is up to a day away
        return (_FIRST_DAY + margin) * day, (_LAST_DAY + 1 - margin) * day - 1
    if pa.types.is_duration(data_type):
        most = _MAX_DAYS * 86_400 * _PER_SECOND[data_type.unit]
        return -most, most
    if pa.types.is_time(data_type):
        return 0, 86_400 * _PER_SECOND[data_type.unit] - 1
    return None


def check_times(name: str, values: pa.Array, *, source: str) -> None:
    """Raise SeedError if a column holds a time out of bounds, at any depth."""
    for leaf in _leaves(values):
        limits = bounds(leaf.type)
        if limits is None or leaf.null_count == len(leaf):
            continue
        # takes as long to import as ten rows take to generate
        import pyarrow.compute as pc

        integers = pa.int32() if leaf.type.bit_width == 32 else pa.int64()
        found = pc.min_max(leaf.view(integers))
        for number in (found["min"].as_py(), found["max"].as_py()):
            check_number(name, number, data_type=leaf.type, source=source)


def check_number(
    name: str, number: int, *, data_type: pa.DataType, source: str
) -> None:
    """Raise SeedError if a number stands for a time out of bounds."""
    least, most = bounds(data_type) or (number, number)
    if not least <= number <= most:
        raise SeedError(
            f"{source}: column {name!r} holds {_written(number, data_type)}, outside the supported years 1 to 9999",
            remedy="replace it with null, or make the column text",
        )


def _leaves(values: pa.Array) -> Iterator[pa.Array]:
    kind = values.type
    if pa.types.is_struct(kind):
        for child in values.flatten():
            yield from _leaves(child)
    elif pa.types.is_map(kind):
        yield from _leaves(values.keys)
        yield from _leaves(values.items)
    elif (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
    ):
        yield from _leaves(values.flatten())
    else:
        yield values


def _written(number: int, data_type: pa.DataType) -> str:
    if pa.types.is_date32(data_type):
        return str(np.datetime64(number, "D"))
    if pa.types.is_timestamp(data_type):
        return str(np.datetime64(number, data_type.unit))
    return f"{number} ({data_type})"
