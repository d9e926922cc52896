"""`python -m tests.hostile.campaign.worker`: reads cases as lines of JSON, runs their commands in this process with a bound of
memory, and writes a line of JSON for the end of each command."""

import contextlib
import io
import json
import os
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

ADDRESSES = 64 * 2**30
"""A last resort: libraries reserve far more than they use. What a command has used is measured after it."""


class Output(io.StringIO):
    """What is shown, as a stream that has a file's buffer."""

    encoding = "utf-8"


def run_command(arguments: list[str]) -> dict[str, Any]:
    """The end of one command: its exit status, what it said, and what it took."""
    from sdg_core.cli.app import run

    shown, said = Output(), Output()
    Path("/proc/self/clear_refs").write_text(
        "5", encoding="utf-8"
    )  # the peak is that of this command
    started = time.monotonic()
    status: Any = None
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(said):
        try:
            run(arguments)
        except SystemExit as end:
            status = end.code
    return {
        "status": status,
        "shown": shown.getvalue()[:200_000],
        "said": said.getvalue()[:200_000],
        "seconds": time.monotonic() - started,
        "megabytes": of_this_process("VmHWM"),
        "addresses": of_this_process("VmSize"),
    }


def of_this_process(name: str) -> int:
    """A size of /proc/self/status in megabytes: VmHWM is the peak of what is resident, VmSize what is reserved now."""
    found = re.search(
        rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8")
    )
    assert found is not None, name
    return int(found[1]) // 1024


def main() -> None:
    import sdg_core.cli.main  # noqa: F401 - adds the commands

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        case = json.loads(line)
        os.environ.clear()
        os.environ.update(case["env"])
        os.chdir(case["directory"])
        try:
            end = run_command(case["arguments"])
        except BaseException as error:  # noqa: BLE001 - whatever leaves `run` but an exit is a fault that is counted
            end = {
                "status": None,
                "shown": "",
                "said": f"raised {error!r}",
                "seconds": 0.0,
                "megabytes": 0,
                "addresses": 0,
            }
        answers.write(json.dumps(end) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
