"""Row-group files: parquet whose footer says what they are, so that a file explains itself wherever it is found.

The footer is a JSON object under the parquet key `sdg`. Row k of a file is the k-th record of `[start, start + size)` that is
not in `missing`. The dropped columns of a row group lie in a file of their own, with a footer of their own; the row-group
file is written last and is the commit.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from polars.exceptions import ComputeError
from pydantic import BaseModel, ConfigDict, ValidationError

from sdg_core.counts import counted
from sdg_core.errors import CorruptFileError, StoreError, UnrecognizedFileError
from sdg_core.plan.types.arrow_values import integers_of, mask_of
from sdg_core.plan.usage import (
    UsageByColumn,
    UsageByModel,
    add_usage,
    add_usage_by_column,
)
from sdg_core.store.access import storage_of
from sdg_core.store.atomic import atomic_file
from sdg_core.store.listing import read_end
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.system.commit_guard import CommitGuard

SCHEMA_VERSION = 1
FOOTER_KEY = b"sdg"
_MAGIC = b"PAR1"
_END = 2**16
"""Bytes read to find a footer; hardly any is longer."""
T = TypeVar("T")
_REMEDY = (
    "move the row group's file out of row_groups/ and generate again; it is made again"
)


class SelectedRows(BaseModel):
    """How a row group's rows were selected among candidates.

    rejected: candidates that were not kept, of the records that are decided. usage: what those used, which the footer's usage
    holds as well. exhausted: records without a row because none of their candidates was kept; they are not drawn again.
    candidates: the records whose row is another candidate than the first, by its number. fallback: records whose row is the best
    of candidates none of which was kept.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, defer_build=True
    )

    rejected: int = 0
    usage: UsageByModel = {}
    exhausted: list[int] = []
    candidates: dict[str, list[int]] = {}
    fallback: list[int] = []

    @property
    def dropped(self) -> int:
        """How many records have no row because none of their candidates was kept."""
        return len(self.exhausted)

    def candidates_of(self, records: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which candidate the row of each record is."""
        found = np.zeros(len(records), dtype=np.int64)
        for number, chosen in self.candidates.items():
            found[np.isin(records, chosen)] = int(number)
        return found

    def __add__(self, other: "SelectedRows") -> "SelectedRows":
        """Of two sets of records together."""
        candidates = {}
        for number in sorted({*self.candidates, *other.candidates}, key=int):
            mine = self.candidates.get(number, ())
            theirs = other.candidates.get(number, ())
            candidates[number] = sorted({*mine, *theirs})
        return SelectedRows(
            rejected=self.rejected + other.rejected,
            usage=add_usage(self.usage, other.usage),
            exhausted=sorted({*self.exhausted, *other.exhausted}),
            candidates=candidates,
            fallback=sorted({*self.fallback, *other.fallback}),
        )


class Footer(BaseModel):
    """The metadata of a row-group file. `missing` holds the record indices of its range that have no row.

    usage, usage_by_column: per model alias; the latter also by column.

    counted: journal rows of records that have no row here, whose usage `usage` already includes: row numbers by run
    and column.

    carried: cells reused from earlier versions, by version and column.

    resized: a function changed the number of rows to `rows`, and rows no longer correspond to records. Then either no
    record is missing, or all are and there is no row.

    selection: selection counts, if the config selects.

    waiting: the number of missing records that were waiting for deferred replies when the file was written.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", strict=True, defer_build=True
    )

    schema_version: int
    dataset: str
    config_hash: str
    column_hashes: dict[str, str]
    row_group: int
    start: int
    size: int
    missing: list[int]
    resized: bool
    usage: UsageByModel
    usage_by_column: UsageByColumn = {}
    counted: dict[str, dict[str, list[int]]] = {}
    carried: dict[str, dict[str, int]] = {}
    simulated: bool
    created_at: str
    run_id: str
    rows: int | None = None
    selection: SelectedRows | None = None
    waiting: int = 0

    @property
    def exhausted(self) -> frozenset[int]:
        """Missing records that are not retried, because none of their candidates was kept."""
        return (
            frozenset(self.selection.exhausted)
            if self.selection is not None
            else frozenset()
        )

    @property
    def unfinished(self) -> list[int]:
        """Missing records that the next run retries."""
        exhausted = self.exhausted
        if not exhausted:
            return self.missing
        return [record for record in self.missing if record not in exhausted]

    @property
    def num_rows(self) -> int:
        """Rows in the file."""
        if self.resized and self.rows is not None:
            return self.rows
        return self.size - len(self.missing)

    @property
    def nothing_made(self) -> bool:
        """Whether the file has no rows although there were records to generate."""
        return self.num_rows == 0 and bool(self.unfinished)

    def records(self) -> NDArray[np.int64]:
        """The record index of each row; rows of a resized row group are counted from its start."""
        if self.resized:
            return self.start + np.arange(self.num_rows, dtype=np.int64)
        indices = np.arange(self.start, self.start + self.size, dtype=np.int64)
        if not self.missing:
            return indices
        missing = np.array(self.missing, dtype=np.int64)
        return indices[~np.isin(indices, missing)]


