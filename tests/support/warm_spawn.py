"""Processes that Dagster spawns, forked from a warm server instead (`tests.support.warm` says what that is).

Dagster spawns a process for each run and another for each of its steps, and each spends two CPU seconds on imports. `install`
puts a context of this module in the place of multiprocessing's "spawn": the first process that spawns starts a fork server, and
what is forked uses the same one. Such a process has the environment, the working directory and the output that a spawned one has.

An interpreter that has `tests/support/warm_site` in its PYTHONPATH does so when it starts: `make_home` puts it there. Where
processes are what is tested (`cold=True`), they are spawned.
"""

import importlib
import os
import sys
from multiprocessing import context, forkserver
from pathlib import Path
from typing import Any

OF_EACH_PROCESS = ("sdg_core.store.temporaries", "sdg_core.system.failpoints")
"""Modules of the product that take something from their process when they are imported, so that each forked process executes them
again. `tests/architecture/test_import_effects.py` keeps the list complete."""
SITE = Path(__file__).parent / "warm_site"
OUTPUTS = (1, 2)


class ForkedProcess(context.ForkServerProcess):
    """A process with the environment of the one that starts it, and with its output if that goes to files."""

    def start(self) -> None:
        self._environment = dict(os.environ)
        self._files = {number: file for number in OUTPUTS if (file := _file_of(number))}
        super().start()

    def _bootstrap(self, *arguments: Any, **more: Any) -> int:
        os.environ.clear()
        os.environ.update(self._environment)
        for number, file in self._files.items():
            opened = os.open(file, os.O_WRONLY | os.O_APPEND)
            os.dup2(opened, number)
            os.close(opened)
        execute_again()
        install()
        return super()._bootstrap(*arguments, **more)  # type: ignore[misc, no-any-return]


class ForkContext(context.ForkServerContext):
    """In the place of the one that spawns."""

    _name = "spawn"
    Process = ForkedProcess


def install() -> None:
    """Fork what this process would spawn. Does nothing the second time."""
    if isinstance(context._concrete_contexts["spawn"], ForkContext):
        return
    use_inherited_server()
    context._concrete_contexts["spawn"] = ForkContext()


def use_inherited_server() -> None:
    """Let what this process forks come from the fork server that it came from itself, if it has one."""
    server = forkserver._forkserver
    launch = server.ensure_running

    def ensure_running() -> None:
        inherited = (
            server._forkserver_pid is None and server._forkserver_alive_fd is not None
        )
        if not inherited:
            launch()

    server.set_forkserver_preload(["tests.support.preload"])
    server.ensure_running = ensure_running


def execute_again() -> None:
    """In a forked process that has its environment: execute the modules of OF_EACH_PROCESS again."""
    for name in OF_EACH_PROCESS:
        importlib.reload(sys.modules[name])


def _file_of(number: int) -> str | None:
    file = os.readlink(f"/proc/self/fd/{number}")
    return file if os.path.isfile(file) else None
