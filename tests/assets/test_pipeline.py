"""A pipeline through Dagster's command line: discovery, one partition, the finished dataset, the guard of the seal."""

import json
from pathlib import Path

import dagster as dg
import pytest
import yaml

from tests.support.dagster_process import DAGSTER_WARNINGS, DagsterHome, make_home
from tests.support.location import MODULE, write_project

pytestmark = [pytest.mark.slow, *DAGSTER_WARNINGS]

PIPELINE = {
    "kind": "pipeline",
    "name": "notes",
    "sources": {"reader": "files", "path": "docs/*.txt"},
    "stages": [
        {"stage": "split", "column": "content", "unit": "words", "size": 2},
        {"stage": "filter", "keep": "{{ 'skip' not in content }}", "reason": "skipped"},
        {
            "stage": "columns",
            "columns": [
                {
                    "column_type": "llm-text",
                    "name": "answer",
                    "model_alias": "m",
                    "prompt": "{{ content }}",
                }
            ],
            "select": {
                "candidates": 2,
                "otherwise": "best",
                "best": "{{ answer | length }}",
            },
        },
    ],
    "model_providers": [{"name": "sim", "provider_type": "simulated"}],
    "model_configs": [{"alias": "m", "model": "sim-1", "provider": "sim"}],
}
KEY = dg.AssetKey(["notes", "sources"])


def make_project(home: DagsterHome) -> Path:
    """The pipeline's folder in a project of its own."""
    write_project(home.directory)
    folder = home.directory / "synthetic" / "defs" / "notes"
    (folder / "docs").mkdir(parents=True)
    component = {
        "type": "sdg_assets.SourcePipeline",
        "attributes": {"config": "pipeline.yaml"},
    }
    (folder / "defs.yaml").write_text(yaml.safe_dump(component), encoding="utf-8")
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(PIPELINE), encoding="utf-8")
    (folder / "docs" / "a.txt").write_text("one two three four", encoding="utf-8")
    (folder / "docs" / "b.txt").write_text("five six skip this", encoding="utf-8")
    return folder


def test_a_pipeline_from_discovery_to_the_seal(tmp_path: Path) -> None:
    home = make_home(tmp_path, module=MODULE)
    make_project(home)
    refused = home.materialize("notes/sources", "--partition", "00000")
    assert refused.returncode != 0
    discovered = home.run("job", "execute", "-m", MODULE, "-j", "discover_sources")
    assert discovered.returncode == 0, discovered.stderr
    for key in ("00000", "00001"):
        made = home.materialize("notes/sources", "--partition", key)
        assert made.returncode == 0, made.stderr
    with home.instance() as instance:
        assert list(instance.get_dynamic_partitions("notes_sources")) == [
            "00000",
            "00001",
        ]
        records = instance.fetch_materializations(KEY, limit=10).records
        events = {
            r.asset_materialization.partition: r.asset_materialization
            for r in records
            if r.asset_materialization
        }
        assert sorted(events) == ["00000", "00001"]
        metadata = {
            name: value.value for name, value in events["00001"].metadata.items()
        }
        assert (
            metadata["rows"],
            metadata["tasks_read"],
            metadata["filtered/skipped"],
        ) == (1, 1, 1)
        assert (metadata["candidates_rejected"], metadata["records_dropped"]) == (1, 0)
        assert (
            metadata["usage/requests"] == 2
            and metadata["adopted"] is False
            and metadata["simulated"] is True
        )
        assert list(metadata["source_versions"]) == ["docs/b.txt"]
        assert (
            events["00001"].tags["dagster/code_version"]
            == metadata["config_fingerprint"]
        )
    finished = home.materialize("notes/dataset")
    assert finished.returncode == 0, finished.stderr
    (sealed,) = home.root.glob("notes/*/metadata.json")
    assert json.loads(sealed.read_text())["post_generation_state"] == "complete"
    before = {path: path.read_bytes() for path in home.root.glob("notes/*/sources/*")}
    home.materialize("notes/sources", "--partition", "00000")
    assert {
        path: path.read_bytes() for path in home.root.glob("notes/*/sources/*")
    } == before
    with home.instance() as instance:
        (latest,) = instance.get_runs(limit=1)
        assert (
            latest.status is dg.DagsterRunStatus.CANCELED
            and latest.tags["sdg/rejected"] == "post-processed"
        )
