"""From parameters to the judge of single values, and the verdict over several targets."""

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
    """The judge for a validator that looks at one value at a time. What it needs is loaded now, not at `sdg --help`."""
    match params:
        case CodeParams(code_lang="python"):
            from sdg_core.validators.python_code import judge_python

            return judge_python
        case CodeParams(code_lang=code_lang):
            from sdg_core.validators.sql_code import sql_judge

            return sql_judge(code_lang)
        case JsonSchemaParams(json_schema=schema):
            from sdg_core.validators.json_schema import json_schema_judge

            return json_schema_judge(schema)
        case RegexParams():
            from sdg_core.validators.regex import regex_judge

            return regex_judge(params.searched)
        case _:
            raise TypeError(f"{params.validator_type} judges rows, not values")


def validate_targets(
    judge: Validator, rows: Sequence[Mapping[str, Any]], targets: Sequence[str]
) -> list[Verdict]:
    """One verdict per row: of the one target, or over all targets with each one's own inside.

    All values go to the judge in one call, target by target.
    """
    values = [row[target] for target in targets for row in rows]
    given = judge(values)
    if len(targets) == 1:
        return given
    verdicts = []
    for place in range(len(rows)):
        of_row = given[place :: len(rows)]
        verdict: Verdict = {IS_VALID: all(each[IS_VALID] for each in of_row)}
        verdict.update(zip(targets, of_row, strict=True))
        verdicts.append(verdict)
    return verdicts
