"""The table of resume modes, cell by cell: on the command line, in Python, and as `run.resume` of the file.

(More about each cell, in Python: tests/core/dataset/test_resume.py.)
"""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sdg_core import api
from sdg_core.cli import main  # noqa: F401 - registers the commands
from sdg_core.cli.app import app
from sdg_core.dataset.events import Event, Notice
from sdg_core.errors import SdgError
from tests.support.sdg import (
    category,
    dataset_config,
    open_dataset,
    snapshot,
    uuid,
    write_config,
)

BEFORE = dataset_config(uuid(), category("plan", "free", "pro"))
AFTER = {**BEFORE, "seed": 8}
DRIFT = "seed: 7 is now 8"

STARTS, RESUMES, NEW, FORCED, ERROR = (
    "starts",
    "resumes",
    "new version",
    "new version, numbered",
    "error",
)
TABLE = {
    "if_possible": {
        "no data": STARTS,
        "same": RESUMES,
        "drift": NEW,
        "unreadable": ERROR,
    },
    "always": {"no data": STARTS, "same": RESUMES, "drift": ERROR, "unreadable": ERROR},
    "never": {"no data": STARTS, "same": FORCED, "drift": NEW, "unreadable": FORCED},
}
ALL_CELLS = [(mode, case) for mode, row in TABLE.items() for case in row]


def by_command(file: Path, root: Path, *, mode: str | None) -> tuple[int, str]:
    """The exit status of `sdg generate`, and all that it printed."""
    option = ["--resume", mode] if mode is not None else []
    outcome = CliRunner().invoke(
        app, ["generate", str(file), "--root", str(root), *option]
    )
    return outcome.exit_code, outcome.output


def in_python(file: Path, root: Path, *, mode: str | None) -> tuple[int, str]:
    """As `by_command`: what went wrong, or what an observer was told."""
    told: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Notice):
            told.append(event.message)

    try:
        api.generate(
            api.open_dataset(file, root=str(root)), resume=mode, on_event=on_event
        )  # type: ignore[arg-type]
    except SdgError as error:
        return 2, str(error)
    return 0, "\n".join(told)


def started(file: Path, root: Path, *, case: str) -> str:
    """What a case finds; returns the name of the first version."""
    dataset = open_dataset(file, BEFORE, root=root)
    if case != "no data":
        version = api.generate(dataset, row_groups=[0]).version
        if case == "unreadable":
            version.metadata.write_bytes(b"{")
    return dataset.plan.fingerprint.version


@pytest.mark.parametrize("door", [by_command, in_python])
@pytest.mark.parametrize(("mode", "case"), ALL_CELLS)
def test_the_table_of_modes(tmp_path: Path, door: Any, mode: str, case: str) -> None:
    file, root = tmp_path / "tickets.yaml", tmp_path / "root"
    base = started(file, root, case=case)
    dataset = open_dataset(file, AFTER if case == "drift" else BEFORE, root=root)
    before = snapshot(root / "tickets") if case != "no data" else {}
    planned = api.plan(dataset, resume=mode)  # type: ignore[arg-type]
    status, said = door(file, root, mode=mode)
    expected = TABLE[mode][case]
    if expected == ERROR:
        assert status == 2 and planned.action == "refused"
        assert (DRIFT if case == "drift" else "metadata.json") in said
        assert snapshot(root / "tickets") == before
        return
    assert status == 0, said
    assert expected == RESUMES or "starting" in said
    names = dataset.layout.versions()
    made = {
        STARTS: base,
        RESUMES: base,
        NEW: dataset.plan.fingerprint.version,
        FORCED: f"{base}-2",
    }[expected]
    assert planned.version == made and made in names
    assert len(names) == (2 if expected in (NEW, FORCED) else 1)
    assert not any(status.remaining for status in api.row_group_statuses(dataset))
    if expected in (NEW, FORCED):
        after = snapshot(root / "tickets")
        kept = {
            path: mark for path, mark in before.items() if path.startswith(f"{base}/")
        }
        assert kept and all(after[path] == mark for path, mark in kept.items()), (
            "the old version is as it was"
        )
    actions = {
        STARTS: "start",
        RESUMES: "resume",
        NEW: "new version",
        FORCED: "forced version",
    }
    assert planned.action == actions[expected] or (mode, case) == ("never", "drift")


@pytest.mark.parametrize("door", [by_command, in_python])
def test_the_mode_of_the_file_holds_unless_the_caller_names_one(
    tmp_path: Path, door: Any
) -> None:
    file, root = tmp_path / "tickets.yaml", tmp_path / "root"
    base = started(file, root, case="same")
    write_config(file, {**AFTER, "run": {"resume": "always"}})
    status, said = door(file, root, mode=None)
    assert status == 2 and DRIFT in said
    write_config(file, {**BEFORE, "run": {"resume": "never"}})
    assert door(file, root, mode="always")[0] == 0
    assert open_dataset(file, BEFORE, root=root).layout.versions() == [base]
    write_config(file, {**BEFORE, "run": {"resume": "never"}})
    assert door(file, root, mode=None)[0] == 0
    assert open_dataset(file, BEFORE, root=root).layout.versions() == [
        base,
        f"{base}-2",
    ]


@pytest.mark.parametrize("door", [by_command, in_python])
def test_without_any_mode_a_run_goes_on_if_possible(tmp_path: Path, door: Any) -> None:
    file, root = tmp_path / "tickets.yaml", tmp_path / "root"
    base = started(file, root, case="same")
    assert door(file, root, mode=None)[0] == 0
    dataset = open_dataset(file, AFTER, root=root)
    assert dataset.layout.versions() == [base]
    assert door(file, root, mode=None)[0] == 0
    assert set(dataset.layout.versions()) == {base, dataset.plan.fingerprint.version}


@pytest.mark.parametrize("door", [by_command, in_python])
@pytest.mark.parametrize("mode", ["if_possible", "always"])
def test_rules_that_protect_data_hold_in_both_modes(
    tmp_path: Path, door: Any, mode: str
) -> None:
    """Growing is always possible; shrinking, another size and a sealed version are refused with the way out."""
    file, root = tmp_path / "tickets.yaml", tmp_path / "root"
    api.generate(open_dataset(file, BEFORE, root=root))
    before = snapshot(root / "tickets")
    for change, way_out in (
        ({"num_records": 20}, "num_records to 25 or more"),
        ({"row_group_size": 5}, "row_group_size back to 10"),
    ):
        write_config(file, {**BEFORE, **change})
        status, said = door(file, root, mode=mode)
        assert status == 2 and way_out in " ".join(said.split())
    assert snapshot(root / "tickets") == before
    write_config(file, {**BEFORE, "num_records": 31})
    assert door(file, root, mode=mode)[0] == 0
    api.process(api.open_dataset(file, root=str(root)))
    status, said = door(file, root, mode=mode)
    assert status == 2 and "sdg reopen" in said
    assert len(open_dataset(file, BEFORE, root=root).layout.versions()) == 1
