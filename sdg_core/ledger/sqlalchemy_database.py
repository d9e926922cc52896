"""A ledger at a SQLAlchemy URL: Postgres for many machines, or whatever else SQLAlchemy speaks to.

A URL of SQLite is only taken apart here; `sqlite.py` speaks to the file.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError

from sdg_core.errors import LedgerError
from sdg_core.ledger.connection import REMEDY, Database
from sdg_core.ledger.secrets import without_secrets
from sdg_core.ledger.sqlite import sqlite_database
from sdg_core.ledger.tables import ALL, Table, TableColumn

_SECRET_NAME = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)
_LONG = 16
"""Characters of a parameter's value that is no mere word."""


class LedgerUrl:
    """A URL of a ledger, with what of it people may see. Raises LedgerError, in which no secret stands."""

    def __init__(self, url: str) -> None:
        try:
            self._url = sa.make_url(url)
        except (SQLAlchemyError, ValueError) as error:
            raise LedgerError(
                "the ledger's URL (SDG_LEDGER_URL) is not a SQLAlchemy URL",
                remedy="use a URL such as postgresql+psycopg2://user@host/database, or unset it for SQLite",
            ) from error
        # the rest of a password, which would be shown as a host
        if "@" in (self._url.host or ""):
            raise LedgerError(
                "the password in the ledger's URL (SDG_LEDGER_URL) contains an @",
                remedy="write %40 in its place",
            )
        self.secrets = _secrets_of(self._url)
        self.where = _shown(self._url)

    def open(self) -> Database:
        """The database at the URL; nothing is sent to it yet. Raises LedgerError."""
        try:
            engine = sa.create_engine(self._url)
        except (SQLAlchemyError, ImportError) as error:
            words = without_secrets(str(error), self.secrets)
            raise LedgerError(
                f"cannot use the ledger {self.where}: {words}", remedy=REMEDY
            ) from error
        if engine.dialect.name == "sqlite":
            place, options = engine.dialect.create_connect_args(self._url)
            return sqlite_database(place, options)
        return SqlAlchemyDatabase(engine)

    @property
    def names_missing_file(self) -> bool:
        """Whether it is a URL of SQLite whose file is not there, or of none."""
        if self._url.get_backend_name() != "sqlite":
            return False
        return not (self._url.database and Path(self._url.database).exists())


def _shown(url: sa.URL) -> str:
    """A database's URL for people: drivers take passwords in the query part, too, so only names of parameters are shown there."""
    shown = url.set(query=dict.fromkeys(url.query, "..."))
    return shown.render_as_string(hide_password=True)


def _secrets_of(url: sa.URL) -> tuple[str, ...]:
    """What a message about a database must not repeat."""
    secrets = [url.password]
    for name, values in url.normalized_query.items():
        for value in values:
            if _SECRET_NAME.search(name) or len(value) >= _LONG:
                secrets.append(value)
    return tuple(str(secret) for secret in secrets if secret)


class SqlAlchemyDatabase:
    """A database behind an engine of SQLAlchemy."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator["SqlAlchemyConnection"]:
        """See `Ledger.transaction`; a server's commits are always durable."""
        with self._engine.begin() as connection:
            yield SqlAlchemyConnection(connection)

    @contextmanager
    def reading(self) -> Iterator["SqlAlchemyConnection"]:
        """A connection for single reads, which take no lock."""
        with self._engine.connect() as connection:
            yield SqlAlchemyConnection(
                connection.execution_options(isolation_level="AUTOCOMMIT")
            )

    def database_error(self, error: Exception) -> Exception | None:
        """The driver's error, or SQLAlchemy's own."""
        if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
            return error.orig
        return error if isinstance(error, SQLAlchemyError) else None

    def close(self) -> None:
        """Release idle connections."""
        self._engine.dispose()


