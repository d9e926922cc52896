"""What runs by itself asks once, for what can be done, and says why it does not ask."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sdg_assets.automation.activity import LEFT_BEHIND, keys_at_work, runs_at_work
from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from sdg_core import api
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, uuid

pytestmark = DAGSTER_WARNINGS

KEY, FINISHED = (
    dg.AssetKey(["tickets", "row_groups"]),
    dg.AssetKey(["tickets", "dataset"]),
)
RUN, SCHEDULE = "resume_row_groups", "tickets_schedule"


@pytest.fixture
def location(tmp_path: Path) -> CodeLocation:
    made = CodeLocation(tmp_path)
    made.write(tickets(), automation="stale_or_missing", schedule="@daily")
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def tickets(num_records: int = 20, **more: Any) -> dict[str, Any]:
    return dataset_config(uuid(), num_records=num_records, row_group_size=10, **more)


def make(
    location: CodeLocation,
    instance: dg.DagsterInstance,
    *keys: str,
    last: str = "00001",
) -> None:
    location.materialize(instance, *keys, tags={RANGE_START: "00000", RANGE_END: last})


def conditions(
    location: CodeLocation, instance: dg.DagsterInstance
) -> dict[str, list[str]]:
    """What a tick of the automation sensor asks for, by asset."""
    result = dg.evaluate_automation_conditions(location.definitions(), instance)
    subsets = {
        r.key: r.true_subset for r in result.results if not r.true_subset.is_empty
    }
    return {
        key.to_user_string(): sorted(subset.expensively_compute_partition_keys())
        if subset.is_partitioned
        else []
        for key, subset in subsets.items()
    }


def asked(
    location: CodeLocation, instance: dg.DagsterInstance
) -> tuple[list[str], str]:
    """What the resume sensor asks for, or why it does not."""
    requests, skipped, _ = location.tick(instance, RUN)
    return [
        f"{request.tags[RANGE_START]}-{request.tags[RANGE_END]}" for request in requests
    ], skipped or ""


def scheduled(location: CodeLocation, instance: dg.DagsterInstance) -> tuple[int, str]:
    """How many runs a tick of the schedule asks for, or why for none."""
    repository = location.repository()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with dg.build_schedule_context(
        instance=instance, repository_def=repository, scheduled_execution_time=at
    ) as context:
        found = repository.get_schedule_def(SCHEDULE).evaluate_tick(context)
    return len(found.run_requests or ()), found.skip_message or ""


def a_run(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **tags: str
) -> dg.DagsterRun:
    """A run of the row groups that has come so far."""
    selection = frozenset([KEY])
    return instance.add_run(
        dg.DagsterRun(
            "__ASSET_JOB", status=status, asset_selection=selection, tags=tags
        )
    )


def test_b1_nothing_is_asked_for_of_a_sealed_dataset_that_grows(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    make(location, instance, "tickets/row_groups", "tickets/dataset")
    location.write(tickets(50))
    assert conditions(location, instance) == {}
    assert "tickets is sealed" in asked(location, instance)[1]
    assert "tickets is sealed" in scheduled(location, instance)[1]
    api.reopen(location.open("tickets"))
    assert conditions(location, instance) == {
        "tickets/row_groups": ["00002", "00003", "00004"]
    }
    assert asked(location, instance)[0] == ["00002-00004"]


def test_a_finished_dataset_is_asked_for_when_its_row_groups_are_complete(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """After another seed both are stale, and the second can be made after the first only."""
    make(location, instance, "tickets/row_groups", "tickets/dataset")
    location.write(tickets(seed=9))
    assert conditions(location, instance) == {"tickets/row_groups": ["00000", "00001"]}
    make(location, instance, "tickets/row_groups", last="00000")
    assert conditions(location, instance) == {"tickets/row_groups": ["00001"]}
    make(location, instance, "tickets/row_groups")
    assert conditions(location, instance) == {"tickets/dataset": []}
    location.materialize(instance, "tickets/dataset")
    assert conditions(location, instance) == {}


def test_a_version_that_never_started_in_part_is_asked_for_in_the_rest(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    make(location, instance, "tickets/row_groups", "tickets/dataset")
    api.generate(location.open("tickets"), resume="never", row_groups=[0])
    assert conditions(location, instance) == {"tickets/row_groups": ["00000", "00001"]}
    make(location, instance, "tickets/row_groups")
    assert conditions(location, instance) == {"tickets/dataset": []}


def test_b6_a_schedule_does_not_ask_for_what_a_run_works_on(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    assert scheduled(location, instance)[0] == 1
    run = a_run(instance, dg.DagsterRunStatus.STARTED)
    assert scheduled(location, instance) == (
        0,
        "tickets: a run is queued or in progress",
    )
    instance.report_run_canceled(run)
    assert scheduled(location, instance)[0] == 1, (
        "a schedule keeps the hours that a person chose"
    )


def test_b8_the_root_of_with_operations_is_the_root_of_the_condition(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """No SDG_ROOT here: the root is that of the store alone."""
    make(location, instance, "tickets/row_groups", "tickets/dataset")
    location.write(tickets(50))
    assert conditions(location, instance) == {}, (
        "the seal is found in the root of the store"
    )


def test_c5_a_run_that_nobody_launched_does_not_hold_a_dataset_for_ever(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    repository = location.repository()
    a_run(instance, dg.DagsterRunStatus.NOT_STARTED)
    assert asked(location, instance) == ([], "tickets: a run is queued or in progress")
    later = datetime.now(UTC) + LEFT_BEHIND + timedelta(seconds=1)
    assert keys_at_work(instance, repository, now=later) == frozenset()
    assert runs_at_work(instance, job_name="__ASSET_JOB", now=later) == []
    a_run(instance, dg.DagsterRunStatus.STARTED)
    assert keys_at_work(instance, repository, now=later) == {KEY}, "a run may be long"
    assert len(runs_at_work(instance, job_name="__ASSET_JOB", now=later)) == 1
    assert runs_at_work(instance, job_name="another", now=later) == []


def terminated(
    location: CodeLocation, instance: dg.DagsterInstance, **tags: str
) -> None:
    """A run that made the first row group and was then cancelled."""
    make(location, instance, "tickets/row_groups", last="00000")
    run = instance.get_runs(limit=1)[0]
    instance.add_run_tags(run.run_id, tags)
    instance.report_run_canceling(run)
    instance.report_run_canceled(run)


def test_c11_what_a_person_terminated_is_not_started_again(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    terminated(location, instance)
    requests, reason = asked(location, instance)
    assert (
        not requests and "was terminated; launch a run yourself to continue" in reason
    )
    assert conditions(location, instance) == {}
    make(location, instance, "tickets/row_groups", last="00000")
    assert asked(location, instance)[0] == ["00001-00001"]
    assert conditions(location, instance) == {"tickets/row_groups": ["00001"]}


def test_a_refused_run_is_asked_for_again_when_its_file_changes(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """`resume: always` in the file, and another config: the run is refused, and would be at every tick."""
    make(location, instance, "tickets/row_groups")
    location.write(tickets(seed=9, run={"resume": "always"}))
    assert asked(location, instance)[0] == ["00000-00001"]
    with pytest.raises(dg.DagsterExecutionInterruptedError):
        make(location, instance, "tickets/row_groups")
    requests, reason = asked(location, instance)
    assert not requests and "was refused (config drift)" in reason
    assert conditions(location, instance) == {}
    location.write(tickets(seed=9))
    assert asked(location, instance)[0] == ["00000-00001"]
    assert conditions(location, instance) == {"tickets/row_groups": ["00000", "00001"]}


def test_a_run_rejected_for_the_seal_does_not_stop_what_is_reopened(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    terminated(location, instance, **{"sdg/rejected": "post-processed"})
    assert asked(location, instance)[0] == ["00001-00001"]


def test_sensors_and_checks_run_none_of_the_datasets_code(
    location: CodeLocation, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """A function of the file says when it is imported."""
    trace = tmp_path / "imported"
    code = f"from pathlib import Path\n\nPath({str(trace)!r}).touch()\n\n\ndef half(record):\n    return 'ok'\n"
    (tmp_path / "own.py").write_text(code)
    column = {
        "column_type": "custom",
        "name": "half",
        "generator_function": "./own.py:half",
        "required_columns": ["id"],
    }
    location.write({**tickets(), "columns": [uuid(), column]})
    location.repository()
    assert asked(location, instance)[0] == ["00000-00001"]
    assert scheduled(location, instance)[0] == 1
    conditions(location, instance)
    location.tick(instance, "reconcile_events_with_files")
    assert not trace.exists()
    make(location, instance, "tickets/row_groups")
    assert trace.exists()


def test_two_code_locations_over_one_root_ask_once_and_pay_once(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """The same dataset is loaded twice in one instance, as when a project is copied for its next release."""
    first, second = CodeLocation(tmp_path / "old"), CodeLocation(tmp_path / "new")
    for location in (first, second):
        location.root = tmp_path / "data"
        location.directory.mkdir()
        location.write(tickets(), schedule="@daily")
    assert asked(first, instance)[0] == asked(second, instance)[0] == ["00000-00001"]
    run = a_run(
        instance,
        dg.DagsterRunStatus.STARTED,
        **{RANGE_START: "00000", RANGE_END: "00001"},
    )
    assert "tickets: a run is queued or in progress" in asked(second, instance)[1]
    instance.report_run_failed(run)
    make(first, instance, "tickets/row_groups")
    made = sorted(
        path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("batch_*.parquet")
    )
    assert asked(second, instance)[0] == [] and len(made) == 2
    make(second, instance, "tickets/row_groups", "tickets/dataset")
    again = sorted(
        path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("batch_*.parquet")
    )
    assert again == made, "the second location adopts what the first made"
    assert "tickets is sealed" in scheduled(first, instance)[1]
