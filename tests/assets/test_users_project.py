"""Datasets in somebody else's project: own resources, sensors, jobs, checks and automation beside ours, none in the other's way.

Each test is named after the fault of the report that it keeps away.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sdg_assets import stale_or_missing, with_operations
from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from sdg_assets.components.dataset import Dataset
from sdg_assets.operations import PARTS
from sdg_assets.resources import StoreResource
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, uuid, write_config

pytestmark = DAGSTER_WARNINGS

RUN_CONFIG = "tickets__row_groups"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def dataset(
    directory: Path, name: str = "tickets", *, num_records: int = 20, **more: Any
) -> dg.Definitions:
    """What the component of a dataset brings, without anything of ours beside it."""
    attributes = {
        key: more.pop(key) for key in ("automation", "schedule") if key in more
    }
    config = dataset_config(
        uuid(), num_records=num_records, row_group_size=10, **more
    ) | {"name": name}
    path = write_config(directory / f"{name}.yaml", config)
    return Dataset(config=str(path), **attributes).build_defs(
        dg.ComponentTree.for_test().load_context
    )


def location(definitions: dg.Definitions) -> dg.RepositoryDefinition:
    repository = definitions.get_repository_def()
    repository.load_all_definitions()
    return repository


def sensors(definitions: dg.Definitions) -> dict[str, set[str]]:
    """The automation sensors of a location, with what each targets."""
    repository = location(definitions)
    return {
        sensor.name: {
            key.to_user_string()
            for key in sensor.asset_selection.resolve(repository.asset_graph)
        }
        for sensor in repository.sensor_defs
        if isinstance(sensor, dg.AutomationConditionSensorDefinition)
    }


def run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, *keys: str, **more: Any
) -> dg.ExecuteInProcessResult | None:
    """One run over both row groups; None if it was cancelled."""
    job = location(definitions).get_implicit_global_asset_job_def()
    partitioned = any(key.endswith("row_groups") for key in keys)
    tags = {RANGE_START: "00000", RANGE_END: "00001"} if partitioned else {}
    try:
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(key.split("/")) for key in keys],
            tags=tags,
            raise_on_error=False,
            **more,
        )
    except dg.DagsterExecutionInterruptedError:
        return None
    return (
        None
        if instance.get_runs(limit=1)[0].status is dg.DagsterRunStatus.CANCELED
        else result
    )


def colours(
    definitions: dg.Definitions, instance: dg.DagsterInstance, name: str = "tickets"
) -> list[str | None]:
    key = dg.AssetKey([name, "row_groups"])
    partitions = location(definitions).assets_defs_by_key[key].partitions_def
    assert partitions is not None
    found = (
        instance.get_status_by_partition(
            key, partitions.get_partition_keys(), partitions
        )
        or {}
    )
    return [status.name if status is not None else None for status in found.values()]


def tick(
    definitions: dg.Definitions, instance: dg.DagsterInstance, name: str
) -> tuple[list[dg.RunRequest], str]:
    repository = location(definitions)
    with dg.build_sensor_context(
        instance=instance, repository_def=repository
    ) as context:
        found = repository.get_sensor_def(name).evaluate_tick(context)
    return list(found.run_requests or ()), found.skip_message or ""


@dg.asset(automation_condition=dg.AutomationCondition.eager())
def own() -> None: ...


def test_a1_own_automation_keeps_its_sensor(tmp_path: Path) -> None:
    """With ours beside it or not, Dagster's sensor evaluates what has a condition of Dagster's."""
    theirs = dg.Definitions(assets=[own])
    assert sensors(theirs) == {"default_automation_condition_sensor": {"own"}}
    tickets = dataset(tmp_path, automation="stale_or_missing")
    assert sensors(with_operations(dg.Definitions.merge(theirs, tickets))) == {
        "default_automation_condition_sensor": {"own"},
        "automation": {"tickets/row_groups", "tickets/dataset"},
    }


def test_a1_own_assets_with_our_condition_are_evaluated_by_our_sensor(
    tmp_path: Path,
) -> None:
    @dg.asset(
        automation_condition=stale_or_missing() & ~dg.AutomationCondition.in_progress()
    )
    def published() -> None: ...

    both = dg.Definitions.merge(
        dg.Definitions(assets=[published, own]), dataset(tmp_path)
    )
    assert sensors(with_operations(both))["automation"] == {"published"}


def test_a1_a_sensor_of_the_projects_own_keeps_what_it_targets(tmp_path: Path) -> None:
    mine = dg.AutomationConditionSensorDefinition(
        "mine", target=dg.AssetSelection.all(), use_user_code_server=True
    )
    tickets = dataset(tmp_path, automation="stale_or_missing")
    found = sensors(
        with_operations(
            dg.Definitions.merge(dg.Definitions(assets=[own], sensors=[mine]), tickets)
        )
    )
    assert found["mine"] >= {"own", "tickets/row_groups", "tickets/dataset"}
    assert found["automation"] == set()


def test_a2_a_dataset_runs_without_a_store_or_operations(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDG_ROOT", str(tmp_path / "data"))
    tickets = dataset(tmp_path, schedule="@daily")
    result = run(tickets, instance, "tickets/row_groups", "tickets/dataset")
    assert result is not None and result.success
    assert len([*(tmp_path / "data" / "tickets").glob("*/row_groups/*.parquet")]) == 2
    schedule = location(tickets).get_schedule_def("tickets_schedule")
    with (
        dg.instance_for_test() as stored,
        dg.build_schedule_context(
            instance=stored,
            repository_def=location(tickets),
            scheduled_execution_time=datetime(2026, 1, 1, tzinfo=UTC),
        ) as context,
    ):
        assert "sealed" in (schedule.evaluate_tick(context).skip_message or "")


@pytest.mark.parametrize("key", ["sdg_store", "store"])
def test_a2_the_store_is_configured_anywhere_in_the_project_and_for_one_run(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
) -> None:
    """`store` is the key before 0.2."""
    monkeypatch.setenv("PLACE", str(tmp_path / "configured"))
    resources = {key: StoreResource(root=dg.EnvVar("PLACE"))}
    both = with_operations(
        dg.Definitions.merge(dataset(tmp_path), dg.Definitions(resources=resources))
    )
    run(both, instance, "tickets/row_groups")
    assert (tmp_path / "configured" / "tickets").is_dir()
    assert (
        "all 2 row groups of tickets are complete"
        in tick(both, instance, "resume_row_groups")[1]
    )
    launched = {"resources": {key: {"config": {"root": str(tmp_path / "launched")}}}}
    run(both, instance, "tickets/row_groups", run_config=launched)
    assert (tmp_path / "launched" / "tickets").is_dir()


def test_a2_something_else_under_the_key_of_the_store_is_named(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    both = dg.Definitions.merge(
        dataset(tmp_path), dg.Definitions(resources={"sdg_store": "somewhere"})
    )
    result = run(both, instance, "tickets/row_groups")
    assert result is not None and not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "the resource 'sdg_store' is a str" in str(failure.step_failure_data.error)


def projects_own() -> dg.Definitions:
    """A project that has used all of our names for something else."""

    @dg.op
    def nothing() -> None: ...

    @dg.asset(required_resource_keys={"store"})
    def stored(context: dg.AssetExecutionContext) -> None:
        context.log.info(context.resources.store)

    def job(name: str) -> dg.JobDefinition:
        return dg.GraphDefinition(name, node_defs=[nothing]).to_job(name=name)

    def sensor(name: str) -> dg.SensorDefinition:
        return dg.SensorDefinition(
            name=name,
            job_name="reconcile",
            evaluation_fn=lambda context: dg.SkipReason(name),
        )

    return dg.Definitions(
        assets=[stored],
        resources={"store": "theirs"},
        jobs=[job("reconcile"), job("reopen_dataset")],
        sensors=[sensor("automation"), sensor("resume_row_groups")],
    )


def test_a3_names_that_the_project_uses_stay_the_projects(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    tickets = dataset(tmp_path, automation="stale_or_missing")
    both = with_operations(
        dg.Definitions.merge(projects_own(), tickets),
        store=StoreResource(root=str(tmp_path / "data")),
    )
    repository = location(both)
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "automation",
        "resume_row_groups",
        "sdg_automation",
        "sdg_resume_row_groups",
        "reject_post_processed",
        "reconcile_events_with_files",
    }
    assert {job.name for job in repository.get_all_jobs()} >= {
        "reconcile",
        "sdg_reconcile",
        "sdg_reopen_dataset",
    }
    for keys in (["stored"], ["tickets/row_groups"]):
        result = run(both, instance, *keys)
        assert result is not None and result.success
    assert (tmp_path / "data" / "tickets").is_dir()
    assert tick(both, instance, "automation") == ([], "automation")
    assert "complete" in tick(both, instance, "sdg_resume_row_groups")[1]
    assert (
        repository.get_job("sdg_reconcile")
        .execute_in_process(instance=instance)
        .success
    )


@pytest.mark.parametrize("part", PARTS)
def test_a3_every_part_can_be_left_out(tmp_path: Path, part: str) -> None:
    found = location(with_operations(dataset(tmp_path), leave_out=[part]))
    names = {one.name for one in (*found.sensor_defs, *found.get_all_jobs())}
    assert part not in names
    gone = {part, "reconcile_events_with_files"} if part == "reconcile" else {part}
    assert names >= set(PARTS) - gone - {"discover_sources"}


def test_a3_a_part_that_there_is_not_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        dg.DagsterInvalidDefinitionError,
        match="leave_out names resume; there are .*resume_row_groups",
    ):
        with_operations(dataset(tmp_path), leave_out=["resume"])


def test_a3_two_parts_of_a_location_have_operations_of_their_own(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Each sensor asks for the datasets of its part, in the root of its part."""
    both = dg.Definitions.merge(
        with_operations(dataset(tmp_path, "tickets"), prefix="desk_"),
        with_operations(
            dataset(tmp_path, "reviews"),
            store=StoreResource(root=str(tmp_path / "data")),
        ),
    )
    asked = {
        name: {
            request.asset_selection[0].path[0]
            for request in tick(both, instance, name)[0]
        }  # type: ignore[index]
        for name in ("desk_resume_row_groups", "resume_row_groups")
    }
    assert asked == {
        "desk_resume_row_groups": {"tickets"},
        "resume_row_groups": {"reviews"},
    }


