"""Parameters of the two person samplers, with NeMo Data Designer's names and defaults."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sdg_core.config.base import Bool, ConfigModel, NonEmptyStr, NonNegativeInt

MAX_AGE = 114
CENSUS_LOCALES = frozenset(
    {"en_IN", "hi_Deva_IN", "hi_Latn_IN", "pt_BR", "fr_FR", "ja_JP"}
)
"""Locales for which Data Designer's people have census fields without being asked."""


def _age_range(value: Any) -> Any:
    """One message for whatever is no pair of ages, instead of one per element."""
    is_pair = isinstance(value, list | tuple) and len(value) == 2
    if not is_pair or any(type(age) is not int for age in value):
        raise ValueError(
            "expected two whole numbers, the lowest and the highest age, such as [18, 65]"
        )
    low, high = value
    if low < 0 or high > MAX_AGE:
        raise ValueError(f"ages are between 0 and {MAX_AGE}, got [{low}, {high}]")
    if low > high:
        raise ValueError(f"the lowest age {low} is above the highest {high}; swap them")
    return value


class PeopleParams(ConfigModel):
    """What both person samplers have. `city` is one city or several; ages include both ends."""

    locale: NonEmptyStr = "en_US"
    sex: Literal["Male", "Female"] | None = None
    city: (
        NonEmptyStr | Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)] | None
    ) = None
    age_range: Annotated[
        tuple[NonNegativeInt, NonNegativeInt], BeforeValidator(_age_range)
    ] = (
        18,
        MAX_AGE,
    )


class PersonFromFakerParams(PeopleParams):
    """A person drawn from Faker's lists, for any Faker locale."""

    sampler_type: Literal["person_from_faker"] = "person_from_faker"


class PersonParams(PeopleParams):
    """A person for one of the locales of Data Designer's census data, with fields optionally restricted to lists of
    values.

    The census data itself is not included. `census_fields` adds the fields that it has for some locales, drawn from
    public lists; `with_synthetic_personas` adds these fields, five personality traits and texts composed from the
    other fields.
    """

    sampler_type: Literal["person"] = "person"
    select_field_values: (
        dict[NonEmptyStr, Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)]]
        | None
    ) = None
    with_synthetic_personas: Bool = False
    census_fields: Bool = False
