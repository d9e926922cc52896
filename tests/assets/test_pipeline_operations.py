"""What datasets can do in Dagster, pipelines can: reconcile, checks, automation, schedules, resuming, finishing in one run."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sdg_assets.automation.incomplete import RANGE_END, RANGE_START
from sdg_core.api import pipelines
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import snapshot

pytestmark = DAGSTER_WARNINGS

SOURCES, FINISHED = dg.AssetKey(["notes", "sources"]), dg.AssetKey(["notes", "dataset"])
PARTITIONS = dg.DynamicPartitionsDefinition(name="notes_sources")
FUNCTION = "def check(record):\n    if 'bad' in record['content']:\n        raise ValueError('a bad note')\n    return record\n"
SENSOR = "discover_sources"


class Notes(CodeLocation):
    """One pipeline, `notes`, over texts in `docs/`."""

    def __init__(self, directory: Path, **texts: str) -> None:
        super().__init__(directory)
        self.folder = directory
        self.verdicts: dict[str, Any] = {}
        (directory / "docs").mkdir()
        (directory / "own.py").write_text(FUNCTION)
        for name, text in texts.items():
            self.text(name, text)
        self.configure()

    def text(self, name: str, text: str | None) -> None:
        path = self.folder / "docs" / f"{name}.txt"
        path.unlink() if text is None else path.write_text(text)

    def configure(
        self, size: int = 2, *, run: dict[str, Any] | None = None, **attributes: Any
    ) -> None:
        config = {
            "kind": "pipeline",
            "name": "notes",
            "sources": {"reader": "files", "path": "docs/*.txt", "allow_empty": True},
            "stages": [
                {"stage": "split", "column": "content", "unit": "words", "size": size},
                {
                    "stage": "filter",
                    "keep": "{{ 'skip' not in content }}",
                    "reason": "skipped",
                },
                {"stage": "function", "function": "./own.py:check"},
            ],
            "run": {"max_failure_rate": 1.0, **(run or {})},
        }
        self.write(config, **attributes)

    @property
    def opened(self) -> pipelines.OpenPipeline:
        return pipelines.open_pipeline(self.folder / "notes.yaml", root=str(self.root))

    def job(
        self, instance: dg.DagsterInstance, name: str, op: str = "", **config: Any
    ) -> dg.ExecuteInProcessResult:
        job = self.definitions().resolve_job_def(name)
        run_config = {"ops": {op: {"config": config}}} if op else {}
        return job.execute_in_process(
            instance=instance, run_config=run_config, raise_on_error=False
        )

    def make(
        self,
        instance: dg.DagsterInstance,
        first: str,
        last: str,
        *more: str,
        **config: Any,
    ) -> dg.DagsterRun:
        tags = {RANGE_START: first, RANGE_END: last}
        given = {"ops": {"notes__sources": {"config": config}}}
        try:
            result = self.materialize(
                instance,
                "notes/sources",
                *more,
                tags=tags,
                config=given,
                raise_on_error=False,
            )
            self.verdicts = {
                found.check_name: found
                for found in result.get_asset_check_evaluations()
            }
        except dg.DagsterExecutionInterruptedError:
            pass  # how Dagster ends a canceled run
        return instance.get_runs(limit=1)[0]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notes:
    made = Notes(tmp_path, a="one two three four", b="five six skip this")
    monkeypatch.setenv("SDG_ROOT", str(made.root))
    return made


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


def shown(instance: dg.DagsterInstance) -> dict[str, str]:
    """The colour of each partition on the asset's page."""
    keys = instance.get_dynamic_partitions("notes_sources")
    found = instance.get_status_by_partition(SOURCES, keys, PARTITIONS) or {}
    return {
        key: status.value.lower()
        if (status := found.get(key)) is not None
        else "missing"
        for key in keys
    }


def events(
    instance: dg.DagsterInstance, key: dg.AssetKey = SOURCES
) -> list[dg.AssetMaterialization]:
    records = instance.fetch_materializations(key, limit=100).records
    return [
        record.asset_materialization
        for record in reversed(records)
        if record.asset_materialization is not None
    ]