@pytest.mark.parametrize("blocking", [False, True])
def test_b3_an_own_check_on_row_groups_runs(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    blocking: bool,
) -> None:
    monkeypatch.setenv("SDG_ROOT", str(tmp_path / "data"))
    passes = True

    @dg.asset_check(asset=["tickets", "row_groups"], blocking=blocking)
    def mine() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passes)

    both = dg.Definitions.merge(dataset(tmp_path), dg.Definitions(asset_checks=[mine]))
    result = run(both, instance, "tickets/row_groups")
    assert result is not None and result.success
    assert {
        found.check_name: found.passed for found in result.get_asset_check_evaluations()
    } == {
        "mine": True,
        "row_groups_match_plan": True,
    }
    [latest] = instance.fetch_materializations(
        dg.AssetKey(["tickets", "row_groups"]), limit=1
    ).records
    assert (
        latest.asset_materialization is not None
        and "config_fingerprint" in latest.asset_materialization.metadata
    )
    passes = False
    result = run(both, instance, "tickets/row_groups", "tickets/dataset")
    assert result is not None
    made = {
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
    }  # type: ignore[union-attr]
    assert ("tickets/dataset" in made) is not blocking


REFUSED = {
    "a value out of range": ({}, {"max_failure_rate": 5.0}, "run config"),
    "row groups that there are not": ({}, {"subset": "99"}, "run config"),
    "fewer records": ({"num_records": 10}, {}, "refused"),
    "another row group size": ({"row_group_size": 5}, {}, "row group size"),
    "another config, and always": ({"seed": 5}, {"resume": "always"}, "config drift"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_b5_what_refuses_before_it_touched_anything_paints_nothing_red(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    """The definitions are those that were loaded before the file changed, as in a code server that nobody has reloaded."""
    monkeypatch.setenv("SDG_ROOT", str(tmp_path / "data"))
    changes, config, kind = REFUSED[case]
    tickets = dataset(tmp_path)
    run(tickets, instance, "tickets/row_groups")
    before = {
        path: path.read_bytes() for path in (tmp_path / "data").rglob("*.parquet")
    }
    write_config(
        tmp_path / "tickets.yaml",
        dataset_config(
            uuid(),
            **{"num_records": 20, "row_group_size": 10, "name": "tickets", **changes},
        ),
    )
    assert (
        run(
            tickets,
            instance,
            "tickets/row_groups",
            run_config={"ops": {RUN_CONFIG: {"config": config}}},
        )
        is None
    )
    last = instance.get_runs(limit=1)[0]
    assert (
        last.status is dg.DagsterRunStatus.CANCELED
        and last.tags["sdg/rejected"] == kind
    )
    assert colours(tickets, instance) == ["MATERIALIZED", "MATERIALIZED"]
    assert {
        path: path.read_bytes() for path in (tmp_path / "data").rglob("*.parquet")
    } == before
