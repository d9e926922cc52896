"""Builder configs written by NeMo Data Designer 0.9.6 (`tests/fixtures/builder_config.yaml` is one, untouched)."""

from pathlib import Path

import pytest
import yaml

from sdg_core import api
from sdg_core.plan.compile import config_fingerprint
from sdg_core.plan.load import load_dataset
from tests.support.sdg import dataset_config, uuid, write_config

FILE = Path(__file__).parents[2] / "fixtures" / "builder_config.yaml"


def test_a_builder_config_loads_unchanged_with_the_same_columns_and_types() -> None:
    plan = api.open_dataset(FILE, num_records=20).plan
    written = yaml.safe_load(FILE.read_text(encoding="utf-8"))["data_designer"]
    assert [field.name for field in plan.schema] == [
        column["name"] for column in written["columns"]
    ]
    types = {field.name: str(field.type) for field in plan.schema}
    assert (types["id"], types["g"], types["u"], types["p"], types["td"]) == (
        "string",
        "int64",
        "double",
        "int64",
        "string",
    )
    assert types["j"] == "struct<q: struct<reasoning: string, score: int64>>"
    assert types["per"].startswith("struct<") and plan.dropped == {"u"}
    assert plan.models["w"][1].endpoint == "https://integrate.api.nvidia.com/v1"


def test_its_constraints_hold_and_its_conditions_apply(tmp_path: Path) -> None:
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    keep = {"id", "cat", "sub", "g", "u", "p", "dt", "td", "per", "ex"}
    raw["data_designer"]["columns"] = [
        c for c in raw["data_designer"]["columns"] if c["name"] in keep
    ]
    raw["data_designer"] |= {"processors": None, "model_configs": None}
    file = tmp_path / "builder.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    rows = api.preview(file, num_records=300).table.to_pylist()
    assert all(row["u"] < 4.5 for row in rows)
    assert all((row["g"] > 80) == (row["cat"] == "a") for row in rows)
    assert all(row["sub"].startswith(row["cat"]) for row in rows)
    assert all(row["td"] > row["dt"] for row in rows)
    assert all(
        row["ex"].startswith(f"{row['per']['first_name']} {row['cat'].upper()} ")
        for row in rows
    )


def test_importing_gives_a_file_of_the_same_fingerprint_and_says_what_it_passed_over(
    tmp_path: Path,
) -> None:
    imported = api.import_builder_config(FILE)
    assert imported.ignored == ("library_version",)
    file = tmp_path / "dataset.yaml"
    file.write_text(imported.text, encoding="utf-8")
    assert config_fingerprint(load_dataset(file).config) == config_fingerprint(
        load_dataset(FILE).config
    )


@pytest.mark.parametrize(
    "field", ["model_configs", "tool_configs", "constraints", "processors"]
)
def test_null_and_empty_are_the_same_as_absent(tmp_path: Path, field: str) -> None:
    file = tmp_path / "tickets.yaml"
    parts = [
        config_fingerprint(
            load_dataset(write_config(file, dataset_config(uuid()))).config
        )
    ]
    for value in (None, []):
        parts.append(
            config_fingerprint(
                load_dataset(
                    write_config(file, dataset_config(uuid(), **{field: value}))
                ).config
            )
        )
    assert len({*parts}) == 1


def test_profilers_do_not_count_and_are_named_as_passed_over(tmp_path: Path) -> None:
    raw = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    raw["data_designer"]["profilers"] = [
        {"model_alias": "w", "summary_score_sample_size": 20}
    ]
    file = tmp_path / "builder.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert config_fingerprint(load_dataset(file).config) == config_fingerprint(
        load_dataset(FILE).config
    )
    assert set(api.import_builder_config(file).ignored) == {
        "library_version",
        "profilers",
    }
