"""The sensor that requests incomplete row groups: in ranges, not twice at once, and not for ever."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from sdg_assets.automation.backoff import (
    MAX_ATTEMPTS,
    BackoffState,
    dump_cursor,
    load_cursor,
    select_due,
)
from sdg_assets.automation.incomplete import RANGE_END, RANGE_START, Incomplete
from sdg_assets.automation.resume_sensor import keys_at_work
from sdg_core import api
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import category, dataset_config, expression, uuid

pytestmark = DAGSTER_WARNINGS

SENSOR = "resume_row_groups"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def numbers(name: str, *, num_records: int = 95, **more: Any) -> dict[str, Any]:
    return (
        dataset_config(uuid(), num_records=num_records, row_group_size=10)
        | {"name": name}
        | more
    )


@pytest.fixture
def location(tmp_path: Path) -> CodeLocation:
    return CodeLocation(tmp_path)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def ranges(requests: list[dg.RunRequest]) -> list[tuple[str, str, str]]:
    assert all(request.asset_selection is not None for request in requests)
    return [
        (
            request.asset_selection[0].path[0],
            request.tags[RANGE_START],
            request.tags[RANGE_END],
        )
        for request in requests
        if request.asset_selection
    ]


def test_it_is_off_until_someone_starts_it(location: CodeLocation) -> None:
    location.write(numbers("a"))
    sensor = location.repository().get_sensor_def(SENSOR)
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED


def test_every_dataset_is_asked_for_what_it_lacks(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(numbers("a"), max_row_groups_per_run=4)
    location.write(numbers("b", num_records=30))
    summary = api.generate(location.open("a"), row_groups=[0, 5, 9])
    summary.version.row_group(9).write_bytes(b"damaged")
    requests, skipped, _ = location.tick(instance, SENSOR)
    assert ranges(requests) == [
        ("a", "00001", "00004"),
        ("a", "00006", "00009"),
        ("b", "00000", "00002"),
    ]
    assert skipped is None
    assert {request.tags["sdg/requested_by"] for request in requests} == {SENSOR}
    assert len({request.run_key for request in requests}) == 3


def test_its_requests_complete_the_dataset_and_then_it_says_so(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(numbers("a"), max_row_groups_per_run=4)
    requests, _, cursor = location.tick(instance, SENSOR)
    for request in requests:
        location.materialize(instance, "a/row_groups", tags=request.tags)
    assert location.tick(instance, SENSOR, cursor=cursor)[:2] == (
        [],
        "all 10 row groups of a are complete",
    )


def test_a_changed_config_makes_all_row_groups_stale(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(numbers("a"))
    api.generate(location.open("a"))
    location.write(numbers("a", seed=8))
    assert ranges(location.tick(instance, SENSOR)[0]) == [("a", "00000", "00009")]


def test_reasons_name_what_is_sealed_and_what_is_at_fault(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(numbers("a", num_records=5))
    api.generate(location.open("a"))
    api.process(location.open("a"))
    path = location.write(numbers("b"))
    repository = location.repository()
    path.write_text(path.read_text().replace("num_records: 95", "num_recods: 95"))
    with dg.build_sensor_context(
        instance=instance, repository_def=repository, resources=location.resources
    ) as context:
        skipped = repository.get_sensor_def(SENSOR).evaluate_tick(context).skip_message
    assert skipped is not None
    assert "a is sealed" in skipped and "num_recods" in skipped and "b.yaml" in skipped


def test_row_groups_that_the_loaded_definitions_lack_are_not_asked_for(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(numbers("a", num_records=30))
    api.generate(location.open("a"))
    repository = location.repository()
    location.write(numbers("a", num_records=50))
    with dg.build_sensor_context(
        instance=instance, repository_def=repository, resources=location.resources
    ) as context:
        tick = repository.get_sensor_def(SENSOR).evaluate_tick(context)
    assert not tick.run_requests
    assert (
        tick.skip_message is not None
        and "2 row groups that this code location does not know yet"
        in tick.skip_message
    )
    assert ranges(location.tick(instance, SENSOR)[0]) == [("a", "00003", "00004")]


@pytest.mark.parametrize(
    "status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED]
)
def test_a_dataset_that_a_run_works_on_is_left_alone(
    location: CodeLocation, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    location.write(numbers("a"))
    location.write(numbers("b", num_records=10))
    instance.add_run(
        dg.DagsterRun(
            "x",
            status=status,
            asset_selection=frozenset([dg.AssetKey(["a", "row_groups"])]),
        )
    )
    requests, _, cursor = location.tick(instance, SENSOR)
    assert ranges(requests) == [("b", "00000", "00000")]
    api.generate(location.open("b"))
    requests, skipped, _ = location.tick(instance, SENSOR, cursor=cursor)
    assert requests == []
    assert (
        skipped
        == "a: a run is queued or in progress\nthe only row group of b is complete"
    )


def test_a_run_that_names_no_assets_works_on_all_of_its_job(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(numbers("a"))
    instance.add_run(dg.DagsterRun("__ASSET_JOB", status=dg.DagsterRunStatus.STARTED))
    requests, skipped, _ = location.tick(instance, SENSOR)
    assert (requests, skipped) == ([], "a: a run is queued or in progress")


def test_a_backfill_that_has_runs_to_make_counts_as_work(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    location.write(numbers("a"))
    key = dg.AssetKey(["a", "row_groups"])
    instance.add_backfill(
        PartitionBackfill(
            backfill_id="one",
            status=BulkActionStatus.REQUESTED,
            from_failure=False,
            tags={},
            backfill_timestamp=0.0,
            asset_selection=[key],
        )
    )
    assert keys_at_work(instance, location.repository()) == {key}


def test_a_row_group_that_keeps_failing_is_left_alone_in_the_end(
    location: CodeLocation, instance: dg.DagsterInstance
) -> None:
    """Real runs: in each, the same record fails. The first request is made at once, the second has to wait."""
    columns = (category("n", 0, 1), expression("q", "{{ 6 // n }}", dtype="int"))
    config = dataset_config(*columns, num_records=10, row_group_size=5) | {
        "run": {"max_failure_rate": 1.0}
    }
    location.write(config)
    requests, _, cursor = location.tick(instance, SENSOR)
    assert len(requests) == 1
    location.materialize(instance, "tickets/row_groups", tags=requests[0].tags)
    requests, skipped, cursor = location.tick(instance, SENSOR, cursor=cursor)
    # Some records were made, which is progress; from now on nothing is.
    assert len(requests) == 1, skipped
    location.materialize(instance, "tickets/row_groups", tags=requests[0].tags)
    requests, skipped, cursor = location.tick(instance, SENSOR, cursor=cursor)
    assert requests == []
    assert (
        skipped is not None
        and "tickets: row groups 0 made no progress; next request at 2" in skipped
    )


def test_attempts_wait_longer_and_longer_and_end() -> None:
    remaining = Incomplete("sha256:1", {3: 2}, 10)
    now, attempts, times = NOON, BackoffState(), []
    for _ in range(2000):
        due = select_due(remaining, attempts, now=now)
        attempts = due.attempts
        if due.requested:
            times.append(now)
        if due.given_up:
            break
        now += timedelta(minutes=1)
    assert len(times) == MAX_ATTEMPTS
    waits = [
        (b - a).total_seconds() / 60 for a, b in zip(times, times[1:], strict=False)
    ]
    assert waits == [5, 10, 20, 40, 80, 160, 240]
    assert select_due(remaining, attempts, now=now + timedelta(days=9)).given_up == (3,)


@pytest.mark.parametrize(
    "change", [Incomplete("sha256:2", {3: 2}, 10), Incomplete("sha256:1", {3: 1}, 10)]
)
def test_another_fingerprint_or_any_progress_forgets_the_attempts(
    change: Incomplete,
) -> None:
    attempts = BackoffState()
    for day in range(MAX_ATTEMPTS):
        attempts = select_due(
            Incomplete("sha256:1", {3: 2}, 10), attempts, now=NOON + timedelta(days=day)
        ).attempts
    later = NOON + timedelta(days=20)
    assert select_due(
        Incomplete("sha256:1", {3: 2}, 10), attempts, now=later
    ).given_up == (3,)
    due = select_due(change, attempts, now=later)
    assert due.requested == (3,) and due.attempts.groups[3].count == 1


def test_neighbours_are_decided_on_together_and_each_is_where_it_belongs() -> None:
    before = select_due(
        Incomplete("sha256:1", {0: 4, 1: 4, 2: 3}, 9), BackoffState(), now=NOON
    )
    found = Incomplete("sha256:1", {0: 4, 1: 4, 2: 2, 3: 4, 4: 4, 5: 4}, 9)
    later = NOON + timedelta(minutes=1)
    due = select_due(found, before.attempts, now=later, at_most=3)
    assert (due.waiting, due.requested, due.given_up) == (
        (0, 1),
        (2, 3, 4),
        (),
    )
    assert due.next_at == (NOON + timedelta(minutes=5)).timestamp()
    assert [due.attempts.groups[index].count for index in range(6)] == [
        1,
        1,
        1,
        1,
        1,
        0,
    ]
    again = select_due(found, due.attempts, now=later)
    assert again.requested == (5,) and again.waiting == (0, 1, 2, 3, 4)


def test_the_cursor_is_small_and_reads_back() -> None:
    remaining = Incomplete(
        "sha256:1", dict.fromkeys(range(10_000), 1000) | {5: 1}, 10_000
    )
    attempts = {
        "a": select_due(remaining, BackoffState(), now=NOON).attempts,
        "b": BackoffState(),
    }
    text = dump_cursor(attempts)
    assert len(text) < 200
    assert load_cursor(text) == {"a": attempts["a"]}
    assert load_cursor(None) == {}
