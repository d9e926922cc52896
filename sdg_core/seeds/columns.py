"""Types of seed columns: plain Arrow types, the same whatever wrote the file and however much of it has been read."""

import polars as pl
import pyarrow as pa

from sdg_core.errors import SeedError


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Names and plain types, as polars holds them; a column that is null throughout is text."""
    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in raw_schema(schema)])


def raw_schema(schema: pa.Schema) -> pa.Schema:
    """The types that polars gives these columns, null ones still null."""
    return frame_of(schema.empty_table()).to_arrow().schema


def frame_of(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as a polars frame."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def empty_frame(schema: pa.Schema) -> pl.DataFrame:
    """No rows of this schema."""
    return frame_of(schema.empty_table())


def conform(frame: pl.DataFrame, types: pl.Schema, *, source: str) -> pl.DataFrame:
    """The frame with exactly these columns and types. Raises SeedError if it has others, or values that do not fit."""
    if frame.schema == types:
        return frame
    if frame.columns != types.names():
        raise SeedError(f"{source}: the columns are {frame.columns}, but the schema says {types.names()}")
    for name, data_type in types.items():
        if frame.schema[name] != data_type:
            try:
                frame = frame.with_columns(frame[name].cast(data_type))
            except pl.exceptions.PolarsError as error:
                reason = str(error).splitlines()[0]
                raise SeedError(f"{source}: column {name!r} does not fit its type {data_type}: {reason}") from error
    return frame


def _plain_type(data_type: pa.DataType) -> pa.DataType:
    """Arrow's 64-bit-offset and view types as their plain counterparts, nested ones too."""
    if pa.types.is_null(data_type) or pa.types.is_large_string(data_type) or pa.types.is_string_view(data_type):
        return pa.string()
    if pa.types.is_large_binary(data_type) or pa.types.is_binary_view(data_type):
        return pa.binary()
    if pa.types.is_large_list(data_type) or pa.types.is_list(data_type):
        return pa.list_(_plain_type(data_type.value_type))
    if pa.types.is_struct(data_type):
        return pa.struct([pa.field(field.name, _plain_type(field.type)) for field in data_type])
    if pa.types.is_dictionary(data_type):
        return _plain_type(data_type.value_type)
    return data_type
