"""The ledger's database: SQLite beside the data by default, any SQLAlchemy URL otherwise.

Progress is read from files, never from here; the ledger holds what files cannot: replies of row groups that are not finished yet,
who is working on what, and a history of runs. Losing it loses no finished row.

SQLite runs with a write-ahead log and full synchronisation: what is committed survives a power cut.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sdg_core.errors import LedgerError
from sdg_core.ledger.migrations import _migrate
from sdg_core.system import descriptors

FILE_NAME = ".sdg/ledger.db"
"""The SQLite ledger, below the root."""
BUSY_TIMEOUT = 60.0
"""Seconds that a writer waits for another process to finish its transaction."""


class Ledger:
    """An open ledger. `engine` serves any thread; every method of the package takes one transaction."""

    def __init__(self, engine: sa.Engine, *, where: str, migrate: bool = True, secrets: Sequence[str] = ()) -> None:
        self.engine = engine
        self.where = where
        self._secrets = secrets
        if migrate:
            with self.errors("open"):
                _migrate(engine, where=where)

    @contextmanager
    def transaction(self, action: str, *, durable: bool = True) -> Iterator[sa.Connection]:
        """A transaction that takes the write lock at once, so that what it reads stays true until it commits.

        durable=False: on SQLite the commit does not wait for the disk. It holds against a crash of processes, not of the machine,
        which is enough for what concerns live processes of this machine only.
        """
        with self.errors(action), self.engine.connect() as connection:
            connection.execution_options(**{_DURABLE: durable})
            with connection.begin():
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for single reads, which take no lock."""
        with self.errors("read"), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Turn a database error into a LedgerError; the statement and its values stay out of the message."""
        try:
            yield
        except DBAPIError as error:
            message = f"cannot {action} the ledger {self.where}: {without(self._secrets, str(error.orig))}"
            remedy = _REMEDY
            if isinstance(error.orig, sqlite3.Error) and any(sign in message for sign in _SIGNS_OF_DAMAGE):
                remedy = _DAMAGED.format(where=self.where)
            elif isinstance(error.orig, sqlite3.Error) and any(sign in message for sign in _SIGNS_OF_NO_ROOM):
                remedy = _NO_ROOM
            elif descriptors.used_up():
                message = f"{message} (too many open files)"
                remedy = descriptors.REMEDY
            raise LedgerError(message, remedy=remedy) from error
        except SQLAlchemyError as error:
            words = without(self._secrets, str(error))
            raise LedgerError(f"cannot {action} the ledger {self.where}: {words}", remedy=_REMEDY) from error

    def close(self) -> None:
        """Release connections."""
        self.engine.dispose()


_REMEDY = "check that it can be reached and written; finished row groups are safe without it"
_DAMAGED = (
    "move {where} and the files beside it that begin with its name away and run again: finished row groups are safe without it, "
    "but replies for unfinished ones are asked for again"
)
_SIGNS_OF_DAMAGE = ("not a database", "malformed", "no such table", "no such column")
_SIGNS_OF_NO_ROOM = ("disk is full", "disk I/O error")
_NO_ROOM = "free some space there, if the disk is full, and run again; finished row groups are safe without it"
_SECRET_NAME = re.compile("pass|pwd|secret|token|key", re.IGNORECASE)
_LONG = 16
"""Characters of a parameter's value that is no mere word."""
_DURABLE = "sdg_durable"
"""Execution option of a connection; see `Ledger.transaction`."""


def open_ledger(url: str | None, *, root: Path) -> Ledger:
    """Open (and if need be create) the ledger at a SQLAlchemy URL, or at `<root>/.sdg/ledger.db`. Raises LedgerError."""
    secrets: Sequence[str] = ()
    if url is None:
        path = root / FILE_NAME
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"cannot create {path.parent}: {error.strerror}", remedy=_REMEDY) from error
        url = f"sqlite:///{path}"
        where = str(path)
    else:
        try:
            parsed = sa.make_url(url)
        except (SQLAlchemyError, ValueError) as error:
            raise LedgerError(
                "the ledger's URL is not a SQLAlchemy URL", remedy="give one, or none for SQLite"
            ) from error
        secrets = secrets_of(parsed)
        where = without_secrets(parsed)
    try:
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT} if url.startswith("sqlite") else {})
    except (SQLAlchemyError, ImportError) as error:
        raise LedgerError(f"cannot use the ledger {where}: {without(secrets, str(error))}", remedy=_REMEDY) from error
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    return Ledger(engine, where=where, secrets=secrets)


def without_secrets(url: sa.URL) -> str:
    """A database's URL for people: drivers take passwords in the query part, too, so only names of parameters are shown there."""
    return url.set(query=dict.fromkeys(url.query, "...")).render_as_string(hide_password=True)


def secrets_of(url: sa.URL) -> tuple[str, ...]:
    """What a message about a database must not repeat."""
    given = [(name, value) for name, values in url.normalized_query.items() for value in values]
    values = [value for name, value in given if _SECRET_NAME.search(name) or len(value) >= _LONG]
    return tuple(str(value) for value in (url.password, *values) if value)


def without(secrets: Sequence[str], text: str) -> str:
    """A driver's words without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def open_to_read(path: Path) -> Ledger:
    """Open a SQLite ledger that lies where nothing can be written. Only for reading."""
    engine = sa.create_engine(f"sqlite:///file:{quote(str(path))}?mode=ro&immutable=1&uri=true")
    return Ledger(engine, where=str(path), migrate=False)


def _prepare_sqlite(engine: sa.Engine) -> None:
    """Durable commits, and transactions that begin with the write lock instead of failing to upgrade later."""

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: object, record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") == "AUTOCOMMIT":  # reading, which locks nobody out
            return
        durable = options.get(_DURABLE, True)
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