@dataclass(frozen=True)
class SelectionCounts:
    """Selection counts over several row groups.

    dropped: records without a row because no candidate was kept. fallback: records whose row is the best candidate
    although none was kept. rejected: rejected candidates. usage: usage of the rejected candidates.
    """

    dropped: int
    fallback: int
    rejected: int
    usage: UsageByModel


def count_selection(footers: Iterable[Footer | None]) -> SelectionCounts | None:
    """Selection counts over row groups; None without `select`."""
    there = [footer.selection for footer in footers if footer is not None]
    selections = [selection for selection in there if selection is not None]
    if not selections:
        return None
    dropped = 0
    fallback = 0
    rejected = 0
    usage: UsageByModel = {}
    for selection in selections:
        dropped += selection.dropped
        fallback += len(selection.fallback)
        rejected += selection.rejected
        usage = add_usage(usage, selection.usage)
    return SelectionCounts(
        dropped=dropped, fallback=fallback, rejected=rejected, usage=usage
    )


def total_usage(footers: Iterable[Footer | None]) -> tuple[UsageByModel, UsageByColumn]:
    """What row groups used together: per model, and per column that asked."""
    usage: UsageByModel = {}
    by_column: UsageByColumn = {}
    for footer in footers:
        if footer is not None:
            usage = add_usage(usage, footer.usage)
            by_column = add_usage_by_column(by_column, footer.usage_by_column)
    return usage, by_column


def carried_by(footers: Iterable[Footer | None]) -> dict[str, dict[str, int]]:
    """Cells that row groups took over from earlier versions, by version and column."""
    carried: dict[str, dict[str, int]] = {}
    for footer in footers:
        if footer is not None:
            carried = add_usage(carried, footer.carried)
    return carried


def write_row_group(
    path: StorePath,
    table: pa.Table,
    footer: Footer,
    *,
    commit_guard: CommitGuard = nullcontext,
) -> None:
    """Write a row-group file atomically. Raises StoreError, and what `publishing` raises."""
    metadata = {FOOTER_KEY: orjson.dumps(footer.model_dump())}
    with atomic_file(path, commit_guard=commit_guard) as file:
        pq.write_table(
            table.replace_schema_metadata(metadata), file, compression="zstd"
        )


def read_footer(path: StorePath) -> Footer:
    """Read the footer of a row-group file.

    Raises CorruptFileError if the file is not whole parquet or its footer cannot be understood, UnrecognizedFileError if it is
    whole parquet that this project did not write, StoreError if it cannot be read.
    """
    with damage_errors(path, "is not a complete parquet file"):
        try:
            parquet = read_parquet_metadata(path)
        except IsADirectoryError as error:
            raise UnrecognizedFileError(
                f"{path} is a directory",
                remedy="move it away, then run again; nothing was changed",
            ) from error
    content = footer_content(parquet, path)
    try:
        footer = Footer.model_validate_json(content)
    except ValidationError as error:
        raise CorruptFileError(
            f"{path} has a footer that cannot be read: {error.errors()[0]['msg']}"
        ) from error
    check_row_count(parquet, footer.num_rows, path)
    return footer


def unless_absent(read: Callable[[StorePath], T], path: StorePath) -> T | None:
    """What `read` makes of a file, None if there is no file: one request of a store, where a look before would be two more.

    Raises what `read` raises.
    """
    try:
        return read(path)
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            return None
        raise


