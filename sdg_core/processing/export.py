"""The rows of a dataset as one file for others to read: parquet, JSON lines or csv. Row by row, and never half a file."""

import base64
import datetime
import decimal
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sdg_core.errors import IncompleteError, PlanError, RefusedError
from sdg_core.generators.single_precision import python_values
from sdg_core.plan.checks.processors import REMOVED
from sdg_core.plan.names import did_you_mean, duplicates
from sdg_core.processing.split import part_of, part_path, part_sizes
from sdg_core.store.atomic import atomic_file
from sdg_core.store.layout import VersionLayout, part_files
from sdg_core.store.listing import directory_names
from sdg_core.store.metadata import Metadata
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.parts import StoredRows
from sdg_core.store.row_groups import damage_errors, read_parquet_metadata, with_columns

_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_BATCH = 10_000
_FORMULA = r"\A(?:[\t\r]|[\s\p{C}]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}])"
"""What spreadsheets take for the beginning of a formula, also in full width; some pass over what is invisible before it."""
_NUMBER = r"\A *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\z"
Write = Callable[[pa.RecordBatch], None]


@dataclass(frozen=True)
class Exported:
    """The result of an export. finished: whether the dataset is finished; otherwise the existing row groups were
    exported.

    parts: row count of each file by split name, if the rows were split; the files are then named after `path`.
    """

    path: Path
    num_rows: int
    finished: bool
    parts: Mapping[str, int] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, Path]:
        """The files by split name; a single file is `train`, as loaders call it."""
        if not self.parts:
            return {"train": self.path}
        return {name: part_path(self.path, name) for name in self.parts}

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `sdg export --json` prints it."""
        files = self.files
        parts = {}
        for name, rows in self.parts.items():
            parts[name] = {"path": str(files[name]), "rows": rows}
        return {
            "path": str(self.path),
            "rows": self.num_rows,
            "finished": self.finished,
            "parts": parts,
        }


@dataclass(frozen=True)
class ExportOptions:
    """processor: write what this processor made, instead of the dataset. columns: only these, in this order. split: shares of the
    rows, for two or three files. overwrite: replace files. defuse_formulas: in csv, put an apostrophe before text that a
    spreadsheet would take for a formula."""

    processor: str | None = None
    columns: Sequence[str] | None = None
    split: Sequence[float] | None = None
    overwrite: bool = False
    defuse_formulas: bool = False


def export_version(
    version: VersionLayout,
    stored: StoredRows,
    schema: pa.Schema,
    path: Path,
    *,
    options: ExportOptions,
) -> Exported:
    """Write rows of a version as the options say. Raises PlanError, RefusedError, StoreError; IncompleteError for the output of a
    processor where nothing is finished."""
    parts = stored.parts
    num_rows = stored.num_rows
    if options.processor is not None:
        parts = _output_of(version, options.processor, finished=stored.finished)
        footers = [read_parquet_metadata(part) for part in parts]
        schema = footers[0].schema.to_arrow_schema().remove_metadata()
        num_rows = sum(footer.num_rows for footer in footers)
    schema = _chosen(schema, options.columns)
    if options.split is None:
        check_target(path, overwrite=options.overwrite)
        rows = export_rows(
            parts,
            schema,
            path,
            remedy=stored.remedy,
            defuse_formulas=options.defuse_formulas,
        )
        return Exported(path, rows, stored.finished)
    sizes = part_sizes(options.split, num_rows)
    for name in sizes:
        check_target(part_path(path, name), overwrite=options.overwrite)
    _export_split(
        parts,
        schema,
        path,
        sizes,
        remedy=stored.remedy,
        defuse_formulas=options.defuse_formulas,
    )
    return Exported(path, num_rows, stored.finished, sizes)


def _output_of(
    version: VersionLayout, processor: str, *, finished: bool
) -> tuple[StorePath, ...]:
    if not finished:
        raise IncompleteError(
            f"{version.directory} is not finished, so processor {processor!r} has no output",
            remedy="`sdg process` it first",
        )
    with store_errors("list", version.processed):
        names = directory_names(version.processed)
    others = (version.processed_dataset.name, REMOVED)
    names = [name for name in names if name not in others]
    parts: tuple[StorePath, ...] = ()
    if processor in names:
        parts = part_files(version.processed / processor)
    if not parts:
        raise PlanError(
            f"no output of a processor {processor!r}{did_you_mean(processor, names)}"
        )
    return parts


def _chosen(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    if columns is None:
        return schema
    for name in columns:
        if name not in schema.names:
            raise PlanError(
                f"columns: there is no column {name!r}{did_you_mean(name, schema.names)}"
            )
    for _, name in duplicates(columns):
        raise PlanError(
            f"columns: {name!r} is named twice", remedy="name each column once"
        )
    if not columns:
        raise PlanError(
            "columns: the list is empty", remedy=f"there are {', '.join(schema.names)}"
        )
    chosen = [schema.field(name) for name in columns]
    return pa.schema(chosen)


def check_finished(
    version: VersionLayout, metadata: Metadata, *, otherwise: str = ""
) -> None:
    """Raise IncompleteError unless post-generation has finished. otherwise: what else one may do than finish it."""
    if metadata.post_generation_state != "complete":
        raise IncompleteError(
            f"{version.directory} is not finished",
            remedy=f"`sdg process` it first{otherwise}",
        )


def check_exportable(
    version: VersionLayout, metadata: Metadata, *, partial: bool
) -> None:
    """Raise IncompleteError unless there is a finished dataset to export, or the rows there are so far will do."""
    if not partial:
        check_finished(
            version,
            metadata,
            otherwise=", or export the rows generated so far with --partial",
        )


def check_target(path: Path, *, overwrite: bool) -> None:
    """Raise PlanError if the name says no known format, RefusedError if there is something that must not be replaced."""
    _format(path)
    if path.is_dir():
        raise RefusedError(f"{path} is a directory", remedy="name a file in it")
    if path.exists() and not overwrite:
        raise RefusedError(
            f"{path} exists",
            remedy="choose another file, or overwrite it with --force; nothing was written",
        )


def export_rows(
    parts: Sequence[StorePath],
    schema: pa.Schema,
    path: Path,
    *,
    remedy: str = "",
    defuse_formulas: bool = False,
) -> int:
    """Write the rows of parquet files into one file in the format that its name says; returns how many.

    defuse_formulas: as in ExportOptions. remedy: what to do about a damaged part. Raises StoreError; the file is then as it was.
    """
    rows = 0
    with _writer(path, schema, defuse_formulas) as write:
        for batch in _batches(parts, schema, remedy=remedy):
            write(batch)
            rows += batch.num_rows
    return rows


def _export_split(
    parts: Sequence[StorePath],
    schema: pa.Schema,
    path: Path,
    sizes: Mapping[str, int],
    *,
    remedy: str,
    defuse_formulas: bool,
) -> None:
    """Write each row into the file of its part."""
    done = 0
    with ExitStack() as stack:
        writers = []
        for name in sizes:
            writer = _writer(part_path(path, name), schema, defuse_formulas)
            writers.append(stack.enter_context(writer))
        for batch in _batches(parts, schema, remedy=remedy):
            places = part_of(done, batch.num_rows, [*sizes.values()])
            for place, write in enumerate(writers):
                of_part = pa.array(places == place)
                write(batch.filter(of_part))
            done += batch.num_rows


@contextmanager
def _writer(path: Path, schema: pa.Schema, defuse_formulas: bool) -> Iterator[Write]:
    """What writes into a file in the format that its name says, all or nothing."""
    kind, compression = _format(path)
    with atomic_file(path) as file, ExitStack() as stack:
        target = file
        if compression:
            compressed = pa.CompressedOutputStream(_LeftOpen(file), compression)
            target = stack.enter_context(compressed)
        writer = _WRITERS[kind]
        if kind == ".csv" and defuse_formulas:
            writer = partial(_csv, defuse=True)
        yield stack.enter_context(writer(target, schema))


class _LeftOpen(io.RawIOBase):
    """Passes on what is written. Closing it leaves the file open, for the caller to sync."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        return self._file.write(content)


