"""A SQLite ledger through Python's own driver: every run opens one, and its journal commits fifty times a second.

It runs with a write-ahead log. A transaction begins with the write lock, so that what it reads stays true until it commits,
instead of failing to upgrade later. After an error the connection is closed, which rolls its transaction back.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sdg_core.ledger.tables import NUMBERED_UNITS, Table, TableColumn, claims

BUSY_TIMEOUT = 60.0
"""Seconds that a writer waits for another process to finish its transaction."""
_PAUSE = 0.01
"""Seconds between two attempts to open a file that others are opening or closing."""
_MAX_ROWS = 64
"""Rows that one statement inserts; SQLite takes 999 values at least, and no table has more than 15 columns."""
_TYPES = {
    "text": "TEXT",
    "integer": "INTEGER",
    "big integer": "BIGINT",
    "float": "FLOAT",
    "bytes": "BLOB",
}


class SqliteDatabase:
    """A SQLite database. connect: opens one more connection to it, usable by any thread.

    Once it is closed, a connection is closed as soon as it is no longer used: the last one to close empties the write-ahead
    log, so that the file alone is the database.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._is_closed = False

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator["SqliteConnection"]:
        """See `Ledger.transaction`."""
        # SQLite lets writers wait by sleeping; threads of one process need not.
        with self._writing, self._connection() as connection:
            synchronous = "FULL" if durable else "NORMAL"
            connection.execute(f"PRAGMA synchronous={synchronous}")
            connection.execute("BEGIN IMMEDIATE")
            yield SqliteConnection(connection)
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator["SqliteConnection"]:
        """A connection for single reads, which take no lock."""
        with self._connection() as connection:
            yield SqliteConnection(connection)

    def database_error(self, error: Exception) -> Exception | None:
        """The error itself if SQLite raised it."""
        return error if isinstance(error, sqlite3.Error) else None

    def close(self) -> None:
        """Close idle connections now, and others once they are."""
        with self._lock:
            self._is_closed = True
            idle = self._idle
            self._idle = []
        for connection in idle:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if not self._is_closed:
                self._idle.append(connection)
                return
        connection.close()


class SqliteConnection:
    """A connection, as `connection.Connection` describes it. A writer of SQLite is alone anyway, so rows are never locked."""

    for_update = ""
    for_update_of_free = ""
    for_share = ""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(
        self, statement: str, values: Mapping[str, Any] | None = None
    ) -> list[sqlite3.Row]:
        """The rows that a statement finds."""
        return self._connection.execute(statement, values or {}).fetchall()

    def change(self, statement: str, values: Mapping[str, Any]) -> int:
        """Carry out an update or a deletion; returns the number of rows that it met."""
        return self._connection.execute(statement, values).rowcount

    def change_many(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carry out an update or a deletion for each of some sets of values."""
        self._connection.executemany(statement, rows)

    def insert_missing(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows, but for those whose key is there already."""
        return self._insert("IGNORE", table, rows)

    def upsert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; those whose key is there already are replaced."""
        self._insert("REPLACE", table, rows)

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table as it is; none if there is no such table."""
        rows = self.execute("SELECT name FROM pragma_table_info(:t)", {"t": table})
        return frozenset(row["name"] for row in rows)

    def create(self, table: Table) -> None:
        """Make a table, unless it is there."""
        parts = [_definition(column) for column in table.columns]
        parts.append(f"PRIMARY KEY ({', '.join(table.keys)})")
        self._connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table.name} ({', '.join(parts)})"
        )
        for column in table.columns:
            if column.index:
                where = f"ix_{table.name}_{column.name} ON {table.name} ({column.name})"
                self._connection.execute(f"CREATE INDEX IF NOT EXISTS {where}")

    def drop(self, table: Table) -> None:
        """Remove a table, if it is there."""
        self._connection.execute(f"DROP TABLE IF EXISTS {table.name}")

    def add_column(self, table: Table, column: TableColumn) -> None:
        """Add a column that has a default."""
        self._connection.execute(
            f"ALTER TABLE {table.name} ADD COLUMN {_definition(column)}"
        )

    def _insert(
        self, conflict: str, table: Table, rows: Sequence[Mapping[str, Any]]
    ) -> int:
        if not rows:
            return 0
        names = tuple(rows[0])
        start = f"INSERT OR {conflict} INTO {table.name} ({', '.join(names)}) VALUES "
        place = f"({', '.join('?' * len(names))})"
        inserted = 0
        for part in _parts(rows):
            values = [row[name] for row in part for name in names]
            statement = start + ", ".join([place] * len(part))
            inserted += self._connection.execute(statement, values).rowcount
        return inserted


def _parts(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Rows in parts that one statement inserts. Their sizes are powers of two, so that a connection prepares few statements.

    `executemany` would give the interpreter's lock away for every row, and win it back from a busy event loop every time.
    """
    start = 0
    while start < len(rows):
        size = min(_MAX_ROWS, 1 << (len(rows) - start).bit_length() - 1)
        yield rows[start : start + size]
        start += size


def _definition(column: TableColumn) -> str:
    kind = (
        f"VARCHAR({column.length})" if column.kind == "string" else _TYPES[column.kind]
    )
    definition = f"{column.name} {kind}"
    if column.default is not None:
        definition += f" DEFAULT '{column.default}'"
    if not column.optional:
        definition += " NOT NULL"
    return definition


def sqlite_file(path: Path) -> SqliteDatabase:
    """The database in a file, which is made if it is not there."""
    return sqlite_database((str(path),), {})


def sqlite_database(place: Sequence[Any], options: Mapping[str, Any]) -> SqliteDatabase:
    """The database at what `sqlite3.connect` takes."""
    given = {"timeout": BUSY_TIMEOUT, **options}

    def connect() -> sqlite3.Connection:
        connection = _open(place, given)
        try:
            _use_write_ahead_log(connection, patience=given["timeout"])
        except BaseException:
            connection.close()
            raise
        return connection

    return SqliteDatabase(connect)


def _use_write_ahead_log(connection: sqlite3.Connection, *, patience: float) -> None:
    """Turn the write-ahead log on, waiting up to `patience` seconds for others that open or close the same file.

    Here SQLite does not wait by itself: the first to open a file, and the last to close it, hold a lock that refuses at once
    (https://www.sqlite.org/wal.html, section 9).
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE)
        else:
            return


def sqlite_file_to_read(path: Path) -> SqliteDatabase:
    """The database in a file that lies where nothing can be written. What an older release left is shown as if migrated."""
    uri = f"file:{quote(str(path))}?mode=ro&immutable=1"

    def connect() -> sqlite3.Connection:
        connection = _open((uri,), {"uri": True})
        if "row_group" in SqliteConnection(connection).columns(claims.name):
            named = [
                f"WHEN {number} THEN '{unit}'"
                for number, unit in NUMBERED_UNITS.items()
            ]
            cases = " ".join(named)
            unit = f"CASE row_group {cases} ELSE printf('%05d', row_group) END AS unit"
            connection.execute("PRAGMA temp_store=MEMORY")
            connection.execute(
                f"CREATE TEMP VIEW claims AS SELECT *, {unit} FROM main.claims"
            )
        return connection

    return SqliteDatabase(connect)


def _open(place: Sequence[Any], options: Mapping[str, Any]) -> sqlite3.Connection:
    settings = {**options, "check_same_thread": False, "isolation_level": None}
    connection: sqlite3.Connection = sqlite3.connect(*place, **settings)
    connection.row_factory = sqlite3.Row
    return connection
