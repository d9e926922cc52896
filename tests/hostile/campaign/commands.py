"""Cases of commands on hostile files: how they are run within bounds, and what must be true of each end."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.hostile.campaign.scoreboard import Scoreboard
from tests.support.sdg import PROJECT

SECONDS = 300.0
MEGABYTES = 2_000
CASES_A_WORKER = 50
CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
SECRETS = {
    name: f"canary-{number:02}-{name.lower()[::-1]}"
    for number, name in enumerate(
        (
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "GITHUB_TOKEN",
            "GOOGLE_API_SECRET",
            "AZURE_CLIENT_SECRET",
            "DATABASE_PASSWORD",
            "PGPASSWORD",
        )
    )
}
"""Variables that go to no host, whatever a file says."""
KEY = "sk-live-4711-quirk"
"""The content of MY_KEY, which a server may have and nobody else: it stands in no output and no file."""
_COLOUR = re.compile("\x1b\\[[0-9;]*m")
_PLACE = re.compile(r"""['"][^'"]+['"]|/\w|\w\.\w|://""")
"""What a message says where it names a value, a path, an address or a key."""
OUTCOMES = (0, 1, 2)
NUMBERS_OF_A_RUN = 160
"""Records of a run whose replies are changed."""

Check = Callable[[Path, list[dict[str, Any]]], list[str]]


@dataclass(frozen=True)
class Case:
    """A file that is tried, with what lies beside it. `{file}` in a command is its path, `{dir}` its directory.

    prepare: makes what is no plain file. check: looks at the directory and at the ends of all commands.
    """

    kind: str
    name: str
    content: str | bytes
    commands: tuple[str, ...] = (
        "validate {file}",
        "generate {file}",
        "status {file} --json",
    )
    file: str = "hostile.yaml"
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None
    check: Check | None = None


