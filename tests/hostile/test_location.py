"""Hostile files beside good ones in one code location of Dagster: the good ones load and run, hostile ones are assets that fail;
loading them has run nothing, started nothing, connected to nothing."""

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from sdg_assets import load_defs, with_operations
from sdg_assets.components.broken import BROKEN_TAG
from tests.hostile.test_bounds import MERGES
from tests.hostile.test_foreign_files import CLIENT, CONFIGS, FUNCTIONS, READER
from tests.hostile.test_pipeline_trust import PIPELINES, STAGES
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, expression, uuid

pytestmark = DAGSTER_WARNINGS
WATCHED = {
    "os.system",
    "subprocess.Popen",
    "os.exec",
    "os.posix_spawn",
    "socket.connect",
    "socket.getaddrinfo",
}
CODE = {
    "functions.py": FUNCTIONS,
    "readers.py": READER,
    "client.py": CLIENT,
    "stages.py": STAGES,
}
BOMB = "{{ id" + " ~ id" * 20_000 + " }}"
NAMED = {
    **{f"d_{name}": config for name, config in CONFIGS.items()},
    **{f"p_{name}": c for name, c in PIPELINES.items()},
}
TEXTS = {
    "merges": MERGES,
    "brackets": "[" * 100_000,
    "zeros": "name: zeros\0\0",
    "number": f"name: number\nnum_records: {'9' * 5_000}\n",
    "bomb": yaml.safe_dump(
        {**dataset_config(uuid(), expression("e", BOMB)), "name": "bomb"}
    ),
    "tag": "name: !!python/object/apply:os.system ['touch ran']\n",
    "half": 'name: half\ndescription: "\\ud83d"\ncolumns: 3\n',
}
BROKEN = {
    *TEXTS,
    "endless",
    "loop",
    "pipe",
    "d_importable",
    "d_installed",
    "p_importable",
}


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What of this process's doing is watched."""
    events: list[str] = []
    watching = [True]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in WATCHED:
            events.append(f"{event} {arguments!r}"[:200])

    sys.addaudithook(hook)
    yield events
    watching.clear()


def component(folder: Path, kind: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(
        f"type: sdg_assets.{kind}\nattributes: {{config: config.yaml}}\n"
    )
    return folder / "config.yaml"


def test_the_location_stays_up(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    happened: list[str],
    request: pytest.FixtureRequest,
) -> None:
    package = tmp_path / "hostile_shop"
    for name, config in NAMED.items():
        kind = "SourcePipeline" if name.startswith("p_") else "Dataset"
        component(package / name, kind).write_text(
            yaml.safe_dump({**config, "name": name})
        )
        for file, text in CODE.items():
            (package / name / file).write_text(text.format(mark=str(tmp_path / "ran")))
    for name, text in TEXTS.items():
        component(package / name, "Dataset").write_text(text)
    component(package / "endless", "Dataset").symlink_to("/dev/zero")
    loop = component(package / "loop", "Dataset")
    loop.symlink_to(loop)
    os.mkfifo(component(package / "pipe", "SourcePipeline"))
    good = dataset_config(uuid(), num_records=20, row_group_size=10)
    component(package / "good", "Dataset").write_text(yaml.safe_dump(good))
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SDG_ROOT", str(tmp_path / "data"))
    request.addfinalizer(lambda: sys.modules.pop(package.name))
    repository = with_operations(
        load_defs(importlib.import_module(package.name))
    ).get_repository_def()
    repository.load_all_definitions()
    assert happened == []
    assert not (tmp_path / "ran").exists()
    assets = repository.assets_defs_by_key
    broken = {
        key.path[0]
        for key, asset in assets.items()
        if BROKEN_TAG in asset.tags_by_key[key]
    }
    assert broken == BROKEN
    job = repository.get_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        made = dg.AssetKey(["tickets", "row_groups"])
        assert job.execute_in_process(
            instance=instance, asset_selection=[made], partition_key="00000"
        ).success
        failing = dg.AssetKey(["merges", "dataset"])
        result = job.execute_in_process(
            instance=instance, asset_selection=[failing], raise_on_error=False
        )
        assert not result.success
    assert not (tmp_path / "ran").exists()
