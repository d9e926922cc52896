"""The `sdg` command as people and programs meet it: a real process, its two streams and its exit status."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from sdg_core import api
from tests.support.pipelines import WORDS, Project
from tests.support.requirements import PATIENCE
from tests.support.sdg import (
    PROJECT,
    SDG,
    ServerProcess,
    category,
    dataset_config,
    environment,
    expression,
    llm,
    only_version,
    sdg,
    stored_records,
    uuid,
    write_config,
)

COMMANDS = (
    "check-models",
    "validate",
    "preview",
    "plan",
    "generate",
    "status",
    "process",
    "reopen",
    "report",
    "export",
    "prune",
)
ODD = "[red] :smile: {x}"
"""Text that a careless terminal library would change."""
CONFIG = dataset_config(
    uuid(),
    category("plan", "free", ODD),
    llm("text", "about {{ plan }} {{ id }}"),
    expression("title", "{{ plan }}"),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dataset file and a root (with an odd name) that the command has filled."""
    directory = tmp_path_factory.mktemp("cli")
    file = write_config(directory / "tickets.yaml", CONFIG)
    root = directory / ODD
    outcome = sdg("generate", file, "--root", root)
    assert outcome.returncode == 0, outcome.stderr
    assert (
        "25 records generated, 0 failed; 3 row groups written, 0 already complete"
        in outcome.stdout
    )
    assert f"in {only_version(root).row_groups}\n" in outcome.stdout
    assert (
        f"tickets: generating 25 records in 3 row groups, version {only_version(root).name}\n"
        in outcome.stderr
    )
    assert (
        "tickets: replies are simulated" in outcome.stderr
        and "\x1b" not in outcome.stdout + outcome.stderr
    )
    return file, root


def test_help_names_every_command_and_the_exit_statuses() -> None:
    outcome = sdg("--help")
    assert outcome.returncode == 0 and outcome.stderr == ""
    for command in COMMANDS:
        assert re.search(rf"^  {command} +[A-Z]", outcome.stdout, re.MULTILINE), command
    text = " ".join(outcome.stdout.split())
    for status in (
        "0 done",
        "1 done, but some records failed",
        "2 invalid input or refused",
        "3 interrupted",
    ):
        assert status in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    outcome = sdg(command, "--help")
    assert outcome.returncode == 0
    assert (
        "FILE" in outcome.stdout
        and "--root" in outcome.stdout
        and "SDG_ROOT" in outcome.stdout
    )


