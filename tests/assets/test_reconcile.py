"""Events follow files: after work outside Dagster, after files are removed, after a reopening. Real files, a real instance."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from sdg_core import api
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, expression, snapshot, uuid

pytestmark = DAGSTER_WARNINGS

SENSOR = "reconcile_events_with_files"
KEY = dg.AssetKey(["tickets", "row_groups"])
FINISHED = dg.AssetKey(["tickets", "dataset"])
ALL = {RANGE_START: "00000", RANGE_END: "00003"}


def tickets(**more: Any) -> dict[str, Any]:
    return dataset_config(uuid(), num_records=40, row_group_size=10, **more)


@pytest.fixture
def location(tmp_path: Path) -> CodeLocation:
    made = CodeLocation(tmp_path)
    made.write(tickets())
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def reconcile(
    location: CodeLocation, instance: dg.DagsterInstance, **config: Any
) -> dg.ExecuteInProcessResult:
    job = location.definitions().resolve_job_def("reconcile")
    return job.execute_in_process(
        instance=instance,
        run_config={"ops": {"reconcile_events": {"config": config}}},
        raise_on_error=False,
    )


def shown(location: CodeLocation, instance: dg.DagsterInstance) -> list[str]:
    """The colour of each partition on the asset's page."""
    partitions = location.repository().assets_defs_by_key[KEY].partitions_def
    assert partitions is not None
    keys = list(partitions.get_partition_keys())
    found = instance.get_status_by_partition(KEY, keys, partitions) or {}
    return [
        status.value.lower() if (status := found.get(key)) is not None else "missing"
        for key in keys
    ]


def latest(
    instance: dg.DagsterInstance, key: dg.AssetKey
) -> list[dg.AssetMaterialization]:
    records = instance.fetch_materializations(key, limit=100).records
    return [
        record.asset_materialization
        for record in reversed(records)
        if record.asset_materialization is not None
    ]


