"""Parquet files, and rows of a database."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sdg_core.config.seeds import SqlSeedSource
from sdg_core.config.sources import SqlSources
from sdg_core.errors import SeedError
from sdg_core.pipelines.readers.base import OpenSource, Record, Source, SourceError
from sdg_core.plan.foreign import dump_exactly
from sdg_core.seeds.files import SeedFile
from sdg_core.seeds.parquet_batches import TooMuchError, decoded

_BATCH_ROWS = 1000


def read_parquet(file: SeedFile, _: Any) -> Iterator[Record]:
    """One record per row, a batch of them in memory at a time; a map is a list of its keys and values. Raises SourceError."""
    try:
        with file.open() as handle:
            for table in decoded(handle, rows=_BATCH_ROWS):
                wanted = [
                    pa.field(part.name, _without_maps(part.type))
                    for part in table.schema
                ]
                yield from table.cast(pa.schema(wanted)).to_pylist()
    except TooMuchError as error:
        raise SourceError(f"cannot be read: {error}; exclude it") from error
    except (pa.ArrowException, OSError, ValueError) as error:
        raise not_parquet(error) from error


def not_parquet(error: Exception) -> SourceError:
    """Why a file cannot be read as a table."""
    reason = str(error).splitlines()[0]
    return SourceError(
        f"is not a complete parquet file: {reason}; replace it, or exclude it"
    )


def _without_maps(kind: pa.DataType) -> pa.DataType:
    """The type with a list of {key, value} in the place of every map, which is how Parquet stores one."""
    if pa.types.is_map(kind):
        key = pa.field("key", _without_maps(kind.key_type))
        value = pa.field("value", _without_maps(kind.item_type))
        return pa.list_(pa.struct([key, value]))
    if pa.types.is_list(kind):
        return pa.list_(_without_maps(kind.value_type))
    if pa.types.is_struct(kind):
        fields = [pa.field(field.name, _without_maps(field.type)) for field in kind]
        return pa.struct(fields)
    return kind


class RowsSource(Source):
    """Rows that are in memory. Their content is the version."""

    __slots__ = ("_rows",)

    def __init__(
        self, key: str, locator: str, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(key, locator)
        self._rows = rows

    def open(self) -> OpenSource:
        """The rows."""
        return OpenRows(self._rows)


class OpenRows(OpenSource):
    """Rows that are in memory."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    @property
    def version(self) -> str:
        """The digest of the rows, in order."""
        state = hashlib.sha256()
        for row in self._rows:
            state.update(row_text(row) + b"\n")
        return f"sha256:{state.hexdigest()}"

    def records(self) -> Iterator[Record]:
        """The rows."""
        return iter(self._rows)


def row_text(row: Mapping[str, Any]) -> bytes:
    """A row as text that is equal for equal rows, whatever types a database has."""
    try:
        return dump_exactly(row)
    except ValueError:
        return repr(sorted(row.items())).encode("utf-8", "surrogatepass")


def sql_sources(
    config: SqlSources, *, base: Path, root: str, env: Mapping[str, str]
) -> list[Source]:
    """A source per value of `key`, or one of all rows. Raises SeedError if the database cannot be asked.

    Rows of a `table` are in the order of their content, since a table has none of its own; those of a query in the query's.
    """
    from sdg_core.seeds.sql import fetch_table, table_query

    source = SqlSeedSource(
        url=config.url, url_env=config.url_env, query=config.query or "-"
    )
    if config.table is not None:
        query = table_query(
            source, config.table, base=base, root=root, env=env, where="sources"
        )
        source = source.model_copy(update={"query": query})
    rows = fetch_table(
        source, base=base, root=root, env=env, where="sources"
    ).to_pylist()
    if config.table is not None:
        rows.sort(key=row_text)
    name = config.table or "query"
    if config.key is None:
        return [RowsSource(f"sql:{name}", name, rows)] if rows else []
    if rows and config.key not in rows[0]:
        raise SeedError(
            f"sources.key: there is no column {config.key!r}",
            remedy=f"one of {', '.join(rows[0])}",
        )
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row[config.key]), []).append(row)
    return [
        RowsSource(f"sql:{name}/{value}", f"{name}/{value}", found)
        for value, found in sorted(groups.items())
    ]
