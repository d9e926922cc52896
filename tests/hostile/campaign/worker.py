"""`python -m tests.hostile.campaign.worker`: reads cases as lines of JSON, runs their commands in this process with a bound of
memory, and writes a line of JSON for the end of each command."""

import contextlib
import io
import json
import os
import resource
import sys
import time
from typing import Any

MEMORY = 32 * 2**30
"""Of addresses: libraries reserve far more than they use. What is used is looked at after each command."""


class Output(io.StringIO):
    """What is shown, as a stream that has a file's buffer."""

    encoding = "utf-8"


def run_command(arguments: list[str]) -> dict[str, Any]:
    """The end of one command: its exit status, what it said, and what it took."""
    from sdg_core.cli.app import run

    shown, said = Output(), Output()
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
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    import sdg_core.cli.main  # noqa: F401 - adds the commands

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
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
            }
        answers.write(json.dumps(end) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
