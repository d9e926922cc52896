"""Further fields of people: census fields of some countries, five personality traits, and persona texts composed of them.

Every text is made of the person's own fields and a few phrases, so that it agrees with the rest; it is a sketch in English
whatever the locale. Each part reads its own slot of the record's random words, after those of the base fields: asking for
personas changes nothing else of a person.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from sdg_core.config.people import PeopleParams, PersonParams
from sdg_core.generators.samplers.normal import standard_normal
from sdg_core.generators.samplers.people.persona_words import (
    CENSUS_VALUES,
    HOBBIES,
    LANGUAGES,
    PHRASES,
    SKILLS,
    TRAIT_LABELS,
    TRAIT_WORDS,
)
from sdg_core.generators.samplers.people.word_stream import WordStream
from sdg_core.plan.sampling.people import PERSON_TYPE
from sdg_core.plan.sampling.personas import CENSUS_FIELDS, TRAITS, person_type
from sdg_core.plan.sampling.rng import to_open_unit

_FIRST_SLOT = 100
"""Below it are the slots of the base fields."""
_TRAIT_SLOTS = {trait: _FIRST_SLOT + place for place, trait in enumerate(TRAITS)}
_CENSUS_SLOTS = {
    field: _FIRST_SLOT + 8 + place for place, field in enumerate(CENSUS_FIELDS)
}
_PHRASE_SLOTS = {field: _FIRST_SLOT + 32 + place for place, field in enumerate(PHRASES)}
_HOBBY_SLOT = _FIRST_SLOT + 48
_SKILL_SLOT = _FIRST_SLOT + 52
_LOWEST, _HIGHEST = 20, 80
_READ = ("first_name", "full_name", "age", "city", "country", "occupation")
"""What the texts say of the base fields."""
_HOME = pl.coalesce("city", "country")
_BATCH_SIZE = 3
"""Hobbies and skills of one person."""
_INCOMES = (1_100, 6_500)
"""Euro a month, between which most households of France have their income (INSEE, rounded)."""


def further_fields(
    params: PeopleParams,
    people: pl.DataFrame,
    draws: WordStream,
    written: pa.StructType,
) -> list[pl.Series]:
    """The fields of `written` beyond those that everyone has; null where the parameters do not ask for them."""
    dtypes = pl.DataFrame(pa.schema(list(written)).empty_table()).schema
    own = person_type(params)
    made: dict[str, pl.Series] = {}
    if isinstance(params, PersonParams) and own != PERSON_TYPE:
        made |= _census(params, people, draws)
    if isinstance(params, PersonParams) and params.with_synthetic_personas:
        made |= _persona(people, draws, made)
    names = [field.name for field in list(written)[PERSON_TYPE.num_fields :]]
    return [_of_type(made.get(name), name, dtypes[name], len(draws)) for name in names]


def _of_type(
    values: pl.Series | None, name: str, dtype: pl.DataType, count: int
) -> pl.Series:
    if values is None:
        return pl.Series(name, [None], dtype).new_from_index(0, count)
    return values.alias(name).cast(dtype)


def _census(
    params: PersonParams, people: pl.DataFrame, draws: WordStream
) -> dict[str, pl.Series]:
    """What a census of the country records, each value as often as any other."""
    found: dict[str, pl.Series] = {}
    for field, values in CENSUS_VALUES.get(params.locale, {}).items():
        found[field] = pl.Series(values).gather(
            draws.pick(_CENSUS_SLOTS[field], len(values))
        )
    languages = LANGUAGES.get(params.locale, ())
    for place, field in enumerate(
        ("first_language", "second_language", "third_language")
    ):
        if languages:
            found[field] = _distinct(languages, draws, _CENSUS_SLOTS["first_language"])[
                place
            ]
    if params.locale == "ja_JP":
        found["prefecture"] = people["state"]
    if params.locale == "fr_FR":
        found |= {"commune": people["city"], "departement": people["state"]}
        low, high = _INCOMES
        found["monthly_income_eur"] = pl.Series(
            low + draws.pick(_CENSUS_SLOTS["monthly_income_eur"], high - low)
        )
    return found


def _distinct(values: Sequence[str], draws: WordStream, slot: int) -> list[pl.Series]:
    """Three different values per record: a first one, and two steps round the list that never meet."""
    texts = pl.Series(values)
    first = draws.pick(slot, len(values))
    step = 1 + draws.pick(slot + 1, len(values) - 2)
    further = step + 1 + draws.pick(slot + 2, len(values) - 1 - step)
    return [
        texts.gather((first + move) % len(values))
        for move in (np.zeros_like(first), step, further)
    ]


def _persona(
    people: pl.DataFrame, draws: WordStream, census: Mapping[str, pl.Series]
) -> dict[str, pl.Series]:
    traits = {trait: _trait(trait, draws) for trait in TRAITS}
    hobbies = _distinct(HOBBIES, draws, _HOBBY_SLOT)
    skills = _distinct(SKILLS, draws, _SKILL_SLOT)
    parts: dict[str, pl.Series] = {}
    for field, phrases in PHRASES.items():
        chosen = draws.pick(_PHRASE_SLOTS[field], len(phrases))
        parts[f"phrase_{field}"] = pl.Series(phrases).gather(chosen)
    parts |= {f"hobby_{place}": texts for place, texts in enumerate(hobbies)}
    parts |= {f"skill_{place}": texts for place, texts in enumerate(skills)}
    parts |= {
        f"is_{trait}": values.struct.field("words") for trait, values in traits.items()
    }
    parts |= {field: people[field] for field in _READ}
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, len(draws))
    parts |= {
        field: census.get(field, nothing)
        for field in ("religion", "first_language", "second_language")
    }
    texts = pl.DataFrame(parts).select(**_texts())
    found = {name: texts[name] for name in texts.columns}
    for trait, values in traits.items():
        found[trait] = values.struct.unnest().drop("words").to_struct()
    return found


def _trait(trait: str, draws: WordStream) -> pl.Series:
    standard = standard_normal(to_open_unit(draws.words(_TRAIT_SLOTS[trait])))
    score = np.clip(np.rint(50 + 10 * standard), _LOWEST, _HIGHEST).astype(np.int64)
    label = np.searchsorted([35, 45, 55, 65], score, side="right")
    words = [words for words, _ in TRAIT_WORDS[trait]]
    descriptions = [description for _, description in TRAIT_WORDS[trait]]
    return pl.DataFrame(
        {
            "t_score": score,
            "label": pl.Series(TRAIT_LABELS).gather(label),
            "description": pl.Series(descriptions).gather(label),
            "words": pl.Series(words).gather(label),
        }
    ).to_struct()


def _texts() -> dict[str, pl.Expr]:
    """The persona texts, of the columns of `_persona`."""
    name = pl.col("first_name")
    simple = {
        field: _text(name, " ", pl.col(f"phrase_{field}"), ".") for field in PHRASES
    }
    return {**simple, **_personas(name), **_backgrounds(name), **_lists()}


def _personas(name: pl.Expr) -> dict[str, pl.Expr]:
    """What a person does and likes, in a sentence each, and all of it in one text."""
    works = (
        pl.when(pl.col("occupation").is_null())
        .then(pl.lit("does not work yet"))
        .otherwise(
            pl.concat_str(pl.lit("works as "), pl.col("occupation").str.to_lowercase())
        )
    )
    persona = _text(
        pl.col("full_name"),
        ", ",
        pl.col("age"),
        ", ",
        works,
        " in ",
        _HOME,
        ": ",
        pl.col("is_openness"),
        ", ",
        pl.col("is_conscientiousness"),
        " and ",
        pl.col("is_extraversion"),
        ", fond of ",
        pl.col("hobby_0"),
        ".",
    )
    professional = _text(
        name,
        " ",
        works,
        ", is ",
        pl.col("is_conscientiousness"),
        " and known for ",
        pl.col("skill_0"),
        " and ",
        pl.col("skill_1"),
        ".",
    )
    hobbies = _text(name, " likes ", _enumerated("hobby"), ".")
    goals = _text(name, " ", pl.col("phrase_career_goals_and_ambitions"), ".")
    return {
        "persona": persona,
        "professional_persona": professional,
        "hobbies_and_interests": hobbies,
        "skills_and_expertise": _text(name, " is good at ", _enumerated("skill"), "."),
        "detailed_persona": pl.concat_str(
            persona, professional, hobbies, goals, separator=" "
        ),
    }


def _backgrounds(name: pl.Expr) -> dict[str, pl.Expr]:
    """Where a person comes from; null where the country's census does not tell."""
    religion = pl.col("religion")
    faith = pl.when(religion.is_not_null())
    first_language = pl.col("first_language")
    speaks = pl.when(first_language.is_not_null())
    languages = _text(
        name,
        " speaks ",
        first_language,
        " at home and ",
        pl.col("second_language"),
        " elsewhere.",
    )
    return {
        "cultural_background": _text(
            name, " lives in ", _HOME, ", ", pl.col("country"), "."
        ),
        "religious_background": faith.then(
            _text(name, " comes from a family of this religion: ", religion, ".")
        ),
        "religious_persona": faith.then(
            _text(name, " ", pl.col("phrase_religious_persona"), ".")
        ),
        "linguistic_background": speaks.then(languages),
        "linguistic_persona": speaks.then(
            _text(name, " is most at ease in ", first_language, ".")
        ),
    }


def _lists() -> dict[str, pl.Expr]:
    hobbies = [f"hobby_{place}" for place in range(_BATCH_SIZE)]
    skills = [f"skill_{place}" for place in range(_BATCH_SIZE)]
    return {
        "hobbies_and_interests_list": pl.concat_list(hobbies),
        "skills_and_expertise_list": pl.concat_list(skills),
    }


def _text(*parts: pl.Expr | str) -> pl.Expr:
    pieces = [pl.lit(part) if isinstance(part, str) else part for part in parts]
    return pl.concat_str(pieces)


def _enumerated(kind: str) -> pl.Expr:
    return _text(
        pl.col(f"{kind}_0"), ", ", pl.col(f"{kind}_1"), " and ", pl.col(f"{kind}_2")
    )
