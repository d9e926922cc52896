"""The example pipelines run without a key and a server, their accounts add up, and their code locations load."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest

from sdg_core.api import pipelines
from sdg_core.pipelines.store import read_footer
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.pipelines import check_accounts
from tests.support.sdg import PROJECT

pytestmark = DAGSTER_WARNINGS

READS = {"code_qa": "sdg_core/filters", "handbook_qa": "docs/guide"}


def copied(name: str, tmp_path: Path) -> Path:
    """A copy of an example's pipeline file that reads the same sources."""
    folder = tmp_path / name
    shutil.copytree(PROJECT / "examples" / name / name / "defs" / name, folder)
    file = folder / "pipeline.yaml"
    text = file.read_text(encoding="utf-8")
    assert f"../../../../../{READS[name]}" in text
    file.write_text(text.replace("../../../../..", str(PROJECT)), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", READS)
def test_it_runs_to_an_exported_file(name: str, tmp_path: Path) -> None:
    pipeline = pipelines.open_pipeline(copied(name, tmp_path), root=tmp_path / "data")
    summary = pipelines.generate(pipeline)
    assert summary.remaining == 0 and summary.rows > 20
    check_accounts(
        [
            read_footer(path)
            for path in Path(str(summary.version.row_groups)).glob("*.parquet")
        ]
    )
    finished = pipelines.process(pipeline)
    assert 0 < finished.num_rows <= summary.rows
    pipelines.export(pipeline, tmp_path / "out.jsonl")
    rows: list[dict[str, Any]] = [
        orjson.loads(line)
        for line in (tmp_path / "out.jsonl").read_bytes().splitlines()
    ]
    assert len(rows) == finished.num_rows
    assert all(
        row["question"]
        and row["answer"]
        and Path(row["source"]).suffix in (".py", ".md")
        for row in rows
    )


def test_an_edited_filter_pays_for_nothing_again(tmp_path: Path) -> None:
    example = copied("code_qa", tmp_path)
    root = tmp_path / "data"
    first = pipelines.generate(pipelines.open_pipeline(example, root=root))
    text = example.read_text(encoding="utf-8")
    example.write_text(
        text.replace("grounded.score >= 2", "grounded.score >= 3"), encoding="utf-8"
    )
    second = pipelines.generate(pipelines.open_pipeline(example, root=root))
    assert second.version.name != first.version.name and second.rows < first.rows
    assert pipelines.status(pipelines.open_pipeline(example, root=root)).usage == {}, (
        "every reply was taken over"
    )


@pytest.mark.parametrize("name", READS)
def test_its_code_location_loads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROJECT / "examples" / name)
    definitions: dg.Definitions = __import__(
        f"{name}.definitions", fromlist=["defs"]
    ).defs()
    repository = definitions.get_repository_def()
    keys = {key.to_user_string() for key in repository.assets_defs_by_key}
    assert keys == {f"{name}/sources", f"{name}/dataset"}
    assert repository.has_job("discover_sources") and repository.has_sensor_def(
        "discover_sources"
    )
