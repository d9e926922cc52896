"""What a column kind answers: one function a question, one exhaustive match a function.

A new kind of column has to answer each of them; mypy's `assert_never` names those that it does not. What enters a kind's
fingerprint is the one question answered elsewhere (`sdg_core.plan.fingerprint`), beside the table of fields that do not count.
"""

from collections.abc import Iterable
from typing import assert_never

import pyarrow as pa

from sdg_core.config.columns import (
    ChatColumn,
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
    SkippableColumn,
    ValidationColumn,
)
from sdg_core.config.samplers import SamplerParams, SubcategoryParams, TimedeltaParams
from sdg_core.config.validators import RemoteParams
from sdg_core.config.yaml_document import Path
from sdg_core.plan.templates.engine import condition_template, template_references
from sdg_core.plan.types.arrow import SCALAR_TYPES, declared_type
from sdg_core.plan.types.replies import AnyModelColumn, reply_type, side_columns
from sdg_core.plan.types.samplers import sampler_type
from sdg_core.plan.types.verdicts import verdict_type

SKIP_WHEN: Path = ("skip", "when")
DerivedColumn = ExpressionColumn | AnyModelColumn | CustomColumn | ValidationColumn


# Which templates it has, and which columns it reads.


def templates_of(column: Column) -> dict[Path, str]:
    """The templates of a column by their path inside it."""
    texts = _value_templates(column)
    if isinstance(column, SkippableColumn) and column.skip is not None:
        texts[SKIP_WHEN] = column.skip.when
    return texts


def _value_templates(column: Column) -> dict[Path, str]:
    """The templates that make the column's value."""
    match column:
        case ExpressionColumn():
            return {("expr",): column.expr}
        case (
            LlmTextColumn() | LlmCodeColumn() | LlmStructuredColumn() | LlmJudgeColumn()
        ):
            texts: dict[Path, str] = {("prompt",): column.prompt}
            if column.system_prompt is not None:
                texts["system_prompt",] = column.system_prompt
            return texts
        case ImageColumn():
            return {("prompt",): column.prompt}
        case SamplerColumn():
            return {
                ("conditional_params", text): condition_template(text)
                for text in column.conditional_params
            }
        case EmbeddingColumn() | CustomColumn() | ValidationColumn() | SeedColumn():
            return {}
        case _:
            assert_never(column)


def _named_columns(column: Column) -> list[tuple[Path, str]]:
    """The columns that a column reads by name, outside templates, with the place that names each."""
    match column:
        case SamplerColumn():
            found = _read_by_params(("params",), column.params)
            for condition, params in column.conditional_params.items():
                found += _read_by_params(("conditional_params", condition), params)
            return found
        case CustomColumn():
            return [
                (("required_columns", index), name)
                for index, name in enumerate(column.required_columns or ())
            ]
        case ValidationColumn():
            return [
                (("target_columns", index), name)
                for index, name in enumerate(column.target_columns)
            ]
        case EmbeddingColumn():
            return [(("target_column",), column.target_column)]
        case (
            LlmTextColumn()
            | LlmCodeColumn()
            | LlmStructuredColumn()
            | LlmJudgeColumn()
            | ImageColumn()
        ):
            contexts = enumerate(column.multi_modal_context or ())
            return [
                (("multi_modal_context", index, "column_name"), media.column_name)
                for index, media in contexts
            ]
        case ExpressionColumn() | SeedColumn():
            return []
        case _:
            assert_never(column)


def _read_by_params(where: Path, params: SamplerParams) -> list[tuple[Path, str]]:
    match params:
        case SubcategoryParams():
            return [((*where, "category"), params.category)]
        case TimedeltaParams():
            return [((*where, "reference_column_name"), params.reference_column_name)]
        case _:
            return []


def values_read(column: Column) -> dict[str, Path]:
    """The columns that go into a column's value, each with the path (inside the column) of the first place that names it.

    Skips propagate along these.
    """
    found: dict[str, Path] = {}
    for path, source in _value_templates(column).items():
        for name in sorted(template_references(source)):
            found.setdefault(name, path)
    for path, name in _named_columns(column):
        found.setdefault(name, path)
    return found


