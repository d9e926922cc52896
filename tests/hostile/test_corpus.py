"""Some 280 dataset and pipeline files that ask for too much or for what is not: every command ends in a readable block with a
documented exit status, within bounds of memory and time. With `SDG_LONG` set, every command meets every file."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import corpus
from tests.support.sdg import PROJECT

COMMANDS = [
    "validate",
    "plan",
    "status",
    "preview",
    "generate",
    "process",
    "report",
    "export x.csv",
    "reopen",
    "prune --yes",
]
COMMANDS += [
    "estimate",
    "check-models",
    "retry",
    "import",
    "push nobody/nothing --dry-run",
]
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
LONG = bool(os.environ.get("SDG_LONG"))


def ends(tmp_path: Path, files: list[Path], commands: list[str]) -> None:
    """Run the commands over the files, in a process of their own, and look at how each ends."""
    directory = tmp_path / "files"
    directory.mkdir()
    for file in files:
        file.rename(directory / file.name)
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "SDG_ROOT": str(tmp_path / "root"),
    }
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tests.hostile.corpus", str(directory), *commands]
    process = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    found = [json.loads(line) for line in process.stdout.splitlines()]
    last = found[-1][:2] if found else "the first"
    assert process.returncode == 0, f"ended after {last}: {process.stderr[-2_000:]}"
    assert len(found) == len(files) * len(commands)
    wrong = []
    for name, verb, status, seconds, said in found:
        is_readable = (
            said.strip()
            and "Traceback" not in said
            and "internal error" not in said
            and not CONTROL.search(said)
        )
        if status not in (0, 1, 2, 3) or not is_readable or seconds > corpus.SECONDS:
            wrong.append((name, verb, status, said[:300]))
    assert wrong == []


@pytest.mark.parametrize("part", range(10) if LONG else [0])
def test_every_command_ends_in_a_readable_block(tmp_path: Path, part: int) -> None:
    """In the short form every other file is validated."""
    files = corpus.write(tmp_path / "written")
    assert len(files) >= 150
    (tmp_path / "written" / "a.md").rename(tmp_path / "a.md")
    if LONG:
        ends(tmp_path, files[part::10], COMMANDS)
    else:
        ends(
            tmp_path,
            [file for file in files if file.stem not in SLOW][::2],
            ["validate"],
        )


def test_other_commands_on_some_files(tmp_path: Path) -> None:
    files = corpus.write(tmp_path / "written")
    ends(
        tmp_path, [file for file in files if file.stem not in SLOW][3::25], COMMANDS[1:]
    )


SLOW = {
    "sampler_07",
    "sampler_08",
    "sampler_09",
    "yaml_aliases",
    "yaml_long-line",
    "yaml_many-columns",
}
"""Files whose bound is of many seconds; the long form has them."""
