"""What to write instead is said in the words of the file that was read: YAML, JSON, or a mapping in Python."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core import api
from sdg_core.errors import ConfigError

CATEGORY: dict[str, Any] = {
    "name": "m",
    "num_records": 5,
    "columns": [
        {
            "column_type": "sampler",
            "name": "a",
            "sampler_type": "category",
            "params": {"values": [True, "x"]},
        },
        {"column_type": "expression", "name": "b", "expr": True},
    ],
}


def said(config: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        api.open_dataset(config)
    return str(refused.value)


def test_a_truth_value_in_the_place_of_text(tmp_path: Path) -> None:
    json_file = tmp_path / "m.json"
    json_file.write_text(json.dumps(CATEGORY, indent=1), encoding="utf-8")
    yaml_file = tmp_path / "m.yaml"
    yaml_file.write_text(yaml.safe_dump(CATEGORY), encoding="utf-8")
    advice = "a boolean is not text: quote it to make it text"
    assert said(json_file).count(f"got true; {advice}") == 2 and "YAML" not in said(
        json_file
    )
    assert said(CATEGORY).count(f"got True; {advice}") == 2 and "YAML" not in said(
        CATEGORY
    )
    assert (
        said(yaml_file).count(
            "YAML reads an unquoted yes, no, on, off, true or false as a boolean: quote it"
        )
        == 2
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "m",}',
        "{'name': 'm'}",
        '{"name": m}',
        '{"a": 1, "a": 2}',
        "{",
        '{"a": NaN}',
        "// no",
    ],
)
def test_a_file_that_is_no_json_is_not_told_of_yaml(tmp_path: Path, text: str) -> None:
    file = tmp_path / "m.json"
    file.write_text(text, encoding="utf-8")
    assert "JSON" in said(file) and "YAML" not in said(file).replace(str(tmp_path), "")
