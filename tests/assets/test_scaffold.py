"""What `dg scaffold defs` writes loads as it is."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from sdg_assets import SourcePipeline, with_operations
from sdg_assets.assets.spec import load_spec
from sdg_assets.components.dataset import Dataset
from sdg_assets.components.scaffold import DatasetScaffolder, PipelineScaffolder
from sdg_core import api
from sdg_core.api import pipelines, projects
from tests.support.dagster_process import DAGSTER_WARNINGS

pytestmark = DAGSTER_WARNINGS


def scaffold(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    request = dg.ScaffoldRequest(
        type_name="sdg_assets.Dataset",
        target_path=folder,
        scaffold_format="yaml",
        project_root=folder.parent,
        params=None,
        append=False,
    )
    DatasetScaffolder().scaffold(request)


def test_a_scaffolded_dataset_loads_and_generates(tmp_path: Path) -> None:
    folder = tmp_path / "order_notes"
    scaffold(folder)
    written = yaml.safe_load((folder / "defs.yaml").read_text())
    assert written["type"] == "sdg_assets.Dataset"
    component = Dataset(
        **{
            **written["attributes"],
            "config": str(folder / written["attributes"]["config"]),
        }
    )
    built = with_operations(
        component.build_defs(dg.ComponentTree.for_test().load_context)
    )
    assert {
        key.to_user_string() for key in built.resolve_asset_graph().get_all_asset_keys()
    } == {
        "order_notes/row_groups",
        "order_notes/dataset",
    }
    assert (
        len(
            api.preview(
                folder / "dataset.yaml", num_records=3, root=str(tmp_path)
            ).table
        )
        == 3
    )
    assert all(
        column.description
        for column in load_spec(folder / "dataset.yaml").config.columns
    )


def test_a_dataset_file_that_is_there_stays(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    folder.mkdir()
    (folder / "dataset.yaml").write_text("name: mine\n")
    scaffold(folder)
    assert (folder / "dataset.yaml").read_text() == "name: mine\n"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("orders", "orders"),
        ("My-Orders 2", "my_orders_2"),
        ("2nd", "dataset_2nd"),
        ("_", "dataset"),
    ],
)
def test_the_folder_names_the_dataset(folder: str, name: str) -> None:
    assert projects.name_of_folder(folder, otherwise="dataset") == name


def test_a_scaffolded_pipeline_loads_and_runs(tmp_path: Path) -> None:
    folder = tmp_path / "Shop Manual"
    folder.mkdir()
    request = dg.ScaffoldRequest(
        type_name="sdg_assets.SourcePipeline",
        target_path=folder,
        scaffold_format="yaml",
        project_root=tmp_path,
        params=None,
        append=False,
    )
    PipelineScaffolder().scaffold(request)
    written = yaml.safe_load((folder / "defs.yaml").read_text())
    assert written["type"] == "sdg_assets.SourcePipeline"
    component = SourcePipeline(
        **{
            **written["attributes"],
            "config": str(folder / written["attributes"]["config"]),
        }
    )
    built = with_operations(
        component.build_defs(dg.ComponentTree.for_test().load_context)
    )
    assert {
        key.to_user_string() for key in built.resolve_asset_graph().get_all_asset_keys()
    } == {
        "shop_manual/sources",
        "shop_manual/dataset",
    }
    assert (
        pipelines.preview(
            folder / "pipeline.yaml", num_records=2, root=str(tmp_path)
        ).table.num_rows
        > 0
    )
    (folder / "pipeline.yaml").write_text("mine")
    PipelineScaffolder().scaffold(request)
    assert (folder / "pipeline.yaml").read_text() == "mine", "what is there stays"
