"""An image without what its datasets do not use: neither scipy's 100 MB nor a web server are needed where nothing asks for them.

Both stay declared dependencies: `gaussian`, `poisson` and `binomial` draw by scipy's special functions, and the UI is Dagster's.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.errors import FilterError, SdgError
from sdg_core.filters.deduplicate import EmbeddingDuplicates
from tests.support.sdg import PROJECT, category, dataset_config, environment, llm, uuid, write_config

WITHOUT = """
import sys
for name in ("scipy", "dagster_webserver", "dagster_graphql"):
    sys.modules[name] = None
"""
IN_DAGSTER = f"""{WITHOUT}
import dagster as dg
import sdg_assets
from sdg_assets.components.dataset import Dataset

component = Dataset(config=sys.argv[1])
made = sdg_assets.with_operations(component.build_defs(dg.ComponentTree.for_test().load_context))
job = made.get_repository_def().get_implicit_global_asset_job_def()
keys = [dg.AssetKey(["tickets", "row_groups"]), dg.AssetKey(["tickets", "dataset"])]
tags = {{"dagster/asset_partition_range_start": "00000", "dagster/asset_partition_range_end": "00002"}}
with dg.DagsterInstance.ephemeral() as instance:
    print(job.execute_in_process(instance=instance, asset_selection=keys, tags=tags).success)
"""


def test_a_dataset_that_uses_neither_loads_runs_and_is_finished(tmp_path: Path) -> None:
    config = dataset_config(uuid(), category("plan", "free", "pro"), llm("text", "About {{ plan }}"))
    path = write_config(tmp_path / "dataset.yaml", config)
    command = [sys.executable, "-c", IN_DAGSTER, str(path)]
    done = subprocess.run(command, env=environment(), cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr
    assert "was not installed" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("gaussian", {"mean": 0, "stddev": 1}),
        ("poisson", {"mean": 3}),
        ("binomial", {"n": 5, "p": 0.5}),
        ("scipy", {"dist_name": "norm", "dist_params": {}}),
        ("bernoulli_mixture", {"p": 0.5, "dist_name": "norm", "dist_params": {}}),
    ],
)
def test_a_sampler_that_needs_it_says_so_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, params: dict[str, object]
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    column = {"column_type": "sampler", "name": "size", "sampler_type": kind, "params": params}
    path = write_config(tmp_path / "dataset.yaml", dataset_config(uuid(), column))
    with pytest.raises(SdgError) as refused:
        api.open_dataset(path)
    said = str(refused.value)
    assert f"columns[1].params: the sampler {kind} needs the library scipy" in said
    assert "pip install scipy" in said


def test_near_duplicates_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = EmbeddingDuplicates(threshold=0.9)
    found.add([1, 2], [[1.0, 0.0], [1.0, 0.0]])
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(FilterError, match="near-duplicates need the library scipy"):
        found.decide()