def asked(
    notes: Notes, instance: dg.DagsterInstance, key: dg.AssetKey
) -> list[str] | bool:
    """What automation asks for at a first tick."""
    result = dg.evaluate_automation_conditions(notes.definitions(), instance)
    subset = next(r.true_subset for r in result.results if r.key == key)
    return (
        sorted(subset.expensively_compute_partition_keys())
        if subset.is_partitioned
        else not subset.is_empty
    )


def ranges(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    return [
        (request.tags[RANGE_START], request.tags[RANGE_END]) for request in requests
    ]


def test_files_made_outside_dagster_are_recorded_with_their_partitions(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    pipelines.generate(notes.opened)
    before = snapshot(notes.root)
    assert shown(instance) == {}
    requests, skipped, _ = notes.tick(instance, "reconcile_events_with_files")
    assert len(requests) == 1, skipped
    assert notes.job(instance, "reconcile").success
    assert shown(instance) == {"00000": "materialized", "00001": "materialized"}
    first, second = events(instance)
    assert (
        first.metadata["rows"].value,
        second.metadata["filtered/skipped"].value,
    ) == (2, 1)
    assert first.metadata["adopted"].value is True
    assert snapshot(notes.root) == before
    assert notes.job(instance, "reconcile").success
    assert len(events(instance)) == 2, "what agrees is not recorded again"
    assert notes.make(instance, "00000", "00001").is_success
    assert {event.tags["dagster/data_version"] for event in events(instance)[2:]} == {
        first.tags["dagster/data_version"],
        second.tags["dagster/data_version"],
    }, "a run that adopts them records the same content"


def test_green_without_a_file_is_made_to_show_as_failed(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    assert notes.job(instance, "discover_sources").success
    assert notes.make(instance, "00000", "00001").is_success
    (lost,) = notes.root.glob("notes/*/sources/00001.parquet")
    lost.unlink()
    assert notes.job(instance, "reconcile", "reconcile_events", dry_run=True).success
    assert shown(instance)["00001"] == "materialized"
    assert notes.job(instance, "reconcile").success
    assert shown(instance) == {"00000": "materialized", "00001": "failed"}


def test_a_finished_pipeline_is_reconciled_and_reopened(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    pipelines.generate(notes.opened)
    pipelines.process(notes.opened)
    assert notes.job(instance, "reconcile").success
    (event,) = events(instance, FINISHED)
    assert (
        event.metadata["dagster/row_count"].value == 3
        and event.metadata["adopted"].value is True
    )
    assert event.metadata["sources"].value == 2
    refused = notes.job(
        instance, "reopen_dataset", "reopen", dataset="notes", confirm="no"
    )
    assert not refused.success and pipelines.seal(notes.opened) is not None
    assert notes.job(
        instance, "reopen_dataset", "reopen", dataset="notes", confirm="notes"
    ).success
    assert pipelines.seal(notes.opened) is None
    status = instance.get_latest_materialization_event(FINISHED)
    assert status is not None
    (record,) = instance.get_asset_records([FINISHED])
    last = instance.get_run_by_id(record.asset_entry.last_run_id or "")
    assert last is not None and last.status is dg.DagsterRunStatus.FAILURE, (
        "its output is gone"
    )


def test_checks_of_a_run_and_of_the_finished_dataset(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    rules = {
        "unique": [{"columns": ["content"]}],
        "length": [{"column": "content", "at_most": 3, "blocking": False}],
    }
    notes.configure(checks=rules)
    notes.job(instance, "discover_sources")
    assert notes.make(instance, "00000", "00001", "notes/dataset").is_success, (
        "made and finished in one run"
    )
    passed = {name: verdict.passed for name, verdict in notes.verdicts.items()}
    assert passed == {
        "sources_match_plan": True,
        "sources_complete_and_current": True,
        "row_count_matches_plan": True,
        "unique_content": True,
        "length_content": False,
    }
    assert notes.verdicts["sources_match_plan"].metadata["rows"].value == 3
    assert len(events(instance)) == 6, (
        "each recorded, claimed by the output, and recorded again"
    )
    assert all("rows" in event.metadata for event in events(instance)[-2:])


def test_a_failed_task_is_a_warning_that_names_its_partition(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    notes.text("b", "bad one fine text")
    notes.job(instance, "discover_sources")
    assert notes.make(instance, "00000", "00001").is_success
    verdict = notes.verdicts["sources_match_plan"]
    assert not verdict.passed and verdict.severity is dg.AssetCheckSeverity.WARN
    assert "1 source is partial or given up, in partitions 00001" in (
        verdict.description or ""
    )
    [event] = [event for event in events(instance) if event.partition == "00001"]
    assert "a bad note" in str(event.metadata["failures"].value)
    assert (
        notes.make(instance, "00000", "00000", "notes/dataset").status
        is dg.DagsterRunStatus.FAILURE
    )


def test_automation_asks_for_what_is_missing_or_changed(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    notes.configure(automation="stale_or_missing")
    notes.text("b", "bad one fine text")
    assert asked(notes, instance, SOURCES) == [], "no partition is known"
    notes.job(instance, "discover_sources")
    assert asked(notes, instance, SOURCES) == ["00000", "00001"]
    assert asked(notes, instance, FINISHED) is False
    notes.make(instance, "00000", "00001")
    assert asked(notes, instance, SOURCES) == [], (
        "what failed was tried: the sensor tries it again, less and less often"
    )
    notes.text("b", "fine now")
    assert asked(notes, instance, SOURCES) == ["00001"]
    notes.make(instance, "00001", "00001")
    assert asked(notes, instance, SOURCES) == []
    assert asked(notes, instance, FINISHED) is True
    notes.materialize(instance, "notes/dataset")
    assert asked(notes, instance, FINISHED) is False
    notes.text("a", "changed after the seal")
    assert asked(notes, instance, SOURCES) == [], "a sealed pipeline is not asked for"
    pipelines.reopen(notes.opened)
    assert asked(notes, instance, SOURCES) == ["00000"]
    notes.configure(size=1)
    assert asked(notes, instance, SOURCES) == ["00000", "00001"], (
        "an edited stage makes everything otherwise"
    )


def test_a_source_that_left_before_it_was_made_leaves_no_partition_behind(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    notes.job(instance, "discover_sources")
    notes.text("b", None)
    notes.job(instance, "discover_sources")
    assert list(instance.get_dynamic_partitions("notes_sources")) == ["00000"]
    notes.text("b", "five six")
    requests, _, _ = notes.tick(instance, SENSOR)
    assert list(instance.get_dynamic_partitions("notes_sources")) == [
        "00000",
        "00001",
    ], "it has its old place again"
    assert ranges(requests) == [("00000", "00001")]
    notes.make(instance, "00000", "00001")
    notes.text("b", None)
    requests, _, _ = notes.tick(instance, SENSOR)
    assert ranges(requests) == [("00001", "00001")], "rows that are there have to leave"
    notes.make(instance, "00001", "00001")
    assert events(instance)[-1].metadata["sources_removed"].value == 1
    assert events(instance)[-1].metadata["rows"].value == 0


def test_the_sensor_asks_in_slices_and_waits_for_what_gains_nothing(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    notes.configure(max_partitions_per_run=2)
    notes.text("c", "bad")
    requests, _, cursor = notes.tick(instance, SENSOR)
    assert ranges(requests) == [("00000", "00001")]
    assert requests[0].tags["sdg/requested_by"] == SENSOR
    notes.make(instance, "00000", "00001")
    requests, _, cursor = notes.tick(instance, SENSOR, cursor=cursor)
    assert ranges(requests) == [("00002", "00002")]
    notes.make(instance, "00002", "00002")
    requests, skipped, cursor = notes.tick(instance, SENSOR, cursor=cursor)
    assert requests == [] and "partitions 2 made no progress" in (skipped or "")
    notes.text("c", "good")
    notes.text("d", "new")
    requests, _, _ = notes.tick(instance, SENSOR, cursor=None)
    assert ranges(requests) == [("00002", "00003")]


def test_what_a_person_terminated_is_not_asked_for(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    notes.job(instance, "discover_sources")
    run = notes.make(instance, "00000", "00000")
    instance.report_run_canceling(run)
    instance.report_run_canceled(run)
    requests, skipped, _ = notes.tick(instance, SENSOR)
    assert requests == [] and "was terminated; launch a run yourself to continue" in (
        skipped or ""
    )
    notes.make(instance, "00000", "00000")
    requests, skipped, _ = notes.tick(instance, SENSOR)
    assert ranges(requests) == [("00001", "00001")], skipped


def test_a_schedule_discovers_and_asks(
    notes: Notes, instance: dg.DagsterInstance
) -> None:
    notes.configure(
        schedule="0 2 * * *",
        schedule_timezone="Europe/Berlin",
        schedule_status="running",
    )
    repository = notes.repository()
    schedule = repository.get_schedule_def("notes_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.execution_timezone == "Europe/Berlin"

    def tick() -> list[dg.RunRequest]:
        at = datetime(2026, 1, 1, 2, tzinfo=UTC)
        with dg.build_schedule_context(
            instance=instance,
            repository_def=notes.repository(),
            scheduled_execution_time=at,
            resources=notes.resources,
        ) as context:
            return list(schedule.evaluate_tick(context).run_requests or ())

    assert ranges(tick()) == [("00000", "00001")]
    assert shown(instance) == {"00000": "missing", "00001": "missing"}
    notes.make(instance, "00000", "00001")
    assert tick() == []


def test_the_launchpad_offers_the_settings_of_the_file(notes: Notes) -> None:
    notes.configure(run={"max_failure_rate": 0.25, "num_retries": 7})
    schema = notes.repository().assets_defs_by_key[SOURCES].op.config_schema.config_type
    fields = schema.fields
    assert (
        fields["max_failure_rate"].default_value == 0.25
        and fields["num_retries"].default_value == 7
    )
    assert fields["retry"].default_value is False


def test_a_pipeline_of_a_dataset_lies_downstream_of_it(notes: Notes) -> None:
    reads = {"reader": "dataset", "dataset": "notes"}
    stages = [{"stage": "rename", "columns": {"content": "text"}}]
    notes.write(
        {"kind": "pipeline", "name": "further", "sources": reads, "stages": stages}
    )
    graph = notes.definitions().resolve_asset_graph()
    assert graph.get(dg.AssetKey(["further", "sources"])).parent_keys == {FINISHED}


def test_parts_are_named_left_out_and_split_as_for_datasets(notes: Notes) -> None:
    from sdg_assets import with_operations

    built = notes.definitions()
    assert {"discover_sources", "reconcile", "reopen_dataset"} <= {
        job.name for job in built.jobs or ()
    }  # type: ignore[union-attr]
    plain = dg.Definitions(assets=built.assets, asset_checks=built.asset_checks)
    prefixed = with_operations(plain, prefix="docs_", leave_out=["automation"])
    names = {one.name for one in (*(prefixed.jobs or ()), *(prefixed.sensors or ()))}  # type: ignore[union-attr]
    assert "docs_discover_sources" in names and "docs_automation" not in names
    merged = dg.Definitions.merge(
        dg.Definitions(jobs=built.jobs, sensors=built.sensors), prefixed
    )
    merged.get_repository_def().load_all_definitions()


def test_a_tick_looks_for_sources_once(
    notes: Notes, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    look = pipelines.open_pipeline

    def counted(path: Path, **options: Any) -> pipelines.OpenPipeline:
        looked.append(path)
        return look(path, **options)

    monkeypatch.setattr(pipelines, "open_pipeline", counted)
    requests, _, _ = notes.tick(instance, SENSOR)
    assert ranges(requests) == [("00000", "00001")]
    assert len(looked) == 1
