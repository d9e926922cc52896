"""Parameters of the two person samplers, with NeMo Data Designer's names and defaults."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sdg_core.config.base import ConfigModel, NonEmptyStr, NonNegativeInt

MAX_AGE = 114


def _age_range(value: Any) -> Any:
    """One message for whatever is no pair of ages, instead of one per element."""
    if not isinstance(value, list | tuple) or len(value) != 2 or any(type(age) is not int for age in value):
        raise ValueError("two whole numbers are needed: the lowest and the highest age, such as [18, 65]")
    low, high = value
    if low < 0 or high > MAX_AGE:
        raise ValueError(f"ages are between 0 and {MAX_AGE}, got [{low}, {high}]")
    if low > high:
        raise ValueError(f"the lowest age {low} is above the highest {high}; swap them")
    return value


def _no_personas(value: Any) -> Any:
    if value is True:
        raise ValueError(
            "there are no persona texts here (they come with NVIDIA's census data); "
            "set it to false and write them with an llm-text column that reads the person"
        )
    return value


class PeopleParams(ConfigModel):
    """What both person samplers have. `city` is one city or several; ages include both ends."""

    locale: NonEmptyStr = "en_US"
    sex: Literal["Male", "Female"] | None = None
    city: NonEmptyStr | Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)] | None = None
    age_range: Annotated[tuple[NonNegativeInt, NonNegativeInt], BeforeValidator(_age_range)] = (18, MAX_AGE)


class PersonFromFakerParams(PeopleParams):
    """A person drawn from Faker's lists for any of its locales."""

    sampler_type: Literal["person_from_faker"] = "person_from_faker"


class PersonParams(PeopleParams):
    """The same person for a locale of Data Designer's census data, with fields held to a list of values.

    The census data itself is not here, so `with_synthetic_personas` is accepted only where it asks for nothing.
    """

    sampler_type: Literal["person"] = "person"
    select_field_values: dict[NonEmptyStr, Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)]] | None = None
    with_synthetic_personas: Annotated[Literal[False], BeforeValidator(_no_personas)] = False
