"""The ledger's database: SQLite beside the data by default, any SQLAlchemy URL otherwise.

Progress is read from files, never from here; the ledger holds what files cannot: replies of row groups that are not finished yet,
who is working on what, and a history of runs. Losing it loses no finished row.

SQLite runs with a write-ahead log and full synchronisation: what is committed survives a power cut.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from sdg_core.errors import LedgerError
from sdg_core.ledger import tables

BUSY_TIMEOUT = 60.0
"""Seconds that a writer waits for another process to finish its transaction."""


class Ledger:
    """An open ledger. `engine` serves any thread; every method of the package takes one transaction."""

    def __init__(self, engine: sa.Engine, *, where: str) -> None:
        self.engine = engine
        self.where = where
        with self.errors("open"):
            _migrate(engine)

    @contextmanager
    def transaction(self, action: str) -> Iterator[sa.Connection]:
        """A transaction that takes the write lock at once, so that what it reads stays true until it commits."""
        with self.errors(action), self.engine.begin() as connection:
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
            raise LedgerError(f"cannot {action} the ledger {self.where}: {error.orig}", remedy=_REMEDY) from error
        except SQLAlchemyError as error:
            raise LedgerError(f"cannot {action} the ledger {self.where}: {error}", remedy=_REMEDY) from error

    def close(self) -> None:
        """Release connections."""
        self.engine.dispose()


_REMEDY = "check that it can be reached and written; finished row groups are safe without it"


def open_ledger(url: str | None, *, root: Path) -> Ledger:
    """Open (and if need be create) the ledger at a SQLAlchemy URL, or at `<root>/.sdg/ledger.db`. Raises LedgerError."""
    if url is None:
        path = root / ".sdg" / "ledger.db"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LedgerError(f"cannot create {path.parent}: {error.strerror}", remedy=_REMEDY) from error
        url, where = f"sqlite:///{path}", str(path)
    else:
        try:
            where = sa.make_url(url).render_as_string(hide_password=True)
        except SQLAlchemyError as error:
            raise LedgerError(
                "the ledger's URL is not a SQLAlchemy URL", remedy="give one, or none for SQLite"
            ) from error
    try:
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT} if url.startswith("sqlite") else {})
    except (SQLAlchemyError, ImportError) as error:
        raise LedgerError(f"cannot use the ledger {where}: {error}", remedy=_REMEDY) from error
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    return Ledger(engine, where=where)


def _prepare_sqlite(engine: sa.Engine) -> None:
    """Durable commits, and transactions that begin with the write lock instead of failing to upgrade later."""

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: object, record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _create_tables(connection: sa.Connection) -> None:
    names = (tables.cells, tables.claims, tables.runs)
    tables.metadata.create_all(connection, tables=list(names))


MIGRATIONS: tuple[tuple[str, Callable[[sa.Connection], None]], ...] = (("0001_create_tables", _create_tables),)
"""Applied in order, each once. Only ever append; a name never changes."""


def _migrate(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        tables.migrations.create(connection, checkfirst=True)
        applied = set(connection.execute(sa.select(tables.migrations.c.name)).scalars())
    for name, change in MIGRATIONS:
        if name in applied:
            continue
        try:
            with engine.begin() as connection:
                connection.execute(tables.migrations.insert().values(name=name, applied_at=time.time()))
                change(connection)
        except IntegrityError:
            continue  # another process was first
