"""`python -m tests.hostile.campaign.store_faults [--races N]`: full disks, and commands that race on one dataset.

What is kept is right: after the fault is gone, or the race over, one more run ends like one that nothing disturbed. Kills are in
`tests/crash/test_campaign.py`, standstills at every seam in `tests/crash/test_stopped.py`.
"""

import argparse
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sdg_core import api
from tests.crash.test_stopped import run_out
from tests.hostile.campaign.scoreboard import Scoreboard
from tests.support.requirements import require
from tests.support.sdg import (
    ServerProcess,
    category,
    dataset_config,
    llm,
    sdg,
    started_sdg,
    stored_records,
    uuid,
    wait_until,
    write_config,
)

COLUMNS = (
    uuid(),
    category("plan", "free", "pro"),
    llm("question", "ask about {{ id }} on {{ plan }}", drop=True),
    llm("answer", "answer {{ question }} " + "at length " * 40),
)
ROOMS = (
    "size=120k",
    "size=200k",
    "size=300k",
    "size=400k",
    "size=260k,nr_inodes=40",
    "size=8m,nr_inodes=8",
    "size=8m,nr_inodes=14",
    "size=8m,nr_inodes=20",
    "size=8m,nr_inodes=30",
)
Rows = dict[int, dict[str, Any]]


def _config(server: ServerProcess, **top: Any) -> dict[str, Any]:
    return dataset_config(
        *COLUMNS, endpoint=server.url, num_records=40, row_group_size=10, **top
    )


def rows_of(file: Path, root: Path) -> Rows:
    """The records of the current config."""
    dataset = api.open_dataset(file, root=root)
    return stored_records(dataset.layout.version(dataset.plan.fingerprint.version))


def undisturbed(file: Path, place: Path) -> Rows:
    """The records of a run that nothing disturbs."""
    api.generate(api.open_dataset(file, root=place / "whole"))
    return rows_of(file, place / "whole")


def faults_of_full_disk(place: Path, room: str) -> list[str]:
    """Run where there is no room for all, make room, and run again. Skips where a tmpfs cannot be mounted."""
    disk = place / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", room, "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    require(mounted.returncode == 0, "permission to mount a tmpfs")
    found: list[str] = []
    try:
        with ServerProcess() as server:
            file = write_config(place / "tickets.yaml", _config(server))
            for command in ("generate", "process"):
                ended = sdg(command, file, "--root", disk)
                if ended.returncode not in (0, 1, 2) or "Traceback" in ended.stderr:
                    found.append(
                        f"{command}: {ended.returncode}: {ended.stderr[-500:]}"
                    )
            more = ["mount", "-o", "remount,size=64m,nr_inodes=4000", str(disk)]
            subprocess.run(more, check=True)
            for command in ("generate", "process"):
                ended = sdg(command, file, "--root", disk)
                if ended.returncode != 0 and "is sealed" not in ended.stderr:
                    found.append(
                        f"{command} with room: {ended.returncode}: {ended.stderr[-500:]}"
                    )
            if not found and rows_of(file, disk) != undisturbed(file, place):
                found.append(
                    "the records are others than those of a run that nothing disturbed"
                )
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    return found


def faults_of_race(place: Path, seed: int) -> list[str]:
    """Start some commands on one dataset, stop some of them for longer than a lease, kill some; then run to the end."""
    draw = random.Random(f"race {seed}")
    found: list[str] = []
    root = place / "root"
    with ServerProcess("--latency", "0.01") as server, ExitStack() as stack:
        file = write_config(place / "tickets.yaml", _config(server))
        commands = [
            "generate",
            *(draw.choice(COMMANDS) for _ in range(draw.randint(1, 3))),
        ]
        wanted = draw.randint(1, 40)
        first = stack.enter_context(started_sdg("generate", file, "--root", root))
        wait_until(
            lambda: first.poll() is not None or len(server.prompts()) >= wanted,
            "requests arrived",
        )
        is_stopped = draw.random() < 0.6 and first.poll() is None
        if is_stopped:
            first.send_signal(signal.SIGSTOP)
            _let_leases_run_out(root)
        others = []
        for command in commands:
            verb, *options = command.split()
            started = started_sdg(verb, file, *options, "--root", root)
            others.append(stack.enter_context(started))
        if is_stopped:
            wait_until(lambda: others[0].poll() is not None, "the other run ends")
            first.send_signal(signal.SIGCONT)
        if draw.random() < 0.3:
            draw.choice([first, *others]).kill()
        for process in [first, *others]:
            out, said = process.communicate(300)
            if process.returncode not in (0, 1, 2, -9) or "Traceback" in said:
                found.append(f"{process.returncode}: {said[-500:]}")
        for command in ("generate", "process", "report"):
            ended = sdg(command, file, "--root", root)
            sealed = command == "generate" and "sealed" in ended.stderr
            if ended.returncode != 0 and not sealed:
                found.append(
                    f"{command} after the race: {ended.returncode}: {ended.stderr[-500:]}"
                )
        if not found and rows_of(file, root) != undisturbed(file, place):
            found.append(
                "the records are others than those of a run that nothing disturbed"
            )
    return found


COMMANDS = (
    "generate",
    "process --allow-missing",
    "prune --yes",
    "reopen",
    "status",
    "generate --shard 0/2",
    "report",
)


def _let_leases_run_out(root: Path) -> None:
    """As long as the ledger is free; a run that stands still inside the fence keeps it."""
    from _pytest.outcomes import Skipped

    try:
        run_out(root)
    except Skipped:
        return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--races", type=int, default=45)
    options = parser.parse_args()
    scoreboard = Scoreboard()
    started = time.monotonic()
    for room in ROOMS:
        place = Path(tempfile.mkdtemp(prefix="sdg-disk-"))
        scoreboard.add("full disks", room, faults_of_full_disk(place, room))
        shutil.rmtree(place, ignore_errors=True)
        print(
            room,
            scoreboard.failures(),
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
    for seed in range(options.races):
        place = Path(tempfile.mkdtemp(prefix="sdg-race-"))
        scoreboard.add("races", str(seed), faults_of_race(place, seed))
        print(
            seed,
            scoreboard.counts["races"].failures.get(str(seed), "held"),
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
        shutil.rmtree(place, ignore_errors=True)
    print(scoreboard.table())


if __name__ == "__main__":
    main()
