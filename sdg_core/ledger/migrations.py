"""The ledger's schema and its migrations, applied in order when a ledger is opened."""

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from sdg_core.errors import LedgerError
from sdg_core.ledger import tables


def _create_tables(connection: sa.Connection) -> None:
    names = (tables.cells, tables.claims, tables.runs)
    tables.metadata.create_all(connection, tables=list(names))


def _say_who_paid(connection: sa.Connection) -> None:
    """Cells say which run paid for them and for which inputs; claims and runs, which nothing had written to, are made again."""
    there = {column["name"] for column in sa.inspect(connection).get_columns(tables.cells.name)}
    for column in (tables.cells.c.run_id, tables.cells.c.inputs):
        if column.name not in there:
            kind = column.type.compile(connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE cells ADD COLUMN {column.name} {kind} NOT NULL DEFAULT ''")
    tables.metadata.drop_all(connection, tables=[tables.claims, tables.runs])
    tables.metadata.create_all(connection, tables=[tables.claims, tables.runs])


MIGRATIONS: tuple[tuple[str, Callable[[sa.Connection], None]], ...] = (
    ("0001_create_tables", _create_tables),
    ("0002_say_who_paid", _say_who_paid),
)
"""Applied in order, each once. Only ever append; a name never changes."""


def _migrate(engine: sa.Engine, *, where: str) -> None:
    with engine.begin() as connection:
        applied = _applied(connection)
        if any(name not in applied for name, _ in MIGRATIONS):
            _refuse_foreign(connection, where=where)
            tables.migrations.create(connection, checkfirst=True)
    for name, change in MIGRATIONS:
        if name in applied:
            continue
        try:
            with engine.begin() as connection:
                connection.execute(tables.migrations.insert().values(name=name, applied_at=time.time()))
                change(connection)
        except IntegrityError:
            continue  # another process was first


def _applied(connection: sa.Connection) -> set[str]:
    """The names of the migrations that the database has been through."""
    found = sa.inspect(connection)
    if not found.has_table(tables.migrations.name) or _is_foreign(tables.migrations, found):
        return set()
    return set(connection.execute(sa.select(tables.migrations.c.name)).scalars())


def _refuse_foreign(connection: sa.Connection, *, where: str) -> None:
    """Raise LedgerError, before anything is changed, if a table has a name of ours and is not ours, such as Dagster's `runs`."""
    found = sa.inspect(connection)
    for table in tables.metadata.sorted_tables:
        if found.has_table(table.name) and _is_foreign(table, found):
            raise LedgerError(
                f"{where} belongs to another program: its table `{table.name}` is not the ledger's",
                remedy="give the ledger a database of its own (for example `createdb sdg`) and name that in SDG_LEDGER_URL; "
                "nothing was changed",
            )


def _is_foreign(table: sa.Table, found: sa.Inspector) -> bool:
    """Whether the table of that name which is there lacks columns that every release of ours has given it."""
    there = {column["name"] for column in found.get_columns(table.name)}
    return not {column.name for column in table.primary_key} <= there
