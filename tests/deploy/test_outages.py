"""The database or the object store goes away while a run works: nothing is lost, and what was paid for is not paid for again."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sdg_core import api
from tests.support.model_datasets import (
    IN_FLIGHT,
    SIZE,
    HeldModel,
    held_dataset,
    held_models,
)
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.s3 import s3_server
from tests.support.sdg import sdg, started_sdg, wait_until, write_config

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("outages")]

NAME, GROUPS = "tickets", 4
ANSWERED = SIZE + 1
"""Requests that are answered before the outage: one row group, and a record of the next."""


@pytest.fixture
def model() -> Iterator[HeldModel]:
    with held_models({NAME: ANSWERED}) as running:
        yield running[NAME]


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def test_a_database_that_is_started_again(
    database: PostgresServer, model: HeldModel, tmp_path: Path
) -> None:
    file = write_config(
        tmp_path / "tickets.yaml", held_dataset(NAME, url=model.url, groups=GROUPS)
    )
    command = ("generate", file, "--root", tmp_path / "data")
    env = {"SDG_LEDGER_URL": database.url}
    with started_sdg(*command, env=env) as running:
        wait_until(
            lambda: model.asked.total() > ANSWERED and published(tmp_path),
            "a row group is finished",
        )
        answered = set(model.first_asked(SIZE))
        database.stop()
        model.let_go()
        _, words = running.communicate()
    assert running.returncode == 2 and "the ledger postgresql" in words, words
    assert "finished files do not depend on it" in words and "Traceback" not in words
    database.start()
    again = sdg(*command, env=env)
    assert again.returncode == 0, again.stderr
    complete(file, str(tmp_path / "data"), model)
    # What is answered between the outage and its notice cannot be kept, however much that is; what was published is.
    assert max(model.asked.values()) <= 2
    assert not answered.intersection(model.duplicates)


def test_an_object_store_that_is_started_again(
    model: HeldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_config(
        tmp_path / "tickets.yaml", held_dataset(NAME, url=model.url, groups=GROUPS)
    )
    up = ExitStack()
    store = up.enter_context(s3_server(free_port()))
    with up:
        env = {**store.env, "XDG_STATE_HOME": str(tmp_path / "state")}
        command = ("generate", file, "--root", store.new_root())
        with started_sdg(*command, env=env) as running:
            wait_until(
                lambda: model.asked.total() > ANSWERED, "the run waits for a reply"
            )
            up.close()
            model.let_go()
            _, words = running.communicate()
    assert (
        running.returncode == 2
        and "cannot be reached" in words
        and "Traceback" not in words
    ), words
    with s3_server(int(store.url.rpartition(":")[2])):
        again = sdg(*command, env=env)
        assert again.returncode == 0, again.stderr
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        complete(file, str(command[-1]), model)
    assert model.asked.total() <= GROUPS * SIZE + IN_FLIGHT


def published(folder: Path) -> bool:
    """Whether a row group is there under its own name; `*.parquet` would match temporary files, too."""
    return any(folder.glob(f"data/{NAME}/*/row_groups/batch_*.parquet"))


def complete(file: Path, root: str, model: HeldModel) -> None:
    """Every record is there, and was asked for."""
    status = api.status(api.open_dataset(file, root=root))
    assert (status.remaining, status.records) == (0, GROUPS * SIZE)
    assert len(model.asked) == GROUPS * SIZE
