"""Parameters of the samplers: NeMo Data Designer's names and defaults, one model per `sampler_type`."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sdg_core.config.base import Bool, ConfigModel, Name, NonEmptyStr, Number, Scalar


class CategoryParams(ConfigModel):
    """A weighted draw from fixed values; weights need not sum to 1."""

    sampler_type: Literal["category"] = "category"
    values: Annotated[tuple[Scalar, ...], Field(min_length=1)]
    weights: tuple[Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)], ...] | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> "CategoryParams":
        if self.weights is not None and len(self.weights) != len(self.values):
            raise ValueError(f"{len(self.weights)} weights for {len(self.values)} values; give one weight per value")
        if self.weights is not None and sum(self.weights) == 0:
            raise ValueError("weights are all 0; at least one must be positive")
        if self.weights is not None and not math.isfinite(sum(self.weights)):
            raise ValueError("the sum of the weights is beyond what a number can hold; scale them down")
        return self


class SubcategoryParams(ConfigModel):
    """A uniform draw from the values listed under the parent category's value."""

    sampler_type: Literal["subcategory"] = "subcategory"
    category: Name
    values: dict[str, Annotated[tuple[Scalar, ...], Field(min_length=1)]]


class UniformParams(ConfigModel):
    """A real number in `[low, high)`."""

    sampler_type: Literal["uniform"] = "uniform"
    low: Number
    high: Number
    decimal_places: Annotated[int, Field(ge=0, le=15, strict=True)] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "UniformParams":
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}; swap them")
        return self


class GaussianParams(ConfigModel):
    """A normally distributed real number."""

    sampler_type: Literal["gaussian"] = "gaussian"
    mean: Number
    stddev: Annotated[Number, Field(ge=0)]
    decimal_places: Annotated[int, Field(ge=0, le=15, strict=True)] | None = None


class UuidParams(ConfigModel):
    """A version-4 UUID as text; `short_form` keeps its first 8 hex digits."""

    sampler_type: Literal["uuid"] = "uuid"
    prefix: NonEmptyStr | None = None
    short_form: Bool = False
    uppercase: Bool = False


class DatetimeParams(ConfigModel):
    """A time in `[start, end)`, a whole number of `unit`s after `start`; ISO 8601 text unless `convert_to` is given."""

    sampler_type: Literal["datetime"] = "datetime"
    start: NonEmptyStr
    end: NonEmptyStr
    unit: Literal["Y", "M", "D", "h", "m", "s"] = "D"


SamplerParams = Annotated[
    CategoryParams | SubcategoryParams | UniformParams | GaussianParams | UuidParams | DatetimeParams,
    Field(discriminator="sampler_type"),
]
SamplerType = Literal["category", "subcategory", "uniform", "gaussian", "uuid", "datetime"]
