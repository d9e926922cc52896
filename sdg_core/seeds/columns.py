"""Types of seed columns: plain Arrow types, the same whatever wrote the file and however much of it has been read."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import polars as pl
import pyarrow as pa

from sdg_core.errors import SeedError

_EXTENSION_NAME = b"ARROW:extension:name"
"""Where a field says that it is of an extension type that this process does not know."""
_KEPT_EXTENSIONS = frozenset({"arrow.json", "arrow.uuid"})


@cache
def _is_unknown_zone(name: str) -> bool:
    """Whether the time zone database has no such zone. Polars panics when it is handed one in an Arrow type."""
    try:
        pl.Series([0]).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(name)
    except pl.exceptions.PolarsError:
        return True
    return False


_UNKEPT: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (pa.types.is_decimal256, "a decimal with too many digits"),
    (pa.types.is_interval, "a span of calendar months, which cannot be stored"),
    (
        lambda kind: (
            pa.types.is_timestamp(kind) and kind.tz is not None and kind.tz[0] in "+-"
        ),
        "timestamps with a fixed offset, which cannot be stored: convert them to UTC or a named zone",
    ),
    (
        lambda kind: (
            pa.types.is_timestamp(kind)
            and kind.tz is not None
            and _is_unknown_zone(kind.tz)
        ),
        "timestamps in a zone that is not in the time zone database: convert them to UTC or to a zone "
        "such as Europe/Berlin",
    ),
    (
        lambda kind: pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind),
        "a list view, which is not supported",
    ),
    (pa.types.is_run_end_encoded, "run-end encoded, which is not supported"),
    (
        lambda kind: pa.types.is_struct(kind) and kind.num_fields == 0,
        "an object without keys, which parquet cannot store",
    ),
    (
        lambda kind: (
            pa.types.is_struct(kind)
            and len({field.name for field in kind}) < kind.num_fields
        ),
        "an object with duplicate keys",
    ),
)
"""Types whose values cannot be kept as they are, and why."""


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Names and plain types, as polars holds them; a column that is null throughout is text."""
    _refuse_unkept(schema)
    fields = [
        pa.field(field.name, _plain_type(field.type)) for field in raw_schema(schema)
    ]
    return pa.schema(fields)


def _refuse_unkept(schema: pa.Schema) -> None:
    """Raise SeedError for columns that no row group could hold, before anything is paid for."""
    for name, count in sorted(Counter(schema.names).items()):
        if count > 1:
            raise SeedError(
                f"two columns of the seed data are named {name!r}",
                remedy="rename one of them",
            )
    for field in schema:
        _refuse(field, _unkept(field))
    if _refused_by_polars(schema):
        for field in schema:
            alone = pa.schema([field])
            _refuse(field, _refused_by_polars(alone))


def _refuse(field: pa.Field, reason: str | None) -> None:
    """Raise SeedError if there is a reason to."""
    if reason is not None:
        raise SeedError(
            f"seed column {field.name!r} has type {field.type}, {reason}",
            remedy="leave the column out, or write it as text or plain numbers",
        )


def _unkept(field: pa.Field) -> str | None:
    """Why values of a column cannot be kept as they are; None if they can. Only then may polars be asked: it panics for some."""
    data_type = field.type
    if "\0" in field.name:
        return "and a NUL character in its name, which no table can have"
    name = (field.metadata or {}).get(_EXTENSION_NAME, b"").decode(errors="replace")
    if isinstance(data_type, pa.BaseExtensionType):
        name = data_type.extension_name
    if name in _KEPT_EXTENSIONS:
        return None
    if name:
        return f"an extension type ({name}) that cannot be stored as is"
    for applies, reason in _UNKEPT:
        if applies(data_type):
            return reason
    if pa.types.is_dictionary(data_type):
        return _unkept(pa.field(field.name, data_type.value_type))
    for place in range(data_type.num_fields):
        reason_of_child = _unkept(data_type.field(place))
        if reason_of_child is not None:
            return reason_of_child
    return None


def _refused_by_polars(schema: pa.Schema) -> str | None:
    try:
        raw_schema(schema)
    except (pl.exceptions.PolarsError, pa.ArrowException) as error:
        return f"which cannot be read: {str(error).splitlines()[0]}"
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
        raise SeedError(
            f"{source}: the columns are {frame.columns}, but the schema says {types.names()}"
        )
    for name, data_type in types.items():
        if frame.schema[name] != data_type:
            try:
                frame = frame.with_columns(frame[name].cast(data_type))
            except pl.exceptions.PolarsError as error:
                reason = str(error).splitlines()[0]
                raise SeedError(
                    f"{source}: column {name!r} does not fit its type {data_type}: {reason}"
                ) from error
    return frame


def _plain_type(data_type: pa.DataType) -> pa.DataType:
    """Arrow's 64-bit-offset and view types as their plain counterparts, nested ones too."""
    if (
        pa.types.is_null(data_type)
        or pa.types.is_large_string(data_type)
        or pa.types.is_string_view(data_type)
    ):
        return pa.string()
    if pa.types.is_large_binary(data_type) or pa.types.is_binary_view(data_type):
        return pa.binary()
    if pa.types.is_large_list(data_type) or pa.types.is_list(data_type):
        return pa.list_(_plain_type(data_type.value_type))
    if pa.types.is_struct(data_type):
        fields = [pa.field(field.name, _plain_type(field.type)) for field in data_type]
        return pa.struct(fields)
    if pa.types.is_dictionary(data_type):
        return _plain_type(data_type.value_type)
    return data_type
