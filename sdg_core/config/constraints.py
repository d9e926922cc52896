"""Constraints between columns: inequalities that every record satisfies, because its samplers are drawn again until it does."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sdg_core.config.base import ConfigModel, Name, Number

Operator = Literal["lt", "le", "gt", "ge"]


class ScalarInequality(ConfigModel):
    """`target_column operator rhs`, with a number on the right."""

    constraint_type: Literal["scalar_inequality"] = "scalar_inequality"
    target_column: Name
    operator: Operator
    rhs: Number


class ColumnInequality(ConfigModel):
    """`target_column operator rhs`, with another column on the right."""

    constraint_type: Literal["column_inequality"] = "column_inequality"
    target_column: Name
    operator: Operator
    rhs: Name


def _tag(data: Any) -> Any:
    """`constraint_type` may be left out: a number or a name on the right tells the kinds apart."""
    if not isinstance(data, dict) or "constraint_type" in data:
        return data
    compares_columns = isinstance(data.get("rhs"), str)
    kind = "column_inequality" if compares_columns else "scalar_inequality"
    return {**data, "constraint_type": kind}


Constraint = Annotated[
    Annotated[
        ScalarInequality | ColumnInequality, Field(discriminator="constraint_type")
    ],
    BeforeValidator(_tag),
]
