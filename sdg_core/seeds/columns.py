"""Types of seed columns: plain Arrow types, the same whatever wrote the file and however much of it has been read."""

import polars as pl
import pyarrow as pa

from sdg_core.errors import SeedError


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Names and plain types, as polars holds them; a column that is null throughout is text."""
    _refuse_unkept(schema)
    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in raw_schema(schema)])


def _refuse_unkept(schema: pa.Schema) -> None:
    """Raise SeedError for columns that no row group could hold, before anything is paid for."""
    repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if repeated:
        raise SeedError(f"two columns of the seed data are named {repeated[0]!r}", remedy="rename one of them")
    for field in schema:
        reason = _unkept(field.type)
        if reason is not None:
            raise SeedError(
                f"seed column {field.name!r} has type {field.type}, {reason}",
                remedy="leave the column out, or write it as text or plain numbers",
            )


def _unkept(data_type: pa.DataType) -> str | None:
    """Why a type cannot be kept; None for one that can."""
    if isinstance(data_type, pa.BaseExtensionType):
        known = data_type.extension_name in ("arrow.json", "arrow.uuid")
        return None if known else "an extension type that cannot be kept as it is"
    if pa.types.is_decimal256(data_type):
        return "a decimal of more digits than can be read"
    if pa.types.is_struct(data_type):
        if data_type.num_fields == 0:
            return "an object without keys, which parquet cannot hold"
        return next((reason for field in data_type if (reason := _unkept(field.type)) is not None), None)
    if pa.types.is_list(data_type) or pa.types.is_large_list(data_type) or pa.types.is_fixed_size_list(data_type):
        return _unkept(data_type.value_type)
    return None


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
