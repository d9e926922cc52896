"""Values of a dataset file that ask for too much are refused where the file is checked, in the form in which they are used."""

import re
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.config.yaml_document import DocumentSyntaxError, parse_document
from sdg_core.errors import ConfigError, PermanentModelError
from sdg_core.models.simulated.json import conforming
from sdg_core.models.simulated.random_stream import DrawStream
from sdg_core.plan.sampling import distributions
from sdg_core.plan.sampling.distributions import distribution_fault
from tests.support.sdg import category, dataset_config, uuid


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
    assert (fault is not None and "takes more time or memory" in fault[1]) == (name != "betabinom")


def test_a_few_endless_distributions_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "_SECONDS", 0.1)
    patience = distributions.Patience()
    faults = [
        distribution_fault("zipfian", {"a": 1.0, "n": 1e12 + each}, patience=patience)
        for each in range(5)
    ]
    assert ["takes more time" in fault[1] for fault in faults if fault is not None] == [
        True
    ] * 3 + [False] * 2
    assert distribution_fault("gamma", {"a": 2.0}, patience=patience) is None


def test_a_name_of_a_file_fits_into_a_directory(tmp_path: Path) -> None:
    drop = {"processor_type": "drop_columns", "column_names": ["plan"]}
    picture = {"column_type": "image", "prompt": "x", "model_alias": "m"}
    places: list[tuple[str, dict[str, Any]]] = [
        ("name", dataset_config(uuid()) | {"name": "d" * 300}),
        (
            "processors[0]",
            dataset_config(uuid(), category("plan", "a"), processors=[drop | {"name": "p" * 300}]),
        ),
        ("columns[0]", dataset_config(picture | {"name": "ü" * 120})),
    ]
    for place, config in places:
        with pytest.raises(
            ConfigError, match=rf"{re.escape(place)}(?s:.*)as the name of a file it can have 200"
        ) as caught:
            api.open_dataset(config)
        assert len(str(caught.value)) < 1_500
    api.open_dataset(
        dataset_config(uuid(), {"column_type": "expression", "name": "c" * 300, "expr": "x"}),
        root=str(tmp_path),
    )


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
        {"type": "object", "minProperties": 10**9, "additionalProperties": {"type": "null"}},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "pattern": "^(((a{900}){900}){900})$"},
    ],
)
def test_schemas_that_ask_for_too_much_are_not_rehearsed(schema: dict[str, Any]) -> None:
    with pytest.raises(PermanentModelError, match="simulated provider"):
        conforming(schema, DrawStream(1, "x"), words=lambda: "word")


def test_unique_items_are_found_quickly() -> None:
    schema = {
        "type": "array",
        "uniqueItems": True,
        "minItems": 2_000,
        "items": {"type": "integer", "maximum": 10**9},
    }
    found = conforming(schema, DrawStream(1, "x"), words=lambda: "word")
    assert len(set(found)) == len(found) >= 2_000
