"""Attributes of the component: prefixed keys, a root of its own, tags of steps, kinds, the clock of the schedule."""

from pathlib import Path

import dagster as dg
import pytest

import sdg_assets
from sdg_core import api
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, expression

pytestmark = DAGSTER_WARNINGS


def config(name: str) -> dict[str, object]:
    return dataset_config(
        category("stars", 1, 2), expression("title", "{{ stars }}"), name=name
    )


@pytest.fixture
def location(tmp_path: Path) -> CodeLocation:
    return CodeLocation(tmp_path)


def test_keys_begin_with_the_prefix_and_everything_finds_them(
    location: CodeLocation,
) -> None:
    location.write(config("reviews"), key_prefix=["team", "nlp"])
    chained = {
        **config("replies"),
        "seed_config": {"source": {"seed_type": "dataset", "dataset": "reviews"}},
    }
    chained["columns"] = [expression("text", "{{ title }}")]
    location.write(chained, key_prefix="team/nlp")
    graph = location.repository().asset_graph
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        f"team/nlp/{name}/{part}"
        for name in ("reviews", "replies")
        for part in ("row_groups", "dataset")
    }
    upstream = graph.get(
        dg.AssetKey(["team", "nlp", "replies", "row_groups"])
    ).parent_keys
    assert upstream == {dg.AssetKey(["team", "nlp", "reviews", "dataset"])}
    with dg.DagsterInstance.ephemeral() as instance:
        requests, _, _ = location.tick(instance, "resume_row_groups")
        assert [request.asset_selection for request in requests][0] == [
            dg.AssetKey(["team", "nlp", "reviews", "row_groups"])
        ]
        assert location.materialize(
            instance, "team/nlp/reviews/row_groups", partition="00001"
        ).success
        states = [
            status.state.value
            for status in api.row_group_statuses(location.open("reviews"))
        ]
        assert states == ["missing", "complete", "missing"]


def test_a_dataset_with_a_root_of_its_own(
    location: CodeLocation, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    path = location.write(config("reviews"), root=str(elsewhere))
    with dg.DagsterInstance.ephemeral() as instance:
        assert location.materialize(
            instance, "reviews/row_groups", partition="00000"
        ).success
        assert not location.root.exists()
        dataset = api.open_dataset(path, root=str(elsewhere))
        assert [status.state.value for status in api.row_group_statuses(dataset)][
            0
        ] == "complete"
        requests, _, _ = location.tick(instance, "resume_row_groups")
        assert [
            request.tags["dagster/asset_partition_range_start"] for request in requests
        ] == ["00001"]
        api.generate(dataset)
        api.process(dataset)
        _, skipped, _ = location.tick(instance, "resume_row_groups")
        assert skipped is not None
        assert "sealed" in skipped
        seen: list[int] = []

        @dg.asset(deps=[["reviews", "dataset"]])
        def stats() -> None:
            seen.append(sdg_assets.scan("reviews").collect().height)

        location.add(stats)
        assert location.materialize(instance, "stats").success
        assert seen == [25]


def test_tags_of_steps_kinds_and_the_pool(location: CodeLocation) -> None:
    location.write(
        config("reviews"),
        op_tags={"dagster/priority": "3"},
        kinds=["parquet", "llm"],
        pool="server",
    )
    found = {
        key.path[-1]: asset
        for key, asset in location.repository().assets_defs_by_key.items()
    }
    kinds = {name: asset.specs_by_key[asset.key].kinds for name, asset in found.items()}
    assert kinds == dict.fromkeys(found, {"parquet", "llm"})
    assert all(asset.op.tags["dagster/priority"] == "3" for asset in found.values())
    assert {name: asset.op.pool for name, asset in found.items()} == {
        "row_groups": "server",
        "dataset": None,
    }


def test_the_clock_of_the_schedule(location: CodeLocation) -> None:
    location.write(
        config("reviews"),
        schedule="0 2 * * *",
        schedule_timezone="Europe/Berlin",
        schedule_status="running",
    )
    schedule = location.repository().get_schedule_def("reviews_schedule")
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    location.write(
        config("reviews"),
        schedule="0 2 * * *",
        schedule_timezone=None,
        schedule_status="stopped",
    )
    plain = location.repository().get_schedule_def("reviews_schedule")
    assert plain.default_status is dg.DefaultScheduleStatus.STOPPED