class SqlAlchemyConnection:
    """A connection, as `connection.Connection` describes it."""

    for_update = " FOR UPDATE"
    for_update_of_free = " FOR UPDATE SKIP LOCKED"
    for_share = " FOR SHARE"

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._quote = connection.dialect.identifier_preparer.initial_quote

    def execute(
        self, statement: str, values: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """The rows that a statement finds."""
        result = self._connection.execute(self._text(statement), values or {})
        if not result.returns_rows:
            return []
        return [_plain_row(row) for row in result.mappings()]

    def change(self, statement: str, values: Mapping[str, Any]) -> int:
        """Carry out an update or a deletion; returns the number of rows that it met."""
        return self._connection.execute(self._text(statement), values).rowcount

    def change_many(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carry out an update or a deletion for each of some sets of values."""
        if rows:
            self._connection.execute(self._text(statement), rows)

    def insert_missing(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows, but for those whose key is there already. Others may be adding the same rows."""
        if not rows:
            return 0
        try:
            with self._connection.begin_nested():
                self._connection.execute(_TABLES[table.name].insert(), rows)
        except IntegrityError:
            if len(rows) == 1:
                return 0
            return sum(self.insert_missing(table, [row]) for row in rows)
        return len(rows)

    def upsert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; those whose key is there already are replaced. One statement where a database has it."""
        target = _TABLES[table.name]
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(_POSTGRES_UPSERTS[table.name], rows)
            return
        same_key = [key == sa.bindparam(f"_{key.name}") for key in target.primary_key]
        keys = []
        for row in rows:
            keys.append({f"_{key}": row[key] for key in table.keys})
        self._connection.execute(target.delete().where(sa.and_(*same_key)), keys)
        self._connection.execute(target.insert(), rows)

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table as it is; none if there is no such table."""
        found = sa.inspect(self._connection)
        if not found.has_table(table):
            return frozenset()
        return frozenset(column["name"] for column in found.get_columns(table))

    def create(self, table: Table) -> None:
        """Make a table, unless it is there. Of processes that make it at once, the server refuses all but the first."""
        try:
            with self._connection.begin_nested():
                _TABLES[table.name].create(self._connection, checkfirst=True)
        except (IntegrityError, ProgrammingError):
            if not sa.inspect(self._connection).has_table(table.name):
                raise

    def drop(self, table: Table) -> None:
        """Remove a table, if it is there."""
        _TABLES[table.name].drop(self._connection, checkfirst=True)

    def add_column(self, table: Table, column: TableColumn) -> None:
        """Add a column that has a default."""
        kind = _TABLES[table.name].c[column.name].type.compile(self._connection.dialect)
        statement = f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind} NOT NULL DEFAULT '{column.default}'"
        self._connection.exec_driver_sql(statement)

    def _text(self, statement: str) -> sa.TextClause:
        return sa.text(statement.replace('"', self._quote))


def _plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value  # psycopg2's bytes


def _type_of(column: TableColumn) -> sa.types.TypeEngine[Any]:
    match column.kind:
        case "string":
            return sa.String(column.length)
        case "text":
            return sa.Text()
        case "integer":
            return sa.Integer()
        case "big integer":
            return sa.BigInteger()
        case "float":
            return sa.Float()
        case "bytes":
            return sa.LargeBinary()


def _table(table: Table) -> sa.Table:
    columns = []
    for column in table.columns:
        columns.append(
            sa.Column(
                column.name,
                _type_of(column),
                primary_key=column.key,
                autoincrement=False,
                nullable=column.optional,
                server_default=column.default,
                index=column.index or None,
            )
        )
    return sa.Table(table.name, sa.MetaData(), *columns)


def _postgres_upsert(table: sa.Table) -> sa.Insert:
    statement = postgresql.insert(table)
    others = {
        column.name: statement.excluded[column.name]
        for column in table.c
        if not column.primary_key
    }
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_=others
    )


_TABLES = {table.name: _table(table) for table in ALL}
_POSTGRES_UPSERTS = {name: _postgres_upsert(table) for name, table in _TABLES.items()}
