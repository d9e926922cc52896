"""deploy/postgres: webserver, daemon, runs and ledger on one Postgres server, with the configuration of this repository."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from tests.support.dagster_process import (
    PROJECT,
    DagsterHome,
    Server,
    dagster_server,
    make_home,
)
from tests.support.location import MODULE, write_project
from tests.support.postgres import dagster_and_ledger
from tests.support.sdg import category, dataset_config, llm, uuid

pytestmark = [pytest.mark.slow, pytest.mark.daemon, pytest.mark.xdist_group("postgres")]

DEPLOY = PROJECT / "deploy" / "postgres"
ASSET = "tickets/row_groups"
GROUPS = 12
KEYS = [f"{index:05d}" for index in range(GROUPS)]
TICKETS = dataset_config(
    uuid(),
    category("plan", "free", "pro"),
    llm("ticket", "A {{ plan }} customer."),
    num_records=48,
    row_group_size=4,
)


@pytest.fixture(scope="module")
def databases() -> Iterator[tuple[str, str]]:
    """URLs of two databases of one server: Dagster's and the ledger's."""
    with dagster_and_ledger() as urls:
        yield urls


@pytest.fixture(scope="module")
def home(
    databases: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> DagsterHome:
    dagster_url, ledger_url = databases
    env = {"SDG_POSTGRES_URL": dagster_url, "SDG_LEDGER_URL": ledger_url}
    made = make_home(
        tmp_path_factory.mktemp("pg"),
        module=MODULE,
        instance=DEPLOY / "dagster.yaml",
        env=env,
    )
    write_project(made.directory, TICKETS)
    return made


@pytest.fixture(scope="module")
def server(home: DagsterHome) -> Iterator[Server]:
    with dagster_server(home) as running:
        yield running


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]
    finally:
        engine.dispose()


def tables(url: str) -> set[str]:
    engine = sa.create_engine(url)
    try:
        return set(sa.inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_a_backfill_is_recorded_in_postgres(
    server: Server, databases: tuple[str, str]
) -> None:
    backfill = server.launch_backfill(ASSET, KEYS)
    assert server.backfill_ended(backfill) == "COMPLETED_SUCCESS"
    [run_id] = server.runs_of_backfill(backfill)
    found = server.partitions(ASSET)
    assert found["materialized"] == set(KEYS)
    assert found["failed"] == found["missing"] == found["materializing"] == set()

    dagster_url, ledger_url = databases
    counted = rows(
        dagster_url,
        "select dagster_event_type, count(*), count(distinct partition) from event_logs "
        f"where run_id = '{run_id}' and partition is not null group by 1 order by 1",
    )
    assert counted == [
        ("ASSET_MATERIALIZATION", GROUPS, GROUPS),
        ("ASSET_MATERIALIZATION_PLANNED", GROUPS, GROUPS),
    ]
    assert {"claims", "cells", "runs"} <= tables(ledger_url)
    units = ", ".join(f"'{key}'" for key in KEYS)
    claims = f"select count(*), max(expires_at) from claims where unit in ({units})"
    assert rows(ledger_url, claims) == [(GROUPS, 0.0)]
    [(outcome, written)] = rows(
        ledger_url, f"select outcome, written from runs where run_id = '{run_id}'"
    )
    assert (outcome, written) == ("done", GROUPS)
    assert not (server.home.root / ".sdg" / "ledger.db").exists()
    events = server.home.materializations(ASSET, run_id=run_id)
    assert sorted(str(event.partition) for event in events) == KEYS
    assert not list(server.home.directory.rglob("*.db")), (
        "nothing of the instance lies in SQLite files"
    )


def test_the_command_line_on_another_machine_continues(
    server: Server, home: DagsterHome
) -> None:
    result = home.materialize(ASSET, "--partition-range", f"{KEYS[0]}...{KEYS[3]}")
    assert result.returncode == 0, result.stderr
    latest = home.runs()[0]
    events = home.materializations(ASSET, run_id=latest.run_id)
    assert [event.partition for event in events] == KEYS[:4]
    assert server.partitions(ASSET)["materialized"] >= set(KEYS[:4])


def test_plain_dagster_reads_what_the_batching_storage_wrote(
    server: Server, databases: tuple[str, str]
) -> None:
    from dagster_postgres import PostgresEventLogStorage

    storage = PostgresEventLogStorage(databases[0])
    key = dg.AssetKey(ASSET.split("/"))
    tags = storage.get_latest_tags_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
    )
    assert set(tags) == set(KEYS)
    storage.dispose()


def test_every_machine_finds_the_definitions(home: DagsterHome) -> None:
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text(encoding="utf-8"))
    [entry] = workspace["load_from"]
    assert entry == {"python_module": {"module_name": "sdg_assets.definitions"}}
    result = home.run("definitions", "validate", "-w", str(DEPLOY / "workspace.yaml"))
    assert result.returncode == 0, result.stderr


def test_without_the_url_the_error_names_the_variable(tmp_path: Path) -> None:
    broken = make_home(tmp_path, module=MODULE, instance=DEPLOY / "dagster.yaml")
    write_project(broken.directory, TICKETS)
    env = {
        name: value for name, value in broken.env.items() if name != "SDG_POSTGRES_URL"
    }
    command = [sys.executable, "-m", "dagster", "run", "list"]
    result = subprocess.run(
        command,
        cwd=broken.directory,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "SDG_POSTGRES_URL" in result.stderr
