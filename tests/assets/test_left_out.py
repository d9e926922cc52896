"""An image without what its datasets do not use: neither scipy's 113 MB nor a web server are needed where nothing asks for them.

scipy comes with the extras of what uses it; the web server stays a declared dependency, for the UI is Dagster's.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from sdg_core import api
from sdg_core.errors import FilterError, SdgError
from sdg_core.filters.deduplicate import EmbeddingDuplicates
from sdg_core.plan.extras import Extra
from tests.support.sdg import (
    PROJECT,
    category,
    dataset_config,
    environment,
    llm,
    uuid,
    write_config,
)

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
    config = dataset_config(
        uuid(), category("plan", "free", "pro"), llm("text", "About {{ plan }}")
    )
    path = write_config(tmp_path / "dataset.yaml", config)
    command = [sys.executable, "-c", IN_DAGSTER, str(path)]
    done = subprocess.run(
        command,
        env=environment(),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "True\n", done.stderr
    assert "was not installed" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("poisson", {"mean": 3}),
        ("binomial", {"n": 5, "p": 0.5}),
        ("scipy", {"dist_name": "norm", "dist_params": {}}),
        ("bernoulli_mixture", {"p": 0.5, "dist_name": "norm", "dist_params": {}}),
    ],
)
def test_a_sampler_that_needs_it_says_so_before_anything_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    params: dict[str, object],
) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    column = {
        "column_type": "sampler",
        "name": "size",
        "sampler_type": kind,
        "params": params,
    }
    said = refusal(tmp_path, dataset_config(uuid(), column))
    assert f"columns[1].params: the sampler {kind} requires the library scipy" in said
    assert "pip install 'sdg-dagster[distributions]'" in said


@pytest.mark.parametrize(
    ("module", "processor", "said"),
    [
        (
            "rensa",
            {"processor_type": "deduplicate", "method": "minhash", "columns": ["text"]},
            "minhash requires the library rensa",
        ),
        (
            "scipy",
            {"processor_type": "deduplicate", "method": "minhash", "columns": ["text"]},
            "minhash requires the library scipy",
        ),
        (
            "scipy",
            {
                "processor_type": "deduplicate",
                "method": "embedding",
                "columns": ["text"],
            },
            "embedding requires the library scipy",
        ),
        (
            "py3langid",
            {
                "processor_type": "filter",
                "column": "text",
                "quality": [{"rule": "language", "language": "en", "at_least": 0.5}],
            },
            "rule language requires the library py3langid",
        ),
    ],
)
def test_a_processor_says_so_before_its_records_are_paid_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    processor: dict[str, object],
    said: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    config = dataset_config(
        uuid(), llm("text", "a ticket"), processors=[{"name": "last", **processor}]
    )
    refused = refusal(tmp_path, config)
    assert "processors[0]." in refused and said in refused


def test_a_rule_in_a_pipeline_says_so_before_its_sources_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "py3langid", None)
    rules = [
        {"rule": "words", "at_least": 1},
        {"rule": "language", "language": "en", "at_least": 0.5},
    ]
    stage = {"stage": "filter", "column": "content", "quality": rules}
    config = {
        "kind": "pipeline",
        "name": "pages",
        "sources": {"reader": "files", "path": "*.txt"},
        "stages": [stage],
    }
    path = write_config(tmp_path / "pipeline.yaml", config)
    with pytest.raises(
        SdgError,
        match=r"stages\[0\]\.quality\[1\]\.rule: .*pip install 'sdg-dagster\[language\]'",
    ):
        api.open_pipeline(path)


def test_exact_duplicates_and_other_rules_need_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("scipy", "rensa", "py3langid"):
        monkeypatch.setitem(sys.modules, module, None)
    processors = [
        {"name": "same", "processor_type": "deduplicate", "columns": ["text"]},
        {
            "name": "short",
            "processor_type": "filter",
            "column": "text",
            "quality": [{"rule": "words", "at_least": 1}],
        },
    ]
    normal = {
        "column_type": "sampler",
        "name": "size",
        "sampler_type": "gaussian",
        "params": {"mean": 0, "stddev": 1},
    }
    config = dataset_config(
        uuid(), normal, llm("text", "a ticket"), processors=processors
    )
    dataset = api.open_dataset(
        write_config(tmp_path / "dataset.yaml", config), root=tmp_path / "data"
    )
    api.generate(dataset)
    assert api.process(dataset).num_rows


def test_near_duplicates_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = EmbeddingDuplicates(threshold=0.9)
    found.add([1, 2], [[1.0, 0.0], [1.0, 0.0]])
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(FilterError, match="near-duplicates require the library scipy"):
        found.decide()


def test_the_extras_that_messages_and_pages_name_exist() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    files = [
        *PROJECT.glob("sdg_*/**/*.py"),
        *PROJECT.glob("docs/**/*.md"),
        *PROJECT.glob("deploy/**/*"),
    ]
    named = [
        name
        for path in files
        if path.is_file()
        for listed in re.findall(
            r"sdg-dagster\[([a-z,0-9]+)\]", path.read_text(encoding="utf-8")
        )
        for name in listed.split(",")
    ]
    assert {*named, *get_args(Extra)} <= {*project["optional-dependencies"]}


def refusal(directory: Path, config: dict[str, object]) -> str:
    path = write_config(directory / "dataset.yaml", config)
    with pytest.raises(SdgError) as refused:
        api.open_dataset(path)
    return str(refused.value)
