"""Parameters of the samplers: NeMo Data Designer's names and defaults, one model per `sampler_type`."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sdg_core.config.base import (
    Bool,
    ConfigModel,
    Name,
    NonEmptyStr,
    NonNegativeInt,
    Number,
    PositiveInt,
    Rate,
    Scalar,
)
from sdg_core.config.people import PersonFromFakerParams, PersonParams
from sdg_core.counts import counted

_MAX_EXPECTED = 10**9
"""Counts beyond this have no exact quantiles within reach; a gaussian with `convert_to: int` tells no difference there."""
_UNITS_IN_9999_YEARS = {
    "D": 3_652_059,
    "h": 87_649_416,
    "m": 5_258_964_960,
    "s": 315_537_897_600,
}
DecimalPlaces = Annotated[int, Field(ge=0, le=15, strict=True)]
DistributionParams = dict[NonEmptyStr, Number]


class CategoryParams(ConfigModel):
    """A weighted draw from fixed values; weights need not sum to 1."""

    sampler_type: Literal["category"] = "category"
    values: Annotated[tuple[Scalar, ...], Field(min_length=1)]
    weights: (
        tuple[Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)], ...]
        | None
    ) = None

    @model_validator(mode="after")
    def _weights_fit(self) -> "CategoryParams":
        if self.weights is not None and len(self.weights) != len(self.values):
            raise ValueError(
                f"{counted(len(self.weights), 'weight')} for {counted(len(self.values), 'value')}; give one weight per value"
            )
        if self.weights is not None and sum(self.weights) == 0:
            raise ValueError("weights are all 0; at least one must be positive")
        if self.weights is not None and not math.isfinite(sum(self.weights)):
            raise ValueError(
                "the sum of the weights is too large for a number; scale them down"
            )
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
    decimal_places: DecimalPlaces | None = None

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
    decimal_places: DecimalPlaces | None = None


class BernoulliParams(ConfigModel):
    """1 with probability `p`, otherwise 0."""

    sampler_type: Literal["bernoulli"] = "bernoulli"
    p: Rate


class BinomialParams(ConfigModel):
    """The number of successes in `n` trials that each succeed with probability `p`."""

    sampler_type: Literal["binomial"] = "binomial"
    n: Annotated[NonNegativeInt, Field(le=_MAX_EXPECTED)]
    p: Rate


class PoissonParams(ConfigModel):
    """The number of events when `mean` events are expected."""

    sampler_type: Literal["poisson"] = "poisson"
    mean: Annotated[Number, Field(ge=0, le=_MAX_EXPECTED)]


class BernoulliMixtureParams(ConfigModel):
    """0 with probability `1 - p`, otherwise a draw from the scipy distribution `dist_name`."""

    sampler_type: Literal["bernoulli_mixture"] = "bernoulli_mixture"
    p: Rate
    dist_name: NonEmptyStr
    dist_params: DistributionParams = {}


class ScipyParams(ConfigModel):
    """A draw from the distribution `scipy.stats.<dist_name>(**dist_params)`."""

    sampler_type: Literal["scipy"] = "scipy"
    dist_name: NonEmptyStr
    dist_params: DistributionParams = {}
    decimal_places: DecimalPlaces | None = None


class UuidParams(ConfigModel):
    """A version-4 UUID as text; `short_form` keeps the first 8 hex digits, `hyphens: false` removes the hyphens."""

    sampler_type: Literal["uuid"] = "uuid"
    prefix: NonEmptyStr | None = None
    short_form: Bool = False
    uppercase: Bool = False
    hyphens: Bool = True


class DatetimeParams(ConfigModel):
    """A time in `[start, end)`, a whole number of `unit`s after `start`; ISO 8601 text unless `convert_to` is given."""

    sampler_type: Literal["datetime"] = "datetime"
    start: NonEmptyStr
    end: NonEmptyStr
    unit: Literal["Y", "M", "D", "h", "m", "s"] = "D"


class TimedeltaParams(ConfigModel):
    """The time in `reference_column_name` plus a whole number of `unit`s in `[dt_min, dt_max)`, formatted like a
    datetime."""

    sampler_type: Literal["timedelta"] = "timedelta"
    dt_min: NonNegativeInt
    dt_max: PositiveInt
    reference_column_name: Name
    unit: Literal["D", "h", "m", "s"] = "D"

    @model_validator(mode="after")
    def _ordered(self) -> "TimedeltaParams":
        if self.dt_min >= self.dt_max:
            raise ValueError(
                f"dt_min {self.dt_min} (included) is not below dt_max {self.dt_max} (excluded)"
            )
        if self.dt_max > _UNITS_IN_9999_YEARS[self.unit]:
            raise ValueError(
                f"dt_max {self.dt_max} {self.unit} is beyond the year 9999"
            )
        return self


SamplerParams = Annotated[
    CategoryParams
    | SubcategoryParams
    | UniformParams
    | GaussianParams
    | BernoulliParams
    | BinomialParams
    | PoissonParams
    | BernoulliMixtureParams
    | ScipyParams
    | UuidParams
    | DatetimeParams
    | TimedeltaParams
    | PersonParams
    | PersonFromFakerParams,
    Field(discriminator="sampler_type"),
]
SamplerType = Literal[
    "category",
    "subcategory",
    "uniform",
    "gaussian",
    "bernoulli",
    "binomial",
    "poisson",
    "bernoulli_mixture",
    "scipy",
    "uuid",
    "datetime",
    "timedelta",
    "person",
    "person_from_faker",
]
