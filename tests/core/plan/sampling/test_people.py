"""Person samplers: what `sdg validate` finds, and how selected fields bind ages and schooling."""

from typing import Any

import pyarrow as pa
import pytest

from sdg_core.config.load import parse_config
from sdg_core.config.people import PersonParams
from sdg_core.plan.checks.config import check_config
from sdg_core.plan.sampling.people import PERSON_TYPE, ages, education_levels, selected


def faults(kind: str, params: str, *, more: str = "") -> list[tuple[str, str]]:
    text = f"columns:\n- {{column_type: sampler, name: a, sampler_type: {kind}, params: {params}{more}}}\n"
    parsed = parse_config(text, source="test.yaml", default_name="test", env={})
    problems = list(parsed.problems)
    if parsed.config is not None and not problems:
        problems = [
            parsed.problem(path, message)
            for path, message in check_config(parsed.config)
        ]
    return [(problem.path, problem.message) for problem in problems]


@pytest.mark.parametrize("kind", ["person", "person_from_faker"])
@pytest.mark.parametrize(
    "params",
    [
        "{}",
        "{locale: pt_BR, sex: Female}",
        "{city: Lyon}",
        "{city: [Lyon, Nice]}",
        "{age_range: [0, 114]}",
        "{age_range: [30, 30]}",
    ],
)
def test_sound_parameters(kind: str, params: str) -> None:
    assert faults(kind, params) == []


def test_data_designers_spelling_of_the_defaults() -> None:
    params = "locale: en_US, sex: null, city: null, age_range: [18, 114], select_field_values: null"
    assert faults("person", f"{{{params}, with_synthetic_personas: false}}") == []


@pytest.mark.parametrize(
    ("kind", "params", "path", "message"),
    [
        (
            "person_from_faker",
            "{locale: en_UX}",
            "locale",
            "not a locale of Faker; did you mean 'en_US'?",
        ),
        ("person", "{locale: en_SG}", "locale", "there are no names for 'en_SG'"),
        (
            "person",
            "{locale: es_ES}",
            "locale",
            "person_from_faker has every locale of Faker",
        ),
        ("person_from_faker", "{sex: female}", "sex", "'Male' or 'Female'"),
        (
            "person_from_faker",
            "{age_range: [40, 30]}",
            "age_range",
            "lowest age 40 is above the highest 30",
        ),
        ("person_from_faker", "{age_range: [10]}", "age_range", "two whole numbers"),
        (
            "person_from_faker",
            "{age_range: [10, 20.5]}",
            "age_range",
            "two whole numbers",
        ),
        (
            "person_from_faker",
            "{age_range: [0, 115]}",
            "age_range",
            "ages are between 0 and 114",
        ),
        ("person_from_faker", "{city: []}", "city", "at least one item"),
        (
            "person_from_faker",
            "{select_field_values: {}}",
            "select_field_values",
            "unknown",
        ),
        (
            "person_from_faker",
            "{with_synthetic_personas: true}",
            "with_synthetic_personas",
            "unknown key",
        ),
        (
            "person",
            "{with_synthetic_personas: maybe}",
            "with_synthetic_personas",
            "true or false",
        ),
        (
            "person",
            "{select_field_values: {stat: [NY]}}",
            "select_field_values.stat",
            "did you mean 'state'?",
        ),
        (
            "person",
            "{select_field_values: {state: []}}",
            "select_field_values.state",
            "at least one item",
        ),
        (
            "person",
            "{select_field_values: {education_level: [bachelor]}}",
            "select_field_values.education_level[0]",
            "did you mean 'bachelors'?",
        ),
        (
            "person",
            "{sex: Male, select_field_values: {sex: [Male]}}",
            "select_field_values.sex",
            "keep one",
        ),
        (
            "person",
            "{select_field_values: {state: [a], region: [b]}}",
            "select_field_values.region",
            "keep one",
        ),
        (
            "person",
            "{select_field_values: {bachelors_field: [stem], education_level: [associates]}}",
            "select_field_values.bachelors_field",
            "it matches no selected education_level; change one of them",
        ),
        (
            "person",
            "{age_range: [10, 20], select_field_values: {education_level: [doctorate]}}",
            "age_range",
            "no person aged",
        ),
    ],
)
def test_faults(kind: str, params: str, path: str, message: str) -> None:
    [(found_path, found)] = faults(kind, params)
    assert found_path == f"columns[0].params.{path}"
    assert message.lower() in found.lower()


def test_people_have_no_conversion() -> None:
    [(path, message)] = faults("person_from_faker", "{}", more=", convert_to: str")
    assert path == "columns[0].convert_to" and "no conversion" in message


def test_parameters_under_a_condition_are_checked() -> None:
    [(path, message)] = faults(
        "person_from_faker", "{}", more=", conditional_params: {'1 > 0': {locale: xx}}"
    )
    assert path.endswith("locale") and "not a locale of Faker" in message


def person(**values: Any) -> PersonParams:
    return PersonParams(select_field_values=values)


def test_selected_fields_raise_the_lowest_age() -> None:
    assert ages(person(education_level=("doctorate", "bachelors"))) == (21, 114)
    assert ages(person(bachelors_field=("stem",))) == (21, 114)
    assert ages(
        PersonParams(age_range=(5, 60), select_field_values={"occupation": ("Actor",)})
    ) == (18, 60)
    assert ages(
        PersonParams(
            age_range=(5, 60), select_field_values={"marital_status": ("divorced",)}
        )
    ) == (18, 60)
    assert ages(PersonParams(age_range=(5, 60))) == (5, 60)


def test_a_field_of_study_goes_with_a_degree() -> None:
    assert set(education_levels(person(bachelors_field=("stem",)))) == {
        "bachelors",
        "graduate",
        "doctorate",
    }
    assert set(education_levels(person(bachelors_field=("no_degree",)))) == {
        "secondary_education",
        "some_college",
        "associates",
    }


def test_region_is_the_state() -> None:
    assert selected(person(region=("Bayern", "Hessen", "Bayern")), "state") == (
        "Bayern",
        "Hessen",
    )


def test_the_schema_is_flat_text_but_for_the_age() -> None:
    assert {field.name for field in PERSON_TYPE if field.type != pa.string()} == {"age"}
