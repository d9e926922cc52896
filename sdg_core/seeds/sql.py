"""`seed_type: sql`: the rows of a query, fetched once and held in memory.

Every process that makes row groups asks the query again, so its order has to be stable (`plan.check_seeds` asks for an ORDER BY),
and the digest covers schema and rows: other rows are another fingerprint. A password never appears in a message.
"""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from sdg_core.config.seeds import SqlSeedSource
from sdg_core.errors import SeedError
from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.database_login import Login, login_for
from sdg_core.seeds.forbidden import check_readable
from sdg_core.seeds.local import resolve
from sdg_core.seeds.read_only import is_file, read_only, remedy_for
from sdg_core.seeds.tables import TableReader, table_digest

BATCH_ROWS = 10_000
_PLACE = "seed_config.source"


def open_sql(
    source: SqlSeedSource, *, base: Path, root: str, env: Mapping[str, str]
) -> SeedReader:
    """Run the query. Raises SeedError if the database cannot be reached, or refuses the query."""
    table = fetch_table(source, base=base, root=root, env=env)
    return TableReader(table, digest=table_digest(table))


def fetch_table(
    source: SqlSeedSource,
    *,
    base: Path,
    root: str,
    env: Mapping[str, str],
    where: str = _PLACE,
) -> pa.Table:
    """The rows of the query. where: the place of `source` in the file, for messages. Raises SeedError."""
    url = _url(source, base=base, root=root, env=env, where=where)
    login = Login()
    try:
        if source.url is not None:
            login = login_for(url, env=env, where=where)
        return _fetch(url, source.query, where, login)
    except ModuleNotFoundError as error:
        raise SeedError(
            f"seed database {_shown(url)}: the driver {error.name!r} is not installed",
            remedy="install it with pip",
        ) from None
    except sa.exc.SQLAlchemyError as error:
        original = getattr(error, "orig", None) or error
        reason = _without_password(str(original), url)
        raise SeedError(
            f"seed database {_shown(url)}: {reason}",
            remedy=login.remedy or remedy_for(reason),
        ) from None


def table_query(
    source: SqlSeedSource,
    table: str,
    *,
    base: Path,
    root: str,
    env: Mapping[str, str],
    where: str = _PLACE,
) -> str:
    """The query for every row of a table, `name` or `schema.name`, in the dialect of the database. Raises SeedError."""
    url = _url(source, base=base, root=root, env=env, where=where)
    schema, _, name = table.rpartition(".")
    statement = sa.select(sa.text("*")).select_from(
        sa.table(name, schema=schema or None)
    )
    try:
        dialect = url.get_dialect()()
    except sa.exc.NoSuchModuleError as error:
        raise SeedError(
            f"{where}: unknown database type {url.drivername!r}",
            remedy="as in sqlite:///file.db",
        ) from error
    return str(statement.compile(dialect=dialect))


def _url(
    source: SqlSeedSource, *, base: Path, root: str, env: Mapping[str, str], where: str
) -> sa.URL:
    text = source.url
    place = "url"
    if source.url_env is not None:
        text = env.get(source.url_env)
        place = f"environment variable {source.url_env}"
        if not text:
            raise SeedError(
                f"{place} is not set",
                remedy=f"set it to the URL, or correct {where}.url_env, which names it",
            )
    assert text is not None
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError:
        raise SeedError(
            f"{where}: {place} is not a database URL",
            remedy="as in postgresql+psycopg://user@host/name",
        ) from None
    # the rest of a password, which would be shown as a host
    if "@" in (url.host or ""):
        raise SeedError(
            f"{where}: the password in {place} contains an @",
            remedy="write %40 in its place",
        )
    if is_file(url):
        assert url.database is not None
        path = resolve(url.database, base=base, root=root)
        check_readable(path)
        if not path.is_file():
            raise SeedError(
                f"seed database {path} does not exist",
                remedy="a relative path is relative to the dataset file",
            )
        url = url.set(database=str(path))
    return url


def _fetch(url: sa.URL, query: str, where: str, login: Login) -> pa.Table:
    arguments = {**login.arguments}
    if is_file(url) and url.get_backend_name() == "duckdb":
        arguments["read_only"] = True
    engine = read_only(
        sa.create_engine(url, poolclass=sa.pool.NullPool, connect_args=arguments), query
    )
    try:
        with engine.connect().execution_options(stream_results=True) as connection:
            result = connection.exec_driver_sql(query)
            if not result.returns_rows:
                raise SeedError(f"{where}.query returns no rows; it must be a SELECT")
            names = [*result.keys()]
            _check_names(names, where)
            batches = [
                _batch(names, batch, where) for batch in result.partitions(BATCH_ROWS)
            ]
            return _unified(names, batches, where)
    finally:
        engine.dispose()


def _batch(names: Sequence[str], rows: Sequence[Sequence[Any]], where: str) -> pa.Table:
    columns = []
    for place, name in enumerate(names):
        values = [row[place] for row in rows]
        columns.append(_column(name, values, where))
    return pa.table(columns, names=[*names])


def _column(name: str, values: list[Any], where: str) -> pa.Array:
    if any(isinstance(value, uuid.UUID) for value in values):
        values = [str(value) if value is not None else None for value in values]
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise _mixed(name, str(error), where) from error


def _unified(names: Sequence[str], batches: Sequence[pa.Table], where: str) -> pa.Table:
    """One table; types that widen (null, then integer, then real) do so over all batches."""
    if not batches:
        return pa.table({name: pa.nulls(0, pa.string()) for name in names})
    for name in names:
        schemas = [pa.schema([batch.schema.field(name)]) for batch in batches]
        try:
            pa.unify_schemas(schemas, promote_options="permissive")
        except pa.ArrowException as error:
            raise _mixed(name, str(error), where) from error
    return pa.concat_tables(batches, promote_options="permissive").combine_chunks()


def _mixed(name: str, reason: str, where: str) -> SeedError:
    return SeedError(
        f"{where}.query: column {name!r} has values of several types: {reason.splitlines()[0]}",
        remedy=f"give it one type in the query, as in CAST({name} AS TEXT)",
    )


def _check_names(names: Sequence[str], where: str) -> None:
    repeated = [name for place, name in enumerate(names) if name in names[:place]]
    for name in repeated:
        raise SeedError(
            f"{where}.query returns two columns named {name!r}",
            remedy="rename one, as in `x AS y`",
        )


def _shown(url: sa.URL) -> str:
    """The URL without anything secret: drivers take passwords in the query part, too."""
    return url.set(query={}).render_as_string(hide_password=True)


def _without_password(message: str, url: sa.URL) -> str:
    secrets = [url.password]
    for values in url.normalized_query.values():
        secrets += values
    for secret in secrets:
        if secret:
            message = message.replace(str(secret), "***")
    return message.splitlines()[0] if message else "unknown error"
