"""Which backfill policy the assets have: slices where a dataset does not fit into one run, else one run."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from sdg_assets.assets.catalog import MAX_PARTITIONS
from sdg_assets.assets.row_groups import build_row_groups
from sdg_assets.assets.sources import build_sources
from sdg_assets.assets.spec import load_pipeline_spec, load_spec
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, uuid, write_config

pytestmark = DAGSTER_WARNINGS


@pytest.mark.parametrize(
    ("at_most", "per_run"), [(1, 1), (2, 2), (3, None), (1000, None)]
)
def test_a_dataset_of_three_row_groups(
    tmp_path: Path, at_most: int, per_run: int | None
) -> None:
    file = write_config(tmp_path / "dataset.yaml", dataset_config(uuid()))
    policy = build_row_groups(load_spec(file, max_per_run=at_most)).backfill_policy
    assert policy is not None and policy.max_partitions_per_run == per_run


@pytest.mark.parametrize(
    ("at_most", "per_run", "requested"), [(None, None, 1000), (5, 5, 5)]
)
def test_a_pipeline(
    tmp_path: Path, at_most: int | None, per_run: int | None, requested: int
) -> None:
    stages = [{"stage": "split", "column": "content", "unit": "words", "size": 2}]
    config = {
        "kind": "pipeline",
        "name": "notes",
        "sources": {"reader": "files", "path": "docs/*.txt"},
    }
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump({**config, "stages": stages}), encoding="utf-8")
    asset = build_sources(load_pipeline_spec(file, max_per_run=at_most))
    policy = asset.backfill_policy
    assert policy is not None and policy.max_partitions_per_run == per_run
    assert (
        asset.specs_by_key[dg.AssetKey(["notes", "sources"])].metadata[MAX_PARTITIONS]
        == requested
    )
