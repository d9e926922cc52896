"""The ledger's database: SQLite beside the data by default, any SQLAlchemy URL otherwise.

Progress is read from files, never from here; the ledger holds what files cannot: replies of row groups that are not finished yet,
who is working on what, and a history of runs. Losing it loses no finished row.

SQLite runs with a write-ahead log and full synchronisation: what is committed survives a power cut. SQLAlchemy is imported for
a URL only: importing it takes longer than generating ten rows.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sdg_core.errors import LedgerError
from sdg_core.ledger.connection import REMEDY, Connection, Database
from sdg_core.ledger.migrations import migrate
from sdg_core.ledger.secrets import without_secrets
from sdg_core.ledger.sqlite import sqlite_file, sqlite_file_to_read
from sdg_core.system import descriptors

FILE_NAME = ".sdg/ledger.db"
"""The SQLite ledger, below the root."""


class Ledger:
    """An open ledger. `database` serves any thread; every method of the package takes one transaction."""

    def __init__(
        self,
        database: Database,
        *,
        where: str,
        is_new: bool = True,
        secrets: Sequence[str] = (),
    ) -> None:
        self.where = where
        self._database = database
        self._secrets = secrets
        if is_new:
            with self.errors("open"):
                migrate(database, where=where)

    @contextmanager
    def transaction(self, action: str, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction that takes the write lock at once, so that what it reads stays true until it commits.

        durable=False: on SQLite the commit does not wait for the disk. It holds against a crash of processes, not of the machine,
        which is enough for what concerns live processes of this machine only.
        """
        with (
            self.errors(action),
            self._database.transaction(durable=durable) as connection,
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for single reads, which take no lock."""
        with self.errors("read"), self._database.reading() as connection:
            yield connection

    @contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Turn a database error into a LedgerError; the statement and its values stay out of the message."""
        try:
            yield
        except Exception as error:
            database_error = self._database.database_error(error)
            if database_error is None:
                raise
            message = f"cannot {action} the ledger {self.where}: {without_secrets(str(database_error), self._secrets)}"
            remedy = REMEDY
            is_sqlite = isinstance(database_error, sqlite3.Error)
            is_damaged = any(sign in message for sign in _SIGNS_OF_DAMAGE)
            has_no_room = any(sign in message for sign in _SIGNS_OF_NO_ROOM)
            if is_sqlite and is_damaged:
                remedy = _DAMAGED.format(where=self.where)
            elif is_sqlite and has_no_room:
                remedy = _NO_ROOM
            elif isinstance(database_error, sqlite3.Error) and "is locked" in message:
                remedy = _LOCKED.format(where=self.where)
            elif descriptors.used_up():
                message = f"{message} (too many open files)"
                remedy = descriptors.REMEDY
            raise LedgerError(message, remedy=remedy) from error

    def close(self) -> None:
        """Release connections."""
        self._database.close()


_DAMAGED = (
    "move {where} and the files next to it that begin with its name elsewhere and run again: finished "
    "files do not depend on it, but replies for unfinished row groups are requested again"
)
_SIGNS_OF_DAMAGE = ("not a database", "malformed", "no such table", "no such column")
_LOCKED = "another process has locked it; find it (`fuser {where}`), let it finish or end it, and run again"
_SIGNS_OF_NO_ROOM = ("disk is full", "disk I/O error")
_NO_ROOM = "if the disk is full, free some space and run again; finished files do not depend on it"


def open_ledger(url: str | None, *, root: Path) -> Ledger:
    """Open (and if need be create) the ledger at a SQLAlchemy URL, or at `<root>/.sdg/ledger.db`. Raises LedgerError."""
    if url is not None:
        from sdg_core.ledger.sqlalchemy_database import LedgerUrl

        place = LedgerUrl(url)
        return Ledger(place.open(), where=place.where, secrets=place.secrets)
    path = root / FILE_NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LedgerError(
            f"cannot create {path.parent}: {error.strerror}", remedy=REMEDY
        ) from error
    return Ledger(sqlite_file(path), where=str(path))


def open_to_read(path: Path) -> Ledger:
    """Open a SQLite ledger that lies where nothing can be written. Only for reading."""
    return Ledger(sqlite_file_to_read(path), where=str(path), is_new=False)
