"""Seed data that is held in memory as a whole, once it has been read: csv, json, jsonl, and what a query returned."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import orjson
import polars as pl
import pyarrow as pa

from sdg_core.errors import SeedError
from sdg_core.seeds.base import Rows, SeedReader
from sdg_core.seeds.columns import conform, plain_schema, raw_schema
from sdg_core.seeds.files import COMPRESSIONS, SeedFile
from sdg_core.seeds.text import TextTable, read_text_table
from sdg_core.seeds.text_options import TextOptions
from sdg_core.system.streams import read_up_to

_BATCH_ROWS = 10_000
MAX_TEXT_BYTES = 2 * 2**30
"""Of a compressed text file, unpacked: it is held in memory, and a few kilobytes may unpack to anything."""
_TEXT_FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
FORMATS = (".parquet", *_TEXT_FORMATS)


UNREADABLE = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    pa.ArrowException,
    OSError,
    ValueError,
    OverflowError,
    MemoryError,
    RecursionError,
    LookupError,
    TypeError,
)
"""What libraries raise about content that they were not made for; the last two those that read an Arrow extension type."""


class FileReader(SeedReader):
    """The rows of one file."""

    def __init__(self, file: SeedFile) -> None:
        self.file = file

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise SeedError naming the file for whatever its content makes libraries raise."""
        try:
            yield
        except UNREADABLE as error:
            raise self.file.unreadable(error) from error

    @property
    @abstractmethod
    def arrow_schema(self) -> pa.Schema:
        """The file's own schema."""

    @cached_property
    def raw_schema(self) -> pa.Schema:
        """As `schema`, with columns that are null throughout still of type null."""
        with self.reading():
            return raw_schema(self.arrow_schema)

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and Arrow types; text is `string`, whatever width the file uses."""
        with self.reading():
            return plain_schema(self.arrow_schema)

    def digest(self) -> str:
        """sha256 of the file's bytes."""
        return self.file.digest()

    def files(self) -> Mapping[str, str]:
        """The one file."""
        return {self.file.name: self.file.digest()}

    def check_unchanged(self) -> None:
        """One `stat`, and a digest if the file has been touched."""
        self.file.check_unchanged()

    def conformed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame with the types of `schema`."""
        with self.reading():
            return conform(frame, self._types, source=f"seed file {self.file.name}")


class TextFileReader(FileReader):
    """One csv, json or jsonl file, held in memory. Types are inferred from every row (`sdg_core.seeds.text`)."""

    def __init__(self, file: SeedFile, *, options: TextOptions | None = None) -> None:
        super().__init__(file)
        self._options = options

    @property
    def arrow_schema(self) -> pa.Schema:
        """What was inferred."""
        return self._inferred.to_arrow().schema

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self._inferred.height

    def digest(self) -> str:
        """sha256 of the file's bytes; with the rules by which it is read, where these were added after the first release."""
        digest = super().digest()
        rules = self._read.rules
        if not rules:
            return digest
        return (
            f"sha256:{hashlib.sha256(' '.join([digest, *rules]).encode()).hexdigest()}"
        )

    def notices(self) -> tuple[str, ...]:
        """Columns that are read under another name."""
        return self._read.notices

    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The rows."""
        return self._frame[rows]

    @cached_property
    def _frame(self) -> pl.DataFrame:
        return self.conformed(self._inferred)

    @property
    def _inferred(self) -> pl.DataFrame:
        return self._read.frame

    @cached_property
    def _read(self) -> TextTable:
        source = f"seed file {self.file.name}"
        with self.reading():
            content = self.file.read_bytes()
            if self.file.compression is not None:
                with pa.input_stream(
                    pa.BufferReader(content), compression=self.file.compression
                ) as stream:
                    content = read_up_to(stream, MAX_TEXT_BYTES + 1)
                if len(content) > MAX_TEXT_BYTES:
                    raise SeedError(
                        f"{source} is larger than {MAX_TEXT_BYTES // 2**30} GiB when decompressed",
                        remedy="split it, or convert it to parquet, which is read in parts",
                    )
            return read_text_table(
                content, self.file.suffix, source=source, options=self._options
            )


class TableReader(SeedReader):
    """A table in memory."""

    def __init__(self, table: pa.Table, *, digest: str) -> None:
        self._schema = plain_schema(table.schema)
        self._digest = digest
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        self._frame = conform(frame, self._types, source="seed data")

    @property
    def schema(self) -> pa.Schema:
        """Names and Arrow types."""
        return self._schema

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self._frame.height

    def digest(self) -> str:
        """Of schema and rows."""
        return self._digest

    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The rows."""
        return self._frame[rows]


def table_digest(table: pa.Table) -> str:
    """`sha256:<hex>` over schema and rows, written out as text so that no library's layout of memory matters."""
    table = table.cast(plain_schema(table.schema))
    columns = [
        (field.name, str(field.type), table[field.name].null_count)
        for field in table.schema
    ]
    state = hashlib.sha256(str(columns).encode())
    for start in range(0, table.num_rows, _BATCH_ROWS):
        batch = table.slice(start, _BATCH_ROWS)
        for row in batch.to_pylist():
            line = orjson.dumps(
                [*row.values()], default=_text, option=orjson.OPT_NON_STR_KEYS
            )
            state.update(line + b"\n")
    return f"sha256:{state.hexdigest()}"


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def check_format(file: SeedFile) -> None:
    """Raise SeedError for a file of no known format."""
    if file.suffix not in FORMATS:
        raise SeedError(
            f"seed file {file.name}: unknown format {file.suffix!r}",
            remedy=f"one of {', '.join(FORMATS)}; text formats also as {', '.join(COMPRESSIONS)}",
        )
