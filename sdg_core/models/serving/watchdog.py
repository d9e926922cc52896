"""The process between a run and its model server: it ends the server when the run is gone, however the run went.

Run by path in a bare interpreter, `python -I -S watchdog.py GRACE COMMAND...`, so it imports the standard library alone. Its
standard input is a pipe whose other end only the run holds: the kernel closes it with the run, even by `kill -9`.
Invariants: the server and what it started form one process group; none of the group outlives the server, and the server
outlives the run by GRACE seconds at most. Exits with the server's status, 128 + N for signal N.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
NOT_STARTED = 127


def main(grace: float, command: list[str]) -> int:
    """Start the server, wait until it ends or the run does; returns the exit status."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # a scheduler signals everybody; the run decides
        signal.signal(number, signal.SIG_IGN)
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def in_child() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        if prctl is not None:  # this process can be killed, too
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    try:
        # No thread runs yet, so code in the child is safe.
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=in_child
        )
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_STARTED
    threading.Thread(
        target=_end_with_run, args=(server.pid, grace), daemon=True
    ).start()
    os.waitid(
        os.P_PID, server.pid, os.WEXITED | os.WNOWAIT
    )  # not reaped, so that its number stays its group's
    _signal(server.pid, signal.SIGKILL)
    status = server.wait()
    return status if status >= 0 else 128 - status


def _end_with_run(group: int, grace: float) -> None:
    os.read(0, 1)
    _signal(group, signal.SIGTERM)
    time.sleep(grace)  # the main thread ends the process when the server ends before
    _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # nobody is left of it
        pass


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
