"""Opening a ledger, and the history of runs."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from sdg_core.errors import LedgerError
from sdg_core.ledger.database import Ledger, open_ledger
from sdg_core.ledger.history import recent_runs, record_end, record_start
from sdg_core.ledger.sqlite import SqliteConnection
from sdg_core.ledger.tables import cells


def test_opening_twice_keeps_what_is_there(
    ledger_url: str | None, tmp_path: Path
) -> None:
    first = open_ledger(ledger_url, root=tmp_path)
    record_start(first, run_id="again", dataset="twice", version="v", resume="always")
    first.close()
    second = open_ledger(ledger_url, root=tmp_path)
    assert [run.run_id for run in recent_runs(second, dataset="twice")] == ["again"]
    second.close()


def test_a_connection_in_use_is_closed_after_its_ledger(tmp_path: Path) -> None:
    ledger = open_ledger(None, root=tmp_path)
    with ledger.transaction("write") as connection:
        ledger.close()
        connection.execute("SELECT 1")
    assert [path.name for path in (tmp_path / ".sdg").iterdir()] == ["ledger.db"], (
        "no write-ahead log is left"
    )


def test_many_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    """In many rounds: it is the first to open a file, and the last to close it, that refuses the others."""
    with ThreadPoolExecutor(8) as pool:
        for number in range(25):
            root = tmp_path / str(number)
            list(
                pool.map(
                    lambda _, root=root: open_ledger(None, root=root).close(), range(8)
                )
            )


@pytest.mark.xdist_group("postgres")
def test_many_open_a_new_ledger_of_a_server_at_once(
    postgres_url: str, tmp_path: Path
) -> None:
    server = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    for name in ("fresh_a", "fresh_b", "fresh_c", "fresh_d"):
        with server.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        url = postgres_url.removesuffix("postgres") + name
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(
                    lambda _, url=url: open_ledger(url, root=tmp_path).close(), range(8)
                )
            )
    server.dispose()


def test_a_run_is_recorded_from_start_to_end(ledger: Ledger) -> None:
    record_start(ledger, run_id="r1", dataset="history", version="v", resume="never")
    record_start(
        ledger, run_id="r2", dataset="history", version="v", resume="if_possible"
    )
    counts = {"generated": 5, "replayed": 1, "failed": 2, "adopted": 3, "written": 4}
    ending = {"outcome": "failed_records", "counts": counts, "message": "first failure"}
    record_end(ledger, run_id="r2", dataset="history", **ending)  # type: ignore[arg-type]
    newest, oldest = recent_runs(ledger, dataset="history")
    assert (newest.run_id, newest.outcome, newest.generated, newest.message) == (
        "r2",
        "failed_records",
        5,
        "first failure",
    )
    assert oldest.outcome is None and oldest.ended_at is None


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg2://u:secret@127.0.0.1:1/x", "no url", "unknown://x"]
)
def test_a_ledger_that_cannot_be_opened_is_named_without_its_password(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(LedgerError) as caught:
        open_ledger(url, root=tmp_path)
    assert "secret" not in str(caught.value) and "->" in str(caught.value)


def test_a_ledger_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / ".sdg").mkdir()
    (tmp_path / ".sdg" / "ledger.db").write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match=r"ledger\.db"):
        open_ledger(None, root=tmp_path)


@pytest.mark.parametrize(
    "table",
    [
        "runs (id INTEGER, run_id TEXT, status TEXT)",
        "migrations (id INTEGER, app TEXT)",
    ],
)
def test_a_database_of_another_program_is_refused_and_left_as_it_is(
    tmp_path: Path, table: str
) -> None:
    file, name = tmp_path / "other.db", table.partition(" ")[0]
    with closing(sqlite3.connect(file)) as database:
        database.executescript(
            f"CREATE TABLE {table}; INSERT INTO {name} (id) VALUES (1);"
        )
    with pytest.raises(
        LedgerError,
        match=rf"other\.db .*another program.*`{name}`(.|\n)*SDG_LEDGER_URL",
    ):
        open_ledger(f"sqlite:///{file}", root=tmp_path)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall() == [(name,)]
        assert database.execute(f"SELECT id FROM {name}").fetchall() == [(1,)]


def test_sqlite_inserts_many_rows_with_few_statements(tmp_path: Path) -> None:
    """Between two statements another thread may take the interpreter, so a commit of the journal has few of them."""
    ledger = open_ledger(None, root=tmp_path)
    statements: list[str] = []
    place = {"dataset": "many", "version": "v", "column_name": "c", "column_hash": "h"}
    paid = {"value": b"v", "usage": b"{}", "inputs": "", "run_id": "r"}
    rows = [{**place, "record": record, **paid} for record in range(103)]
    with ledger.transaction("write") as connection:
        assert isinstance(connection, SqliteConnection)
        connection._connection.set_trace_callback(statements.append)
        connection.upsert(cells, rows[:100])
        assert [text.split(" (")[0] for text in statements] == [
            "INSERT OR REPLACE INTO cells"
        ] * 3
        connection.upsert(cells, [{**rows[0], "value": b"other"}])
        assert connection.insert_missing(cells, rows) == 3
        found = connection.execute("SELECT record, value FROM cells ORDER BY record")
    values = [b"other"] + [b"v"] * 102
    assert [tuple(row) for row in found] == list(zip(range(103), values, strict=True))
    ledger.close()
