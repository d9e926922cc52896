"""Small datasets, what is stored of them, the `sdg` command and the model server as real processes."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import orjson
import yaml

from sdg_core import api
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_groups import read_dropped, read_footer, read_rows
from tests.support.requirements import PATIENCE, require
from tests.support.warm import Command, WarmProcess, run_warm

PROJECT = Path(__file__).parents[2]
SDG = (sys.executable, "-m", "sdg_core.cli.main")
"""The command as a user's shell starts it; `sdg` and `started_sdg` start it warm."""


def category(name: str, *values: str | int) -> dict[str, Any]:
    return {
        "column_type": "sampler",
        "name": name,
        "sampler_type": "category",
        "params": {"values": list(values)},
    }


def uuid(name: str = "id") -> dict[str, Any]:
    return {
        "column_type": "sampler",
        "name": name,
        "sampler_type": "uuid",
        "params": {},
    }


def expression(name: str, expr: str, **more: Any) -> dict[str, Any]:
    return {"column_type": "expression", "name": name, "expr": expr, **more}


def llm(name: str, prompt: str, **more: Any) -> dict[str, Any]:
    return {
        "column_type": "llm-text",
        "name": name,
        "prompt": prompt,
        "model_alias": "writer",
        **more,
    }


def structured(
    name: str, prompt: str, output_format: Any, **more: Any
) -> dict[str, Any]:
    """A column of structured replies. output_format: a schema (see `object_of`), a class or its name."""
    column = llm(name, prompt, **more)
    return {**column, "column_type": "llm-structured", "output_format": output_format}


def object_of(**properties: Any) -> dict[str, Any]:
    """The JSON schema of an object that has all of these. A word is the type of a property."""
    schemas = {
        name: {"type": schema} if isinstance(schema, str) else schema
        for name, schema in properties.items()
    }
    return {"type": "object", "properties": schemas, "required": [*schemas]}


def dataset_config(
    *columns: dict[str, Any], endpoint: str | None = None, parallel: int = 4, **top: Any
) -> dict[str, Any]:
    """A config named `tickets`: simulated replies unless there is an endpoint."""
    provider = (
        {"name": "p", "provider_type": "simulated"}
        if endpoint is None
        else {"name": "p", "endpoint": endpoint}
    )
    model = {
        "alias": "writer",
        "model": "m",
        "provider": "p",
        "inference_parameters": {"max_parallel_requests": parallel},
    }
    models = {"model_providers": [provider], "model_configs": [model]}
    uses_models = any(column["column_type"] == "llm-text" for column in columns)
    return {
        "name": "tickets",
        "num_records": 25,
        "row_group_size": 10,
        "seed": 7,
        "columns": list(columns),
        **(models if uses_models else {}),
        **top,
    }


def write_config(path: Path, config: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
        encoding="utf-8",
    )
    return path


def open_dataset(
    path: Path, config: Mapping[str, Any], *, root: Path, **more: Any
) -> api.Dataset:
    return api.open_dataset(write_config(path, config), root=str(root), **more)


def stored_records(
    version: VersionLayout, row_groups: Iterable[int] | None = None
) -> dict[int, dict[str, Any]]:
    """The stored records (of these row groups) by index, dropped columns included."""
    records: dict[int, dict[str, Any]] = {}
    for index in version.existing_row_groups() if row_groups is None else row_groups:
        indices = read_footer(version.row_group(index)).records()
        rows = read_rows(version.row_group(index)).to_pylist()
        dropped = [{}] * len(rows)
        if version.dropped(index).exists():
            dropped = read_dropped(version.dropped(index), indices).to_pylist()
        for record, row, more in zip(indices.tolist(), rows, dropped, strict=True):
            assert record not in records
            records[record] = row | more
    return records


def only_version(root: Path, name: str = "tickets") -> VersionLayout:
    """The one version that a root holds."""
    (directory,) = (path for path in (root / name).iterdir() if path.is_dir())
    return VersionLayout(directory)


def snapshot(directory: Path) -> dict[str, str]:
    """Path and content digest of every file below a directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def environment(**extra: str) -> dict[str, str]:
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("SDG_ROOT", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE")
    }
    return {**kept, "PYTHONPATH": str(PROJECT), **extra}


def sdg(
    *arguments: str | Path,
    cwd: Path = PROJECT,
    env: Mapping[str, str] | None = None,
    patience: float = PATIENCE,
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end. `patience` is in seconds."""
    return run_warm(_command(*arguments, cwd=cwd, env=env), timeout=patience)


@contextmanager
def started_sdg(
    *arguments: str | Path, env: Mapping[str, str] | None = None
) -> Iterator[WarmProcess]:
    """The command while it runs; killed at the end of the block if it still does."""
    process = WarmProcess(_command(*arguments, cwd=PROJECT, env=env))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _command(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None
) -> Command:
    return Command(
        "sdg_core.cli.main", [*map(str, arguments)], cwd, environment(**(env or {}))
    )


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Ask again and again until a condition of another process holds."""
    deadline = time.monotonic() + PATIENCE
    pause = 0.002
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(pause)
        pause = min(1.2 * pause, 0.02)


class ServerProcess:
    """The model server in a process of its own."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.url = ""

    def __enter__(self) -> Self:
        arguments = ["--port", "0", *self._options]
        self._process = WarmProcess(
            Command("sdg_core.testing", arguments, PROJECT, dict(os.environ))
        )
        wait_until(
            lambda: self._process.poll() is not None or "\n" in self._process.written(),
            "the server has a URL",
        )
        self.url = self._process.written().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def prompts(self) -> list[str]:
        """Every prompt asked so far, in the order of arrival."""
        return list(self.stats()["prompts"])

    def stats(self) -> dict[str, Any]:
        """What the server has counted so far."""
        with urllib.request.urlopen(
            f"{self.url.removesuffix('/v1')}/stats", timeout=PATIENCE
        ) as response:
            return dict(orjson.loads(response.read()))


def open_to_everyone(path: Path) -> None:
    """Let other users pass through the directories above a path, which pytest closes to them."""
    for directory in (path, *path.parents):
        if directory.stat().st_uid == os.getuid() and directory.is_relative_to(
            tempfile.gettempdir()
        ):
            directory.chmod(directory.stat().st_mode | 0o055)


@contextmanager
def small_disk(path: Path, *, megabytes: int = 1) -> Iterator[Path]:
    """A file system of its own, with so much room."""
    path.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    require(
        mounted.returncode == 0,
        f"permission to mount a tmpfs ({mounted.stderr.decode().strip()})",
    )
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def remount_read_only(path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)


def fill_disk(path: Path, *, leave: int = 0) -> Path:
    """Use up all room on a small disk but for `leave` bytes; returns the file that does it."""
    filler = path / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leave))
    return filler
