"""Values of a dataset file that ask for too much are refused where the file is checked, in the form in which they are used."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from sdg_core import api
from sdg_core.cli import show
from sdg_core.config.yaml_document import DocumentSyntaxError, parse_document
from sdg_core.errors import ConfigError, PermanentModelError
from sdg_core.filters import language
from sdg_core.models.simulated.json import conforming
from sdg_core.models.simulated.random_stream import RandomStream
from sdg_core.plan.checks.languages import LANGUAGES
from sdg_core.plan.sampling import distributions
from sdg_core.plan.sampling.distributions import distribution_fault
from sdg_core.seeds import columns
from tests.support.sdg import category, dataset_config, sdg, uuid


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("zipfian", {"a": 1.0, "n": 1e12}),
        ("nbinom", {"n": 1e15, "p": 1e-9}),
        ("betabinom", {"n": 20.0, "a": 2.0, "b": 3.0}),
    ],
)
def test_distributions_that_scipy_sums_up(
    name: str, params: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributions, "_SECONDS", 60.0 if name == "betabinom" else 1.0)
    fault = distribution_fault(name, params)
    assert (fault is not None and "exceeds the time or memory limit" in fault[1]) == (
        name != "betabinom"
    )


def test_a_few_endless_distributions_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "_SECONDS", 0.1)
    timeouts = distributions.TimeoutBudget()
    faults = [
        distribution_fault("zipfian", {"a": 1.0, "n": 1e12 + each}, timeouts=timeouts)
        for each in range(5)
    ]
    assert [
        "exceeds the time" in fault[1] for fault in faults if fault is not None
    ] == [True] * 3 + [False] * 2
    assert distribution_fault("gamma", {"a": 2.0}, timeouts=timeouts) is None


def test_a_name_of_a_file_fits_into_a_directory(tmp_path: Path) -> None:
    drop = {"processor_type": "drop_columns", "column_names": ["plan"]}
    image = {"column_type": "image", "prompt": "x", "model_alias": "m"}
    places: list[tuple[str, dict[str, Any]]] = [
        ("name", dataset_config(uuid()) | {"name": "d" * 300}),
        (
            "processors[0]",
            dataset_config(
                uuid(), category("plan", "a"), processors=[drop | {"name": "p" * 300}]
            ),
        ),
        ("columns[0]", dataset_config(image | {"name": "ü" * 120})),
    ]
    for place, config in places:
        with pytest.raises(
            ConfigError,
            match=rf"{re.escape(place)}(?s:.*)as the name of a file it can have 200",
        ) as caught:
            api.open_dataset(config)
        assert len(str(caught.value)) < 1_500
    api.open_dataset(
        dataset_config(
            uuid(), {"column_type": "expression", "name": "c" * 300, "expr": "x"}
        ),
        root=str(tmp_path),
    )


def test_many_columns_of_seed_data_are_looked_at_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[pa.Schema] = []
    raw_schema = columns.raw_schema

    def counted(schema: pa.Schema) -> pa.Schema:
        asked.append(schema)
        return raw_schema(schema)

    monkeypatch.setattr(columns, "raw_schema", counted)
    schema = pa.schema([(f"c{place}", pa.int64()) for place in range(2_000)])
    assert columns.plain_schema(schema) == schema
    assert len(asked) == 2


def test_validate_shows_so_many_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show, "_MAX_COLUMNS", 3)
    names = [f"c{place}" for place in range(5)]
    (tmp_path / "rows.csv").write_text(f"{','.join(names)}\n1,2,3,4,5\n")
    source = {"seed_type": "local", "path": str(tmp_path / "rows.csv")}
    config = dataset_config(uuid(), seed_config={"source": source})
    show.plan(api.open_dataset(config, root=tmp_path), acceptances=(), as_json=False)
    shown = capsys.readouterr().out
    assert "(3 more; --json lists all)" in shown
    assert "c3 " in shown and "c2 " not in shown


@pytest.mark.parametrize("kind", ["dataset", "pipeline"])
def test_a_language_that_nobody_knows_is_refused_when_the_file_is_checked(
    tmp_path: Path, kind: str
) -> None:
    rule = {"rule": "language", "language": "english", "at_least": 0.5}
    column = {"column_type": "expression", "name": "text", "expr": "x"}
    filtering = {
        "processor_type": "filter",
        "name": "f",
        "column": "text",
        "quality": [rule],
    }
    stage = {"stage": "filter", "column": "content", "quality": [rule]}
    configs: dict[str, dict[str, Any]] = {
        "dataset": dataset_config(column, processors=[filtering]),
        "pipeline": {
            "kind": "pipeline",
            "name": "notes",
            "sources": {"reader": "files", "path": "*.md"},
            "stages": [stage],
        },
    }
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(configs[kind]))
    found = sdg("validate", path, cwd=tmp_path)
    assert found.returncode == 2
    assert (
        "unknown language 'english'; give its ISO 639-1 code, such as 'en'"
        in found.stderr
    )


def test_the_languages_are_those_of_the_library() -> None:
    identifier = language._identifier()
    assert {str(code) for code in identifier.nb_classes} == LANGUAGES


@pytest.mark.parametrize(
    "value",
    [
        "1" + "0" * 5_000,
        "0x" + "f" * 5_000,
        "!!int abc",
        "!!float abc",
        "!!bool x",
        "!!binary x",
    ],
)
def test_scalars_that_are_not_what_they_say(value: str) -> None:
    with pytest.raises(DocumentSyntaxError, match="line|digits|tag|base64|expected"):
        parse_document(f"name: t\nseed: {value}\n")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "minItems": 10**9},
        {
            "type": "array",
            "minItems": 1000,
            "items": {"type": "array", "minItems": 1000, "items": {"type": "null"}},
        },
        {
            "type": "object",
            "minProperties": 10**9,
            "additionalProperties": {"type": "null"},
        },
        {"type": "string", "minLength": 10**9},
        {"type": "string", "pattern": "^(((a{900}){900}){900})$"},
    ],
)
def test_schemas_that_ask_for_too_much_are_not_rehearsed(
    schema: dict[str, Any],
) -> None:
    with pytest.raises(PermanentModelError, match="simulated provider"):
        conforming(schema, RandomStream(1, "x"), words=lambda: "word")


def test_unique_items_are_found_quickly() -> None:
    schema = {
        "type": "array",
        "uniqueItems": True,
        "minItems": 2_000,
        "items": {"type": "integer", "maximum": 10**9},
    }
    found = conforming(schema, RandomStream(1, "x"), words=lambda: "word")
    assert len(set(found)) == len(found) >= 2_000
