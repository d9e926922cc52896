"""`run.executor` in a file, on the command line and in the launchpad; nothing of it is in the fingerprint."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sdg_assets.assets.run_config import SourcesConfig, offering
from sdg_core import api
from sdg_core.api import RunSettings
from sdg_core.cli.main import run
from sdg_core.errors import ConfigError
from tests.support.pipelines import Project
from tests.support.sdg import dataset_config, uuid, write_config

PLACED: dict[str, Any] = {"concurrency": 3, "resources": {"cpus": 0.5, "gpus": 1}}


def project_of(directory: Path, **more: Any) -> Project:
    (directory / "own.py").write_text("def same(record):\n    return record\n")
    return Project(
        directory, [{"stage": "function", "function": "./own.py:same", **more}]
    ).write(a="one")


def test_where_a_stage_runs_is_not_in_the_fingerprint(tmp_path: Path) -> None:
    plain = project_of(tmp_path).open().plan
    placed = project_of(tmp_path, **PLACED)
    placed.more = {"run": {"executor": "ray"}}
    plan = placed.write().open().plan
    assert plan.fingerprint == plain.fingerprint
    (stage,) = plan.stages
    assert (stage.concurrency, stage.resources.cpus, stage.resources.gpus) == (
        3,
        0.5,
        1,
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"concurrency": 0}, r"stages\[0\]\.concurrency"),
        ({"resources": {"cpus": -1}}, r"stages\[0\]\.resources\.cpus"),
        ({"resources": {"tpus": 1}}, r"stages\[0\]\.resources\.tpus"),
    ],
)
def test_what_is_no_number_of_workers_is_refused(
    tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        project_of(tmp_path, **more).open()


def test_a_dataset_has_no_executor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(
        tmp_path / "tickets.yaml", dataset_config(uuid(), run={"executor": "ray"})
    )
    with pytest.raises(
        ConfigError,
        match=r"run\.executor: ray runs pipeline stages(.|\n)*--shard",
    ):
        api.open_dataset(file, root=str(tmp_path / "data"))
    write_config(file, dataset_config(uuid()))
    with pytest.raises(SystemExit) as ended:
        run(
            [
                "generate",
                str(file),
                "--root",
                str(tmp_path / "data"),
                "--executor",
                "ray",
            ]
        )
    assert ended.value.code == 2
    assert "--executor" in capsys.readouterr().err and not (tmp_path / "data").exists()


def test_the_launchpad_offers_what_the_file_says() -> None:
    config = offering(SourcesConfig, RunSettings(executor="ray"))()
    assert config.changes()["executor"] == "ray"
    assert isinstance(config, dg.Config)
