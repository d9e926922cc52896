"""What the pages on Dagster show: files, attributes, settings and Python, in a project or an instance that has them."""

import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

import sdg_assets
from sdg_assets.components.dataset import Dataset
from sdg_assets.components.pipeline import SourcePipeline
from sdg_assets.event_storage import BatchingSqliteEventLogStorage
from sdg_assets.resources import StoreResource
from sdg_core import api
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.guide import blocks, files_of
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    llm,
    uuid,
    write_config,
)

pytestmark = DAGSTER_WARNINGS


def test_the_assets_of_the_page_read_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = api.make_project(tmp_path / "shop", template="support")
    for place, text in files_of("your-own-project.md").items():
        (project.folder / place).write_text(text, encoding="utf-8")
    dataset = api.open_dataset(project.file)
    api.generate(dataset)
    api.process(dataset)
    monkeypatch.syspath_prepend(project.folder)
    job = (
        importlib.import_module("shop.definitions")
        .defs()
        .resolve_implicit_global_asset_job_def()
    )
    own = [
        dg.AssetKey(name)
        for name in ("tickets_by_plan", "longest_tickets", "common_words")
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, asset_selection=own)
        assert result.output_for_node("tickets_by_plan")["len"].sum() == 200
        assert list(result.output_for_node("longest_tickets")) == [
            "00000",
            "00001",
            "00002",
            "00003",
        ]
        (event,) = result.asset_materializations_for_node("common_words")
        assert event.metadata["words"].value
        lengths = dg.AssetKey("ticket_lengths")
        one = job.execute_in_process(
            instance=instance, asset_selection=[lengths], partition_key="00003"
        )
        assert one.output_for_node("ticket_lengths").height == 50
    for module in [
        module for module in sys.modules if module.partition(".")[0] == "shop"
    ]:
        del sys.modules[module]


def block(page: str, start: str) -> str:
    (found,) = (
        one.text for one in blocks() if one.page == page and one.text.startswith(start)
    )
    return found


def built(
    component: type[Any], attributes: dict[str, Any], file: Path
) -> dg.Definitions:
    """The definitions of a component with the attributes of a `defs.yaml`."""
    made = component.resolve_from_yaml(
        yaml.safe_dump({**attributes, "config": str(file)})
    )
    definitions: dg.Definitions = made.build_defs(
        dg.ComponentTree.for_test().load_context
    )
    return definitions


def reviews(directory: Path, **more: Any) -> Path:
    scores = [
        {
            "name": "helpful",
            "description": "Does it help?",
            "options": {1: "no", 5: "yes"},
        }
    ]
    judge = {
        "column_type": "llm-judge",
        "name": "quality",
        "model_alias": "writer",
        "prompt": "judge",
        "scores": scores,
    }
    columns = [
        uuid(),
        category("stars", 1, 5),
        llm("review", "of {{ stars }} stars"),
        judge,
    ]
    return write_config(
        directory / "reviews.yaml",
        {**dataset_config(*columns), "name": "reviews", **more},
    )


def test_all_attributes_of_a_component(tmp_path: Path) -> None:
    attributes = yaml.safe_load(block("dagster.md", "type: sdg_assets.Dataset"))[
        "attributes"
    ]
    loaded = built(Dataset, attributes, reviews(tmp_path))
    row_groups = loaded.resolve_asset_graph().get(
        dg.AssetKey(["team", "nlp", "reviews", "row_groups"])
    )
    assert (row_groups.group_name, row_groups.pools, row_groups.kinds) == (
        "reviews",
        {"llm_local"},
        {"parquet", "llm"},
    )
    assert row_groups.owners == ["team:data"]
    assert (
        loaded.resolve_schedule_def("reviews_schedule").execution_timezone
        == "Europe/Berlin"
    )
    fields = set(Dataset.model_fields) | {"group"}
    assert fields - {"group_name"} == set(attributes), "the page says `All attributes`"


def test_the_rules_of_a_finished_dataset(tmp_path: Path) -> None:
    loaded = built(
        Dataset, yaml.safe_load(block("dagster.md", "checks:")), reviews(tmp_path)
    )
    names = {key.name for key in loaded.resolve_asset_graph().asset_check_keys}
    assert {"unique_id", "mean_quality_helpful_score"} <= names


def test_operations_over_definitions(tmp_path: Path) -> None:
    names: dict[str, Any] = {
        "sdg_assets": sdg_assets,
        "definitions": built(Dataset, {}, reviews(tmp_path)),
        "StoreResource": StoreResource,
    }
    exec(block("dagster.md", "defs = sdg_assets.with_operations"), names)
    sensors = {sensor.name for sensor in names["defs"].get_repository_def().sensor_defs}
    assert "sdg_resume_row_groups" in sensors and "sdg_automation" not in sensors


@pytest.mark.filterwarnings(
    "ignore:Property `OpDefinition.version`:DeprecationWarning"
)  # Dagster's own, of its source assets
def test_a_review_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"dg": dg, "hashlib": hashlib, "Path": Path}
    exec(block("dagster.md", "@dg.observable_source_asset"), names)
    seed = yaml.safe_load(block("dagster.md", "seed_config: {source: {path:"))
    path = write_config(
        tmp_path / "replies.yaml",
        {**dataset_config(expression("text", "{{ note }}")), **seed},
    )
    both = dg.Definitions.merge(
        dg.Definitions(assets=[names["approved"]]), built(Dataset, {}, path)
    )
    parents = (
        both.resolve_asset_graph()
        .get(dg.AssetKey(["tickets", "row_groups"]))
        .parent_keys
    )
    assert parents == {dg.AssetKey(["review", "approved"])}
    job = both.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(
        asset_selection=[dg.AssetKey(["review", "approved"])]
    ).success
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "approved.csv").write_text("note\nyes\n", encoding="utf-8")
    assert job.execute_in_process(
        asset_selection=[dg.AssetKey(["review", "approved"])]
    ).success
    assert api.generate(api.open_dataset(path)).generated == 25


def test_an_instance_of_ones_own(tmp_path: Path) -> None:
    settings = yaml.safe_load(block("dagster.md", "concurrency:"))
    settings["event_log_storage"]["config"]["base_dir"] = str(tmp_path / "events")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.event_log_storage, BatchingSqliteEventLogStorage)


def test_a_pipeline_beside_datasets(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one.md").write_text("# One", encoding="utf-8")
    file = write_config(
        tmp_path / "pipeline.yaml",
        yaml.safe_load(block("pipelines.md", "kind: pipeline")),
    )
    attributes = yaml.safe_load(
        block("pipelines.md", "type: sdg_assets.SourcePipeline")
    )["attributes"]
    keys = (
        built(SourcePipeline, attributes, file)
        .resolve_asset_graph()
        .get_all_asset_keys()
    )
    assert dg.AssetKey(["handbook_qa", "sources"]) in keys
