"""Many processes on one Postgres and one object store, some of them killed: nothing twice, nothing lost, and what it costs the
database. The long form (SDG_LONG=1) is 64 processes on 10,000 row groups."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from sdg_core import api
from sdg_core.system.failpoints import VARIABLE
from tests.support.postgres import postgres
from tests.support.requirements import LONG
from tests.support.s3 import S3Server
from tests.support.sdg import ServerProcess, dataset_config, llm, started_sdg, uuid, write_config

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("many")]

PROCESSES, GROUPS, SIZE, PARALLEL = (64, 10_000, 1, 4) if LONG else (4, 32, 2, 4)
POINTS = ("claim.after_take", "journal.after_commit", "file.before_replace", "file.after_replace")
TRANSACTIONS = 12
"""Of the database for each row group, at most: claims, their renewal, replies, what is published and forgotten."""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as url:
        yield url


def transactions(url: str) -> int:
    """How many the database has carried out so far."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        query = "select sum(xact_commit + xact_rollback) from pg_stat_database where datname = 'postgres'"
        count = connection.execute(sa.text(query)).scalar()
    engine.dispose()
    return int(count or 0)


def test_slices_that_overlap_and_die_share_one_ledger(database: str, s3: S3Server, tmp_path: Path) -> None:
    draw = random.Random(16)
    with ServerProcess("--latency", "0.05") as server:
        config = dataset_config(
            uuid(), llm("answer", "answer {{ id }}"), endpoint=server.url, parallel=PARALLEL, num_records=GROUPS * SIZE
        )
        file = write_config(tmp_path / "tickets.yaml", {**config, "row_group_size": SIZE})
        root = s3.new_root()
        command = ("generate", file, "--root", root)
        env = {**s3.env, "SDG_LEDGER_URL": database}
        before = transactions(database)
        dying = range(0, PROCESSES, 3)
        outcomes = []
        for round_of in ("die", "finish"):
            with ExitStack() as running:
                processes = []
                for number in range(PROCESSES) if round_of == "die" else dying:
                    more = {}
                    if round_of == "die" and number in dying:
                        more = {VARIABLE: f"{draw.choice(POINTS)}:{draw.randint(1, 4)}"}
                    count = PROCESSES if number % 2 else PROCESSES // 2  # of two sizes, so that they overlap
                    options = ("--shard", f"{number % count}/{count}")
                    processes.append(running.enter_context(started_sdg(*command, *options, env={**env, **more})))
                outcomes.append([(process.communicate(), process.returncode) for process in processes])
        first, second = outcomes
        assert {code for _, code in first} == {0, -9}, first
        assert {code for _, code in second} == {0}, second
        spent = transactions(database) - before
        asked = Counter(server.prompts())
    dataset = api.open_dataset(file, root=root)
    status = api.status(dataset)
    assert (status.remaining, status.records) == (0, GROUPS * SIZE)
    assert len(asked) == GROUPS * SIZE
    assert asked.total() - len(asked) <= len(dying) * 2 * PARALLEL, "what was on its way at a kill, no more"
    assert spent <= TRANSACTIONS * GROUPS + 100 * PROCESSES, f"{spent / GROUPS:.1f} transactions a row group"
    print(f"{spent / GROUPS:.1f} transactions a row group")
