"""What a query of seed data may do in a database that is a file of this machine: read that database, within a bound of time.

The query stands in the dataset file, which may be a stranger's, and such a database runs with the user's rights. SQLite is told
to write nothing, and asks an authorizer about each part of a statement (https://www.sqlite.org/c3ref/set_authorizer.html). DuckDB
reads files by itself; it may read those that the query names in quotes and that seed data may come from, and no setting can be
changed back (https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview). PostgreSQL gets a transaction that only
reads.
"""

import glob
import sqlite3
import time
from typing import Any

import sqlalchemy as sa

from sdg_core.errors import SeedError
from sdg_core.plan.outside import files_in_query, quoted
from sdg_core.seeds.forbidden import check_readable

SECONDS = 600.0
"""That a query of an SQLite file may take: a recursive one may never end."""
_STEPS = 1_000_000
"""Instructions of SQLite's machine between two looks at the clock, which also let Ctrl-C through."""
_READING_PRAGMAS = frozenset(
    "data_version page_size table_info table_xinfo table_list index_list index_info index_xinfo foreign_key_list "
    "database_list collation_list function_list compile_options".split()
)
_DUCKDB_OPTIONS = frozenset({"access_mode", "threads", "max_memory", "memory_limit"})
_REFUSALS = (
    "not authorized",
    "authorization denied",
    "write a readonly database",
    "read-only transaction",
)
_ONLY_READS = "seed_config.source.query must be a single SELECT from this database"


def is_file(url: sa.URL) -> bool:
    """Whether a database is a file of this machine."""
    elsewhere = (
        url.database in (None, "", ":memory:")
        or bool(url.host)
        or url.database.startswith(("md:", "motherduck:"))
    )
    return url.get_backend_name() in ("sqlite", "duckdb") and not elsewhere


def read_only(engine: sa.Engine, query: str) -> sa.Engine:
    """The engine, whose connections do nothing but read what the query may read. Raises SeedError for files that it may not."""
    match engine.url.get_backend_name():
        case "sqlite":
            sa.event.listen(engine, "connect", _bound_sqlite)
        case "duckdb":
            for option in engine.url.query:
                if option.lower() not in _DUCKDB_OPTIONS:
                    raise SeedError(
                        f"seed database: {option} is not an option that seed_config may set",
                        remedy="remove it",
                    )
            settings = _duckdb_settings(query)
            sa.event.listen(
                engine,
                "connect",
                lambda connection, _: _bound_duckdb(connection, settings, query),
            )
        case "postgresql":
            return engine.execution_options(postgresql_readonly=True)
    return engine


def remedy_for(message: str) -> str | None:
    """What to do about a refusal of the database that comes of `read_only`."""
    if any(words in message for words in _REFUSALS):
        return _ONLY_READS
    if message == "interrupted":
        return f"queries of SQLite files are limited to {SECONDS:.0f} s"
    if "disabled by configuration" in message:
        return "a query can read files by quoted name, as in FROM 'data/*.parquet'; extensions are not loaded"
    return None


def _bound_sqlite(connection: Any, _: Any) -> None:
    """No statement writes (`query_only`), none opens another file or turns that off (the authorizer), none runs without end."""
    driver = getattr(connection, "driver_connection", connection)
    ends = time.monotonic() + SECONDS
    driver.execute("PRAGMA query_only = ON")
    driver.set_authorizer(_authorize)
    driver.set_progress_handler(lambda: time.monotonic() > ends, _STEPS)


def _authorize(
    action: int,
    first: str | None,
    second: str | None,
    database: str | None,
    inside: str | None,
) -> int:
    """The verdict on a part of a statement. Virtual tables prepare statements of their own, which `query_only` keeps harmless."""
    match action:
        case sqlite3.SQLITE_PRAGMA:
            is_fine = (first or "").lower() in _READING_PRAGMAS
        case sqlite3.SQLITE_FUNCTION:
            is_fine = second != "load_extension"
        case _:
            is_fine = action not in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH)
    return sqlite3.SQLITE_OK if is_fine else sqlite3.SQLITE_DENY


def _duckdb_settings(query: str) -> list[str]:
    """Settings that leave a query nothing but the database and the files that it names."""
    files = files_in_query(query)
    for path in files:
        check_readable(path)
    patterns = [name for name in quoted(query) if glob.has_magic(name)]
    named = dict.fromkeys([*map(str, files), *patterns])
    escaped = [name.replace("'", "''") for name in named]
    allowed = ", ".join(f"'{name}'" for name in escaped)
    return [
        f"SET allowed_paths = [{allowed}]",
        "SET autoload_known_extensions = false",
        "SET autoinstall_known_extensions = false",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ]


def _bound_duckdb(connection: Any, settings: list[str], query: str) -> None:
    for statement in settings:
        connection.execute(statement)
    for statement in connection.extract_statements(query):
        kind = str(statement.type).rpartition(".")[2]
        if kind != "SELECT":
            raise SeedError(
                "seed database: the query is not a SELECT", remedy=_ONLY_READS
            )
