"""People, drawn for many records at once: structs whose fields agree with each other.

Every field reads its own slots of the record's random words, so a person depends on nothing but seed, column, index and
parameters. Sex comes first, then the name that fits it; the age, then the birth date, family and schooling that fit it; the
city, then its state and postcode; the e-mail address last, from the name.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.config.people import MAX_AGE, PeopleParams
from sdg_core.generators.samplers.people.grammar import draw, tidied
from sdg_core.generators.samplers.people.locales import Lists, SexedTexts, lists
from sdg_core.generators.samplers.people.places import Places, draw_places, places
from sdg_core.generators.samplers.people.word_stream import WordStream
from sdg_core.plan.sampling.people import (
    ADULT,
    BACHELORS_FIELDS,
    MARITAL_STATUS,
    NEVER_MARRIED,
    NO_DEGREE,
    PERSON_TYPE,
    REFERENCE_DATE,
    SEXES,
    ages,
    education_levels,
    faker_locale,
    needs_degree,
    selected,
)
from sdg_core.plan.sampling.rng import RandomSource
from sdg_core.plan.types.arrow_values import text_series

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_BATCH_SIZE = 1 << 16
"""Records per round: what a round needs fits into the processor's cache."""
_UUID = 0
_SEX = 2
_AGE = 3
_BIRTHDAY = 4
_MARITAL = 5
_EDUCATION = 6
_FIELD = 7
_FIRST = 8
_LAST = 9
_MIDDLE = 10
_ORDER = 11
_JOB = 12
_EMAIL = 13
_HAS_UNIT = 14
_NATIONAL_ID = 15
GRAMMAR_SLOTS = {
    "street_number": range(24, 32),
    "unit": range(32, 44),
    "postcode": range(44, 56),
    "phone_number": range(56, 72),
    "street_name": range(72, 100),
}
"""The slots a field's grammar may use. Slots 16 to 23 are the place's."""
_UNIT_SHARE = 0.25
_DOMAINS = ("example.com", "example.org", "example.net")
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_SCHEMA = {
    field.name: pl.Int64() if field.name == "age" else pl.String()
    for field in PERSON_TYPE
}


def sample_people(
    name: str,
    params: PeopleParams,
    *,
    indices: Ints,
    random: RandomSource,
    written: pa.StructType = PERSON_TYPE,
) -> pl.Series:
    """One person per record.

    written: the type of the column, whose fields beyond those of every person are null where the parameters ask for none.
    """
    rounds = [
        _with_further(params, draws, written)
        for draws in _rounds(name, indices, random)
    ]
    if not rounds:
        rounds = [pl.DataFrame(pa.schema(list(written)).empty_table())]
    return pl.concat(rounds).to_struct(name)


def _with_further(
    params: PeopleParams, draws: WordStream, written: pa.StructType
) -> pl.DataFrame:
    people = _round(params, draws)
    if written == PERSON_TYPE:
        return people
    from sdg_core.generators.samplers.people.personas import (
        further_fields,
    )  # many words that most datasets do not need

    return people.with_columns(further_fields(params, people, draws, written))


def _rounds(name: str, indices: Ints, random: RandomSource) -> Iterator[WordStream]:
    for start in range(0, len(indices), _BATCH_SIZE):
        some = slice(start, start + _BATCH_SIZE)
        attempts = None if random.attempts is None else random.attempts[some]
        yield WordStream(replace(random, attempts=attempts), name, indices[some])


