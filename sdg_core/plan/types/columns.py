"""The Arrow type of columns that are not drawn but derived: expressions, replies, functions, verdicts."""

from typing import assert_never

import pyarrow as pa

from sdg_core.config.columns import (
    Column,
    CustomColumn,
    EmbeddingColumn,
    ExpressionColumn,
    ImageColumn,
    LlmCodeColumn,
    LlmJudgeColumn,
    LlmStructuredColumn,
    LlmTextColumn,
    SamplerColumn,
    SeedColumn,
    ValidationColumn,
)
from sdg_core.plan.types.arrow import SCALAR_TYPES, declared_type
from sdg_core.plan.types.replies import AnyModelColumn, reply_type, side_columns
from sdg_core.plan.types.samplers import sampler_type
from sdg_core.plan.types.verdicts import verdict_type

DerivedColumn = ExpressionColumn | AnyModelColumn | CustomColumn | ValidationColumn


def derived_type(column: DerivedColumn) -> pa.DataType:
    """The type of the column's own values. Raises ValueError for a declared type that is none."""
    match column:
        case ExpressionColumn():
            return SCALAR_TYPES[column.dtype]
        case (
            LlmTextColumn()
            | LlmCodeColumn()
            | LlmStructuredColumn()
            | LlmJudgeColumn()
            | EmbeddingColumn()
            | ImageColumn()
        ):
            return reply_type(column)
        case CustomColumn():
            return declared_type(column.output_type if column.output_type is not None else "str")
        case ValidationColumn():
            return verdict_type(column)
        case _:
            assert_never(column)


def side_effect_fields(column: Column) -> list[pa.Field]:
    """The further columns that a column's function or model makes, with their types (text unless declared)."""
    if not isinstance(column, CustomColumn):
        return [pa.field(name, data_type) for name, data_type in side_columns(column).items()]
    types = column.side_effect_types or {}
    return [pa.field(name, declared_type(types.get(name, "str"))) for name in column.side_effect_columns or ()]


def column_type(column: Column) -> pa.DataType:
    """The Arrow type of a generated column, the same in every row group."""
    match column:
        case SamplerColumn():
            return sampler_type(column)
        case SeedColumn():
            raise TypeError("the type of a seed column comes from the seed data")
        case _:
            return derived_type(column)