def footer_content(parquet: pq.FileMetaData, path: StorePath) -> bytes:
    """What a file says of itself. Raises UnrecognizedFileError if it says nothing, so that this project did not write it."""
    content: bytes | None = (parquet.metadata or {}).get(FOOTER_KEY)
    if content is None:
        raise UnrecognizedFileError(
            f"{path} was not written by sdg: it is a parquet file without an `sdg` footer",
            remedy="move it out of this directory, then run again; nothing was changed",
        )
    return content


def check_row_count(parquet: pq.FileMetaData, said: int, path: StorePath) -> None:
    """Raise CorruptFileError if a file has other rows than its footer says."""
    if parquet.num_rows != said:
        raise CorruptFileError(
            f"{path} has {counted(parquet.num_rows, 'row')}, but its footer says {said}"
        )


def read_rows(path: StorePath, *, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a row-group file. Raises CorruptFileError if its content is damaged, StoreError if it cannot be read."""
    with damage_errors(path, remedy=_REMEDY):
        file = pq.ParquetFile(storage_of(path).parquet_source())
        return file.read(columns=list(columns) if columns is not None else None)


def read_head(path: StorePath, count: int) -> pa.Table:
    """At least the schema and the first `count` rows of a row-group file. Raises CorruptFileError or StoreError."""
    with damage_errors(path, remedy=_REMEDY):
        file = pq.ParquetFile(storage_of(path).parquet_source(), memory_map=True)
        batch = next(file.iter_batches(batch_size=count, use_threads=False), None)
        return (
            file.schema_arrow.empty_table()
            if batch is None
            else pa.Table.from_batches([batch])
        )


def read_parquet_metadata(path: StorePath) -> pq.FileMetaData:
    """What the end of a parquet file says, mostly by one read. Raises OSError, and ArrowException if it is not parquet."""
    end, size = read_end(path, _END)
    if (
        len(end) < size
        and end[-4:] == _MAGIC
        and int.from_bytes(end[-8:-4], "little") > len(end) - 8
    ):
        end = path.read_bytes()
    return pq.read_metadata(pa.BufferReader(end))


def read_dropped(
    path: StorePath, records: NDArray[np.int64], *, columns: Sequence[str] | None = None
) -> pa.Table:
    """The dropped columns of these records. Raises CorruptFileError or StoreError.

    The file may be ahead of its row group, because it is written first; rows of other records are left out.
    """
    with store_errors("read", path):
        if not path.is_file():
            raise CorruptFileError(
                f"{path} is missing; it held the dropped columns of its row group",
                remedy=_REMEDY,
            )
    footer = read_footer(path)
    present = footer.records()
    wanted = np.isin(present, records)
    if wanted.sum() != len(records) or (footer.resized and not wanted.all()):
        raise CorruptFileError(
            f"{path} is missing records that its row group has", remedy=_REMEDY
        )
    table = read_rows(path, columns=columns)
    return table if wanted.all() else table.filter(mask_of(wanted))


def merge_rows(
    old: pa.Table,
    old_records: NDArray[np.int64],
    new: pa.Table,
    new_records: NDArray[np.int64],
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The union of two sets of rows in record order; where both have a record, the old row stays."""
    fresh = ~np.isin(new_records, old_records)
    old_rows = old.replace_schema_metadata(None)
    new_rows = new.filter(mask_of(fresh)).cast(old_rows.schema)
    table = pa.concat_tables([old_rows, new_rows])
    records = np.concatenate([old_records, new_records[fresh]])
    order = np.argsort(records, kind="stable")
    return table.take(integers_of(order)), records[order]


def with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with a column of nulls for each of the schema that it does not have."""
    for field in schema:
        if field.name not in table.schema.names:
            table = table.append_column(
                field.name, pa.nulls(table.num_rows, field.type)
            )
    return table


@contextmanager
def damage_errors(
    path: StorePath, what: str = "is damaged", *, remedy: str | None = None
) -> Iterator[None]:
    """Tell a damaged file, or damaged files below a path, (CorruptFileError) from what cannot be read at all (StoreError)."""
    with store_errors("read", path):
        try:
            yield
        except (pa.ArrowException, ComputeError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                # from the operating system; without a number it is Arrow's word for content that makes no sense
                raise
            raise CorruptFileError(
                f"{path} {what}: {str(error).splitlines()[0]}", remedy=remedy
            ) from error
