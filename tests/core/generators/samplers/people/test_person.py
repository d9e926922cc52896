"""People: coherent in every locale of Faker, a pure function of their record, held to what is asked for."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from faker import VERSION
from faker.config import AVAILABLE_LOCALES
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.config.people import PeopleParams, PersonFromFakerParams, PersonParams
from sdg_core.generators.samplers.people import person as people
from sdg_core.generators.samplers.people.grammar import slots
from sdg_core.generators.samplers.people.locales import ascii_name, lists
from sdg_core.generators.samplers.people.person import GRAMMAR_SLOTS, sample_people
from sdg_core.plan.sampling.people import FAKER_LOCALES, PERSON_TYPE, REFERENCE_DATE
from sdg_core.plan.sampling.rng import RandomSource
from tests.support.requirements import LONG

LOCALES = sorted(AVAILABLE_LOCALES)
ALWAYS = """uuid locale first_name last_name full_name sex age birth_date marital_status education_level bachelors_field
occupation email_address""".split()


def frame(
    params: PeopleParams, count: int = 300, *, seed: int = 7, start: int = 0
) -> pl.DataFrame:
    indices = np.arange(start, start + count, dtype=np.int64)
    return sample_people(
        "customer", params, indices=indices, random=RandomSource(seed)
    ).struct.unnest()


@pytest.mark.parametrize("locale", ["es_AR", "az_AZ", "en_IN", "es_CL", "en_AU"])
def test_texts_have_no_stray_spaces(locale: str) -> None:
    people_of_it = frame(PersonFromFakerParams(locale=locale), 1000)
    texts = people_of_it.select(pl.col(pl.String)).unpivot()
    assert texts.filter(pl.col("value").str.contains(r"^\s|\s$|\s\s")).is_empty()


def years_between(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


@pytest.mark.parametrize("locale", LOCALES)
def test_people_of_every_locale_are_coherent(locale: str) -> None:
    table = frame(PersonFromFakerParams(locale=locale, age_range=(18, 90)))
    parts = lists(locale)
    assert all(
        slots(node) <= len(GRAMMAR_SLOTS[field])
        for field, node in parts.grammars.items()
    )
    assert dict(table.schema) == {
        f.name: pl.Int64() if f.name == "age" else pl.String() for f in PERSON_TYPE
    }
    assert table.select(ALWAYS).null_count().row(0) == (0,) * len(ALWAYS)
    assert table["uuid"].n_unique() == len(table) and set(table["sex"]) == {
        "Male",
        "Female",
    }
    for person in table.iter_rows(named=True):
        assert person["first_name"] in parts.names["first"][person["sex"]]
        assert person["last_name"] in parts.names["last"][person["sex"]]
        assert person["occupation"] in parts.names["job"][person["sex"]]
        for part in ("first_name", "middle_name", "last_name"):
            assert (person[part] or "") in person["full_name"]
        spelt = [
            ascii_name(parts.spelt.get(person[part], person[part]))
            for part in ("first_name", "last_name")
        ]
        assert re.fullmatch(
            rf"{spelt[0]}\.{spelt[1]}\d{{1,4}}@example\.(com|org|net)",
            person["email_address"],
        )
        assert person["age"] == years_between(
            date.fromisoformat(person["birth_date"]), REFERENCE_DATE
        )
        assert not any(
            re.search(r"\{\{|[\ue000\ue001]", text)
            for text in person.values()
            if isinstance(text, str)
        )
    assert (table.group_by("city").agg(pl.col("state").n_unique())["state"] == 1).all()


def test_the_parts_of_a_country_are_its_own_or_absent() -> None:
    turkish = frame(PersonFromFakerParams(locale="tr_TR"))
    assert (
        turkish.select("city", "state", "postcode", "street_name").null_count().row(0)
        == (300,) * 4
    )
    assert (
        turkish["phone_number"].null_count() == 0 and turkish["country"].n_unique() == 1
    )
    assert (
        frame(PersonFromFakerParams(locale="ar_AE"))["first_name"]
        .str.contains("[A-Za-z]")
        .sum()
        == 0
    )  # not American


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=4).map(sorted), st.integers(0, 2**40))
def test_pieces_are_the_whole(cuts: list[int], start: int) -> None:
    whole = frame(PersonFromFakerParams(), 400, start=start)
    bounds = [0, *cuts, 400]
    pieces = [
        frame(PersonFromFakerParams(), high - low, start=start + low)
        for low, high in zip(bounds, bounds[1:], strict=False)
    ]
    assert pl.concat(pieces).equals(whole)


@pytest.mark.parametrize("locale", ["en_US", "ru_RU", "es_CL"])
def test_how_many_are_made_at_once_changes_nothing(
    locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = frame(PersonFromFakerParams(locale=locale))
    monkeypatch.setattr(people, "_BATCH_SIZE", 7)
    assert frame(PersonFromFakerParams(locale=locale)).equals(whole)


def test_records_with_gaps_and_no_records() -> None:
    indices = np.array([3, 4, 90, 5_000], np.int64)
    some = sample_people(
        "customer", PersonParams(), indices=indices, random=RandomSource(7)
    ).struct.unnest()
    assert some.equals(frame(PersonParams(), 5_001)[indices.tolist()])
    none = sample_people(
        "customer", PersonParams(), indices=indices[:0], random=RandomSource(7)
    )
    assert (
        none.dtype == frame(PersonParams(), 1).to_struct("x").dtype and len(none) == 0
    )


def test_attempts_are_the_records_own() -> None:
    indices = np.array([1, 2, 5, 2, 5], np.int64)
    attempts = np.array([1, 1, 1, 2, 2], np.int64)
    again = sample_people(
        "c", PersonParams(), indices=indices, random=RandomSource(7, attempts=attempts)
    ).struct.unnest()
    assert again["uuid"].n_unique() == 5
    alone = sample_people(
        "c",
        PersonParams(),
        indices=indices[4:],
        random=RandomSource(7, attempts=attempts[4:]),
    )
    assert alone.struct.unnest().row(0) == again.row(4)


def test_seed_and_column_make_other_people() -> None:
    assert (
        frame(PersonParams(), 20)["uuid"]
        .is_in(frame(PersonParams(), 20, seed=8)["uuid"].implode())
        .sum()
        == 0
    )
    other = sample_people(
        "other", PersonParams(), indices=np.arange(20), random=RandomSource(7)
    ).struct.field("uuid")
    assert frame(PersonParams(), 20)["uuid"].is_in(other.implode()).sum() == 0


def test_sex_city_and_age_are_honoured() -> None:
    table = frame(
        PersonFromFakerParams(
            locale="de_DE", sex="Female", city=["Ulm", "Köln"], age_range=(30, 33)
        ),
        4_000,
    )
    assert set(table["sex"]) == {"Female"} and set(table["city"]) == {"Ulm", "Köln"}
    assert all(880 < count < 1_120 for count in Counter(table["age"]).values()) and set(
        table["age"]
    ) == {
        30,
        31,
        32,
        33,
    }
    assert set(frame(PersonFromFakerParams(locale="tr_TR", city="İzmir"))["city"]) == {
        "İzmir"
    }
    assert set(frame(PersonFromFakerParams(age_range=(40, 40)))["age"]) == {40}


def test_birth_dates_reach_both_ends_of_an_age() -> None:
    born = frame(PersonFromFakerParams(age_range=(18, 18)), 20_000)["birth_date"]
    assert (born.min(), born.max(), born.n_unique()) == (
        "2007-01-02",
        "2008-01-01",
        365,
    )


def test_children_live_like_children() -> None:
    table = frame(PersonFromFakerParams(age_range=(0, 40)), 3_000)
    young, grown = table.filter(pl.col("age") < 18), table.filter(pl.col("age") >= 18)
    assert (
        set(young["marital_status"]) == {"never_married"}
        and len(set(grown["marital_status"])) == 5
    )
    remaining = ["email_address", "phone_number", "occupation"]
    assert young.select(remaining).null_count().row(0) == (len(young),) * 3
    assert grown.select(remaining).null_count().row(0) == (0,) * 3
    assert set(young.filter(pl.col("age") < 12)["education_level"]) == {None}
    assert set(young["education_level"]) == {None, "secondary_education"}
    assert table.filter(pl.col("education_level") == "doctorate")["age"].min() == 26


def test_selected_values_are_drawn_evenly_and_keep_coherence() -> None:
    chosen = {
        "education_level": ("bachelors", "high_school"),
        "bachelors_field": ("stem", "no_degree"),
        "marital_status": ("widowed",),
        "state": ("NY", "California"),
        "occupation": ("Baker", "Smith"),
        "last_name": ("Abel", "Bell", "Cole"),
    }
    table = frame(PersonParams(select_field_values=chosen), 6_000)
    for field, values in chosen.items():
        assert set(table[field]) == set(values)
    assert all(1_850 < count < 2_150 for count in Counter(table["last_name"]).values())
    assert all(2_850 < count < 3_150 for count in Counter(table["state"]).values())
    assert table["age"].min() == 18  # high_school from 17, bachelors from 21
    degree = table.filter(pl.col("education_level") == "bachelors")
    assert set(degree["bachelors_field"]) == {"stem"} and degree["age"].min() == 21
    assert (
        table.filter(pl.col("state") == "NY")["postcode"].str.contains("^1[0-4]").all()
    )
    assert (
        table.filter(pl.col("state") == "California")["postcode"]
        .str.contains("^9[0-6]")
        .all()
    )
    assert (table["region"] == table["state"]).all()


def test_a_selected_first_name_settles_the_sex() -> None:
    table = frame(
        PersonParams(select_field_values={"first_name": ("Mary", "John", "Zyx")}), 1_000
    )
    assert set(table.select("sex", "first_name").rows()) == {
        ("Female", "Mary"),
        ("Female", "Zyx"),
        ("Male", "John"),
        ("Male", "Zyx"),
    }
    assert set(
        frame(PersonParams(select_field_values={"first_name": ("Mary",)}))["sex"]
    ) == {"Female"}


@pytest.mark.parametrize(
    "locale", [name for name, faker in FAKER_LOCALES.items() if faker]
)
def test_census_locales(locale: str) -> None:
    table = frame(PersonParams(locale=locale))
    assert set(table["locale"]) == {locale} and table["city"].null_count() == 0
    assert set(frame(PersonParams(locale=locale, city="X"))["state"]) != {None}


def test_names_come_as_often_as_faker_says() -> None:
    count = 100_000
    table = frame(PersonFromFakerParams(sex="Female"), count)
    weights = lists("en_US").names["first"]["Female"]
    found, total = Counter(table["first_name"]), sum(weights.values())
    statistic = sum(
        (found[n] - count * w / total) ** 2 / (count * w / total)
        for n, w in weights.items()
    )
    freedom = len(weights) - 1
    assert abs(statistic - freedom) < 5 * (2 * freedom) ** 0.5


def test_faker_is_not_imported_before_people_are_drawn() -> None:
    script = "import sys, sdg_core.cli.main, sdg_core.generators.samplers.sampler; assert 'faker' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.slow
def test_another_process_draws_the_same_people() -> None:
    script = (
        "from tests.core.generators.samplers.people.test_person import digests_of_people\n"
        "print('\\n'.join(digests_of_people()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[5],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    here = list(digests_of_people())
    assert len(here) > 30 and other.stdout.splitlines() == here


def digests_of_people() -> Iterator[str]:
    """A line for each locale of Faker's, or every third outside the long form, with a digest of the people drawn for it."""
    for locale in LOCALES if LONG else LOCALES[::3]:
        drawn = frame(PersonFromFakerParams(locale=locale), 20)
        yield f"{locale} {hashlib.md5(repr(drawn.rows()).encode()).hexdigest()}"


