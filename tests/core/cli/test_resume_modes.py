"""The table of resume modes, as `sdg generate --resume` keeps it. (The same in Python: tests/core/store/test_versions.py.)"""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sdg_core import api
from sdg_core.cli import making  # noqa: F401 - adds its commands
from sdg_core.cli.app import app
from tests.support.sdg import category, dataset_config, open_dataset, snapshot, uuid

BEFORE = dataset_config(uuid(), category("plan", "free", "pro"))
AFTER = {**BEFORE, "seed": 8}

STARTS, RESUMES, NEW, FORCED, ERROR = "starts", "resumes", "new version", "new version, numbered", "error"
TABLE = {
    "if_possible": {"no data": STARTS, "same": RESUMES, "drift": NEW, "unreadable": ERROR},
    "always": {"no data": STARTS, "same": RESUMES, "drift": ERROR, "unreadable": ERROR},
    "never": {"no data": STARTS, "same": FORCED, "drift": NEW, "unreadable": FORCED},
}


@pytest.mark.parametrize("case", ["no data", "same", "drift", "unreadable"])
@pytest.mark.parametrize("mode", ["if_possible", "always", "never"])
def test_the_table_of_modes(tmp_path: Path, mode: str, case: str) -> None:
    file, root = tmp_path / "tickets.yaml", tmp_path / "root"
    base = open_dataset(file, BEFORE, root=root).plan.fingerprint.version
    if case != "no data":
        version = api.generate(open_dataset(file, BEFORE, root=root), row_groups=[0]).version
        if case == "unreadable":
            version.metadata.write_bytes(b"{")
    dataset = open_dataset(file, AFTER if case == "drift" else BEFORE, root=root)
    before = snapshot(root / "tickets") if case != "no data" else {}
    planned = api.plan(dataset, resume=mode)  # type: ignore[arg-type]
    outcome = CliRunner().invoke(app, ["generate", str(file), "--root", str(root), "--resume", mode])
    expected = TABLE[mode][case]
    if expected == ERROR:
        assert outcome.exit_code == 2 and planned.action == "refused"
        assert snapshot(root / "tickets") == before
        return
    assert outcome.exit_code == 0, outcome.output
    names = dataset.layout.versions()
    made = {STARTS: base, RESUMES: base, NEW: dataset.plan.fingerprint.version, FORCED: f"{base}-2"}[expected]
    assert planned.version == made and made in names
    assert len(names) == (2 if expected in (NEW, FORCED) else 1)
    if expected in (NEW, FORCED):
        after = snapshot(root / "tickets")
        kept = {path: mark for path, mark in before.items() if path.startswith(f"{base}/")}
        assert kept and all(after[path] == mark for path, mark in kept.items()), "the old version is as it was"
    actions = {STARTS: "start", RESUMES: "resume", NEW: "new version", FORCED: "forced version"}
    assert planned.action == actions[expected] or (mode, case) == ("never", "drift")
