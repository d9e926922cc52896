"""Recording: one event per finished row group, whatever Dagster's storage and version can do, and whatever goes wrong."""

import importlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.base import EventLogStorage

from sdg_assets import event_storage
from sdg_assets.recording import recorder
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, snapshot, uuid

pytestmark = DAGSTER_WARNINGS

ASSET = "tickets/row_groups"
KEY = dg.AssetKey(ASSET.split("/"))
GROUPS = 12
KEYS = [f"{index:05d}" for index in range(GROUPS)]
RANGE = {
    "dagster/asset_partition_range_start": KEYS[0],
    "dagster/asset_partition_range_end": KEYS[-1],
}
SUPPORTED = {"1.12": ["_store_asset_event", "_store_asset_event_tags"], "1.13": []}
"""Minor versions of Dagster that were tried, with what each lacks for writing planned events at once."""


def batching_instance(directory: Path) -> Any:
    storage = {
        "module": "sdg_assets.event_storage",
        "class": "BatchingSqliteEventLogStorage",
    }
    return dg.instance_for_test(
        overrides={
            "event_log_storage": {**storage, "config": {"base_dir": str(directory)}}
        }
    )


@pytest.fixture
def location(tmp_path: Path) -> CodeLocation:
    made = CodeLocation(tmp_path)
    made.write(
        dataset_config(
            uuid(),
            category("plan", "free", "pro"),
            num_records=2 * GROUPS,
            row_group_size=2,
        )
    )
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


