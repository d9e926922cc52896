"""Half a surrogate pair in a text of the config: the error names its place, its character and the text."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.config.lone_surrogates import lone_surrogates
from sdg_core.errors import ConfigError, PermanentModelError
from sdg_core.models.providers.openai_wire import write_json
from tests.support.sdg import category, dataset_config, llm

HALF = "x \ud83d"
SAID = "a lone surrogate (\\ud83d at character 2 of 'x \\ud83d') is not text"


def with_half(place: str) -> dict[str, Any]:
    """A config with the half in a place."""
    column = llm("answer", "about {{ plan }}")
    config = dataset_config(
        category("plan", "free"), column, endpoint="http://127.0.0.1:9/v1"
    )
    match place:
        case "columns[0].params.values[0]":
            config["columns"][0]["params"]["values"] = [HALF]
        case "columns[1].system_prompt":
            column["system_prompt"] = HALF
        case "model_providers[0].extra_body.a":
            config["model_providers"][0]["extra_body"] = {"a": HALF}
    return config


PLACES = [
    "columns[0].params.values[0]",
    "columns[1].system_prompt",
    "model_providers[0].extra_body.a",
]


@pytest.mark.parametrize("place", PLACES)
def test_of_a_config_in_python(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError) as found:
        api.open_dataset(with_half(place), root=tmp_path)
    assert f"{place}: {SAID}" in str(found.value)


@pytest.mark.parametrize("place", PLACES)
def test_of_a_file(tmp_path: Path, place: str) -> None:
    file = tmp_path / "hostile.json"
    file.write_text(json.dumps(with_half(place), indent=1))
    with pytest.raises(ConfigError) as found:
        api.open_dataset(file, root=tmp_path)
    assert f"{place}: {SAID}" in str(found.value)


def test_of_a_pipeline(tmp_path: Path) -> None:
    config = {
        "kind": "pipeline",
        "sources": {"reader": "files", "path": HALF},
        "stages": [{"stage": "columns", "columns": []}],
    }
    with pytest.raises(ConfigError) as found:
        pipelines.open_pipeline(config, root=tmp_path)
    assert f"sources.path: {SAID}" in str(found.value)


def test_keys_and_values_that_lead_back_to_themselves() -> None:
    config: dict[Any, Any] = {"a": [{"\udc00": 1}], 5: "fine é"}
    config["again"] = config
    assert [place for place, _ in lone_surrogates(config)] == [("a", 0)]


REQUESTS: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: {"messages": [{"content": HALF}]},
        r"the body.messages\[0\].content: character 2 is",
    ),
    (lambda: {"a": object()}, "Type is not JSON serializable: object"),
]


@pytest.mark.parametrize(("body", "reason"), REQUESTS)
def test_of_a_request(body: Callable[[], Any], reason: str) -> None:
    """A reply of a server may go back to it, in a conversation."""
    with pytest.raises(
        PermanentModelError, match=f"cannot be written as JSON: {reason}"
    ):
        write_json(body(), model="m")
