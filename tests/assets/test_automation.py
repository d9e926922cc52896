"""`stale_or_missing`: asks for what was never made or would be made otherwise now, and for nothing else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sdg_assets import stale_or_missing
from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, uuid

pytestmark = DAGSTER_WARNINGS

TICKETS, FINISHED = (
    dg.AssetKey(["tickets", "row_groups"]),
    dg.AssetKey(["tickets", "dataset"]),
)


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CodeLocation:
    made = CodeLocation(tmp_path)
    monkeypatch.setenv("SDG_ROOT", str(made.root))
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def tickets(num_records: int = 40, **more: Any) -> dict[str, Any]:
    return dataset_config(uuid(), num_records=num_records, row_group_size=10, **more)


def asked(
    location: CodeLocation, instance: dg.DagsterInstance, key: dg.AssetKey
) -> list[str] | bool:
    """What a first tick asks for: the partitions, or whether an asset without any is asked for."""
    result = dg.evaluate_automation_conditions(location.definitions(), instance)
    subset = next((r.true_subset for r in result.results if r.key == key), None)
    assert subset is not None
    if not subset.is_partitioned:
        return not subset.is_empty
    return sorted(
        partition for partition in subset.expensively_compute_partition_keys()
    )


def make(
    location: CodeLocation, instance: dg.DagsterInstance, last: str = "00003"
) -> None:
    location.materialize(
        instance, "tickets/row_groups", tags={RANGE_START: "00000", RANGE_END: last}
    )


def test_missing_row_groups_are_asked_for_then_the_finished_dataset(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(tickets(), automation="stale_or_missing")
    assert asked(location, instance, TICKETS) == ["00000", "00001", "00002", "00003"]
    assert asked(location, instance, FINISHED) is False
    make(location, instance, last="00001")
    assert asked(location, instance, TICKETS) == ["00002", "00003"]
    assert asked(location, instance, FINISHED) is False
    make(location, instance)
    assert asked(location, instance, TICKETS) == []
    assert asked(location, instance, FINISHED) is True
    location.materialize(instance, "tickets/dataset")
    assert asked(location, instance, FINISHED) is False


def test_stale_row_groups_only_are_asked_for(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """An extension changes the last row group and adds some; another seed changes all."""
    location.write(tickets(35), automation="stale_or_missing")
    make(location, instance)
    location.write(tickets(55))
    assert asked(location, instance, TICKETS) == ["00003", "00004", "00005"]
    location.write(tickets(35, seed=9))
    assert asked(location, instance, TICKETS) == ["00000", "00001", "00002", "00003"]


def test_what_failed_is_not_asked_for_again(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(
        tickets(seed_config={"source": {"path": "nowhere.csv"}}),
        automation="stale_or_missing",
    )
    assert asked(location, instance, TICKETS) == ["00000", "00001", "00002", "00003"]
    result = location.materialize(
        instance, "tickets/row_groups", partition="00002", raise_on_error=False
    )
    assert not result.success
    assert asked(location, instance, TICKETS) == ["00000", "00001", "00003"]


def test_it_works_on_assets_of_your_own(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """An asset made from a finished dataset is requested when the dataset is regenerated."""

    @dg.asset(
        deps=[FINISHED], automation_condition=stale_or_missing(), code_version="1"
    )
    def published() -> None: ...

    key = dg.AssetKey("published")
    location.write(tickets())
    location.add(published)
    assert asked(location, instance, key) is False
    make(location, instance)
    location.materialize(instance, "tickets/dataset")
    assert asked(location, instance, key) is True
    location.materialize(instance, "published")
    assert asked(location, instance, key) is False
    location.write(tickets(seed=9))
    make(location, instance)
    location.materialize(instance, "tickets/dataset")
    assert asked(location, instance, key) is True


def test_the_sensor_evaluates_it_in_the_code_location_and_is_off(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(tickets(), automation="stale_or_missing")
    repository = location.repository()
    sensor = repository.get_sensor_def("automation")
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert {one.name for one in repository.sensor_defs} == {
        "automation",
        "reconcile_events_with_files",
        "reject_post_processed",
        "resume_row_groups",
    }, "Dagster's own sensor, which could not evaluate it, is not there"
