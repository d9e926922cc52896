"""Datasets made from datasets: a chain in one run, branches and joins, staleness that flows, and a gate that a person opens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from sdg_assets.recording.metadata import data_version
from sdg_core.store.row_groups import read_footer
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, expression, only_version, uuid

pytestmark = DAGSTER_WARNINGS

RANGE = {RANGE_START: "00000", RANGE_END: "00002"}


def source(name: str, **more: Any) -> dict[str, Any]:
    columns = (uuid(), category("topic", "login", "billing"))
    return dataset_config(*columns, num_records=30, row_group_size=10, **more) | {
        "name": name
    }


def made_from(name: str, seed: dict[str, Any], **more: Any) -> dict[str, Any]:
    columns = (
        expression("question", "About {{ topic }}?"),
        expression("asked", "{{ question }}!"),
    )
    return dataset_config(
        *columns,
        num_records=30,
        row_group_size=10,
        seed_config={"source": seed},
        **more,
    ) | {"name": name}


def dataset_seed(name: str) -> dict[str, Any]:
    return {"seed_type": "dataset", "dataset": name}


@pytest.fixture
def location(tmp_path: Path) -> CodeLocation:
    return CodeLocation(tmp_path)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def events(instance: dg.DagsterInstance, key: str) -> list[dg.AssetMaterialization]:
    """Recorded materializations, oldest first."""
    records = instance.fetch_materializations(
        dg.AssetKey(key.split("/")), limit=100
    ).records
    return [
        record.asset_materialization
        for record in reversed(records)
        if record.asset_materialization is not None
    ]


def test_a_chain_of_two_datasets_is_made_by_one_run_in_order(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(source("a"))
    location.write(made_from("b", dataset_seed("a")))
    result = location.materialize(
        instance, "a/row_groups", "a/dataset", "b/row_groups", "b/dataset", tags=RANGE
    )
    assert result.success
    assert [
        step.step_key
        for step in result.get_step_success_events()
        if "checks" not in (step.step_key or "")
    ] == [
        "a__row_groups",
        "a__dataset",
        "b__row_groups",
        "b__dataset",
    ]
    finished = pq.read_table(str(only_version(location.root, "b").processed_dataset))
    assert set(finished.column("question").to_pylist()) == {
        "About login?",
        "About billing?",
    }


def test_what_a_chained_run_records_last_is_true_of_the_files(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(source("a"))
    location.materialize(instance, "a/row_groups", "a/dataset", tags=RANGE)
    recorded = instance.event_log_storage.get_latest_tags_by_partition(
        dg.AssetKey(["a", "row_groups"]),
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        ["dagster/data_version"],
    )
    layout = only_version(location.root, "a")
    assert {key: tags["dagster/data_version"] for key, tags in recorded.items()} == {
        f"{index:05d}": data_version(
            read_footer(layout.row_group(index)), version=layout.name
        )
        for index in range(3)
    }


def test_a_run_of_the_row_groups_alone_records_each_once(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(source("a"))
    location.materialize(instance, "a/row_groups", tags=RANGE)
    assert [event.partition for event in events(instance, "a/row_groups")] == [
        "00000",
        "00001",
        "00002",
    ]


def test_branches_and_joins_are_edges_of_the_graph(location: CodeLocation) -> None:
    @dg.asset(
        deps=[dg.AssetKey(["left", "dataset"]), dg.AssetKey(["right", "dataset"])]
    )
    def joined() -> None: ...

    location.write(source("a"))
    location.write(made_from("left", dataset_seed("a")))
    location.write(made_from("right", dataset_seed("a")))
    location.write(
        made_from("last", {"path": "joined.csv", "upstream_asset": "joined"})
    )
    location.add(joined)
    graph = location.repository().asset_graph
    parents = {
        key.to_user_string(): graph.get(key).parent_keys
        for key in graph.get_all_asset_keys()
    }
    assert (
        parents["left/row_groups"]
        == parents["right/row_groups"]
        == {dg.AssetKey(["a", "dataset"])}
    )
    assert parents["last/row_groups"] == {dg.AssetKey("joined")}


def test_columns_are_traced_to_the_seed_and_to_the_row_groups(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(source("a"))
    location.write(made_from("b", dataset_seed("a")))
    location.materialize(
        instance, "a/row_groups", "a/dataset", "b/row_groups", "b/dataset", tags=RANGE
    )
    lineage = (
        events(instance, "b/row_groups")[-1].metadata["dagster/column_lineage"].value
    )
    assert isinstance(lineage, dg.TableColumnLineage)
    topic = [dg.TableColumnDep(dg.AssetKey(["a", "dataset"]), "topic")]
    assert {name: list(deps) for name, deps in lineage.deps_by_column.items()} == {
        "id": [dg.TableColumnDep(dg.AssetKey(["a", "dataset"]), "id")],
        "topic": topic,
        "question": topic,
        "asked": topic,
    }
    finished = events(instance, "b/dataset")[0].metadata["dagster/column_lineage"].value
    assert isinstance(finished, dg.TableColumnLineage)
    assert list(finished.deps_by_column["asked"]) == [
        dg.TableColumnDep(dg.AssetKey(["b", "row_groups"]), "asked")
    ]


def test_a_changed_dataset_makes_what_is_made_from_it_stale(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(source("a"))
    location.write(made_from("b", dataset_seed("a")))
    location.materialize(
        instance, "a/row_groups", "a/dataset", "b/row_groups", tags=RANGE
    )
    assert location.tick(instance, "resume_row_groups")[0] == []
    location.write(source("a", seed=9))
    location.materialize(instance, "a/row_groups", "a/dataset", tags=RANGE)
    requests, _, _ = location.tick(instance, "resume_row_groups")
    assert [
        (request.asset_selection, request.tags[RANGE_START], request.tags[RANGE_END])
        for request in requests
    ] == [([dg.AssetKey(["b", "row_groups"])], "00000", "00002")]


@pytest.mark.filterwarnings("ignore:Property `OpDefinition.version`:DeprecationWarning")
def test_nothing_is_made_until_a_person_has_put_the_approved_file_in_place(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """The gate: an observed source asset. What is downstream waits for its file and follows its content."""
    approved = location.root / "approved.csv"

    @dg.observable_source_asset(key=["review", "approved"])
    def review() -> dg.DataVersion:
        return dg.DataVersion(
            approved.read_text(encoding="utf-8")
            if approved.exists()
            else "nothing approved yet"
        )

    seed = {"path": "{root}/approved.csv", "upstream_asset": "review/approved"}
    location.write(made_from("b", seed))
    location.add(review)
    requests, skipped, _ = location.tick(instance, "resume_row_groups")
    assert requests == [] and skipped is not None and "review/approved" in skipped
    assert not location.materialize(
        instance, "b/row_groups", tags=RANGE, raise_on_error=False
    ).success

    location.root.mkdir(exist_ok=True)
    approved.write_text("topic\nlogin\nbilling\n", encoding="utf-8")
    requests, _, _ = location.tick(instance, "resume_row_groups")
    assert len(requests) == 1
    location.materialize(instance, "b/row_groups", tags=requests[0].tags)
    assert (
        location.tick(instance, "resume_row_groups")[1]
        == "all 3 row groups of b are complete"
    )
    approved.write_text("topic\nlogin\n", encoding="utf-8")
    assert len(location.tick(instance, "resume_row_groups")[0]) == 1, (
        "another approval is another seed"
    )