def _format(path: Path) -> tuple[str, str | None]:
    """The format and the compression that a file's name stands for."""
    name = path.name.lower()
    ending = Path(name).suffix
    compression = _COMPRESSIONS.get(ending)
    kind = Path(name.removesuffix(ending)).suffix if compression else ending
    if kind not in _WRITERS or (compression and kind == ".parquet"):
        plain = ", ".join(_WRITERS)
        raise PlanError(
            f"{path}: unknown file extension",
            remedy=f"use {plain}, or .jsonl.gz, .jsonl.zst, .csv.gz, .csv.zst",
        )
    return kind, compression


def _batches(
    parts: Sequence[StorePath], schema: pa.Schema, *, remedy: str
) -> Iterator[pa.RecordBatch]:
    for part in parts:
        with damage_errors(part, remedy=remedy):
            source = part.open("rb") if isinstance(part, Path) else part.open_reader()
            with source:
                file = pq.ParquetFile(source)
                for batch in file.iter_batches(_BATCH, columns=schema.names):
                    table = with_columns(pa.Table.from_batches([batch]), schema)
                    yield from table.select(schema.names).cast(schema).to_batches()


@contextmanager
def _parquet(file: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer.write_batch


@contextmanager
def _jsonl(file: IO[bytes], schema: pa.Schema) -> Iterator[Write]:
    fields = [(field.name, _without_nanoseconds(field.type)) for field in schema]
    plain = pa.schema(fields)

    def write(batch: pa.RecordBatch) -> None:
        table = pa.Table.from_batches([batch]).cast(plain, safe=False)
        columns = [_values(table[name]) for name in plain.names]
        lines = []
        for row in zip(*columns, strict=True):
            record = dict(zip(plain.names, row, strict=True))
            lines.append(_json(record) + b"\n")
        file.write(b"".join(lines))

    yield write


@contextmanager
def _csv(
    file: IO[bytes], schema: pa.Schema, *, defuse: bool = False
) -> Iterator[Write]:
    names = schema.names
    if defuse:
        names = _defused(pl.Series(names)).to_list()
    header = pl.DataFrame({name: [] for name in names})
    file.write(header.write_csv().encode())
    quoted: Literal["always", "necessary"] = "necessary"
    if len(schema) == 1:
        quoted = "always"  # an empty line is no row

    def write(batch: pa.RecordBatch) -> None:
        columns = []
        for name in schema.names:
            column = _csv_column(name, batch.column(name))
            if defuse and column.dtype == pl.String:
                column = _defused(column)
            columns.append(column)
        lines = pl.DataFrame(columns).write_csv(
            include_header=False, quote_style=quoted
        )
        file.write(lines.encode())

    yield write


def _defused(texts: pl.Series) -> pl.Series:
    """Texts with an apostrophe before what a spreadsheet would run; numbers are no formulas.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    is_number = texts.str.contains(_NUMBER)
    return texts.str.replace(_FORMULA, "'$0").zip_with(
        ~is_number.fill_null(False), texts
    )


def _csv_column(name: str, values: pa.Array) -> pl.Series:
    """A column as csv can hold it: nested values as JSON, bytes as base64, times in ISO 8601."""
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if pa.types.is_nested(values.type):
        values = values.cast(_without_nanoseconds(values.type), safe=False)
        texts = [
            None if value is None else _json(value).decode()
            for value in _values(values)
        ]
        return pl.Series(name, texts, dtype=pl.String)
    column = pl.Series(name, values)
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.to_string("iso:strict")
    if isinstance(column.dtype, pl.Duration):
        return column.dt.total_microseconds() / 1e6
    if column.dtype == pl.Binary:
        return column.bin.encode("base64")
    return column


def _values(values: pa.Array | pa.ChunkedArray) -> list[Any]:
    """As Python has them; numbers of 32 bits by their own digits."""
    return (
        python_values(pl.Series(values))
        if _is_single(values.type)
        else values.to_pylist()
    )


def _is_single(kind: pa.DataType) -> bool:
    if pa.types.is_float32(kind):
        return True
    children = [kind.field(place).type for place in range(kind.num_fields)]
    return any(_is_single(child) for child in children)


def _without_nanoseconds(kind: pa.DataType) -> pa.DataType:
    """The type with microseconds in place of nanoseconds, which Python's times do not have."""
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if pa.types.is_struct(kind):
        fields = [(field.name, _without_nanoseconds(field.type)) for field in kind]
        return pa.struct(fields)
    if pa.types.is_list(kind):
        return pa.list_(_without_nanoseconds(kind.value_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(_without_nanoseconds(kind.value_type))
    return kind


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    """What JSON has no word for."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case decimal.Decimal():
            return str(value)
        case datetime.timedelta():
            return value.total_seconds()
        case _:
            raise TypeError(f"cannot write {type(value).__name__} as JSON")


_WRITERS = {".parquet": _parquet, ".jsonl": _jsonl, ".csv": _csv}
