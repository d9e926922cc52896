"""Numbers that may be drawn again for every record: the temperature of a model, for one."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from sdg_core.config.base import ConfigModel, Number
from sdg_core.counts import counted


class UniformRange(ConfigModel):
    """From `low` (inclusive) to `high`."""

    low: Number
    high: Number

    @model_validator(mode="after")
    def _ordered(self) -> "UniformRange":
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        return self


class ManualChoice(ConfigModel):
    """One of `values`, in proportion to its weight; all equally likely without weights."""

    values: Annotated[tuple[Number, ...], Field(min_length=1)]
    weights: (
        tuple[Annotated[float, Field(ge=0, strict=True, allow_inf_nan=False)], ...]
        | None
    ) = None

    @model_validator(mode="after")
    def _weighable(self) -> "ManualChoice":
        if self.weights is not None and len(self.weights) != len(self.values):
            raise ValueError(
                f"{counted(len(self.weights), 'weight')} for {counted(len(self.values), 'value')}; give one for each"
            )
        if self.weights is not None and not sum(self.weights) > 0:
            raise ValueError("the weights add up to 0")
        return self


class UniformDistribution(ConfigModel):
    """Any number of a range, all equally likely."""

    distribution_type: Literal["uniform"] = "uniform"
    params: UniformRange

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest number that may come out."""
        return self.params.low, self.params.high


class ManualDistribution(ConfigModel):
    """One of a list of numbers."""

    distribution_type: Literal["manual"] = "manual"
    params: ManualChoice

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest number that may come out."""
        return min(self.params.values), max(self.params.values)


Distribution = UniformDistribution | ManualDistribution


def _kind(value: Any) -> str:
    if isinstance(value, Distribution):
        return value.distribution_type
    if isinstance(value, dict):
        return str(value.get("distribution_type"))
    return "number"


def _between(
    low: float, high: float
) -> Callable[[float | Distribution], float | Distribution]:
    def checked(value: float | Distribution) -> float | Distribution:
        least, most = (
            value.bounds if isinstance(value, Distribution) else (value, value)
        )
        if not low <= least <= most <= high:
            outside = least if least < low else most
            raise ValueError(f"must be from {low:g} to {high:g}, got {outside:g}")
        return value

    return checked


_Drawn = Annotated[
    Annotated[Number, Tag("number")]
    | Annotated[UniformDistribution, Tag("uniform")]
    | Annotated[ManualDistribution, Tag("manual")],
    Discriminator(
        _kind,
        custom_error_type="distribution",
        custom_error_message="expected a number, or a distribution_type: uniform or manual, with params",
    ),
]
Temperature = Annotated[_Drawn, AfterValidator(_between(0, 2))]
TopP = Annotated[_Drawn, AfterValidator(_between(0, 1))]
