"""The door for Python users: what it promises beyond what the parts behind it are tested for."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.config.run import RunSettings
from sdg_core.dataset.events import (
    Event,
    Notice,
    RecordsSettled,
    RowGroupFinished,
    RunStarted,
)
from sdg_core.errors import PlanError
from sdg_core.store.metadata import read_metadata
from sdg_core.store.row_group_state import RowGroupState
from sdg_core.store.row_groups import read_footer
from tests.support.requirements import PATIENCE
from tests.support.sdg import (
    PROJECT,
    category,
    dataset_config,
    environment,
    expression,
    llm,
    open_dataset,
    stored_records,
    uuid,
    write_config,
)

CONFIG = dataset_config(
    uuid(),
    category("plan", "free", "pro"),
    llm("text", "{{ plan }} {{ id }}", drop=True),
)


@pytest.fixture
def dataset(tmp_path: Path) -> api.Dataset:
    return open_dataset(tmp_path / "tickets.yaml", CONFIG, root=tmp_path / "root")


def test_opening_writes_nothing(dataset: api.Dataset, tmp_path: Path) -> None:
    assert dataset.name == "tickets" and dataset.plan.num_records == 25
    assert os.listdir(tmp_path) == ["tickets.yaml"]
    report = api.status(dataset)
    assert (report.exists, report.records, report.remaining, report.versions) == (
        False,
        0,
        25,
        (),
    )
    assert report.states[RowGroupState.MISSING] == ("00000", "00001", "00002")
    assert api.seal_of(dataset) is None
    assert os.listdir(tmp_path) == ["tickets.yaml"]


def test_the_root_is_the_argument_then_the_variable_then_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_config(tmp_path / "tickets.yaml", CONFIG)
    monkeypatch.chdir(tmp_path)
    assert (
        api.open_dataset(file, root="mine", env={"SDG_ROOT": "/other"}).layout.root
        == tmp_path / "mine"
    )
    assert api.open_dataset(file, env={"SDG_ROOT": "/other"}).layout.root == Path(
        "/other"
    )
    assert api.open_dataset(file, env={}).layout.root == tmp_path / "data"
    assert (
        str(
            api.open_dataset(
                file, root="s3://bucket/x", env={"SDG_ROOT": "/other"}
            ).layout.root
        )
        == "s3://bucket/x"
    )


def test_num_records_of_the_caller_wins(tmp_path: Path) -> None:
    file = write_config(
        tmp_path / "tickets.yaml",
        {k: v for k, v in CONFIG.items() if k != "num_records"},
    )
    with pytest.raises(PlanError, match="num_records is not set"):
        api.open_dataset(file)
    assert api.open_dataset(file, num_records=11).plan.num_records == 11
    for wrong in (0, -3):
        with pytest.raises(PlanError, match=f"num_records is {wrong}"):
            api.open_dataset(file, num_records=wrong)


def test_a_preview_shows_the_records_that_a_run_makes_and_stores_nothing(
    dataset: api.Dataset, tmp_path: Path
) -> None:
    shown = api.preview(tmp_path / "tickets.yaml", num_records=12)
    assert os.listdir(tmp_path) == ["tickets.yaml"]
    assert (
        shown.table.column_names == ["id", "plan", "text"]
        and shown.usage["writer"]["requests"] == 12
    )
    stored = stored_records(api.generate(dataset).version)
    assert shown.table.to_pylist() == [stored[index] for index in range(12)]


def test_a_preview_lists_records_that_fail(tmp_path: Path) -> None:
    config = dataset_config(
        category("word", "1", "many"), expression("number", "{{ word }}", dtype="int")
    )
    shown = api.preview(write_config(tmp_path / "d.yaml", config), num_records=20)
    assert 0 < len(shown.failures) < 20 and shown.table.num_rows == 20 - len(
        shown.failures
    )
    assert all(failure.message == "'many' is not an int" for failure in shown.failures)


def test_events_come_in_order_and_add_up(dataset: api.Dataset) -> None:
    api.generate(dataset, row_groups=[1])
    events: list[Event] = []
    summary = api.generate(dataset, on_event=events.append, run_id="my run")
    assert any(
        isinstance(event, Notice) and "simulated" in event.message for event in events
    )
    (started,) = (event for event in events if isinstance(event, RunStarted))
    assert (started.records, started.row_groups, started.complete) == (15, 2, 1)
    settled = [event for event in events if isinstance(event, RecordsSettled)]
    assert sum(event.made for event in settled) == 15 and not any(
        event.failed for event in settled
    )
    finished = {
        event.group.key: event
        for event in events
        if isinstance(event, RowGroupFinished)
    }
    assert {key: event.adopted for key, event in finished.items()} == {
        "00000": False,
        "00001": True,
        "00002": False,
    }
    for event in finished.values():
        assert read_footer(event.path) == event.footer
        assert event.footer.run_id == (
            "my run" if not event.adopted else event.footer.run_id
        )
    assert (summary.generated, summary.adopted, summary.written, summary.remaining) == (
        15,
        1,
        2,
        0,
    )
    assert summary.run_id == "my run"


def test_settings_of_the_caller_replace_those_of_the_file(dataset: api.Dataset) -> None:
    first = api.generate(dataset).version
    again = api.generate(dataset, settings=RunSettings(resume="never")).version
    assert again.name == f"{first.name}-2"
    assert (
        api.generate(
            dataset, settings=RunSettings(resume="never"), resume="always"
        ).version
        == again
    )


def test_row_groups_may_be_named_in_any_order_and_twice(dataset: api.Dataset) -> None:
    assert api.generate(dataset, row_groups=[2, 0, 2]).written == 2
    assert [s.state.value for s in api.row_group_statuses(dataset)] == [
        "complete",
        "missing",
        "complete",
    ]
    assert api.generate(dataset, row_groups=[]).written == 0


def test_generating_works_outside_the_main_thread(dataset: api.Dataset) -> None:
    summaries: list[api.RunSummary] = []
    thread = threading.Thread(target=lambda: summaries.append(api.generate(dataset)))
    thread.start()
    thread.join()
    assert summaries[0].generated == 25


def test_runs_side_by_side_on_different_row_groups_do_not_disturb_each_other(
    tmp_path: Path,
) -> None:
    dataset = open_dataset(
        tmp_path / "tickets.yaml", {**CONFIG, "num_records": 60}, root=tmp_path / "root"
    )
    code = (
        "import sys; from sdg_core import api\n"
        "d = api.open_dataset(sys.argv[1], root=sys.argv[2])\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "api.generate(d, row_groups=[int(sys.argv[3]), int(sys.argv[3]) + 3])"
    )
    runs = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                code,
                str(tmp_path / "tickets.yaml"),
                str(tmp_path / "root"),
                str(index),
            ],
            cwd=PROJECT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(3)
    ]
    for run in runs:
        assert run.stdout is not None and run.stdout.readline() == "ready\n"
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    for run in runs:
        run.communicate(timeout=PATIENCE)
        assert run.returncode == 0
    report = api.status(dataset)
    assert (report.records, report.versions) == (
        60,
        (dataset.plan.fingerprint.version,),
    )
    metadata = read_metadata(dataset.layout.version(report.version).metadata)
    assert (metadata.actual_num_records, metadata.num_completed_batches) == (60, 6)
