"""A builder config means what Data Designer means by it; data from before is gone on with as it was started."""

from pathlib import Path
from typing import Any

import yaml

from sdg_core import api

CONDITIONS = {"age > 20": {"low": 10, "high": 11}, "age > 60": {"low": 20, "high": 21}}
COLUMNS: list[dict[str, Any]] = [
    {"column_type": "sampler", "name": "id", "sampler_type": "uuid", "params": {}},
    {
        "column_type": "sampler",
        "name": "age",
        "sampler_type": "category",
        "params": {"values": [70]},
    },
    {
        "column_type": "sampler",
        "name": "mean",
        "sampler_type": "uniform",
        "params": {"low": 0, "high": 1},
        "conditional_params": CONDITIONS,
    },
    {"column_type": "expression", "name": "whole", "expr": "1.87", "dtype": "int"},
    {"column_type": "expression", "name": "truth", "expr": "maybe", "dtype": "bool"},
    {"column_type": "expression", "name": "text", "expr": "{{ age }}\n"},
    {
        "column_type": "expression",
        "name": "word",
        "expr": "{{ ['a', 'b', 'c']|random }}",
    },
]


def _written(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def test_what_data_designer_takes_differently(tmp_path: Path) -> None:
    file = _written(tmp_path / "builder.yaml", {"data_designer": {"columns": COLUMNS}})
    rows = api.preview(file, num_records=20).table.to_pylist()
    assert all(len(row["id"]) == 32 and row["mean"] >= 20 for row in rows)
    assert {(row["whole"], row["truth"], row["text"]) for row in rows} == {
        (1, False, "70")
    }
    assert {row["word"] for row in rows} == {"a", "b", "c"}
    assert (
        rows[5]["word"]
        == api.preview(file, num_records=20).table.to_pylist()[5]["word"]
    )


def test_importing_fills_in_providers_and_says_what_differs(tmp_path: Path) -> None:
    model = {
        "alias": "m",
        "model": "x",
        "provider": "vllm",
        "inference_parameters": {"temperature": 0.5},
    }
    asked = {
        "column_type": "llm-text",
        "name": "t",
        "model_alias": "m",
        "prompt": "{{ age }}",
        "tool_alias": "tools",
    }
    block = {
        "columns": [*COLUMNS, asked],
        "model_configs": [model],
        "tool_configs": [{"tool_alias": "tools", "providers": ["docs"]}],
    }
    imported = api.import_builder_config(
        _written(tmp_path / "builder.yaml", {"data_designer": block})
    )
    assert (
        len(imported.added) == 2
        and "vllm" in imported.added[0]
        and "docs" in imported.added[1]
    )
    assert any("order is reversed" in note for note in imported.notes)
    assert not any("stays text" in note for note in imported.notes)
    versions = {**COLUMNS[1], "name": "release", "params": {"values": ["1.9", "1.10"]}}
    block = {"columns": [versions]}
    noted = api.import_builder_config(
        _written(tmp_path / "other.yaml", {"data_designer": block})
    ).notes
    assert noted == (
        "column 'release': '1.10' stays text in templates; Data Designer reads it as JSON",
    )
    content = yaml.safe_load(imported.text)
    assert (
        content["model_providers"][0]["name"] == "vllm"
        and content["mcp_providers"][0]["name"] == "docs"
    )
