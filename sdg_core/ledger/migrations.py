"""The ledger's schema and its migrations, applied in order when a ledger is opened."""

import time
from collections.abc import Callable
from typing import Any

from sdg_core.errors import LedgerError
from sdg_core.ledger import tables
from sdg_core.ledger.connection import Connection, Database, Row
from sdg_core.ledger.tables import NUMBERED_UNITS, Table
from sdg_core.plan.row_groups import row_group_key


def _create_tables(connection: Connection) -> None:
    for table in (tables.cells, tables.claims, tables.runs):
        connection.create(table)


def _say_who_paid(connection: Connection) -> None:
    """Cells say which run paid for them and for which inputs; claims and runs, which nothing had written to, are made again."""
    present = connection.columns(tables.cells.name)
    for column in tables.cells.columns:
        if column.name in ("run_id", "inputs") and column.name not in present:
            connection.add_column(tables.cells, column)
    for table in (tables.claims, tables.runs):
        connection.drop(table)
        connection.create(table)


def _claim_units(connection: Connection) -> None:
    """Claims name their unit; older releases numbered it. Tokens are kept, so that they go on counting up."""
    if "row_group" not in connection.columns(tables.claims.name):
        return
    rows = [_with_unit(row) for row in connection.execute("SELECT * FROM claims")]
    connection.drop(tables.claims)
    connection.create(tables.claims)
    connection.insert_missing(tables.claims, rows)


def _with_unit(row: Row) -> dict[str, Any]:
    number = int(row["row_group"])
    unit = NUMBERED_UNITS.get(number, row_group_key(number))
    same = {name: row[name] for name in tables.claims.names if name != "unit"}
    return {"unit": unit, **same}


MIGRATIONS: tuple[tuple[str, Callable[[Connection], None]], ...] = (
    ("0001_create_tables", _create_tables),
    ("0002_say_who_paid", _say_who_paid),
    ("0003_claim_units", _claim_units),
)
"""Applied in order, each once. Only ever append; a name never changes."""


def migrate(database: Database, *, where: str) -> None:
    """Bring a database to the present schema. Raises LedgerError if it belongs to another program."""
    with database.reading() as connection:
        applied = _applied(connection)
    if all(name in applied for name, _ in MIGRATIONS):
        return
    with database.transaction(durable=True) as connection:
        _refuse_foreign(connection, where=where)
        connection.create(tables.migrations)
    for name, change in MIGRATIONS:
        if name in applied:
            continue
        with database.transaction(durable=True) as connection:
            row = {"name": name, "applied_at": time.time()}
            # of all processes
            is_first = connection.insert_missing(tables.migrations, [row])
            if is_first:
                change(connection)


def _applied(connection: Connection) -> set[str]:
    """The names of the migrations that the database has been through."""
    present = connection.columns(tables.migrations.name)
    if not present or _is_foreign(tables.migrations, present):
        return set()
    return {row["name"] for row in connection.execute("SELECT name FROM migrations")}


def _refuse_foreign(connection: Connection, *, where: str) -> None:
    """Raise LedgerError, before anything is changed, if a table has a name of ours and is not ours, such as Dagster's `runs`."""
    for table in tables.ALL:
        present = connection.columns(table.name)
        if present and _is_foreign(table, present):
            raise LedgerError(
                f"{where} belongs to another program: its table `{table.name}` is not the ledger's",
                remedy="create a separate database for the ledger (for example `createdb sdg`) and set "
                "SDG_LEDGER_URL to its URL; nothing was changed",
            )


def _is_foreign(table: Table, present: frozenset[str]) -> bool:
    """Whether a table with these columns is without some that every release of ours has given it."""
    return not set(table.keys) - {"unit"} <= present
