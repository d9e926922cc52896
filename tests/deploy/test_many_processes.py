"""Many processes on one Postgres and one object store, some of them killed: nothing twice, nothing lost, and what it costs the
database. The long form (SDG_LONG=1) is 64 processes on 10,000 row groups and a Ceph gateway; SDG_MANY=16x1000 is one of a size of
your own."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from sdg_core import api
from sdg_core.system.failpoints import VARIABLE
from tests.support.postgres import postgres
from tests.support.requirements import LONG
from tests.support.s3 import S3Server
from tests.support.sdg import (
    ServerProcess,
    dataset_config,
    llm,
    started_sdg,
    uuid,
    write_config,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("many")]

MANY = os.environ.get("SDG_MANY", "64x10000" if LONG else "")
PROCESSES, GROUPS = (int(number) for number in (MANY or "4x32").split("x"))
SIZE, PARALLEL = (1 if MANY else 2), 4
POINTS = (
    "claim.after_take",
    "journal.after_commit",
    "file.before_replace",
    "file.after_replace",
)
TRANSACTIONS = 12
"""Of the database for each row group, at most: claims, their renewal, replies, what is published and forgotten."""
LOOKS = 4
"""Transactions a second, of a process that waits for what others hold, and of the test that counts connections."""
CONNECTIONS = 4
"""Of the database that a process holds, at most."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres(
        options="-c shared_preload_libraries=pg_stat_statements -c max_connections=400"
    ) as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(sa.text("create extension pg_stat_statements"))
        engine.dispose()
        yield url


@pytest.fixture
def store(request: pytest.FixtureRequest) -> S3Server:
    """An object store; in the long form one that decides races one after the other."""
    server: S3Server = request.getfixturevalue("ceph" if MANY else "s3")
    return server


def load_of(url: str) -> tuple[int, int]:
    """How many transactions and statements the database has carried out so far."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        query = "select sum(xact_commit + xact_rollback) from pg_stat_database where datname = 'postgres'"
        transactions = connection.execute(sa.text(query)).scalar()
        statements = connection.execute(
            sa.text("select sum(calls) from pg_stat_statements")
        ).scalar()
    engine.dispose()
    return int(transactions or 0), int(statements or 0)


def busiest_of(url: str) -> list[str]:
    """The statements that the database has carried out most often, with their number, and those that cost it most time."""
    engine = sa.create_engine(url)
    query = "select calls, total_exec_time, query from pg_stat_statements order by {} desc limit 12"
    with engine.connect() as connection:
        rows = [
            connection.execute(sa.text(query.format(order))).all()
            for order in ("calls", "total_exec_time")
        ]
    engine.dispose()
    return [
        f"{calls:8} {spent:9.0f} ms  {' '.join(text.split())[:110]}"
        for part in rows
        for calls, spent, text in part
    ]


@contextmanager
def counted_connections(url: str) -> Iterator[list[int]]:
    """How many connections other processes hold, twice a second; the list grows while the block runs."""
    query = sa.text(
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        " and backend_type = 'client backend'"
    )
    counts: list[int] = []
    over = threading.Event()
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")

    def count() -> None:
        with engine.connect() as connection:
            while not over.wait(0.5):
                counts.append(connection.execute(query).scalar_one())

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield counts
    finally:
        over.set()
        thread.join()
        engine.dispose()


def test_slices_that_overlap_and_die_share_one_ledger(
    database: str, store: S3Server, tmp_path: Path
) -> None:
    draw = random.Random(16)
    with ServerProcess("--latency", "0.05") as server:
        config = dataset_config(
            uuid(),
            llm("answer", "answer {{ id }}"),
            endpoint=server.url,
            parallel=PARALLEL,
            num_records=GROUPS * SIZE,
        )
        file = write_config(
            tmp_path / "tickets.yaml", {**config, "row_group_size": SIZE}
        )
        root = store.new_root()
        command = ("generate", file, "--root", root)
        env = {**store.env, "SDG_LEDGER_URL": database}
        del env[
            "AWS_MAX_ATTEMPTS"
        ]  # as users have it: a store that is asked by so many asks for patience
        before = load_of(database)
        began = time.monotonic()
        dying = range(0, PROCESSES, 3)
        outcomes = []
        peak = 0
        for round_of in ("die", "finish"):
            with ExitStack() as running:
                connections = running.enter_context(counted_connections(database))
                processes = []
                for number in range(PROCESSES) if round_of == "die" else dying:
                    more = {}
                    if round_of == "die" and number in dying:
                        more = {VARIABLE: f"{draw.choice(POINTS)}:{draw.randint(1, 4)}"}
                    count = (
                        PROCESSES if number % 2 else PROCESSES // 2
                    )  # of two sizes, so that they overlap
                    options = ("--shard", f"{number % count}/{count}")
                    processes.append(
                        running.enter_context(
                            started_sdg(*command, *options, env={**env, **more})
                        )
                    )
                outcomes.append(
                    [
                        (process.communicate(), process.returncode)
                        for process in processes
                    ]
                )
            peak = max(peak, *connections)
        first, second = outcomes
        assert {code for _, code in first} == {0, -9}, first
        assert {code for _, code in second} == {0}, second
        seconds = time.monotonic() - began
        spent, statements = (
            now - then for now, then in zip(load_of(database), before, strict=True)
        )
        asked = Counter(server.prompts())
    dataset = api.open_dataset(file, root=root)
    status = api.status(dataset)
    assert (status.remaining, status.records) == (0, GROUPS * SIZE)
    assert len(asked) == GROUPS * SIZE
    assert asked.total() - len(asked) <= len(dying) * 2 * PARALLEL, (
        "what was on its way at a kill, no more"
    )
    at_most = (
        TRANSACTIONS * GROUPS + 100 * PROCESSES + LOOKS * (PROCESSES + 1) * seconds
    )
    assert spent <= at_most, f"{spent / GROUPS:.1f} transactions a row group"
    print(
        f"{PROCESSES} processes, {GROUPS} row groups, {seconds:.0f} s: {spent / GROUPS:.1f} transactions and "
        f"{statements / GROUPS:.1f} statements a row group, {statements / seconds:.0f} statements a second, "
        f"at most {peak} connections, {asked.total() - len(asked)} requests twice"
    )
    assert peak <= CONNECTIONS * PROCESSES + len(dying), (
        "a killed process may seem to hold its own for a while"
    )
    print("\n".join(busiest_of(database)))