GOLDEN: dict[str, dict[str, Any]] = {
    "en_US": {
        "uuid": "3ae74ba4-bd50-4bb8-b8b7-fc27877daaf3",
        "locale": "en_US",
        "first_name": "Brittany",
        "middle_name": None,
        "last_name": "Fischer",
        "full_name": "Brittany Fischer",
        "sex": "Female",
        "age": 108,
        "birth_date": "1917-10-28",
        "marital_status": "divorced",
        "street_number": "290",
        "street_name": "John Dale",
        "unit": "Suite 409",
        "city": "Port Anitatown",
        "state": "Nebraska",
        "region": "Nebraska",
        "postcode": "68044",
        "country": "United States",
        "education_level": "bachelors",
        "bachelors_field": "business",
        "occupation": "Environmental consultant",
        "email_address": "brittany.fischer6881@example.org",
        "phone_number": "4448246894",
        "national_id": "071-50-0266",
    },
    "ja_JP": {
        "uuid": "3ae74ba4-bd50-4bb8-b8b7-fc27877daaf3",
        "locale": "ja_JP",
        "first_name": "加奈",
        "middle_name": None,
        "last_name": "伊藤",
        "full_name": "伊藤 加奈",
        "sex": "Female",
        "age": 108,
        "birth_date": "1917-10-28",
        "marital_status": "divorced",
        "street_number": "255",
        "street_name": "小林 Street",
        "unit": None,
        "city": "小笠原村",
        "state": "愛媛県",
        "region": "愛媛県",
        "postcode": "523-3786",
        "country": "Japan",
        "education_level": "bachelors",
        "bachelors_field": "business",
        "occupation": "公務員",
        "email_address": "kana.ito6881@example.org",
        "phone_number": "45-9313-1917",
        "national_id": None,
    },
}


@pytest.mark.parametrize("locale", list(GOLDEN))
def test_golden_people(locale: str) -> None:
    if VERSION != "40.54.0":
        pytest.skip("the word lists are those of another version of Faker")
    assert (
        frame(PersonFromFakerParams(locale=locale), 1).row(0, named=True)
        == GOLDEN[locale]
    )
