"""A command timed as a whole process, start-up and end included, on modules that are compiled as pip compiles them."""

import compileall
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Timed:
    """seconds: by the clock. cpu: seconds of the processors, with those of its children. peak_mb: of the largest process."""

    seconds: float
    cpu: float
    peak_mb: float
    printed: str


class Stopwatch:
    """Seconds by the clock and of the processors for parts of this process, while it runs."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        began = time.perf_counter()
        cpu = time.process_time()
        yield
        self.seconds += time.perf_counter() - began
        self.cpu += time.process_time() - cpu


def timed(
    command: list[str],
    *,
    variables: Mapping[str, str] | None = None,
    without: tuple[str, ...] = (),
) -> Timed:
    """Run a command to its end; one that fails ends this process with what it complained of.

    variables: set for it. without: prefixes of variables of this process that it does not get.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(without)
    }
    env = {**inherited, **(variables or {}), "PYTHONPATH": str(HERE.parent)}
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env=env
        )
        assert process.stdout is not None
        printed = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{errors.read().decode()[-3000:]}")
    return Timed(
        seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, printed
    )


def as_installed() -> str:
    """Have our modules compiled, once and not by every process that is timed. Returns the name of the machine."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(HERE.parent / "sdg_core", quiet=1)
    compileall.compile_dir(HERE, quiet=1)
    kind = platform.processor() or platform.machine()
    return f"{kind}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
