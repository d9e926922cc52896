"""The ledger's tables. Times are seconds since 1970, UTC; a dataset's version is the name of its directory.

They are described here once and made by each kind of database in its own words (`sqlite.py`, `sqlalchemy_database.py`).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TableColumn:
    """A column. length: of a string at most; default: what a row that does not say gets; optional: may be null."""

    name: str
    kind: Literal["string", "text", "integer", "big integer", "float", "bytes"]
    length: int | None = None
    key: bool = False
    default: str | None = None
    optional: bool = False
    index: bool = False


@dataclass(frozen=True)
class Table:
    """A table; `columns` in order."""

    name: str
    columns: tuple[TableColumn, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return tuple(column.name for column in self.columns if column.key)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(column.name for column in self.columns)


def _key(name: str, length: int) -> TableColumn:
    return TableColumn(name, "string", length, key=True)


def _string(name: str, length: int, *, default: str | None = None) -> TableColumn:
    return TableColumn(name, "string", length, default=default)


migrations = Table(
    "migrations", (_key("name", 100), TableColumn("applied_at", "float"))
)

cells = Table(
    "cells",
    (
        _key("dataset", 200),
        _key("version", 40),
        TableColumn("record", "big integer", key=True),
        _key("column_name", 200),
        _string("column_hash", 80),
        TableColumn("value", "bytes"),
        TableColumn("usage", "bytes"),
        _string("run_id", 80, default=""),
        _string("inputs", 80, default=""),
    ),
)

claims = Table(
    "claims",
    (
        _key("dataset", 200),
        _key("version", 40),
        _key("unit", 40),
        _string("holder", 300),
        _string("host", 200),
        TableColumn("pid", "integer"),
        TableColumn("token", "big integer"),
        TableColumn("taken_at", "float", default="0"),
        TableColumn("expires_at", "float"),
    ),
)

NUMBERED_UNITS = {-1: "version", -2: "index", -3: "counts"}
"""What releases up to 0.1 wrote in a column `row_group` for units that are no row group."""

runs = Table(
    "runs",
    (
        _key("run_id", 80),
        TableColumn("dataset", "string", 200, key=True, index=True),
        _string("version", 40),
        _string("resume", 20),
        TableColumn("started_at", "float"),
        TableColumn("ended_at", "float", optional=True),
        TableColumn("outcome", "string", 20, optional=True),
        TableColumn("generated", "big integer"),
        TableColumn("replayed", "big integer"),
        TableColumn("failed", "big integer"),
        TableColumn("adopted", "integer"),
        TableColumn("written", "integer"),
        TableColumn("message", "text", optional=True),
    ),
)

ALL = (migrations, cells, claims, runs)