def test_files_made_outside_dagster_are_recorded_as_adopted(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    summary = api.generate(location.open("tickets"), row_groups=[1, 2])
    before = snapshot(location.root)
    assert shown(location, instance) == ["missing"] * 4
    assert reconcile(location, instance).success
    assert shown(location, instance) == [
        "missing",
        "materialized",
        "materialized",
        "missing",
    ]
    events = latest(instance, KEY)
    assert [event.partition for event in events] == ["00001", "00002"]
    assert events[0].metadata["adopted"].value is True
    assert events[0].metadata["dagster/partition_row_count"].value == 10
    assert (
        events[0].metadata["dagster/uri"].value == summary.version.row_group(1).as_uri()
    )
    assert snapshot(location.root) == before

    assert reconcile(location, instance).success
    assert len(latest(instance, KEY)) == 2, "what agrees is not recorded again"


def test_a_file_without_a_record_is_not_green(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    columns = (category("a", "x"), expression("next", "{{ (a | int) + 1 }}"))
    location.write(dataset_config(*columns, num_records=40, row_group_size=10))
    summary = api.generate(location.open("tickets"), row_groups=[1])
    assert summary.failed == 10 and summary.version.row_group(1).exists()
    assert reconcile(location, instance).success
    assert shown(location, instance) == ["missing"] * 4


def test_its_events_equal_those_of_a_run(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    api.generate(location.open("tickets"))
    reconcile(location, instance)
    adopted = latest(instance, KEY)
    location.materialize(instance, "tickets/row_groups", tags=ALL)
    recorded = latest(instance, KEY)[len(adopted) :]
    assert [event.tags for event in recorded] == [event.tags for event in adopted]
    assert all(
        found.metadata.keys() <= other.metadata.keys()
        for found, other in zip(adopted, recorded, strict=True)
    )


def test_partitions_whose_files_are_gone_or_damaged_lose_their_green(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.materialize(instance, "tickets/row_groups", tags=ALL)
    layout = api.generate(location.open("tickets")).version
    layout.row_group(0).unlink()
    layout.row_group(2).write_bytes(b"damaged")
    result = reconcile(location, instance)
    assert result.success
    assert shown(location, instance) == [
        "failed",
        "materialized",
        "failed",
        "materialized",
    ]
    [run] = instance.get_runs(
        filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])
    )
    messages = [
        record.event_log_entry.message
        for record in instance.get_records_for_run(run.run_id).records
    ]
    assert any(
        "0, 2: the file is corrupt, there is no file" in message for message in messages
    ), messages

    runs = len(instance.get_runs())
    reconcile(location, instance)
    assert len(instance.get_runs()) == runs + 1, (
        "a partition that is red already is left alone"
    )

    location.materialize(instance, "tickets/row_groups", tags=ALL)
    assert shown(location, instance) == ["materialized"] * 4


def test_a_changed_config_takes_the_green_from_everything(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.materialize(instance, "tickets/row_groups", tags=ALL)
    location.write(tickets(seed=8))
    api.generate(location.open("tickets"), row_groups=[3])
    reconcile(location, instance)
    assert shown(location, instance) == ["failed", "failed", "failed", "materialized"]


def test_a_file_that_a_failed_run_left_behind_is_green_again(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.materialize(instance, "tickets/row_groups", tags=ALL)
    layout = api.generate(location.open("tickets")).version
    content = layout.row_group(0).read_bytes()
    layout.row_group(0).unlink()
    reconcile(location, instance)
    layout.row_group(0).write_bytes(content)
    reconcile(location, instance)
    assert shown(location, instance) == ["materialized"] * 4


def test_the_finished_dataset_is_reconciled_too(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    api.generate(location.open("tickets"))
    api.process(location.open("tickets"))
    reconcile(location, instance)
    [event] = latest(instance, FINISHED)
    assert (
        event.metadata["dagster/row_count"].value == 40
        and event.metadata["adopted"].value is True
    )
    api.reopen(location.open("tickets"))
    reconcile(location, instance)
    record = instance.get_asset_records([FINISHED])[0]
    run = instance.get_run_by_id(record.asset_entry.last_run_id or "")
    assert (
        run is not None
        and run.status is dg.DagsterRunStatus.FAILURE
        and run.job_name == "reconcile"
    )
    runs = len(instance.get_runs())
    reconcile(location, instance)
    assert len(instance.get_runs()) == runs + 1
    api.process(location.open("tickets"))
    reconcile(location, instance)
    assert len(latest(instance, FINISHED)) == 2


def test_a_dry_run_only_tells(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    api.generate(location.open("tickets"))
    result = reconcile(location, instance, dry_run=True)
    messages = [
        record.event_log_entry.user_message
        for record in instance.get_records_for_run(result.run_id).records
    ]
    assert "tickets: row groups 0-3 have files without a current event" in messages
    assert shown(location, instance) == ["missing"] * 4


def test_a_dataset_at_fault_does_not_keep_the_others_from_it(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    broken = location.write(tickets() | {"name": "a_broken_one"})
    job = location.definitions().resolve_job_def("reconcile")
    broken.write_text("name: [")
    api.generate(location.open("tickets"))
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert "a_broken_one.yaml" in str(
        result.get_step_failure_events()[0].event_specific_data
    )
    assert len(latest(instance, KEY)) == 4


def test_the_sensor_asks_for_what_differs_and_is_off(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    sensor = location.repository().get_sensor_def(SENSOR)
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    location.write(tickets() | {"name": "others"})
    api.generate(location.open("tickets"), row_groups=[0])
    requests, skipped, _ = location.tick(instance, SENSOR)
    assert [request.run_config for request in requests] == [
        {"ops": {"reconcile_events": {"config": {"datasets": ["tickets"]}}}}
    ]
    assert reconcile(location, instance, datasets=["tickets"]).success
    requests, skipped, _ = location.tick(instance, SENSOR)
    assert requests == []
    assert (
        skipped == "others: events agree with files\ntickets: events agree with files"
    )


def reopen(
    location: CodeLocation, instance: dg.DagsterInstance, **config: str
) -> dg.ExecuteInProcessResult:
    job = location.definitions().resolve_job_def("reopen_dataset")
    return job.execute_in_process(
        instance=instance,
        run_config={"ops": {"reopen": {"config": config}}},
        raise_on_error=False,
    )


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"dataset": "tickets"}, "Type the dataset's name, 'tickets'"),
        ({"dataset": "tickets", "confirm": "yes"}, "confirm is 'yes'"),
        (
            {"dataset": "ticket", "confirm": "ticket"},
            "There is no dataset 'ticket'; there are tickets",
        ),
    ],
)
def test_reopening_needs_the_name_twice(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    config: dict[str, str],
    reason: str,
) -> None:
    api.generate(location.open("tickets"))
    api.process(location.open("tickets"))
    before = snapshot(location.root)
    result = reopen(location, instance, **config)
    assert not result.success
    assert reason in str(result.get_step_failure_events()[0].event_specific_data)
    assert snapshot(location.root) == before
    assert api.seal_of(location.open("tickets")) is not None


def test_a_confirmed_reopening_removes_the_seal_and_says_so(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.materialize(instance, "tickets/row_groups", tags=ALL)
    location.materialize(instance, "tickets/dataset")
    assert reopen(location, instance, dataset="tickets", confirm="tickets").success
    assert api.seal_of(location.open("tickets")) is None
    assert shown(location, instance) == ["materialized"] * 4
    [run] = instance.get_runs(
        filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])
    )
    assert run.asset_selection == {FINISHED}
    location.materialize(instance, "tickets/dataset")
    assert api.seal_of(location.open("tickets")) is not None
    assert reopen(location, instance, dataset="tickets", confirm="tickets").success
    assert reopen(location, instance, dataset="tickets", confirm="tickets").success, (
        "reopening twice changes nothing"
    )
