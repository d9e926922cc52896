"""What is known of people without Faker's lists: the fields of a person, their fixed vocabularies, and how they bind each other.

A person's age is the age on REFERENCE_DATE, a constant: with today's date a record would change with the day it is made.
"""

from collections.abc import Collection, Mapping
from datetime import date
from importlib import import_module

import pyarrow as pa

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.people import PeopleParams, PersonFromFakerParams, PersonParams
from sdg_core.config.samplers import SamplerParams
from sdg_core.config.yaml_document import Path, Problems
from sdg_core.plan.names import did_you_mean

REFERENCE_DATE = date(2026, 1, 1)
ADULT = 18
NO_DEGREE = "no_degree"
NEVER_MARRIED = "never_married"

_TEXT_FIELDS = """uuid locale first_name middle_name last_name full_name sex birth_date marital_status street_number
street_name unit city state region postcode country education_level bachelors_field occupation email_address phone_number
national_id""".split()
PERSON_TYPE = pa.struct(
    [
        ("age", pa.int64()) if name == "age" else (name, pa.string())
        for name in [*_TEXT_FIELDS[:7], "age", *_TEXT_FIELDS[7:]]
    ]
)
"""The same for every locale; a part that a locale does not have is null."""

SEXES = ("Female", "Male")
MARITAL_STATUS = ("married_present", "divorced", NEVER_MARRIED, "separated", "widowed")
BACHELORS_FIELDS = ("stem", "business", "education", "arts_humanities", "stem_related")
EDUCATION_LEVELS: Mapping[str, int] = {
    "secondary_education": 12,
    "some_college": 18,
    "associates": 20,
    "bachelors": 21,
    "graduate": 23,
    "doctorate": 26,
}
"""Level to the age from which people have it: those that are drawn when none is selected."""
_CENSUS_LEVELS: Mapping[str, int] = {
    "less_than_9th": 6,
    "9th_12th_no_diploma": 15,
    "high_school": 17,
}
_COLLEGE = frozenset({"bachelors", "graduate", "doctorate"})

FAKER_LOCALES: Mapping[str, str | None] = {
    "en_US": "en_US",
    "en_IN": "en_IN",
    "en_SG": None,
    "fr_FR": "fr_FR",
    "hi_Deva_IN": "hi_IN",
    "hi_Latn_IN": "en_IN",
    "ja_JP": "ja_JP",
    "ko_KR": "ko_KR",
    "pt_BR": "pt_BR",
    "en_GB": "en_GB",
    "de_DE": "de_DE",
}
"""Locales of the `person` sampler to Faker's; None where Faker has no lists."""

_VOCABULARY: Mapping[str, tuple[str, ...]] = {
    "sex": SEXES,
    "marital_status": MARITAL_STATUS,
    "bachelors_field": (*BACHELORS_FIELDS, NO_DEGREE),
    "education_level": (*EDUCATION_LEVELS, *_CENSUS_LEVELS),
}
_STATE_LISTS = (
    "states",
    "states_abbr",
    "territories_abbr",
    "freely_associated_states_abbr",
    "military_state_abbr",
)
_NO_STATES = frozenset({"District of Columbia", "Puerto Rico"})
"""What is asked for as a state, though no list of states has it."""
SELECTABLE = (
    *_VOCABULARY,
    "city",
    "state",
    "region",
    "occupation",
    "first_name",
    "last_name",
)


def faker_locale(params: PeopleParams) -> str:
    """Faker's name of the locale; the config has been checked."""
    return (
        FAKER_LOCALES[params.locale] or ""
        if isinstance(params, PersonParams)
        else params.locale.replace("-", "_")
    )


def selected(params: PeopleParams, field: str) -> tuple[str, ...]:
    """The values that a field is held to, each once; empty where it is free."""
    own = {"sex": params.sex, "city": params.city}.get(field)
    values = (own,) if isinstance(own, str) else own
    if values is None and isinstance(params, PersonParams):
        chosen = params.select_field_values or {}
        values = chosen.get(field)
        if not values and field == "state":
            values = chosen.get("region")
    return tuple(dict.fromkeys(values or ()))


def education_levels(params: PeopleParams) -> dict[str, int]:
    """The levels that may be drawn, with the ages from which people have them, lowest age first.

    A selected field of study needs a degree, a selected lack of one forbids it.
    """
    known = {**EDUCATION_LEVELS, **_CENSUS_LEVELS}
    levels = selected(params, "education_level") or tuple(EDUCATION_LEVELS)
    fields = selected(params, "bachelors_field")
    needs_degree = bool(fields) and NO_DEGREE not in fields
    forbids_degree = fields == (NO_DEGREE,)
    found = {}
    for level in sorted(levels, key=known.__getitem__):
        has_degree = level in _COLLEGE
        if needs_degree and not has_degree or forbids_degree and has_degree:
            continue
        found[level] = known[level]
    return found


