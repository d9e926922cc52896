"""The column kinds of a dataset: a union tagged by `column_type`."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from sdg_core.config.base import Bool, ConfigModel, Name, NonEmptyStr
from sdg_core.config.samplers import SamplerParams, SamplerType


class ColumnBase(ConfigModel):
    """What every column has. `drop` keeps the column out of the finished dataset (it is stored beside it)."""

    name: Name
    drop: Bool = False
    description: NonEmptyStr | None = None


class SamplerColumn(ColumnBase):
    """A value drawn from a distribution, reproducible per record."""

    column_type: Literal["sampler"] = "sampler"
    sampler_type: SamplerType
    params: SamplerParams
    convert_to: NonEmptyStr | None = None

    @model_validator(mode="before")
    @classmethod
    def _tag_params(cls, data: Any) -> Any:
        """Repeat `sampler_type` inside `params`, where the tagged union looks for it."""
        if not isinstance(data, dict) or not isinstance(data.get("params", {}), dict):
            return data
        params = data.get("params", {})
        if params.get("sampler_type", data.get("sampler_type")) != data.get("sampler_type"):
            raise ValueError(
                f"params.sampler_type {params['sampler_type']!r} differs from {data.get('sampler_type')!r}"
            )
        return {**data, "params": {**params, "sampler_type": data.get("sampler_type")}}


class ExpressionColumn(ColumnBase):
    """A template rendered per record and cast to `dtype`."""

    column_type: Literal["expression"] = "expression"
    expr: NonEmptyStr
    dtype: Literal["str", "int", "float", "bool"] = "str"


class LlmTextColumn(ColumnBase):
    """Free text written by a language model."""

    column_type: Literal["llm-text"] = "llm-text"
    prompt: NonEmptyStr
    model_alias: NonEmptyStr
    system_prompt: NonEmptyStr | None = None


class SeedColumn(ColumnBase):
    """Places a column of the seed data among the others; seed columns that are not listed come first."""

    column_type: Literal["seed-dataset"] = "seed-dataset"


Column = Annotated[
    SamplerColumn | ExpressionColumn | LlmTextColumn | SeedColumn,
    Field(discriminator="column_type"),
]
