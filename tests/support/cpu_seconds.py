"""CPU seconds of test files, with those of every process they start: `python -m tests.support.cpu_seconds FILE_OR_DIRECTORY...`

Wall time depends on what else the machine does; docs/design/testing.md has the budgets, in CPU seconds. Each file runs in a
pytest of its own. Processes that outlive their parent are counted too: this one adopts them (Linux's child subreaper) and waits.
"""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

PR_SET_CHILD_SUBREAPER = 36


def main(paths: list[str]) -> int:
    """Run the files one after the other and print a line for each; 1 if any of them failed."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(
            ctypes.get_errno(),
            "this kernel does not let a process adopt its descendants",
        )
    failed = False
    total = 0.0
    for file in test_files(paths):
        used, elapsed, status = measure(file)
        total += used
        failed = failed or status != 0
        print(
            f"{used:8.1f} CPU-s {elapsed:8.1f} s  {file}{'  FAILED' if status else ''}",
            flush=True,
        )
    print(f"{total:8.1f} CPU-s in total")
    return int(failed)


def test_files(paths: list[str]) -> list[Path]:
    """Files as they are named; directories become the test files below them."""
    found: list[Path] = []
    for path in map(Path, paths):
        found += sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
    return found


def measure(file: Path) -> tuple[float, float, int]:
    """CPU seconds, elapsed seconds and exit status of a file's tests."""
    before = cpu_of_children()
    started = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(file),
        "-n",
        "0",
        "--durations=15",
        "--durations-min=1",
    ]
    with Path(os.environ.get("SDG_TEST_LOG", os.devnull)).open("ab") as log:
        tests = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        statuses = dict(reaped())
    return (
        cpu_of_children() - before,
        time.monotonic() - started,
        os.waitstatus_to_exitcode(statuses[tests.pid]),
    )


def reaped() -> Iterator[tuple[int, int]]:
    """Wait for the tests and for every process that they leave behind, as each ends: process id and status."""
    while True:
        try:
            yield os.wait()
        except ChildProcessError:
            return


def cpu_of_children() -> float:
    """User and system seconds of all children that have ended, and of theirs."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
