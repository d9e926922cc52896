"""In Dagster the data root is the command's: that of the project of the file, wherever Dagster was started."""

from pathlib import Path

import pytest

from sdg_assets.assets.catalog import DatasetRef
from sdg_assets.automation.incomplete import Incomplete, find_incomplete
from sdg_assets.resources import StoreResource, resolve_for
from sdg_core import api
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, uuid, write_config

pytestmark = DAGSTER_WARNINGS


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pyproject.toml").write_text("[tool.dg]\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return write_config(
        tmp_path / "project" / "defs" / "tickets" / "dataset.yaml",
        dataset_config(uuid()),
    )


def test_store_and_command_agree(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    assert StoreResource().root_for(file) is None
    assert (
        StoreResource().root_path(file)
        == api.open_dataset(file).layout.root
        == project / "data"
    )
    assert StoreResource(root="sets").root_path(file) == project / "sets"
    assert (
        StoreResource(root="sets").root_for(file)
        == resolve_for("sets", file)
        == str(project / "sets")
    )
    assert StoreResource(root="s3://bucket/x").root_for(file) == "s3://bucket/x"
    assert StoreResource().root_path() == tmp_path / "elsewhere" / "data"
    monkeypatch.setenv("SDG_ROOT", "sets")
    assert (
        StoreResource().root_path(file)
        == api.open_dataset(file).layout.root
        == project / "sets"
    )


def test_nothing_is_asked_for_that_lies_elsewhere(file: Path, tmp_path: Path) -> None:
    api.generate(api.open_dataset(file, root=str(tmp_path / "elsewhere" / "data")))
    ref = DatasetRef(name="tickets", path=file, num_row_groups=3, max_per_run=10)
    known = ref.partitions_def.get_partition_keys()
    reason = find_incomplete(ref, root=None, known=known)
    assert isinstance(reason, str) and str(tmp_path / "elsewhere" / "data") in reason
    assert isinstance(
        find_incomplete(ref, root=str(tmp_path / "mine"), known=known), Incomplete
    )
