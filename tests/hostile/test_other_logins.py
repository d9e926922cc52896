"""Logins that lie on this machine for other purposes (`~/.netrc`, `~/.pgpass`, PGPASSWORD) reach no host that a file names."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from sdg_core.config.models import InferenceParameters, ModelProvider
from sdg_core.config.seeds import SqlSeedSource
from sdg_core.errors import SeedError
from sdg_core.models.providers import http
from sdg_core.models.providers.openai import OpenAIClient
from sdg_core.models.types import ChatRequest, Message
from sdg_core.plan.effects import effects_of
from sdg_core.seeds.database_login import hosts_of, login_for
from sdg_core.seeds.sql import open_sql
from sdg_core.testing import ModelServer


@contextmanager
def listening_postgres() -> Iterator[tuple[int, list[bytes]]]:
    """A server that asks for the password in plain text, notes what it is given, and refuses it."""
    given: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection, connection.makefile("rwb") as stream:
                    answer(stream, given)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], given
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def answer(stream: object, given: list[bytes]) -> None:
    read, write, flush = stream.read, stream.write, stream.flush  # type: ignore[attr-defined]
    while True:
        length, code = struct.unpack("!II", read(8))
        read(length - 8)
        if code in (80877103, 80877104):  # encryption is not offered
            write(b"N")
            flush()
            continue
        write(b"R" + struct.pack("!II", 8, 3))
        flush()
        if read(1) == b"p":
            (length,) = struct.unpack("!I", read(4))
            given.append(read(length - 4))
            write(b"E" + struct.pack("!I", 4 + 24) + b"SFATAL\0C28P01\0Mrefused\0\0")
            flush()
        return


@pytest.fixture
def passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "PGHOST", "PGUSER", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".pgpass").write_text("*:*:*:*:s3cret\n")
    (tmp_path / ".pgpass").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / ".pgpass"))
    monkeypatch.setenv("PGPASSWORD", "s3cret")


@pytest.mark.parametrize("allowed", [False, True])
def test_a_database_that_a_file_names_gets_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passwords: None, allowed: bool
) -> None:
    from sdg_core.seeds import database_login

    monkeypatch.setattr(
        database_login, "is_this_machine", lambda host: False
    )  # the server stands for one elsewhere
    env = {"SDG_ALLOW_VARIABLES": "PGPASSWORD=127.0.0.1"} if allowed else {}
    with listening_postgres() as (port, given):
        url = f"postgresql+psycopg2://me@127.0.0.1:{port}/x"
        with pytest.raises(SeedError) as caught:
            open_sql(
                SqlSeedSource(url=url, query="SELECT 1 ORDER BY 1"),
                base=tmp_path,
                root="r",
                env=env,
            )
        assert given == ([b"s3cret\0"] if allowed else [])
        assert ("SDG_ALLOW_VARIABLES" in str(caught.value.remedy)) is not allowed
        with pytest.raises(SeedError):
            source = SqlSeedSource(url_env="MY_DB", query="SELECT 1 ORDER BY 1")
            open_sql(source, base=tmp_path, root="r", env={"MY_DB": url})
        assert given[-1] == b"s3cret\0"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://a.example/x", ["a.example"]),
        ("postgresql://A.example./x", ["a.example"]),
        ("postgresql:///x", [""]),
        ("postgresql://localhost/x?host=evil.example", ["evil.example"]),
        ("postgresql://localhost/x?hostaddr=6.6.6.6", ["localhost", "6.6.6.6"]),
        (
            "postgresql://u@/x?host=localhost:1&host=evil.example:5432",
            ["localhost", "evil.example"],
        ),
        (
            "postgresql://u@/x?host=localhost,evil.example",
            ["localhost", "evil.example"],
        ),
        ("postgresql:///x?host=/tmp", ["/tmp"]),
    ],
)
def test_hosts_of_a_database(url: str, hosts: list[str]) -> None:
    assert hosts_of(sa.make_url(url)) == hosts
    withheld = login_for(sa.make_url(url), env={}, where="seed_config.source").withheld
    strange = [host for host in hosts if "example" in host or "6.6" in host]
    assert (withheld[1] if withheld is not None else None) == next(iter(strange), None)
    assert (
        login_for(sa.make_url(url), env={"PGHOST": hosts[0]}, where="x").withheld
        is None
        or strange != hosts
    )


@pytest.mark.parametrize(
    "option",
    [
        "passfile=/etc/.pgpass",
        "service=prod",
        "gssdelegation=1",
        "read_default_file=/etc/.my.cnf",
        "local_infile=1",
    ],
)
def test_options_that_hand_out_files_of_this_machine(
    tmp_path: Path, option: str
) -> None:
    source = SqlSeedSource(
        url=f"postgresql://h.example/x?{option}", query="SELECT 1 ORDER BY 1"
    )
    with pytest.raises(SeedError, match="which a dataset file may not do"):
        open_sql(source, base=tmp_path, root="r", env={})


def test_all_hosts_of_a_database_are_shown(tmp_path: Path) -> None:
    from sdg_core.config.load import read_config
    from tests.support.sdg import dataset_config, uuid

    url = "postgresql://u:pw1@localhost/x?host=evil.example&password=pw2"
    seeds = {"source": {"seed_type": "sql", "url": url, "query": "SELECT 1 ORDER BY 1"}}
    import yaml

    (tmp_path / "d.yaml").write_text(
        yaml.safe_dump(dataset_config(uuid(), seed_config=seeds))
    )
    config = read_config(tmp_path / "d.yaml", env={}).config
    assert config is not None
    (line,) = effects_of(config, tmp_path / "d.yaml", root=str(tmp_path)).lines
    assert "evil.example" in line and "pw" not in line


async def test_logins_of_netrc_stay_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(
        http, "is_this_machine", lambda host: False
    )  # the server stands for one elsewhere
    async with ModelServer() as server:
        for key in (None, "key"):
            client = OpenAIClient(
                ModelProvider(name="p", endpoint=server.url), api_key=key
            )
            reply = await client.chat(
                ChatRequest("m", (Message("user", "x"),), InferenceParameters())
            )
            await client.aclose()
            assert reply.text
            assert server.headers[-1].get("Authorization") == (
                f"Bearer {key}" if key else None
            )
