"""A Redis server and Celery workers for tests: real processes in sessions of their own, so that one can be killed whole."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.ports import free_port
from tests.support.requirements import require, require_module
from tests.support.sdg import wait_until
from tests.support.serving import is_running

APP = "sdg_assets.celery_worker"


@dataclass
class Redis:
    """A server that keeps what it has on disk, so that it can be restarted."""

    directory: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        base = f"redis://127.0.0.1:{self.port}"
        return {"SDG_CELERY_BROKER": f"{base}/0", "SDG_CELERY_BACKEND": f"{base}/1"}

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program is not None
        options = [
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--dir",
            str(self.directory),
        ]
        self.process = subprocess.Popen(
            [program, "--port", str(self.port), *options], stdout=subprocess.DEVNULL
        )
        wait_until(self._answers, "Redis answers")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection,
        ):
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False


@contextmanager
def redis_server(directory: Path) -> Iterator[Redis]:
    """A running server on a free port. Skips where there is none."""
    require_module("dagster_celery")
    require(
        shutil.which("redis-server") is not None,
        "redis-server (apt-get install redis-server)",
    )
    server = Redis(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Workers:
    """Celery workers by name, each with one place for a task, all in one directory with one environment."""

    def __init__(self, directory: Path, env: Mapping[str, str]) -> None:
        self._directory, self._env = directory, dict(env)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str) -> None:
        """Start workers and wait until they take tasks."""
        for name in names:
            with self.log(name).open("ab") as log:
                options = [
                    "--concurrency",
                    "1",
                    "-Q",
                    "dagster",
                    "-n",
                    f"{name}@test",
                    "--loglevel",
                    "INFO",
                ]
                self._processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "celery", "-A", APP, "worker", *options],
                    cwd=self._directory,
                    env={**self._env, "C_FORCE_ROOT": "1"},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        for name in names:
            wait_until(
                lambda name=name: self._is_ready(name), f"worker {name} is ready"
            )  # type: ignore[misc]

    def kill(self, name: str) -> None:
        """End a worker with everything that it runs, as the loss of its machine does."""
        process = self._processes.pop(name)
        while running := _session(
            process.pid
        ):  # runs and steps have process groups of their own, and start others
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for name in [*self._processes]:
            self.kill(name)

    def tasks(self, name: str) -> int:
        """How many tasks a worker has received."""
        return self._text(name).count("Task execute_job[")

    def log(self, name: str) -> Path:
        """What a worker prints."""
        return self._directory / f"worker-{name}.log"

    def _is_ready(self, name: str) -> bool:
        process = self._processes[name]
        assert process.poll() is None, (
            f"worker {name} ended:\n{self._text(name)[-4000:]}"
        )
        return f"{name}@test ready" in self._text(name)

    def _text(self, name: str) -> str:
        return self.log(name).read_text(encoding="utf-8", errors="replace")


def _session(leader: int) -> list[int]:
    """Every process of a session that has not ended."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        pid = int(place.name)
        with suppress(ProcessLookupError):
            if os.getsid(pid) == leader and is_running(pid):
                found.append(pid)
    return found