def needs_degree(level: str) -> bool:
    """Whether people of that level have a field of study."""
    return level in _COLLEGE


def ages(params: PeopleParams) -> tuple[int, int]:
    """The youngest and the oldest age, given that the selected fields fit it; the first above the second if none does."""
    youngest, oldest = params.age_range
    if selected(params, "education_level") or selected(params, "bachelors_field"):
        youngest_educated = min(education_levels(params).values(), default=oldest + 1)
        youngest = max(youngest, youngest_educated)
    status = selected(params, "marital_status")
    was_married = bool(status) and NEVER_MARRIED not in status
    if was_married or selected(params, "occupation"):
        youngest = max(youngest, ADULT)
    return youngest, oldest


def check_person(column: SamplerColumn) -> Problems:
    """Problems of a column if it samples people, by path inside the column."""
    branches: dict[Path, SamplerParams] = {("params",): column.params}
    for condition, params in column.conditional_params.items():
        branches["conditional_params", condition] = params
    for path, params in branches.items():
        if isinstance(params, PersonParams | PersonFromFakerParams):
            for inner, message in _check_people(params):
                yield (*path, *inner), message


def _check_people(params: PersonParams | PersonFromFakerParams) -> Problems:
    """Faker is imported only for a locale of its own."""
    if isinstance(params, PersonParams):
        yield from _check_census_locale(params.locale)
        problems = list(_check_selection(params))
        yield from problems
        if problems:
            return
    else:
        yield from _check_locale(params.locale)
    youngest, oldest = ages(params)
    if youngest > oldest:
        yield (
            ("age_range",),
            f"no person aged {params.age_range[0]} to {oldest} has the selected field values; change "
            f"age_range or select_field_values",
        )


def _check_census_locale(locale: str) -> Problems:
    if locale not in FAKER_LOCALES:
        message = f"{locale!r} is not a locale of person samplers{did_you_mean(locale, FAKER_LOCALES)}"
        yield ("locale",), f"{message}; person_from_faker has every locale of Faker"
    elif FAKER_LOCALES[locale] is None:
        yield (
            ("locale",),
            f"there are no names for {locale!r}: Faker has no such locale; use another locale, such as 'en_IN'",
        )


def _check_locale(locale: str) -> Problems:
    # only those who draw people pay for the import
    from faker.config import AVAILABLE_LOCALES

    if locale.replace("-", "_") not in AVAILABLE_LOCALES:
        yield (
            ("locale",),
            f"{locale!r} is not a locale of Faker{did_you_mean(locale, AVAILABLE_LOCALES)}",
        )


def _check_selection(params: PersonParams) -> Problems:
    chosen = params.select_field_values or {}
    for field, values in chosen.items():
        path = ("select_field_values", field)
        if field not in SELECTABLE:
            yield (
                path,
                f"people cannot be selected by {field!r}{did_you_mean(field, SELECTABLE)}",
            )
            continue
        if field in ("sex", "city") and getattr(params, field) is not None:
            yield path, f"{field} is also given as a parameter; keep one"
        known = _known_values(params, field)
        for place, value in enumerate(values):
            if known and value not in known:
                yield (
                    (*path, place),
                    f"{value!r} is not a value of {field}{did_you_mean(value, known)}",
                )
    if "state" in chosen and "region" in chosen:
        yield (
            ("select_field_values", "region"),
            "state and region are the same; keep one",
        )
    if not _levels_fit(params):
        yield (
            ("select_field_values", "bachelors_field"),
            "it matches no selected education_level; change one of them",
        )


def _known_values(params: PersonParams, field: str) -> Collection[str]:
    """The values that a field can have; empty where people may have others than those that are known."""
    if field in ("state", "region"):
        chosen = params.select_field_values or {}
        if "state" not in chosen or "region" not in chosen:
            return _states(params)
    return _VOCABULARY.get(field, ())


def _states(params: PersonParams) -> frozenset[str]:
    """The states of the locale, by name and abbreviation, as Faker lists them; empty where it does not."""
    try:
        address = import_module(
            f"faker.providers.address.{faker_locale(params)}"
        ).Provider
    except ImportError:
        return frozenset()
    known: set[str] = set()
    for attribute in _STATE_LISTS:
        names = getattr(address, attribute, ())
        known.update(name for name in names if isinstance(name, str))
    if not known:
        return frozenset()
    return _NO_STATES | known


def _levels_fit(params: PersonParams) -> bool:
    """Whether a level can be drawn, as far as the selected ones are levels at all."""
    levels = set(selected(params, "education_level"))
    are_known = levels <= set(_VOCABULARY["education_level"])
    return not are_known or bool(education_levels(params))
