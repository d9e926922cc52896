"""Processes that start warm. A Python process spends one to three CPU seconds on importing libraries; these are forked from a
server that has done so (multiprocessing's fork server, one for each worker of pytest), and are in all else processes like others:
with a process id, an environment, a working directory and an output of their own, to be signalled and killed.

What is about the start of an interpreter (which modules are imported, the hash seed, `-W`) is tested with `subprocess`.
"""

import atexit
import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import process as processes
from pathlib import Path

from tests.support.warm_spawn import SITE, execute_again, install, use_inherited_server

OUTPUT = ("stdout", "stderr")
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.support.preload"])


@dataclass(frozen=True)
class Command:
    """`python -m <module> <arguments>`, with the whole environment and the working directory it is to have."""

    module: str
    arguments: Sequence[str]
    cwd: Path
    env: Mapping[str, str]


class WarmProcess:
    """A command that runs. Methods and `returncode` are those of `subprocess.Popen`; it writes its output to files."""

    def __init__(self, command: Command) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="sdg-output-"))
        self._output: tuple[str, str] | None = None
        files = [self._directory / name for name in OUTPUT]
        self._process = _FORKS.Process(target=_run, args=(command, files, None))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def written(self) -> str:
        """What has been written to standard output so far."""
        return _text(self._directory / OUTPUT[0])

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end; the exit status."""
        self._process.join(timeout)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end, and return what was written to standard output and standard error."""
        self._process.join(timeout)
        if self._process.is_alive():
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        if self._output is None:
            out, err = (self._directory / name for name in OUTPUT)
            self._output = (_text(out), _text(err))
            shutil.rmtree(self._directory)
        return self._output


class WarmServer(WarmProcess):
    """A command that serves until it is ended. It leads a process group, or joins one, and appends its output to a log.

    group: a process group of this session; None for one of its own.
    """

    def __init__(
        self, command: Command, *, log: Path, group: int | None = None
    ) -> None:
        self._process = _FORKS.Process(
            target=_run, args=(command, [log, log], group or 0)
        )
        self._process.start()
        # As with `Popen`, who started it may end before it; multiprocessing would wait.
        processes._children.discard(self._process)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for the end; the exit status. Raises subprocess.TimeoutExpired as `Popen.wait` does."""
        if super().wait(timeout) is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return self.returncode


def run_warm(command: Command, *, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. Raises subprocess.TimeoutExpired, after killing it, if it takes longer than `timeout` seconds."""
    process = WarmProcess(command)
    try:
        out, err = process.communicate(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode is not None
    return subprocess.CompletedProcess(
        [command.module, *command.arguments], process.returncode, out, err
    )


def _run(command: Command, output: Sequence[Path], group: int | None) -> None:
    """In the forked process: become the command. group: the process group that a server joins, 0 for one of its own."""
    if group is not None:
        os.setpgid(0, group)
    for number, file in enumerate(output, start=1):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    os.chdir(command.cwd)
    os.environ.clear()
    os.environ.update(command.env)
    execute_again()
    sys.path[:0] = [
        str(command.cwd),
        *filter(None, command.env.get("PYTHONPATH", "").split(os.pathsep)),
    ]
    sys.argv[1:] = command.arguments
    if str(SITE) in sys.path:
        install()
    elif group is not None:
        use_inherited_server()
    if group is not None:
        _fork_code_servers()
    try:
        runpy.run_module(command.module, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()


def _fork_code_servers() -> None:
    """Fork the code servers that Dagster starts in this process; they stay in its process group and write to its log."""
    from dagster._grpc import server

    if not hasattr(server, "open_ipc_subprocess"):
        raise RuntimeError("this Dagster starts code servers in another way")
    server.open_ipc_subprocess = _code_server


def _code_server(
    parts: Sequence[str], *, cwd: str | None, env: Mapping[str, str]
) -> WarmServer:
    interpreter, option, module, *arguments = parts
    assert (interpreter, option, module) == (sys.executable, "-m", "dagster")
    command = Command(module, arguments, Path(cwd or os.getcwd()), env)
    log = Path(os.readlink("/proc/self/fd/1"))
    return WarmServer(command, log=log, group=os.getpgrp())


def _text(path: Path) -> str:
    """What a process has written; nothing if it was killed before it had an output."""
    return path.read_text(encoding="utf-8") if path.exists() else ""
