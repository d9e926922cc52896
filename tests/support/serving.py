"""Datasets whose model is served by a command, which writes down the processes that it becomes, for a test to look for."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.sdg import dataset_config, llm, uuid

RECORDS, SIZE = 12, 3
PROGRAM = [
    sys.executable,
    "-m",
    "sdg_core.testing",
    "--port",
    "{port}",
    "--latency",
    "0.1",
]
NOTED = ["sh", "-c", 'echo $$ >> pids; exec "$@"', "sh"]
"""Writes down the process that it becomes."""


def served(*command: str, **serve: Any) -> dict[str, Any]:
    """A dataset whose model is served by a command."""
    columns = (uuid(), llm("answer", "answer {{ id }}"))
    config = dataset_config(
        *columns, num_records=RECORDS, row_group_size=SIZE, run={"num_retries": 0}
    )
    provider = {"name": "home", "serve": {"command": list(command), **serve}}
    model = {**config["model_configs"][0], "provider": "home"}
    return {**config, "model_providers": [provider], "model_configs": [model]}


def pids(directory: Path) -> list[int]:
    """The processes that were written down, oldest first."""
    try:
        return [
            int(line)
            for line in (directory / "pids").read_text(encoding="utf-8").split()
        ]
    except FileNotFoundError:
        return []


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only its number."""
    try:
        return (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="utf-8")
            .rpartition(")")[2]
            .split()[0]
            != "Z"
        )
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class SliceServer:
    """The server of a slice."""

    slice: int
    pid: int
    port: int

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return is_running(self.pid)


def of_slices(number: str, *, hangs: int) -> Sequence[str]:
    """A server for each slice, whose number is in the environment under this name; that of one slice never replies."""
    note = f'echo "${number} $$ {{port}}" >> servers'
    hang = f'[ "${number}" != {hangs} ] || set -- "$@" --rate hang=1'
    return ["sh", "-c", f'{note}; {hang}; exec "$@"', "sh", *PROGRAM]


def slice_servers(directory: Path) -> list[SliceServer]:
    """The servers that were started, by their slice."""
    path = directory / "servers"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return sorted(
        (SliceServer(*map(int, line.split())) for line in lines),
        key=lambda server: server.slice,
    )
