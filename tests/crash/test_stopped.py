"""A process is stopped (SIGSTOP) where it is about to change the store, another takes its lease over and finishes the work, and
the first wakes: it changes nothing of what was finished, whichever seam it stood at.

The lease is run out by hand in the ledger, which is what standing still for longer than one does. Points inside a transaction of
the ledger are left out: there the process that stands still holds the fence itself, and nobody can take over.
"""

import re
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.system.failpoints import STOP_VARIABLE
from tests.support.requirements import PATIENCE
from tests.support.sdg import (
    ServerProcess,
    category,
    dataset_config,
    llm,
    sdg,
    snapshot,
    started_sdg,
    uuid,
    wait_until,
    write_config,
)
from tests.support.warm import WarmProcess

COLUMNS = (
    uuid(),
    category("plan", "free", "pro"),
    llm("question", "ask about {{ id }}", drop=True),
    {
        "column_type": "image",
        "name": "image",
        "prompt": "{{ plan }}",
        "model_alias": "painter",
    },
)
STAGES = [
    {"stage": "split", "column": "content", "size": 4, "checkpoint": True},
    {"stage": "columns", "columns": [llm("answer", "{{ content }}")]},
]
GENERATING = [
    "claim.after_take",
    "journal.after_commit:2",
    *(f"file.after_temporary:{number}" for number in range(1, 9)),
    "group.after_dropped",
    "group.before_settle",
    "group.after_settle",
]
PIPELINE = [
    "journal.after_commit",
    "checkpoint.after_save",
    *(f"file.after_temporary:{number}" for number in range(1, 8)),
]
FINISHING = [
    "processing.after_start",
    "processing.after_decisions",
    *(f"file.after_temporary:{number}" for number in range(1, 6)),
    "processing.after_publish",
    "processing.after_seal",
]
APART = re.compile(
    r"(^|/)\.tmp|metadata\.json$|\.lock$|^partitions/|/report\.(json|html)$|/README\.md$|/footers"
)
OFTEN = {"file.after_temporary:6", "group.after_dropped", "processing.after_decisions"}


def points(found: list[str]) -> list[object]:
    """Some on every run of the tests, all in the long form."""
    return [
        point if point in OFTEN else pytest.param(point, marks=pytest.mark.long)
        for point in found
    ]


def finished(root: Path, name: str) -> dict[str, str]:
    """Digests of what makes up the data: all but temporaries, locks, and accounts that are rewritten (runs, reports)."""
    found = snapshot(root / name)
    return {path: digest for path, digest in found.items() if not APART.search(path)}


def run_out(root: Path) -> None:
    """What standing still for longer than a lease does to the leases, if there are any yet."""
    path = root / ".sdg" / "ledger.db"
    if path.exists():
        ledger = sqlite3.connect(path, timeout=1.0)
        with ledger:
            try:
                ledger.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                pytest.skip(
                    "it stands still inside the fence, where nobody can take over"
                )
            if (
                ledger.execute(
                    "SELECT 1 FROM sqlite_master WHERE name = 'claims'"
                ).fetchone()
                is not None
            ):
                ledger.execute("UPDATE claims SET expires_at = 0")
        ledger.close()


def wait_until_stopped(process: WarmProcess, point: str) -> bool:
    """Whether the process stands still at the point; it may also have ended without passing it."""

    def state() -> str:
        try:
            return (
                Path(f"/proc/{process.pid}/stat")
                .read_text(encoding="utf-8")
                .rpartition(")")[2]
                .split()[0]
            )
        except OSError:
            return "X"

    wait_until(
        lambda: process.poll() is not None or state() in "TtX", f"{point} is reached"
    )
    return process.poll() is None


def race(
    root: Path, name: str, point: str, command: str, file: Path, *after: str
) -> None:
    """`command` stops at a point; then it and the commands `after` it are done by others; then it wakes."""
    with started_sdg(command, file, "--root", root, env={STOP_VARIABLE: point}) as late:
        if not wait_until_stopped(late, point):
            pytest.skip(f"{command} does not pass {point}: {late.communicate()}")
        run_out(root)
        for each in (command, *after):
            done = sdg(each, file, "--root", root)
            assert done.returncode == 0, (each, done.stderr)
        before = finished(root, name)
        late.send_signal(signal.SIGCONT)
        late.communicate(timeout=PATIENCE)
        assert finished(root, name) == before
        assert late.returncode in (0, 2), late.communicate()


def dataset(tmp_path: Path, server: ServerProcess) -> Path:
    config = dataset_config(
        *COLUMNS, endpoint=server.url, num_records=2, row_group_size=2
    )
    painter = {
        "alias": "painter",
        "model": "dall-e",
        "inference_parameters": {"generation_type": "image"},
    }
    config["model_configs"].append({**config["model_configs"][0], **painter})
    return write_config(tmp_path / "tickets.yaml", config)


@pytest.mark.parametrize("point", points(GENERATING))
def test_generating(tmp_path: Path, point: str) -> None:
    with ServerProcess() as server:
        file = dataset(tmp_path, server)
        root = tmp_path / "root"
        (root / ".sdg").mkdir(parents=True)
        race(root, "tickets", point, "generate", file, "process")
    assert api.status(api.open_dataset(file, root=root)).sealed


@pytest.mark.parametrize("point", points(FINISHING))
def test_finishing(tmp_path: Path, point: str) -> None:
    with ServerProcess() as server:
        file = dataset(tmp_path, server)
        root = tmp_path / "root"
        assert sdg("generate", file, "--root", root).returncode == 0
        race(root, "tickets", point, "process", file)
    assert api.status(api.open_dataset(file, root=root)).sealed


@pytest.mark.parametrize("point", points(PIPELINE))
def test_pipelines(tmp_path: Path, point: str) -> None:
    (tmp_path / "a.md").write_text("some text")
    with ServerProcess() as server:
        models: dict[str, Any] = dataset_config(llm("t", "x"), endpoint=server.url)
        config = {
            "kind": "pipeline",
            "name": "notes",
            "sources": {"reader": "files", "path": "*.md"},
            "stages": STAGES,
        }
        config |= {name: models[name] for name in ("model_providers", "model_configs")}
        (tmp_path / "notes.yaml").write_text(yaml.safe_dump(config))
        race(
            tmp_path / "root",
            "notes",
            point,
            "generate",
            tmp_path / "notes.yaml",
            "process",
        )
    opened = pipelines.open_pipeline(tmp_path / "notes.yaml", root=tmp_path / "root")
    assert pipelines.seal(opened) is not None
