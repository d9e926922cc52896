"""What is measured in a table: columns, and the fields of those that hold structs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl

PartKind = Literal["text", "number", "boolean", "time", "list", "other"]


@dataclass(frozen=True)
class Part:
    """A value of every row: how to get at it, its type, and how it is measured. `name` is that of the column, or a path."""

    name: str
    value: pl.Expr
    type: pl.DataType
    kind: PartKind

    @property
    def whole(self) -> bool:
        """Whether numbers, or lengths, are whole."""
        return self.kind in ("text", "list", "time") or self.type.is_integer()


def part_of(name: str, value: pl.Expr, data_type: pl.DataType) -> Part:
    """The part of a column or field that is no struct."""
    match _kind(data_type):
        case "text":
            return Part(name, value.cast(pl.String), pl.String(), "text")
        case "list" if isinstance(data_type, pl.Array):
            return Part(name, value.arr.to_list(), pl.List(data_type.inner), "list")
        case kind:
            return Part(name, value, data_type, kind)


def leaves(name: str, value: pl.Expr, data_type: pl.DataType) -> Iterator[Part]:
    """The parts of a column: itself, or its fields, theirs, and so on."""
    if not isinstance(data_type, pl.Struct):
        yield part_of(name, value, data_type)
        return
    for field in data_type.fields:
        inner = field.dtype if isinstance(field.dtype, pl.DataType) else field.dtype()
        yield from leaves(f"{name}.{field.name}", value.struct.field(field.name), inner)


def _kind(data_type: pl.DataType) -> PartKind:
    match data_type:
        case pl.String() | pl.Categorical() | pl.Enum():
            return "text"
        case pl.Boolean():
            return "boolean"
        case pl.Date() | pl.Datetime() | pl.Time():
            return "time"
        case pl.List() | pl.Array():
            return "list"
        case _:
            return "number" if data_type.is_numeric() else "other"