class Worker:
    """A process that runs commands, one after the other."""

    def __init__(self, log: Path) -> None:
        command = [sys.executable, "-m", "tests.hostile.campaign.worker"]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.cases = 0

    def run(self, case: dict[str, Any]) -> dict[str, Any] | str:
        """The end of a command, or why there is none. After a reason the worker is gone."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(case).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return f"the process has ended with {self._process.wait()}"
        readable, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        line = self._process.stdout.readline() if readable else None
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        self._process.kill()
        status = self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        return (
            f"ended the process with {status}"
            if readable
            else f"took more than {SECONDS:.0f} s"
        )

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Runner:
    """Runs cases in workers, below a directory, and counts how they end. keep: leave the directories of those that fail."""

    def __init__(
        self, directory: Path, scoreboard: Scoreboard, *, keep: bool = False
    ) -> None:
        self._directory, self._scoreboard, self._keep = directory, scoreboard, keep
        self._worker: Worker | None = None
        self.slowest: list[tuple[float, str]] = []
        self.most_megabytes = 0
        self.most_addresses = 0

    def run(self, cases: Iterable[Case]) -> None:
        """Run all, and end the worker."""
        for number, case in enumerate(cases):
            place = self._directory / f"{case.kind.replace(' ', '-')}-{number}"
            faults = self._run(case, place)
            self._scoreboard.add(case.kind, case.name, faults)
            if faults:
                print(
                    f"{case.kind}: {case.name}: {place}: {faults}"[:1_500], flush=True
                )
            if not (faults and self._keep):
                shutil.rmtree(place, ignore_errors=True)
        self._end()

    def _run(self, case: Case, place: Path) -> list[str]:
        home = place / "home"
        project = place / "project"
        for directory in (home, project):
            directory.mkdir(parents=True)
        for name, content in {case.file: case.content, **case.files}.items():
            _write(project / name, content)
        if case.prepare is not None:
            case.prepare(place)
        env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "XDG_STATE_HOME": str(home / "state"),
            "SDG_ROOT": str(place / "root"),
            "MY_KEY": KEY,
            **SECRETS,
            **case.env,
        }
        ends: list[dict[str, Any]] = []
        faults: list[str] = []
        for command in case.commands:
            arguments = [
                part.replace("{file}", str(project / case.file)).replace(
                    "{dir}", str(place)
                )
                for part in command.split(" ")
            ]
            end = self._asked(
                {"arguments": arguments, "env": env, "directory": str(project)}
            )
            if isinstance(end, str):
                faults.append(f"{command}: {end}")
                break
            ends.append(end)
            faults += [
                f"{command}: {fault}" for fault in faults_of(end, case, arguments)
            ]
            self.slowest = sorted(
                [
                    *self.slowest,
                    (end["seconds"], f"{case.kind}: {case.name}: {command}"),
                ]
            )[-12:]
            self.most_megabytes = max(self.most_megabytes, end["megabytes"])
            self.most_addresses = max(self.most_addresses, end["addresses"])
        faults += secrets_below(place / "root")
        faults += rows_twice(place / "root")
        if case.check is not None:
            faults += case.check(place, ends)
        return faults

    def _asked(self, case: dict[str, Any]) -> dict[str, Any] | str:
        if self._worker is None or self._worker.cases >= 4 * CASES_A_WORKER:
            self._end()
            self._worker = Worker(self._directory / "workers.log")
        self._worker.cases += 1
        end = self._worker.run(case)
        if isinstance(end, str):
            self._worker = None
        return end

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        content.encode("utf-8", "surrogatepass")
        if isinstance(content, str)
        else content
    )


def faults_of(end: dict[str, Any], case: Case, arguments: list[str]) -> list[str]:
    """What is wrong with the end of a command."""
    shown, said, status = end["shown"], end["said"], end["status"]
    text = shown + said
    found = []
    if status not in OUTCOMES:
        found.append(f"exit status {status}: {said[-400:]}")
    for word in ("Traceback (most", "internal error", "out of memory"):
        if word in text and "--debug" not in arguments:
            found.append(f"says {word}: {said[-400:]}")
    plain = _COLOUR.sub("", text) if "FORCE_COLOR" in case.env else text
    if (control := CONTROL.search(plain)) is not None:
        found.append(
            f"shows {control.group()!r}: {plain[max(0, control.start() - 60) : control.end() + 60]!r}"
        )
    found += [
        f"shows {secret}" for secret in (*SECRETS.values(), KEY) if secret in text
    ]
    if status == 2:
        if not text.strip():
            found.append("says nothing of what is wrong")
        elif not names_place(text, case, arguments):
            found.append(f"names no place: {text[:300]}")
    if end["megabytes"] > MEGABYTES:
        found.append(f"took {end['megabytes']} MB")
    if len(text) > 100_000:
        found.append(f"says {len(text)} characters")
    return found


def names_place(said: str, case: Case, arguments: list[str]) -> bool:
    """Whether a message names a file of the case, a variable of it, or an argument."""
    if _PLACE.search(said):
        return True
    named = [Path(name).name[:40] for name in (case.file, *case.files)]
    named += [*case.env, *(argument for argument in arguments if len(argument) > 1)]
    named += [
        argument[2:].replace("-", "_")
        for argument in arguments
        if argument.startswith("--")
    ]
    flat = re.sub(r"\s+", "", said)
    places = (*named, "row group", "column", f"{Path.home()}/")
    return any(re.sub(r"\s+", "", name) in flat for name in places)


def secrets_below(root: Path) -> list[str]:
    """Files that hold a secret."""
    found = []
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            found += [
                f"{path.relative_to(root)} holds {secret}"
                for secret in (*SECRETS.values(), KEY)
                if secret.encode() in content
            ]
    return found


def rows_twice(root: Path) -> list[str]:
    """Versions whose row groups hold other records than their footers say, or one of them twice."""
    found = []
    for version in root.glob("*/*/row_groups"):
        seen: list[int] = []
        for path in version.glob("batch_*.parquet"):
            try:
                file = pq.ParquetFile(path)
                footer = json.loads(file.metadata.metadata[b"sdg"])
            except (OSError, KeyError, ValueError):
                continue  # a file that a case has damaged
            records = range(footer["start"], footer["start"] + footer["size"])
            kept = [
                record for record in records if record not in set(footer["missing"])
            ]
            if not footer["resized"] and file.metadata.num_rows != len(kept):
                found.append(
                    f"{path.name} has {file.metadata.num_rows} rows for {len(kept)} records"
                )
            seen += kept
        if len(seen) != len(set(seen)):
            found.append(f"{version} has records twice")
    return found
