"""Two datasets of one name, told apart by key prefixes as the error about taken names advises: nothing of one is the other's."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

import sdg_assets
from sdg_core import api
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, expression, write_config

pytestmark = DAGSTER_WARNINGS
TEAMS = ("nlp", "web-search")


@pytest.fixture
def definitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """A dataset and a pipeline of each team, which differ in what they make and have roots of their own."""
    package = tmp_path / "teams"
    for team in TEAMS:
        shared = {
            "schedule": "0 2 * * *",
            "key_prefix": team,
            "root": str(tmp_path / "data" / team),
        }
        dataset = dataset_config(
            expression("text", team), name="reviews", num_records=20
        )
        pipeline = {
            "kind": "pipeline",
            "name": "notes",
            "sources": {"reader": "files", "path": "docs/*.txt"},
            "stages": [],
        }
        for kind, config in (("Dataset", dataset), ("SourcePipeline", pipeline)):
            folder = package / team.replace("-", "_") / config["name"]
            write_config(folder / "file.yaml", config)
            component = {
                "type": f"sdg_assets.{kind}",
                "attributes": {"config": "file.yaml", **shared},
            }
            (folder / "defs.yaml").write_text(
                yaml.safe_dump(component), encoding="utf-8"
            )
        (folder / "docs").mkdir()
        (folder / "docs" / "one.txt").write_text(team, encoding="utf-8")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "teams", raising=False)
    return sdg_assets.with_operations(sdg_assets.load_defs(import_module("teams")))


def opened(team: str, tmp_path: Path) -> api.Dataset:
    file = tmp_path / "teams" / team.replace("-", "_") / "reviews" / "file.yaml"
    return api.open_dataset(file, root=str(tmp_path / "data" / team))


def test_sensors_and_schedules_ask_for_each(
    definitions: dg.Definitions, tmp_path: Path
) -> None:
    repository = definitions.get_repository_def()
    repository.load_all_definitions()
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "reviews_schedule",
        "notes_schedule",
        "web_search__reviews_schedule",
        "web_search__notes_schedule",
    }
    api.generate(opened("nlp", tmp_path), row_groups=[0])
    with dg.DagsterInstance.ephemeral() as instance:

        def tick(sensor: str) -> Any:
            with dg.build_sensor_context(
                instance=instance, repository_def=repository
            ) as context:
                return repository.get_sensor_def(sensor).evaluate_tick(context)

        asked = {
            request.asset_selection[0].to_user_string(): (
                request.tags["dagster/asset_partition_range_start"],
                request.tags["dagster/asset_partition_range_end"],
            )
            for request in tick("resume_row_groups").run_requests
        }
        assert asked == {
            "nlp/reviews/row_groups": ("00001", "00001"),
            "web-search/reviews/row_groups": ("00000", "00001"),
        }

        found = tick("discover_sources")
        added = {
            change.partitions_def_name for change in found.dynamic_partitions_requests
        }
        assert added == {"nlp__notes_sources", "web_search__notes_sources"}
        requests = found.run_requests
        assert len({request.run_key for request in requests}) == len(requests) == 2


def test_a_job_acts_on_the_one_that_is_named(definitions: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:

        def compare(name: str) -> dg.ExecuteInProcessResult:
            config = {
                "ops": {
                    "reconcile_events": {
                        "config": {"datasets": [name], "dry_run": True}
                    }
                }
            }
            job = definitions.resolve_job_def("reconcile")
            return job.execute_in_process(
                instance=instance, run_config=config, raise_on_error=False
            )

        assert compare("nlp/reviews").success
        failure = compare("reviews").failure_data_for_node("reconcile_events")
        assert failure is not None and failure.user_failure_data is not None
        assert "nlp/reviews and of web-search/reviews; specify which" in (
            failure.user_failure_data.description or ""
        )


def test_an_asset_reads_the_one_that_is_named(
    definitions: dg.Definitions, tmp_path: Path
) -> None:
    for team in TEAMS:
        dataset = opened(team, tmp_path)
        api.generate(dataset)
        api.process(dataset)
    seen: list[str] = []

    @dg.asset(deps=[[team, "reviews", "dataset"] for team in TEAMS])
    def stats(config: Named) -> None:
        seen.extend(sdg_assets.scan(config.dataset).collect()["text"].unique())

    job = dg.Definitions.merge(
        definitions, dg.Definitions(assets=[stats])
    ).resolve_implicit_global_asset_job_def()

    def run(name: str, *, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        config = {"ops": {"stats": {"config": {"dataset": name}}}}
        selection = [dg.AssetKey("stats")]
        return job.execute_in_process(
            asset_selection=selection, run_config=config, raise_on_error=raise_on_error
        )

    run("web-search/reviews")
    assert seen == ["web-search"]
    run("nlp/reviews")
    assert seen == ["web-search", "nlp"]
    assert not run("reviews", raise_on_error=False).success


class Named(dg.Config):
    dataset: str


def test_two_files_do_not_share_a_place_for_their_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for team in ("one", "two"):
        folder = tmp_path / "crowded" / team
        write_config(
            folder / "file.yaml",
            dataset_config(expression("text", team), name="reviews"),
        )
        component = {
            "type": "sdg_assets.Dataset",
            "attributes": {"config": "file.yaml", "key_prefix": team},
        }
        (folder / "defs.yaml").write_text(yaml.safe_dump(component), encoding="utf-8")
    (tmp_path / "crowded" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "crowded", raising=False)
    graph = sdg_assets.load_defs(import_module("crowded")).resolve_asset_graph()
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert keys == {
        "one/reviews/row_groups",
        "one/reviews/dataset",
        "two/reviews/dataset",
    }
    said = graph.get(dg.AssetKey(["two", "reviews", "dataset"])).description or ""
    assert "under one root, each would treat the other's data as its own" in said
