"""Arrow types of columns whose type is declared rather than known, and values made to fit them.

A column has one type in every row group, so a value that does not fit is an error of its cell; nothing is bent silently
(1.5 does not become 1, 7 does not become "7").
"""

import datetime
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

SCALAR_TYPES: Mapping[str, pa.DataType] = {
    "str": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "binary": pa.binary(),
}
_JSON_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}


def declared_type(declared: Any) -> pa.DataType:
    """`int` -> int64, `[int]` -> a list of it, `{a: int}` -> a struct. Raises ValueError with what can be written."""
    match declared:
        case str() if declared in SCALAR_TYPES:
            return SCALAR_TYPES[declared]
        case [item] if isinstance(declared, list | tuple):
            return pa.list_(declared_type(item))
        case dict() if declared:
            fields = [
                pa.field(name, declared_type(item)) for name, item in declared.items()
            ]
            return pa.struct(fields)
        case _:
            names = ", ".join(SCALAR_TYPES)
            raise ValueError(
                f"{declared!r} is not a type; use one of {names}, [type] for a list, {{name: type}} for a struct"
            )


def json_schema_type(schema: Mapping[str, Any]) -> pa.DataType:
    """The Arrow type of what a JSON schema describes. Raises ValueError where it leaves the type open."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [item for item in kind if item != "null"]
        kind = kinds[0] if len(kinds) == 1 else kind
    if isinstance(kind, str) and kind in _JSON_TYPES:
        return _JSON_TYPES[kind]
    if kind == "array" and isinstance(schema.get("items"), dict):
        return pa.list_(json_schema_type(schema["items"]))
    properties = schema.get("properties")
    if kind in ("object", None) and isinstance(properties, dict) and properties:
        fields = [
            pa.field(name, json_schema_type(item)) for name, item in properties.items()
        ]
        return pa.struct(fields)
    raise ValueError(
        f"{dict(schema)!r} does not set a type; give string, integer, number, boolean, array with "
        f"items, or object with "
        "properties"
    )


def conform(value: Any, data_type: pa.DataType) -> Any:
    """A plain Python value that Arrow takes for `data_type` as it is. Raises ValueError."""
    if value is None:
        return None
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if pa.types.is_struct(data_type):
        return _conform_struct(value, data_type)
    if pa.types.is_list(data_type):
        if not isinstance(value, list | tuple):
            raise ValueError(_misfit(value, data_type))
        return [conform(item, data_type.value_type) for item in value]
    return _conform_scalar(value, data_type)


def _conform_struct(value: Any, data_type: pa.StructType) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(_misfit(value, data_type))
    fields = {field.name: field.type for field in data_type}
    unknown = [key for key in value if key not in fields]
    if unknown:
        raise ValueError(f"the key {unknown[0]!r} is not part of {data_type}")
    return {name: conform(value.get(name), kind) for name, kind in fields.items()}


def _conform_scalar(value: Any, data_type: pa.DataType) -> Any:
    if pa.types.is_string(data_type) and isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                "the text contains a lone surrogate, which no file can store"
            ) from None
        return str.__str__(value)
    if pa.types.is_boolean(data_type) and isinstance(value, bool):
        return value
    if pa.types.is_integer(data_type) and _whole(value):
        if not -(2**63) <= int(value) < 2**63:
            raise ValueError(f"{value} does not fit into 64 bits")
        return int(value)
    if (
        pa.types.is_floating(data_type)
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ):
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"{value} does not fit into 64 bits") from None
    return _conform_other(value, data_type)


def _conform_other(value: Any, data_type: pa.DataType) -> Any:
    if pa.types.is_date(data_type) and type(value) is datetime.date:
        return value
    if pa.types.is_timestamp(data_type) and isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            raise ValueError(
                "the time has a time zone, which a datetime column cannot store: convert it to UTC and remove the zone"
            )
        return value
    if pa.types.is_binary(data_type) and isinstance(
        value, bytes | bytearray | memoryview
    ):
        return bytes(value)
    raise ValueError(_misfit(value, data_type))


def _whole(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) and value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def _misfit(value: Any, data_type: pa.DataType) -> str:
    text = repr(value)
    if len(text) > 60:
        text = f"{text[:57]}..."
    return f"{text} is {type(value).__name__}, not {type_name(data_type)}"


def type_name(data_type: pa.DataType) -> str:
    """A type as it is written in a dataset file, as far as there is such a name."""
    for name, known in SCALAR_TYPES.items():
        if known == data_type:
            return name
    return str(data_type)
