"""A real Postgres server for tests: a fresh cluster in a short directory, on a free port of the loopback."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port
from tests.support.requirements import require, require_module

_FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"


@dataclass(frozen=True)
class PostgresServer:
    """A server that can be stopped and started again; what was committed stays."""

    url: str
    control: Sequence[str | Path]
    settings: str

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._run(
            "-l", Path(self.control[-1]).parent / "log", "-o", self.settings, "start"
        )

    def stop(self) -> None:
        """Stop it as a crash does, with all its connections."""
        self._run("-m", "immediate", "stop")

    def _run(self, *options: str | Path) -> None:
        subprocess.run(
            [*self.control, "-w", *options],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )


@contextmanager
def postgres(*, fast: bool = True, options: str = "") -> Iterator[str]:
    """The SQLAlchemy URL of a running server. Skips where there is none. fast: without the waiting for disks. options: further
    settings of the server."""
    with postgres_server(f"{_FAST if fast else ''} {options}") as server:
        yield server.url


@contextmanager
def postgres_server(settings: str = _FAST) -> Iterator[PostgresServer]:
    """A running server. Skips where there is none."""
    require_module("psycopg2")
    programs = _programs()
    require(programs is not None, "PostgreSQL (apt-get install postgresql)")
    assert programs is not None
    directory = Path(tempfile.mkdtemp(prefix="sdg-pg-", dir="/tmp"))
    as_owner = []
    if os.getuid() == 0:  # the server refuses to run as root
        shutil.chown(directory, "postgres", "postgres")
        as_owner = ["runuser", "-u", "postgres", "--"]
    port = free_port()
    data = directory / "data"
    initdb = [
        *as_owner,
        programs / "initdb",
        "-D",
        data,
        "-A",
        "trust",
        "-U",
        "postgres",
        "-N",
    ]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/")
    place = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={directory}"
    url = f"postgresql+psycopg2://postgres@127.0.0.1:{port}/postgres"
    server = PostgresServer(
        url, [*as_owner, programs / "pg_ctl", "-D", data], f"{place} {settings}"
    )
    try:
        server.start()
        yield server
    finally:
        if (data / "postmaster.pid").exists():
            server.stop()
        shutil.rmtree(directory)


@contextmanager
def dagster_and_ledger() -> Iterator[tuple[str, str]]:
    """The URLs of two databases of one running server: Dagster's and the ledger's. Skips where there is none."""
    with postgres() as url:
        import sqlalchemy as sa

        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for name in ("dagster", "sdg"):
                connection.execute(sa.text(f"create database {name}"))
        engine.dispose()
        base = url.rpartition("/")[0]
        yield f"{base}/dagster", f"{base}/sdg"


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None