def _round(params: PeopleParams, draws: WordStream) -> pl.DataFrame:
    parts = lists(faker_locale(params))
    male = _draw_male(params, parts, draws)
    age, birth_date = _draw_age(params, draws)
    fields: dict[str, pl.Series | pl.Expr] = {
        "uuid": _uuids(draws),
        "locale": pl.lit(params.locale),
        "age": pl.Series(age),
        "birth_date": birth_date,
        "country": pl.lit(parts.country, dtype=pl.String),
        **_draw_name(params, parts, draws, male),
        **_draw_life(params, parts, draws, male=male, age=age),
        **_draw_address(params, parts, draws),
        "phone_number": _draw_grammar(parts, "phone_number", draws),
        "national_id": _national_ids(draws)
        if params.locale == "en_US"
        else pl.lit(None, dtype=pl.String),
    }
    frame = pl.select([values.alias(name) for name, values in fields.items()])
    if ages(params)[0] < ADULT:
        grown = pl.col("age") >= ADULT
        frame = frame.with_columns(
            pl.when(grown).then(pl.col("email_address", "phone_number", "occupation"))
        )
    return frame.select(list(_SCHEMA))


def _draw_male(params: PeopleParams, parts: Lists, draws: WordStream) -> Bools:
    """A selected first name that only one sex has restricts the sex."""
    sexes = selected(params, "sex") or SEXES
    first = selected(params, "first_name")
    if first:
        fitting = [sex for sex in sexes if _fitting(parts, sex, first)]
        sexes = tuple(fitting) or sexes
    if len(sexes) == 1:
        return np.full(len(draws), sexes[0] == "Male")
    male: Bools = draws.pick(_SEX, 2) == 1
    return male


