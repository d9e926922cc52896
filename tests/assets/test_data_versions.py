"""`dagster/data_version` identifies content: another content is another version, so what lies downstream becomes stale."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from dagster._core.loader import LoadingContextForTest

from sdg_assets import dagster_private
from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from sdg_core import api
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, uuid

pytestmark = DAGSTER_WARNINGS

ROW_GROUPS, FINISHED = (
    dg.AssetKey(["tickets", "row_groups"]),
    dg.AssetKey(["tickets", "dataset"]),
)
NEVER = {"ops": {"tickets__row_groups": {"config": {"resume": "never"}}}}
ALLOW = {"ops": {"tickets__dataset": {"config": {"allow_missing": True}}}}
FAILING = {
    "column_type": "custom",
    "name": "half",
    "generator_function": "halves:half",
    "required_columns": ["id"],
}


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CodeLocation:
    made = CodeLocation(tmp_path)
    monkeypatch.setenv("SDG_ROOT", str(made.root))
    made.add(published)
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@dg.asset(deps=[FINISHED], code_version="1")
def published() -> None: ...


def tickets(**more: Any) -> dict[str, Any]:
    return dataset_config(uuid(), num_records=20, row_group_size=10, **more)


def make(
    location: CodeLocation, instance: dg.DagsterInstance, **more: Any
) -> dg.ExecuteInProcessResult:
    return location.materialize(
        instance,
        "tickets/row_groups",
        tags={RANGE_START: "00000", RANGE_END: "00001"},
        **more,
    )


def versions(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str | None, str]:
    """The data version of each partition's latest event."""
    found = reversed(instance.fetch_materializations(key, limit=100).records)
    events = [record.asset_materialization for record in found]
    return {
        event.partition: (event.tags or {})["dagster/data_version"]
        for event in events
        if event is not None
    }


def stale(
    location: CodeLocation, instance: dg.DagsterInstance, *keys: dg.AssetKey
) -> list[str]:
    """What Dagster's pages show of these assets."""
    graph = location.repository().asset_graph
    loading = LoadingContextForTest(instance)
    resolver = dagster_private.CachingStaleStatusResolver(
        instance, graph, loading_context=loading
    )
    return [resolver.get_status(key).name for key in keys]


def test_a_version_that_never_started_makes_what_is_downstream_stale(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(tickets(), automation="stale_or_missing")
    make(location, instance)
    location.materialize(instance, "tickets/dataset")
    location.materialize(instance, "published")
    before, finished = versions(instance, ROW_GROUPS), versions(instance, FINISHED)
    assert stale(location, instance, FINISHED, dg.AssetKey("published")) == [
        "FRESH",
        "FRESH",
    ]
    make(location, instance, config=NEVER)
    after = versions(instance, ROW_GROUPS)
    assert set(before.values()).isdisjoint(after.values())
    assert stale(location, instance, FINISHED) == ["STALE"]
    location.materialize(instance, "tickets/dataset")
    assert versions(instance, FINISHED) != finished
    assert stale(location, instance, FINISHED, dg.AssetKey("published")) == [
        "FRESH",
        "STALE",
    ]


def test_a_partial_row_group_that_is_completed_is_another_content(
    location: CodeLocation, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """Half of the records fail first; then the cause is fixed, the config stays."""
    flag = tmp_path / "fixed"
    (tmp_path / "halves.py").write_text(
        "from pathlib import Path\n\n\ndef half(record):\n"
        f"    if record['id'] < '8' and not Path({str(flag)!r}).exists():\n        raise ValueError('too small')\n"
        "    return 'ok'\n"
    )
    location.write(
        {**tickets(), "columns": [uuid(), FAILING], "run": {"max_failure_rate": 1.0}}
    )
    make(location, instance)
    first = versions(instance, ROW_GROUPS)
    location.materialize(instance, "tickets/dataset", config=ALLOW)
    assert stale(location, instance, FINISHED) == ["FRESH"]
    api.reopen(location.open("tickets"))
    make(location, instance)
    assert versions(instance, ROW_GROUPS) == first, (
        "the same records remain, so the content is the same"
    )
    assert stale(location, instance, FINISHED) == ["FRESH"]
    flag.touch()
    make(location, instance)
    assert set(versions(instance, ROW_GROUPS).values()).isdisjoint(first.values())
    assert stale(location, instance, FINISHED) == ["STALE"]


def test_a_finished_dataset_is_known_by_its_content(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """Processors are not in the fingerprint, and their output is another content all the same."""
    location.write(tickets())
    make(location, instance)
    location.materialize(instance, "tickets/dataset")
    first = versions(instance, FINISHED)
    location.materialize(instance, "tickets/dataset")
    assert versions(instance, FINISHED) == first, "adopted: nothing was written"
    api.reopen(location.open("tickets"))
    location.write(
        tickets(
            processors=[
                {"processor_type": "filter", "name": "some", "keep": "{{ id < '8' }}"}
            ]
        )
    )
    location.materialize(instance, "tickets/dataset")
    assert versions(instance, FINISHED) != first


def test_the_events_of_reconciliation_have_the_versions_of_a_run(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(tickets())
    api.generate(location.open("tickets"))
    api.generate(location.open("tickets"), resume="never")
    api.process(location.open("tickets"))
    job = location.repository().get_job("reconcile")
    assert job.execute_in_process(instance=instance).success
    reconciled = versions(instance, ROW_GROUPS) | versions(instance, FINISHED)
    assert str(
        instance.get_latest_materialization_event(
            ROW_GROUPS
        ).asset_materialization.metadata
    ).count("-2/")  # type: ignore[union-attr]
    api.reopen(location.open("tickets"))
    make(location, instance)
    location.materialize(instance, "tickets/dataset")
    assert versions(instance, ROW_GROUPS) | versions(instance, FINISHED) == reconciled


def test_a_run_that_makes_both_shows_the_numbers_of_each_partition(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """Dagster's own event of the output has none; pages show the latest by its time."""
    location.write(tickets())
    location.materialize(
        instance,
        "tickets/row_groups",
        "tickets/dataset",
        tags={RANGE_START: "00000", RANGE_END: "00001"},
    )
    records = instance.fetch_materializations(ROW_GROUPS, limit=100).records
    for partition in ("00000", "00001"):
        newest = max(
            (r for r in records if r.partition_key == partition),
            key=lambda record: record.timestamp,
        )
        assert newest.asset_materialization is not None
        assert (
            newest.asset_materialization.metadata["dagster/partition_row_count"].value
            == 10
        )


def test_materialize_gives_back_what_was_recorded(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """As a test of a user's own does it; nothing is recorded twice for that."""
    location.write(tickets())
    result = make(location, instance)
    events = result.asset_materializations_for_node("tickets__row_groups")
    assert [event.partition for event in events] == ["00000", "00001"]
    assert len(result.get_asset_materialization_events()) == 2
    assert len(instance.fetch_materializations(ROW_GROUPS, limit=100).records) == 2
    path = Path(str(events[0].metadata["dagster/uri"].value).removeprefix("file://"))
    assert pl.read_parquet(path).height == 10
