"""Further fields of people: those of the census, traits and persona texts, on top of the same base fields."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
import yaml

from sdg_core import api
from sdg_core.plan.sampling.people import PERSON_TYPE
from sdg_core.plan.sampling.personas import (
    CENSUS_FIELDS,
    CENSUS_TYPE,
    PERSONA_LISTS,
    PERSONA_TEXTS,
    PERSONA_TYPE,
    TRAITS,
)


def person(
    name: str = "who", *, branches: dict[str, Any] | None = None, **params: Any
) -> dict[str, Any]:
    column = {
        "column_type": "sampler",
        "name": name,
        "sampler_type": "person",
        "params": params,
    }
    return {**column, "conditional_params": branches} if branches else column


def expression(name: str, text: str) -> dict[str, Any]:
    return {"column_type": "expression", "name": name, "expr": text}


def rows(
    tmp_path: Path, *columns: dict[str, Any], count: int = 200, block: bool = False
) -> list[dict[str, Any]]:
    content: dict[str, Any] = {"columns": list(columns)}
    file = tmp_path / "people.yaml"
    file.write_text(
        yaml.safe_dump({"data_designer": content} if block else content),
        encoding="utf-8",
    )
    return api.preview(file, num_records=count).table.to_pylist()


def test_personas_change_nothing_else_of_a_person(tmp_path: Path) -> None:
    plain = rows(tmp_path, person(age_range=[5, 90]))
    rich = rows(tmp_path, person(age_range=[5, 90], with_synthetic_personas=True))
    for before, after in zip(plain, rich, strict=True):
        assert {name: after["who"][name] for name in before["who"]} == before["who"]
        assert list(after["who"]) == [field.name for field in PERSONA_TYPE]


def test_traits_are_scored_as_t_scores_and_say_so_in_words(tmp_path: Path) -> None:
    file = tmp_path / "people.yaml"
    file.write_text(
        yaml.safe_dump({"columns": [person(with_synthetic_personas=True)]}),
        encoding="utf-8",
    )
    people = api.preview(file, num_records=3000).table["who"]
    for trait in TRAITS:
        scores = pc.struct_field(people, [trait, "t_score"])
        assert 49 < pc.mean(scores).as_py() < 51 and 9 < pc.stddev(scores).as_py() < 11
        assert (
            pc.min_max(scores).as_py()["min"] >= 20
            and pc.min_max(scores).as_py()["max"] <= 80
        )
        labels = {
            (score < 35, score >= 65, label) for score, label in _pairs(people, trait)
        }
        assert (True, False, "very low") in labels and (
            False,
            True,
            "very high",
        ) in labels
        assert {label for low, high, label in labels if not (low or high)} == {
            "low",
            "average",
            "high",
        }


def _pairs(people: Any, trait: str) -> list[tuple[int, str]]:
    return list(
        zip(
            pc.struct_field(people, [trait, "t_score"]).to_pylist(),
            pc.struct_field(people, [trait, "label"]).to_pylist(),
            strict=True,
        )
    )


@pytest.mark.parametrize(
    "locale",
    [
        "en_US",
        "en_IN",
        "hi_Deva_IN",
        "fr_FR",
        "ja_JP",
        "pt_BR",
        "ko_KR",
        "en_GB",
        "de_DE",
    ],
)
def test_texts_agree_with_the_person_in_every_locale(
    tmp_path: Path, locale: str
) -> None:
    for row in rows(
        tmp_path,
        person(locale=locale, age_range=[3, 80], with_synthetic_personas=True),
        count=40,
    ):
        who = row["who"]
        assert (
            str(who["age"]) in who["persona"]
            and who["full_name"] in who["persona"]
            and who["city"] in who["persona"]
        )
        assert (who["occupation"] is None) == ("does not work yet" in who["persona"])
        for name in PERSONA_LISTS:
            assert len(set(who[name])) == 3
            assert all(item in who[name.removesuffix("_list")] for item in who[name])
        assert (who["religion"] is None) == (who["religious_persona"] is None)
        assert (who["first_language"] is None) == (who["linguistic_persona"] is None)
        languages = [
            who[name]
            for name in ("first_language", "second_language", "third_language")
        ]
        assert languages == [None] * 3 or len({*languages}) == 3
        always = [
            name
            for name in PERSONA_TEXTS
            if not name.startswith(("religious", "linguistic"))
        ]
        assert all(who[name] for name in always)


def test_branches_with_and_without_personas_have_one_type(tmp_path: Path) -> None:
    kind = {
        "column_type": "sampler",
        "name": "kind",
        "sampler_type": "category",
        "params": {"values": ["a", "b"]},
    }
    mixed = person(branches={"kind == 'a'": {"locale": "en_IN", "census_fields": True}})
    found = rows(tmp_path, kind, mixed)
    assert list(found[0]["who"]) == [field.name for field in CENSUS_TYPE]
    assert all(
        (row["who"]["religion"] is not None) == (row["kind"] == "a") for row in found
    )


def test_a_builder_config_reads_census_fields_of_its_locale_unasked(
    tmp_path: Path,
) -> None:
    text = "{{ who.religion }} {{ who.first_language }} {{ who.zone }}"
    found = rows(
        tmp_path, person(locale="en_IN"), expression("text", text), count=5, block=True
    )
    assert all("None" not in row["text"] for row in found)
    assert list(rows(tmp_path, person(), count=1, block=True)[0]["who"]) == [
        field.name for field in PERSON_TYPE
    ]


@pytest.mark.parametrize(
    ("field", "remedy"),
    [
        ("religion", "set census_fields: true"),
        ("openness.label", "set with_synthetic_personas: true"),
    ],
)
def test_a_field_that_was_not_asked_for_is_named_with_its_parameter(
    tmp_path: Path, field: str, remedy: str
) -> None:
    with pytest.raises(api.ConfigError, match=remedy):
        rows(tmp_path, person(), expression("text", f"{{{{ who.{field} }}}}"))


def test_every_census_field_has_a_place() -> None:
    assert [field.name for field in CENSUS_TYPE][PERSON_TYPE.num_fields :] == [
        *CENSUS_FIELDS
    ]


def test_a_printed_trait_can_be_looked_into(tmp_path: Path) -> None:
    """As the tutorial of Data Designer does that lifts traits to columns of their own."""
    columns = [
        person(with_synthetic_personas=True),
        expression("calm", "{{ who.neuroticism }}"),
    ]
    for row in rows(
        tmp_path,
        *columns,
        expression("score", "{{ calm.t_score }} {{ calm.label }}"),
        count=20,
    ):
        assert (
            row["score"]
            == f"{row['who']['neuroticism']['t_score']} {row['who']['neuroticism']['label']}"
        )
