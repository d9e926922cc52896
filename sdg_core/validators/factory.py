"""The validator for a column's parameters, and the verdict over several targets."""

from collections.abc import Mapping, Sequence
from typing import Any

from sdg_core.config.validators import (
    CodeParams,
    JsonSchemaParams,
    RegexParams,
    ValidatorParams,
)
from sdg_core.plan.types.verdicts import IS_VALID
from sdg_core.validators.base import Validator, Verdict


def value_validator(params: ValidatorParams) -> Validator:
    """The validator of values one at a time. What it needs is loaded now, not at `sdg --help`."""
    match params:
        case CodeParams(code_lang="python"):
            from sdg_core.validators.python_code import validate_python

            return validate_python
        case CodeParams(code_lang=code_lang):
            from sdg_core.validators.sql_code import sql_validator

            return sql_validator(code_lang)
        case JsonSchemaParams(json_schema=schema):
            from sdg_core.validators.json_schema import json_schema_validator

            return json_schema_validator(schema)
        case RegexParams():
            from sdg_core.validators.regex import regex_validator

            return regex_validator(params.searched)
        case _:
            raise TypeError(f"{params.validator_type} validates rows, not values")


def validate_targets(
    validator: Validator, rows: Sequence[Mapping[str, Any]], targets: Sequence[str]
) -> list[Verdict]:
    """One verdict per row: of the one target, or over all targets with each one's own inside.

    All values go to the validator in one call, target by target.
    """
    values = [row[target] for target in targets for row in rows]
    given = validator(values)
    if len(targets) == 1:
        return given
    verdicts = []
    for place in range(len(rows)):
        of_row = given[place :: len(rows)]
        verdict: Verdict = {IS_VALID: all(each[IS_VALID] for each in of_row)}
        verdict.update(zip(targets, of_row, strict=True))
        verdicts.append(verdict)
    return verdicts
