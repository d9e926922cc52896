"""The fields of people beyond those that every locale has: what a census knows of some countries, traits, and persona texts.

The names are those of Data Designer's people (its `person` sampler over Nemotron-Personas), so that templates written for
them find what they read. Nothing of that data is here: values are drawn from short public lists, texts are composed.
"""

import pyarrow as pa

from sdg_core.config.people import PeopleParams, PersonParams
from sdg_core.plan.sampling.people import PERSON_TYPE

TRAITS = (
    "openness",
    "conscientiousness",
    "extraversion",
    "agreeableness",
    "neuroticism",
)
TRAIT_TYPE = pa.struct(
    [("t_score", pa.int64()), ("label", pa.string()), ("description", pa.string())]
)
"""A T-score has the mean 50 and the standard deviation 10 in the population (McCall 1922)."""
CENSUS_FIELDS = tuple(
    """ethnic_background race religion first_language second_language third_language education_degree district zone area
    prefecture commune departement household_type monthly_income_eur first_name_heritage name_heritage
    is_first_gen_immigrant""".split()
)
PERSONA_TEXTS = tuple(
    """persona detailed_persona professional_persona finance_persona healthcare_persona sports_persona arts_persona
    travel_persona culinary_persona cultural_background skills_and_expertise hobbies_and_interests
    career_goals_and_ambitions religious_persona religious_background linguistic_persona linguistic_background aspects
    digital_skills""".split()
)
PERSONA_LISTS = ("skills_and_expertise_list", "hobbies_and_interests_list")

_CENSUS = [
    (name, pa.int64() if name == "monthly_income_eur" else pa.string())
    for name in CENSUS_FIELDS
]
_TEXTS = [(name, pa.string()) for name in PERSONA_TEXTS]
_LISTS = [(name, pa.list_(pa.string())) for name in PERSONA_LISTS]
CENSUS_TYPE = pa.struct([*PERSON_TYPE, *_CENSUS])
PERSONA_TYPE = pa.struct(
    [*CENSUS_TYPE, *_TEXTS, *_LISTS, *((name, TRAIT_TYPE) for name in TRAITS)]
)


def person_type(params: PeopleParams) -> pa.StructType:
    """What a person is with these parameters; each type begins with the fields of the one before."""
    if not isinstance(params, PersonParams):
        return PERSON_TYPE
    if params.with_synthetic_personas:
        return PERSONA_TYPE
    return CENSUS_TYPE if params.census_fields else PERSON_TYPE


def where_from(field: str) -> str:
    """The parameter that gives people a field, as a remedy for who reads it without; empty for a field that nobody has."""
    if field in CENSUS_FIELDS:
        return "set census_fields: true in the params of its person sampler"
    if field in (*PERSONA_TEXTS, *PERSONA_LISTS, *TRAITS):
        return "set with_synthetic_personas: true in the params of its person sampler"
    return ""
