"""`sdg plan`, `sdg prune` and the versions and runs in `sdg status`, as a process."""

import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from sdg_core import api
from sdg_core.store.layout import DatasetLayout
from tests.support.requirements import PATIENCE
from tests.support.sdg import (
    SDG,
    category,
    dataset_config,
    environment,
    llm,
    sdg,
    snapshot,
    uuid,
    write_config,
)


def config(prompt: str, **more: Any) -> dict[str, Any]:
    return dataset_config(
        uuid(),
        category("plan", "free", "pro"),
        llm("text", prompt),
        llm("more", "{{ id }}"),
        **more,
    )


class Command:
    """The command on one file and root."""

    def __init__(self, directory: Path) -> None:
        self.file, self.root = directory / "tickets.yaml", directory / "root"

    def edit(self, prompt: str, **more: Any) -> None:
        write_config(self.file, config(prompt, **more))

    def __call__(
        self, command: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        return sdg(command, self.file, "--root", self.root, *arguments)

    def generate(self, prompt: str) -> None:
        """Edit the file and generate, in this process."""
        self.edit(prompt)
        api.generate(api.open_dataset(self.file, root=str(self.root)))

    def versions(self) -> list[str]:
        return DatasetLayout(self.root, "tickets").versions()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_plan_says_what_is_reused_and_made_and_writes_nothing(command: Command) -> None:
    command.edit("one {{ plan }}")
    first = command("plan")
    assert first.returncode == 0 and first.stderr == "" and not command.root.exists()
    assert "a first run" in first.stdout and "records    25 to generate" in first.stdout
    assert "requests: writer: 50; corrections and retries are extra" in first.stdout
    command.generate("one {{ plan }}")
    assert "nothing to do: all row groups are complete" in command("plan").stdout
    (old,) = command.versions()
    command.edit("two {{ plan }}")
    before = snapshot(command.root / "tickets")
    changed = command("plan")
    assert snapshot(command.root / "tickets") == before
    assert "a new version alongside the old one" in changed.stdout
    assert (
        "columns[2].prompt: 'one {{ plan }}' is now 'two {{ plan }}'" in changed.stdout
    )
    assert f"25 from version {old}" in changed.stdout
    assert "requests: writer: 25;" in changed.stdout
    as_json = orjson.loads(command("plan", "--json", "--row-groups", "1-2").stdout)
    assert (
        as_json["action"] == "new version"
        and as_json["records"] == 15
        and as_json["requests"] == {"writer": 15}
    )
    assert {c["column"]: (c["to_make"], c["carried"]) for c in as_json["columns"]} == {
        "text": (15, {}),
        "more": (0, {old: 15}),
    }
    made = command("generate")
    assert "25 cells were carried over from earlier versions" in made.stdout


def test_a_plan_of_a_refused_run_says_why_and_the_way_out(command: Command) -> None:
    command.generate("one")
    api.process(api.open_dataset(command.file, root=str(command.root)))
    outcome = command("plan")
    assert outcome.returncode == 2
    assert "a run would be refused" in outcome.stdout and "sdg reopen" in outcome.stdout
    refused = command("plan", "--json")
    assert (
        refused.returncode == 2
        and orjson.loads(refused.stdout)["refused"]["error"] == "SealedError"
    )
    assert command("plan", "--resume", "never").returncode == 0


def test_prune_asks_and_without_a_terminal_refuses(command: Command) -> None:
    for prompt in ("one", "two", "three"):
        command.generate(prompt)
    before = snapshot(command.root)
    refused = command("prune")
    assert refused.returncode == 2 and "--yes" in refused.stderr
    assert "2 old versions" in refused.stdout
    assert {
        path: mark
        for path, mark in snapshot(command.root).items()
        if "ledger" not in path
    } == {path: mark for path, mark in before.items() if "ledger" not in path}
    listed = orjson.loads(command("prune", "--dry-run", "--keep", "1", "--json").stdout)
    assert len(listed) == 1 and listed[0]["records"] == 25
    done = command("prune", "--yes", "--keep", "1")
    assert done.returncode == 0 and "removed 1 old version" in done.stderr
    assert len(command.versions()) == 2
    assert command("prune", "--yes").returncode == 0
    assert "nothing to remove" in command("prune").stdout


@pytest.mark.parametrize(("answer", "left"), [("y\n", 1), ("n\n", 2)])
def test_prune_takes_the_answer_of_a_person(
    command: Command, answer: str, left: int
) -> None:
    for prompt in ("one", "two"):
        command.generate(prompt)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        outcome = subprocess.run(
            [*SDG, "prune", str(command.file), "--root", str(command.root)],
            stdin=theirs,
            capture_output=True,
            text=True,
            env=environment(),
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Remove 1 old version permanently?" in outcome.stderr
    assert len(command.versions()) == left
    assert outcome.returncode == (0 if left == 1 else 2)


def test_status_lists_versions_when_there_are_several_and_the_latest_runs(
    command: Command,
) -> None:
    command.edit("one")
    nothing = command("status")
    assert nothing.returncode == 0 and not command.root.exists(), (
        "looking makes nothing"
    )
    command.generate("one")
    assert "this config" not in command("status").stdout
    (old,) = command.versions()
    command.generate("two")
    shown = command("status")
    assert shown.returncode == 0 and shown.stderr == ""
    lines = shown.stdout.splitlines()
    assert any(line.startswith(old) for line in lines)
    assert any("current, this config" in line for line in lines)
    as_json = orjson.loads(command("status", "--json").stdout)
    assert as_json["versions"] == command.versions()
    assert {
        version["name"]: version["matches"] for version in as_json["version_details"]
    }[old] is False
    runs = as_json["runs"]
    assert [run["outcome"] for run in runs] == ["done", "done"]
    assert [run["generated"] for run in runs] == [25, 25] and runs[0][
        "resume"
    ] == "if_possible"
    assert sum(line.count("if_possible") for line in lines) == 2