def test_help_loads_nothing_heavy() -> None:
    outcome = subprocess.run(
        [sys.executable, "-X", "importtime", *SDG[1:], "--help"],
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    loaded = set(re.findall(r"\| +([A-Za-z_][\w.]*)$", outcome.stderr, re.MULTILINE))
    assert "typer" in loaded
    heavy = {
        "polars",
        "pyarrow",
        "dagster",
        "scipy",
        "numpy",
        "aiohttp",
        "sqlalchemy",
        "pydantic",
        "yaml",
        "orjson",
    }
    assert not heavy & loaded


def test_version() -> None:
    outcome = sdg("--version")
    assert outcome.returncode == 0 and re.fullmatch(
        r"sdg \d+\.\d+\.\d+\n", outcome.stdout
    )


def test_a_wrong_invocation_is_wrong_input() -> None:
    for arguments in (
        (),
        ("bake",),
        ("generate",),
        ("generate", "x.yaml", "--resume", "maybe"),
        ("preview", "x", "-n", "0"),
    ):
        outcome = sdg(*arguments)
        assert outcome.returncode == 2, arguments
        assert (
            "Usage: sdg" in outcome.stdout + outcome.stderr
            and "Traceback" not in outcome.stderr
        )


def test_validate_shows_the_plan(finished: tuple[Path, Path]) -> None:
    file, root = finished
    outcome = sdg("validate", file, "--root", root)
    assert outcome.returncode == 0 and outcome.stderr == ""
    assert outcome.stdout.startswith(f"ok {file}\n")
    assert re.search(r"fingerprint +sha256:[0-9a-f]{64}", outcome.stdout)
    assert re.search(
        rf"directory +{re.escape(str(only_version(root).directory))} *$",
        outcome.stdout,
        re.MULTILINE,
    )
    for line in (
        r"records +25 in 3 row groups of 10",
        r"plan +string +sampler",
        r"writer: m at simulated",
    ):
        assert re.search(line, outcome.stdout)


def test_generating_again_does_nothing_and_says_so(finished: tuple[Path, Path]) -> None:
    file, root = finished
    outcome = sdg("generate", file, "--root", root, "--resume", "always")
    assert outcome.returncode == 0
    assert "nothing to do: all 3 row groups are complete" in outcome.stdout
    assert "3 row groups are already complete" in outcome.stderr


def test_preview_prints_records_as_they_are(finished: tuple[Path, Path]) -> None:
    file, root = finished
    outcome = sdg("preview", file, "-n", "12", "--json")
    assert outcome.returncode == 0 and outcome.stderr == ""
    stored = stored_records(only_version(root))
    assert orjson.loads(outcome.stdout) == [stored[index] for index in range(12)]
    assert ODD in {record["plan"] for record in orjson.loads(outcome.stdout)}
    people = sdg("preview", file, "-n", "12")
    assert "--- record 0\n" in people.stdout and ODD in people.stdout
    assert stored[11]["text"] in people.stdout


def test_preview_with_failing_records_ends_with_1(tmp_path: Path) -> None:
    config = dataset_config(
        category("word", "1", "many"), expression("number", "{{ word }}", dtype="int")
    )
    outcome = sdg("preview", write_config(tmp_path / "d.yaml", config), "--json")
    assert outcome.returncode == 1
    assert 0 < len(orjson.loads(outcome.stdout)) < 10
    assert "failed, column number: 'many' is not an int" in outcome.stderr


def test_status_as_json_has_all_that_a_program_needs(
    finished: tuple[Path, Path],
) -> None:
    file, root = finished
    report = orjson.loads(
        sdg("status", file, "--root", root, "--num-records", "38", "--json").stdout
    )
    assert {state: found["keys"] for state, found in report["states"].items()} == {
        "missing": ["00003"],
        "partial": ["00002"],
        "complete": ["00000", "00001"],
        "corrupt": [],
        "stale": [],
    }
    assert report["states"]["complete"]["count"] == 2
    assert report["records"] == {
        "target": 38,
        "actual": 25,
        "remaining": 13,
        "waiting": 0,
        "lacking": 13,
    }
    assert report["failures"] == {"count": 0, "messages": []}
    assert report["usage"]["writer"]["requests"] == 25
    assert (report["sealed"], report["post_generation_state"], report["simulated"]) == (
        False,
        "none",
        True,
    )
    assert report["version"] == only_version(root).name and report["directory"] == str(
        only_version(root).directory
    )


def test_status_for_people(finished: tuple[Path, Path]) -> None:
    file, root = finished
    outcome = sdg("status", file, "--root", root)
    for line in (
        r"records +25 of 25",
        r"complete +3 row groups: 0-2",
        r"usage +writer: 25 requests",
        r"sealed +no",
    ):
        assert re.search(line, outcome.stdout), outcome.stdout
    assert str(only_version(root).directory) in outcome.stdout
    assert "no data yet" in sdg("status", file, "--root", root / "other").stdout
    assert not (root / "other").exists()


def test_status_names_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    file, root = write_config(tmp_path / "tickets.yaml", CONFIG), tmp_path / "root"
    api.generate(api.open_dataset(file, root=str(root)), row_groups=[1])
    only_version(root).row_group(1).write_bytes(b"torn")
    outcome = sdg("status", file, "--root", root)
    assert outcome.returncode == 0
    assert (
        re.search(r"corrupt +1 row group: 1 ", outcome.stdout)
        and "is not a complete parquet file" in outcome.stdout
    )


def test_the_way_of_a_dataset_through_every_command(tmp_path: Path) -> None:
    file, root = write_config(tmp_path / "tickets.yaml", CONFIG), tmp_path / "root"
    where = ("--root", root)
    assert (
        "2 row groups written"
        in sdg("generate", file, *where, "--row-groups", "0,2").stdout
    )
    early = sdg("process", file, *where)
    assert (
        early.returncode == 2
        and "1 of 3 row groups are incomplete (missing): 1" in early.stderr
    )
    api.generate(api.open_dataset(file, root=str(root)))
    done = sdg("process", file, *where)
    assert done.returncode == 0 and "processed and sealed: 25 rows" in done.stdout
    assert f"  {only_version(root).processed_dataset}\n" in done.stdout
    assert "already processed: 25 rows" in sdg("process", file, *where).stdout
    refused = sdg("generate", file, *where)
    assert (
        refused.returncode == 2
        and "is sealed" in refused.stderr
        and "sdg reopen" in refused.stderr
    )
    assert orjson.loads(sdg("status", file, *where, "--json").stdout)["sealed"] is True
    assert "reopened" in sdg("reopen", file, *where).stdout
    assert sdg("generate", file, *where, "--num-records", "31").returncode == 0


def test_failed_records_end_with_1_and_process_needs_a_word(tmp_path: Path) -> None:
    config = dataset_config(
        category("word", "1", "2", "3", "many"),
        expression("number", "{{ word }}", dtype="int"),
    )
    file, root = write_config(tmp_path / "tickets.yaml", config), tmp_path / "root"
    outcome = sdg("generate", file, "--root", root)
    assert outcome.returncode == 1
    assert re.search(
        r"\d+ records? remains?; run again to retry them \(first failure: record \d+",
        outcome.stdout,
    )
    report = orjson.loads(sdg("status", file, "--root", root, "--json").stdout)
    (message,) = report["failures"]["messages"]
    assert message == {
        "message": "number: 'many' is not an int",
        "count": report["failures"]["count"],
    }
    assert sdg("process", file, "--root", root, "--allow-missing").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--debug", "validate", "FILE"),
        ("validate", "--debug", "FILE"),
        ("validate", "FILE", "--debug"),
    ],
)
def test_debug_shows_the_traceback_wherever_it_stands(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    file = write_config(tmp_path / "tickets.yaml", {**CONFIG, "colums": []})
    outcome = sdg(
        *(str(file) if argument == "FILE" else argument for argument in arguments)
    )
    assert outcome.returncode == 2
    assert (
        "Traceback (most recent call last)" in outcome.stderr
        and "unknown key 'colums'" in outcome.stderr
    )


def test_a_reader_that_stops_reading_is_no_error(finished: tuple[Path, Path]) -> None:
    file, _ = finished
    command = f"{' '.join(SDG)} preview {file} -n 3000 --json | head -n 1"
    outcome = subprocess.run(
        command,
        shell=True,
        cwd=PROJECT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert outcome.stdout == "[\n"
    assert "Traceback" not in outcome.stderr and "internal error" not in outcome.stderr


def on_a_terminal(*arguments: str) -> tuple[int, str]:
    """Run the command with stderr on a pseudo-terminal; its exit status and what the terminal showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*SDG, *arguments],
        cwd=PROJECT,
        env=environment(TERM="xterm"),
        stdout=subprocess.DEVNULL,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 65536):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    os.close(master)
    return process.wait(timeout=PATIENCE), shown.decode()


def test_a_terminal_shows_a_progress_bar(tmp_path: Path) -> None:
    file = write_config(tmp_path / "tickets.yaml", CONFIG)
    status, shown = on_a_terminal(
        "generate", str(file), "--root", str(tmp_path / "root")
    )
    assert status == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "━" in text and "25/25 records" in text
    status, shown = on_a_terminal(
        "generate", str(file), "--root", str(tmp_path / "root")
    )
    assert (
        status == 0
        and "3 row groups are already complete" in shown
        and "━" not in shown
    )


def test_a_terminal_shows_how_far_a_pipeline_is(tmp_path: Path) -> None:
    project = Project(tmp_path, [WORDS]).write(a="one two", b="three")
    status, shown = on_a_terminal("generate", str(project.file), "--root", project.root)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert status == 0 and "━" in text and "2/2 sources" in text


def test_a_run_may_lower_how_much_is_asked_at_once(tmp_path: Path) -> None:
    with ServerProcess("--latency", "0.02") as server:
        config = dataset_config(
            uuid(), llm("text", "{{ id }}"), endpoint=server.url, parallel=16
        )
        file = write_config(tmp_path / "tickets.yaml", config)
        command = (
            "generate",
            file,
            "--root",
            tmp_path / "root",
            "--max-parallel-requests",
        )
        assert sdg(*command, "0").returncode == 2 and server.stats()["requests"] == 0
        outcome = sdg(*command, "2")
        assert outcome.returncode == 0, outcome.stderr
        assert server.stats()["requests"] == 25 and server.stats()["peak"] <= 2
