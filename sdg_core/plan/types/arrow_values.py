"""Values of Python and numpy as Arrow arrays, without pandas.

`pyarrow.array` imports pandas, where it is installed, to find out whether it was given a series, and that takes as long as
generating ten rows. What is converted here never is one. Invariant: the same values, types and errors as `pyarrow.array`, which
converts everything that is not plain JSON.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

_LEAVES: tuple[tuple[pa.DataType, type, type[pl.DataType]], ...] = (
    (pa.string(), str, pl.String),
    (pa.int64(), int, pl.Int64),
    (pa.float64(), float, pl.Float64),
    (pa.bool_(), bool, pl.Boolean),
)

_MAX_PLAIN = 64
"""Values that are laid out here, because handing them to polars and back takes longer."""


def array_of(
    values: Sequence[Any], kind: pa.DataType | None = None
) -> pa.Array | pa.ChunkedArray:
    """Python values as an array of a type, or of the one that they have. Raises what `pyarrow.array` raises."""
    found = _plain_array(values, _type_of(values) if kind is None else kind)
    if found is None:
        return pa.array(values, type=kind)
    return found


def _type_of(values: Sequence[Any]) -> pa.DataType:
    """The type that values have, without `pyarrow.infer_type`, which imports pandas, where they are all of one plain class."""
    classes = {*map(type, values)}
    for leaf, its_class, _ in _LEAVES:
        if classes == {its_class}:
            return leaf
    return pa.infer_type(values)


def narrowed(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """An array of polars as the type of its column. Raises what `cast` raises.

    It is mostly text whose offsets need 32 bits, or mappings with such text. They get them here, because `cast` imports
    `pyarrow.compute`.
    """
    if array.type == kind:
        return array
    if _is_mapping_of(array, kind):
        children = [
            narrowed(array.field(place), field.type) for place, field in enumerate(kind)
        ]
        return pa.Array.from_buffers(
            kind, len(array), array.buffers()[:1], array.null_count, children=children
        )
    if (
        array.type == pa.large_string()
        and kind == pa.string()
        and len(array) > 0
        and array.offset == 0
    ):
        valid, offsets, characters = array.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64, count=len(array) + 1)
        if ends[-1] <= np.iinfo(np.int32).max:
            narrow = pa.py_buffer(ends.astype(np.int32))
            return pa.Array.from_buffers(
                kind, len(array), [valid, narrow, characters], array.null_count
            )
    return array.cast(kind)


def _is_mapping_of(array: pa.Array, kind: pa.DataType) -> bool:
    """Whether an array holds mappings with the keys of a type, from its beginning on."""
    if not pa.types.is_struct(kind) or not pa.types.is_struct(array.type):
        return False
    if array.offset != 0:
        return False
    keys = [field.name for field in kind]
    return [field.name for field in array.type] == keys


class _CArray:
    """An array as any library may take it, by Arrow's C data interface, and as nothing else."""

    def __init__(self, array: pa.Array) -> None:
        self.__arrow_c_array__ = array.__arrow_c_array__


def series_of(name: str, array: pa.Array) -> pl.Series:
    """An array as a series of the same values, without a copy. An array of pyarrow polars recognizes, and imports
    `pyarrow.compute` for; so it is shown none."""
    return pl.Series(name, _CArray(array)).alias(name)


def text_series(name: str, text: NDArray[np.uint8]) -> pl.Series:
    """Rows of UTF-8 bytes, all of one width, as a series of text without a Python string per row."""
    count, width = text.shape
    offsets = np.arange(count + 1, dtype=np.int64) * width
    rows = np.ascontiguousarray(
        text
    )  # numpy lays out what it deletes columns from column by column
    return series_of(
        name,
        pa.LargeStringArray.from_buffers(
            count, pa.py_buffer(offsets), pa.py_buffer(rows)
        ),
    )


def number_series(
    name: str, numbers: NDArray[np.int64] | NDArray[np.float64]
) -> pl.Series:
    """Numbers of 64 bits as a series. Of an array polars asks `numpy.ma` whether it is masked, so it is shown none."""
    kind = pa.int64() if numbers.dtype == np.int64 else pa.float64()
    values = pa.py_buffer(np.ascontiguousarray(numbers))
    return series_of(name, pa.Array.from_buffers(kind, len(numbers), [None, values]))


def mask_of(mask: NDArray[np.bool_]) -> pa.BooleanArray:
    """What to keep, as `Table.filter` takes it."""
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, _bits(mask)])


def integers_of(numbers: NDArray[np.int64]) -> pa.Int64Array:
    """Whole numbers, as `Table.take` takes them."""
    return pa.Array.from_buffers(
        pa.int64(), len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))]
    )


def _plain_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array | None:
    """The array of plain values: each of the very class that its type stands for, or None. Otherwise None."""
    if pa.types.is_struct(kind):
        return _structs(values, kind)
    if pa.types.is_list(kind):
        return _lists(values, kind)
    for leaf, its_class, polars_type in _LEAVES:
        if kind == leaf and {its_class, type(None)}.issuperset(map(type, values)):
            try:
                if len(values) <= _MAX_PLAIN and None not in values:
                    if its_class is str:
                        return _few_texts(values)
                    if its_class is int:
                        return integers_of(np.array(values, dtype=np.int64))
                return narrowed(pl.Series(values, dtype=polars_type).to_arrow(), kind)
            except (
                pl.exceptions.PolarsError,
                pa.ArrowException,
                ValueError,
                OverflowError,
                TypeError,
            ):
                return None  # pyarrow has the words for it
    return None


def _few_texts(values: Sequence[str]) -> pa.StringArray:
    texts = [text.encode() for text in values]
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    characters = pa.py_buffer(b"".join(texts))
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), characters)


def _structs(values: Sequence[Any], kind: pa.StructType) -> pa.Array | None:
    if not kind.num_fields or not {dict, type(None)}.issuperset(map(type, values)):
        return None
    children = []
    for field in kind:
        parts = [None if value is None else value.get(field.name) for value in values]
        child = _plain_array(parts, field.type)
        if child is None:
            return None
        children.append(child)
    # as buffers, because `StructArray.from_arrays` imports `pyarrow.compute` for a mask
    missing = _nulls(values)
    return pa.Array.from_buffers(
        kind, len(values), [_validity(missing)], int(missing.sum()), children=children
    )


def _lists(values: Sequence[Any], kind: pa.ListType) -> pa.Array | None:
    if not {list, type(None)}.issuperset(map(type, values)):
        return None
    flat = [item for value in values if value is not None for item in value]
    items = _plain_array(flat, kind.value_type)
    lengths = [0 if value is None else len(value) for value in values]
    ends = np.cumsum([0, *lengths])
    if items is None or ends[-1] > np.iinfo(np.int32).max:
        return None
    missing = _nulls(values)
    buffers = [_validity(missing), pa.py_buffer(ends.astype(np.int32))]
    return pa.Array.from_buffers(
        kind, len(values), buffers, int(missing.sum()), children=[items]
    )


def _nulls(values: Sequence[Any]) -> NDArray[np.bool_]:
    return np.array([value is None for value in values], dtype=np.bool_)


def _validity(missing: NDArray[np.bool_]) -> pa.Buffer | None:
    return _bits(~missing) if missing.any() else None


def _bits(mask: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(mask, bitorder="little"))
