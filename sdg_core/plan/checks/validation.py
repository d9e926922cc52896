"""Checks of validation columns: patterns and schemas are compiled once here, so that none fails in the middle of a run."""

import polars as pl

from sdg_core.config.columns import Column, ValidationColumn
from sdg_core.config.validators import (
    JsonSchemaParams,
    LocalCallableParams,
    RegexParams,
    RemoteParams,
)
from sdg_core.config.yaml_document import Problems
from sdg_core.plan.types.verdicts import IS_VALID, single_verdict_type


def check_validation(column: Column) -> Problems:
    """Problems of a column if it is a validation column, by path inside the column."""
    if not isinstance(column, ValidationColumn):
        return
    if len(set(column.target_columns)) != len(column.target_columns):
        yield ("target_columns",), "names a column twice"
    if IS_VALID in column.target_columns and len(column.target_columns) > 1:
        yield (
            ("target_columns",),
            f"a column named {IS_VALID!r} would clash with the overall verdict; rename it",
        )
    match column.validator_params:
        case RegexParams(searched=pattern):
            try:
                pl.Series([""]).str.contains(pattern, literal=False)
            except pl.exceptions.PolarsError as error:
                yield (
                    ("validator_params", "pattern"),
                    f"not a linear-time regular expression: {_reason(error)}",
                )
        case JsonSchemaParams(json_schema=schema):
            from sdg_core.plan.types.json_schema import compile_schema

            try:
                compile_schema(schema)
            except ValueError as error:
                yield ("validator_params", "json_schema"), f"not a JSON schema: {error}"
        case LocalCallableParams() | RemoteParams():
            try:
                single_verdict_type(column.validator_params)
            except ValueError as error:
                yield ("validator_params", "output_schema"), str(error)


def _reason(error: Exception) -> str:
    """What the pattern's compiler says, without its drawing of the place."""
    lines = str(error).strip().splitlines()
    for line in lines:
        if line.startswith("error: "):
            return line.removeprefix("error: ")
    return lines[0]
