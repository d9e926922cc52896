"""What the ledger asks of a database: short statements that SQLite, Postgres and MySQL all understand, and a few operations.

Statements name their values `:name`. A name that some database reserves, such as "usage", stands in double quotes, which are
translated for a database that quotes otherwise.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sdg_core.ledger.tables import Table, TableColumn

REMEDY = "check that the database is reachable and writable; finished files do not depend on it"
"""What to do about a database that does not answer."""


class Row(Protocol):
    """A row that was found: values by column name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Connection(Protocol):
    """A connection inside a transaction, or for single reads."""

    for_update: str
    """Ends a query whose rows nobody else may change or lock until the transaction ends."""
    for_update_of_free: str
    """The same, without the rows that somebody else has locked, instead of waiting for them."""
    for_share: str
    """Ends a query whose rows nobody else may change; others may share the lock."""

    def execute(
        self, statement: str, values: Mapping[str, Any] | None = None
    ) -> Sequence[Row]:
        """The rows that a statement finds."""
        ...

    def change(self, statement: str, values: Mapping[str, Any]) -> int:
        """Carry out an update or a deletion; returns the number of rows that it met."""
        ...

    def change_many(self, statement: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Carry out an update or a deletion for each of some sets of values, in their order."""
        ...

    def insert_missing(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows, but for those whose key is there already; returns how many were inserted."""
        ...

    def upsert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; those whose key is there already are replaced."""
        ...

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table as it is in the database; none if there is no such table."""
        ...

    def create(self, table: Table) -> None:
        """Make a table, unless it is there."""
        ...

    def drop(self, table: Table) -> None:
        """Remove a table, if it is there."""
        ...

    def add_column(self, table: Table, column: TableColumn) -> None:
        """Add a column that has a default to a table."""
        ...


class Database(Protocol):
    """A database that serves any thread."""

    def transaction(self, *, durable: bool) -> AbstractContextManager[Connection]:
        """See `Ledger.transaction`."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection for single reads, which take no lock."""
        ...

    def database_error(self, error: Exception) -> Exception | None:
        """The database's own error that an exception stands for; None if it comes from elsewhere."""
        ...

    def close(self) -> None:
        """Release idle connections."""
        ...


def one_of(name: str, values: Iterable[Any]) -> tuple[str, dict[str, Any]]:
    """A list of values for `IN`, and what it names: `(:n_0, :n_1)`."""
    named = {f"{name}_{place}": value for place, value in enumerate(values)}
    places = ", ".join(f":{key}" for key in named)
    return f"({places})", named