def references_of(column: Column) -> dict[str, Path]:
    """Every column that a column reads: those that go into its value, and those that only `skip.when` looks at."""
    found = values_read(column)
    condition = templates_of(column).get(SKIP_WHEN, "")
    for name in sorted(template_references(condition)):
        found.setdefault(name, SKIP_WHEN)
    return found


# Which further columns it makes.


def side_effects_of(column: Column) -> tuple[str, ...]:
    """The further columns that a column's function or model makes."""
    if isinstance(column, CustomColumn):
        return column.side_effect_columns or ()
    return tuple(side_columns(column))


def side_effect_fields(column: Column) -> list[pa.Field]:
    """The side columns of a column with their types (text unless declared)."""
    fields = []
    if isinstance(column, CustomColumn):
        types = column.side_effect_types or {}
        for name in column.side_effect_columns or ():
            fields.append(pa.field(name, declared_type(types.get(name, "str"))))
    else:
        for name, data_type in side_columns(column).items():
            fields.append(pa.field(name, data_type))
    return fields


def producers_of(columns: Iterable[Column]) -> dict[str, str]:
    """Side-effect columns by name, each with the column whose function or model produces it."""
    return {name: column.name for column in columns for name in side_effects_of(column)}


# Which Arrow type it has.


def column_type(column: Column) -> pa.DataType:
    """The Arrow type of a generated column, the same in every row group. Raises TypeError for a seed column."""
    match column:
        case SamplerColumn():
            return sampler_type(column)
        case SeedColumn():
            raise TypeError("the type of a seed column comes from the seed data")
        case _:
            return derived_type(column)


def derived_type(column: DerivedColumn) -> pa.DataType:
    """The type of a column that is not drawn but derived. Raises ValueError for a declared type that does not exist."""
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
        case CustomColumn(output_type=None):
            return SCALAR_TYPES["str"]
        case CustomColumn():
            return declared_type(column.output_type)
        case ValidationColumn():
            return verdict_type(column)
        case _:
            assert_never(column)


# When it runs, and what answers it.


def always_per_record(column: Column) -> bool:
    """Whether each cell is worth waiting for on its own: a model, a function or an endpoint answers it."""
    match column:
        case (
            LlmTextColumn()
            | LlmCodeColumn()
            | LlmStructuredColumn()
            | LlmJudgeColumn()
            | EmbeddingColumn()
            | ImageColumn()
        ):
            return True
        case CustomColumn():
            return column.generation_strategy == "cell_by_cell"
        case ValidationColumn():
            return isinstance(column.validator_params, RemoteParams)
        case SamplerColumn() | ExpressionColumn() | SeedColumn():
            return False
        case _:
            assert_never(column)


def is_whole_column(column: Column) -> bool:
    """Whether the column is made by a function of the whole row group."""
    return (
        isinstance(column, CustomColumn) and column.generation_strategy == "full_column"
    )


def resizes(column: Column) -> bool:
    """Whether the column's function may change the number of rows."""
    return isinstance(column, CustomColumn) and column.allow_resize


def aliases_of(column: Column) -> tuple[str, ...]:
    """The model aliases that a column asks."""
    match column:
        case (
            LlmTextColumn()
            | LlmCodeColumn()
            | LlmStructuredColumn()
            | LlmJudgeColumn()
            | EmbeddingColumn()
            | ImageColumn()
        ):
            return (column.model_alias,)
        case CustomColumn():
            return column.model_aliases or ()
        case SamplerColumn() | ExpressionColumn() | ValidationColumn() | SeedColumn():
            return ()
        case _:
            assert_never(column)


def tool_alias_of(column: Column) -> str | None:
    """The tools that a column's model may call; None without."""
    return column.tool_alias if isinstance(column, ChatColumn) else None