def _fitting(parts: Lists, sex: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names that people of that sex have, or that Faker's lists give to nobody."""
    own = parts.names["first"][sex]
    taken: set[str] = set()
    for first_names in parts.names["first"].values():
        taken.update(first_names)
    return tuple(name for name in names if name in own or name not in taken)


@lru_cache(maxsize=256)
def _sexed(locale: str, part: str, chosen: tuple[str, ...]) -> SexedTexts:
    parts = lists(locale)
    if not chosen:
        by_sex = parts.names[part]
    elif part == "first":
        by_sex = {
            sex: dict.fromkeys(_fitting(parts, sex, chosen) or chosen, 1.0)
            for sex in SEXES
        }
    else:
        by_sex = {sex: dict.fromkeys(chosen, 1.0) for sex in SEXES}
    return SexedTexts(by_sex["Female"], by_sex["Male"], spelt=parts.spelt)


def _draw_name(
    params: PeopleParams, parts: Lists, draws: WordStream, male: Bools
) -> dict[str, pl.Series]:
    locale = faker_locale(params)
    first = _sexed(locale, "first", selected(params, "first_name"))
    last = _sexed(locale, "last", selected(params, "last_name"))
    first_codes = first.codes(draws, _FIRST, male)
    last_codes = last.codes(draws, _LAST, male)
    names = {
        "first": first.texts.gather(first_codes),
        "last": last.texts.gather(last_codes),
    }
    middle, full = _draw_full_name(params, parts, draws, male=male, names=names)
    mailboxes = _mailboxes()
    mailbox = mailboxes.gather(draws.pick(_EMAIL, len(mailboxes)))
    email = pl.concat_str(
        [
            first.ascii.gather(first_codes),
            pl.lit("."),
            last.ascii.gather(last_codes),
            mailbox,
        ]
    )
    return {
        "first_name": names["first"],
        "middle_name": middle,
        "last_name": names["last"],
        "full_name": full,
        "sex": pl.Series(SEXES).gather(male.astype(np.int64)),
        "email_address": pl.select(email).to_series(),
    }


@lru_cache(maxsize=1)
def _mailboxes() -> pl.Series:
    """Digits and a domain that is reserved for examples, so that mail reaches nobody."""
    return pl.Series(
        [f"{number}@{domain}" for domain in _DOMAINS for number in range(10_000)]
    )


def _draw_full_name(
    params: PeopleParams,
    parts: Lists,
    draws: WordStream,
    *,
    male: Bools,
    names: dict[str, pl.Series],
) -> tuple[pl.Series, pl.Series]:
    """The middle name, null where the full name has none, and the full name."""
    orders = SexedTexts(parts.orders["Female"], parts.orders["Male"])
    names = dict(names)
    if parts.names["middle"]:
        texts = _sexed(faker_locale(params), "middle", ())
        names["middle"] = texts.texts.gather(texts.codes(draws, _MIDDLE, male))
    middle = names.get("middle", _nothing(draws))
    distinct = list(dict.fromkeys(orders.texts))
    if "middle" not in names:
        distinct = [order for order in distinct if "{middle}" not in order]
    if len(distinct) < 2:
        order = distinct[0] if distinct else "{first} {last}"
        return middle, pl.select(_written(order, names)).to_series()
    chosen = orders.texts.gather(orders.codes(draws, _ORDER, male))
    written = [
        pl.when(chosen == order).then(_written(order, names)) for order in distinct
    ]
    full = pl.select(pl.coalesce(written)).to_series()
    with_middle = chosen.str.contains("{middle}", literal=True)
    return pl.select(pl.when(with_middle).then(middle)).to_series(), full


def _written(order: str, names: dict[str, pl.Series]) -> pl.Expr:
    """The full name by a pattern such as `{first} {last}`."""
    pieces: list[pl.Series | pl.Expr] = []
    for piece in order.replace("}", "{").split("{"):
        if piece:
            pieces.append(names[piece] if piece in names else pl.lit(piece))
    return pl.concat_str(pieces)


def _nothing(draws: WordStream) -> pl.Series:
    return pl.Series([None], dtype=pl.String).new_from_index(0, len(draws))


def _draw_age(params: PeopleParams, draws: WordStream) -> tuple[Ints, pl.Series]:
    youngest, oldest = ages(params)
    age = youngest + draws.pick(_AGE, oldest - youngest + 1)
    first_day, days, texts = _birthdays()
    return age, texts.gather(first_day[age] + draws.pick(_BIRTHDAY, days[age]))


@lru_cache(maxsize=1)
def _birthdays() -> tuple[Ints, Ints, pl.Series]:
    """By age: the place of the first possible birth date among all of them, and how many there are; then those dates."""
    last = [_years_before(age) for age in range(MAX_AGE + 2)]
    start = last[-1] + timedelta(days=1)
    first_day = [(day - start).days + 1 for day in last[1:]]
    days = [(after - before).days for after, before in pairwise(last)]
    count = (REFERENCE_DATE - start).days + 1
    every = [(start + timedelta(days=day)).isoformat() for day in range(count)]
    return np.array(first_day), np.array(days), pl.Series(every)


def _years_before(years: int) -> date:
    return REFERENCE_DATE.replace(year=REFERENCE_DATE.year - years)


def _draw_life(
    params: PeopleParams, parts: Lists, draws: WordStream, *, male: Bools, age: Ints
) -> dict[str, pl.Series]:
    """Marital status, schooling and job: children are not married and have no job."""
    status = selected(params, "marital_status") or MARITAL_STATUS
    marital = pl.Series(status).gather(draws.pick(_MARITAL, len(status)))
    if ages(params)[0] < ADULT:
        grown = pl.Series(age >= ADULT)
        unmarried_children = (
            pl.when(grown).then(marital).otherwise(pl.lit(NEVER_MARRIED))
        )
        marital = pl.select(unmarried_children).to_series()
    jobs = _sexed(faker_locale(params), "job", selected(params, "occupation"))
    return {
        "marital_status": marital,
        "occupation": jobs.texts.gather(jobs.codes(draws, _JOB, male)),
        **_draw_schooling(params, draws, age),
    }


def _draw_schooling(
    params: PeopleParams, draws: WordStream, age: Ints
) -> dict[str, pl.Series]:
    """A level that people of the age have, null for those too young for any; and what they studied."""
    levels = education_levels(params)
    needed = np.array(list(levels.values()))
    reached_by_age = np.searchsorted(needed, np.arange(MAX_AGE + 1), side="right")
    reached = reached_by_age[age]
    picked = draws.pick(_EDUCATION, np.maximum(reached, 1))
    codes = np.where(reached > 0, 1 + picked, 0)
    chosen = selected(params, "bachelors_field")
    studies = tuple(field for field in chosen if field != NO_DEGREE) or BACHELORS_FIELDS
    degree = np.array([False, *map(needs_degree, levels)])[codes]
    places = np.where(
        degree, 2 + draws.pick(_FIELD, len(studies)), np.minimum(codes, 1)
    )
    return {
        "education_level": pl.Series([None, *levels], dtype=pl.String).gather(codes),
        "bachelors_field": pl.Series(
            [None, NO_DEGREE, *studies], dtype=pl.String
        ).gather(places),
    }


def _draw_address(
    params: PeopleParams, parts: Lists, draws: WordStream
) -> dict[str, pl.Series]:
    cities = selected(params, "city")
    states = selected(params, "state")
    found: Places = places(faker_locale(params), cities, states)
    city, state, postcode = draw_places(found, draws)
    if postcode is None:
        postcode = _draw_grammar(parts, "postcode", draws)
    has_unit = pl.Series(draws.unit(_HAS_UNIT) < _UNIT_SHARE)
    unit = pl.when(has_unit).then(_draw_grammar(parts, "unit", draws))
    return {
        "street_number": _draw_grammar(parts, "street_number", draws),
        "street_name": _draw_grammar(parts, "street_name", draws),
        "unit": pl.select(unit).to_series(),
        "city": city,
        "state": state,
        "region": state,
        "postcode": postcode,
    }


def _draw_grammar(parts: Lists, field: str, draws: WordStream) -> pl.Series:
    node = parts.grammars.get(field)
    if node is None:
        return _nothing(draws)
    texts = draw(node, draws, GRAMMAR_SLOTS[field].start)
    return tidied(texts) if field in parts.untidy else texts


def _uuids(draws: WordStream) -> pl.Series:
    """Version 4 by RFC 4122, as the uuid sampler makes them."""
    bits = np.empty((len(draws), 2), ">u8")
    bits[:, 0] = (draws.words(_UUID) & np.uint64(0xFFFF_FFFF_FFFF_0FFF)) | np.uint64(
        0x4000
    )
    bits[:, 1] = (draws.words(_UUID + 1) >> np.uint64(2)) | np.uint64(1 << 63)
    pairs = (
        np.stack([np.repeat(_HEX, 16), np.tile(_HEX, 16)], axis=1)
        .view(np.uint16)
        .ravel()
    )
    digits = pairs[bits.view(np.uint8)].view(np.uint8)
    text = np.full((len(draws), 36), ord("-"), np.uint8)
    for number, (start, stop) in enumerate(
        ((0, 8), (9, 13), (14, 18), (19, 23), (24, 36))
    ):
        text[:, start:stop] = digits[:, start - number : stop - number]
    return text_series("", text)


@lru_cache(maxsize=1)
def _ssn_parts() -> tuple[pl.Series, ...]:
    """Area, group and serial number, as they may occur in the United States."""
    areas = [f"{area:03d}-" for area in range(1, 900) if area != 666]
    groups = [f"{number:02d}" for number in range(1, 100)]
    serials = [f"{number:04d}" for number in range(1, 10_000)]
    return pl.Series(areas), pl.Series(groups) + "-", pl.Series(serials)


def _national_ids(draws: WordStream) -> pl.Series:
    rest = draws.words(_NATIONAL_ID)
    pieces: list[pl.Series] = []
    for texts in _ssn_parts():
        rest, codes = np.divmod(rest, np.uint64(len(texts)))
        pieces.append(texts.gather(codes.astype(np.int64)))
    return pl.select(pl.concat_str(pieces)).to_series()