@pytest.fixture(autouse=True)
def batch_size_of_dagster(monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage of a test may set it for its process."""
    monkeypatch.setenv(event_storage.BATCH_SIZE, "0")
    monkeypatch.delenv(event_storage.BATCH_SIZE)


def entries(
    instance: dg.DagsterInstance, run_id: str, kind: str
) -> list[dg.EventLogEntry]:
    found = instance.all_logs(run_id)
    return [
        e
        for e in found
        if e.dagster_event is not None and e.dagster_event.event_type_value == kind
    ]


def materialized(
    instance: dg.DagsterInstance, run_id: str
) -> list[dg.AssetMaterialization]:
    found = entries(instance, run_id, "ASSET_MATERIALIZATION")
    return [
        entry.asset_materialization
        for entry in found
        if entry.asset_materialization is not None
    ]


def test_each_row_group_has_one_event_of_its_step_at_the_time_of_its_file(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    result = location.materialize(instance, ASSET, tags=RANGE)
    events = entries(instance, result.run_id, "ASSET_MATERIALIZATION")
    assert [
        event.dagster_event.partition for event in events if event.dagster_event
    ] == KEYS
    assert {event.step_key for event in events} == {"tickets__row_groups"}
    assert {event.job_name for event in events} == {"__ASSET_JOB"}
    times = [event.timestamp for event in events]
    assert times == sorted(times)
    version = location.root / "tickets"
    for event, path in zip(
        events, sorted(version.glob("*/row_groups/*.parquet")), strict=True
    ):
        assert path.stat().st_mtime <= event.timestamp + 1e-3
    assert instance.get_materialized_partitions(KEY) == set(KEYS)


def test_the_latest_event_of_the_asset_is_the_last_one(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.materialize(instance, ASSET, tags=RANGE)
    latest = instance.get_latest_materialization_event(KEY)
    assert latest is not None and latest.asset_materialization is not None
    assert latest.asset_materialization.partition == KEYS[-1]
    assert (
        latest.asset_materialization.metadata["dagster/partition_row_count"].value == 2
    )


def test_without_the_seam_events_are_recorded_one_by_one(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(EventLogStorage, "store_event_batch")
    result = location.materialize(instance, ASSET, tags=RANGE)
    assert [event.partition for event in materialized(instance, result.run_id)] == KEYS


def test_a_batch_that_fails_is_recorded_one_by_one_and_said_so(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: Any, events: Any) -> None:
        raise TypeError("this Dagster takes its batches otherwise")

    monkeypatch.setattr(EventLogStorage, "store_event_batch", refuse)
    result = location.materialize(instance, ASSET, tags=RANGE)
    assert [event.partition for event in materialized(instance, result.run_id)] == KEYS
    messages = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert any(
        "could not be recorded in a batch" in message and "otherwise" in message
        for message in messages
    )


def test_a_run_that_cannot_record_fails_and_the_next_one_adopts_its_files(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store_event = SqliteEventLogStorage.store_event

    def full(self: Any, event: Any) -> None:
        if (
            event.dagster_event is not None
            and event.dagster_event.event_type_value == "ASSET_MATERIALIZATION"
        ):
            raise OSError("disk full")
        store_event(self, event)

    with monkeypatch.context() as patched:
        patched.setattr(SqliteEventLogStorage, "store_event", full)
        first = location.materialize(instance, ASSET, tags=RANGE, raise_on_error=False)
    assert not first.success
    assert materialized(instance, first.run_id) == []
    before = snapshot(location.root / "tickets")
    made = {
        Path(name).stem.removeprefix("batch_")
        for name in before
        if "row_groups/" in name
    }
    assert made, "files are written before events"

    second = location.materialize(instance, ASSET, tags=RANGE)
    events = materialized(instance, second.run_id)
    assert [event.partition for event in events] == KEYS
    assert {
        event.partition for event in events if event.metadata["adopted"].value
    } == made
    after = snapshot(location.root / "tickets")
    assert {name: after[name] for name in before if "row_groups/" in name} == {
        name: digest for name, digest in before.items() if "row_groups/" in name
    }


def rows(instance: dg.DagsterInstance, run_id: str) -> list[tuple[Any, ...]]:
    found = instance.all_logs(run_id)
    return [
        (e.dagster_event.event_type_value, e.dagster_event.partition, e.step_key)
        for e in found
        if e.dagster_event is not None
        and e.dagster_event.event_type_value.startswith("ASSET_")
    ]


def test_the_batching_storage_stores_what_dagsters_own_stores(
    location: CodeLocation, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    plain = location.materialize(instance, ASSET, tags=RANGE)
    with batching_instance(tmp_path / "events") as batching:
        other = location.materialize(batching, ASSET, tags=RANGE)
        assert rows(batching, other.run_id) == rows(instance, plain.run_id)
        for stored in (batching, instance):
            assert stored.get_materialized_partitions(KEY) == set(KEYS)
            tags = stored.event_log_storage.get_latest_tags_by_partition(
                KEY, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
            )
            assert set(tags) == set(KEYS)
        planned = batching.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations(
            KEY
        )
        assert planned == {}


def test_a_batch_of_several_assets_keeps_the_latest_event_of_each(
    location: CodeLocation, tmp_path: Path
) -> None:
    location.write(
        dataset_config(uuid(), num_records=8, row_group_size=2) | {"name": "others"}
    )
    with batching_instance(tmp_path / "events") as batching:
        chosen = {**RANGE, "dagster/asset_partition_range_end": "00003"}
        for asset in (ASSET, "others/row_groups"):
            location.materialize(batching, asset, tags=chosen)
        for asset in (ASSET, "others/row_groups"):
            latest = batching.get_latest_materialization_event(
                dg.AssetKey(asset.split("/"))
            )
            assert latest is not None and latest.dagster_event is not None
            assert latest.dagster_event.asset_key == dg.AssetKey(asset.split("/"))
            assert latest.dagster_event.partition == "00003"


def test_a_storage_without_its_seams_is_the_plain_one(
    location: CodeLocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_storage, "SEAMS", (*event_storage.SEAMS, "gone"))
    with batching_instance(tmp_path / "events") as batching:
        result = location.materialize(batching, ASSET, tags=RANGE)
        assert [
            event.partition for event in materialized(batching, result.run_id)
        ] == KEYS


def installed_minor() -> str:
    return ".".join(importlib.metadata.version("dagster").split(".")[:2])


def test_the_installed_dagster_is_one_that_was_tried() -> None:
    assert installed_minor() in SUPPORTED, (
        f"Dagster {importlib.metadata.version('dagster')} has not been tried (only "
        f"{', '.join(SUPPORTED)}): run tests/assets with it, then add it to SUPPORTED here and to the bounds in pyproject.toml"
    )


@pytest.mark.parametrize(
    "seam",
    [
        "dagster._core.events:DagsterEvent",
        "dagster._core.events:StepMaterializationData",
        "dagster._core.events.log:EventLogEntry",
        "dagster._core.storage.event_log:SqlEventLogStorage",
        "dagster._core.storage.event_log:SqliteEventLogStorage",
        "dagster._core.execution.backfill:BulkActionsFilter",
        "dagster._serdes:ConfigurableClassData",
    ],
)
def test_dagster_still_has_what_it_does_not_promise(seam: str) -> None:
    module, _, name = seam.partition(":")
    found = getattr(importlib.import_module(module), name, None)
    assert found is not None, (
        f"Dagster {importlib.metadata.version('dagster')} has no {seam}; sdg_assets uses it"
    )


def test_the_storages_still_have_what_batches_are_built_on() -> None:
    gone = event_storage.missing_seams(event_storage.BatchingSqliteEventLogStorage)
    assert gone == SUPPORTED.get(installed_minor()), (
        f"Dagster {importlib.metadata.version('dagster')} writes planned events one by one now: {gone} are gone"
    )


def test_batches_are_used_with_the_installed_dagster(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[int] = []
    store = EventLogStorage.store_event_batch

    def count(self: Any, events: Any) -> None:
        used.append(len(events))
        store(self, events)

    monkeypatch.setattr(EventLogStorage, "store_event_batch", count)
    location.materialize(instance, ASSET, tags=RANGE)
    assert sum(used) == GROUPS
    assert max(used) <= recorder.MAX_EVENTS
