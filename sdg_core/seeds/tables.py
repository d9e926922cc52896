"""Seed data that is held in memory as a whole, once it has been read: csv, json, jsonl, and what a query returned."""

import io
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property

import polars as pl
import pyarrow as pa

from sdg_core.errors import SeedError
from sdg_core.seeds.base import Rows, SeedReader
from sdg_core.seeds.columns import conform, plain_schema, raw_schema
from sdg_core.seeds.files import SeedFile

_TEXT_FORMATS = (".csv", ".jsonl", ".ndjson", ".json")
FORMATS = (".parquet", *_TEXT_FORMATS)


class FileReader(SeedReader):
    """The rows of one file."""

    def __init__(self, file: SeedFile) -> None:
        self.file = file

    @property
    @abstractmethod
    def arrow_schema(self) -> pa.Schema:
        """The file's own schema."""

    @cached_property
    def raw_schema(self) -> pa.Schema:
        """As `schema`, with columns that are null throughout still of type null."""
        return raw_schema(self.arrow_schema)

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and Arrow types; text is `string`, whatever width the file uses."""
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
        return conform(frame, self._types, source=f"seed file {self.file.name}")


class TextFileReader(FileReader):
    """One csv, json or jsonl file, held in memory. Types are inferred from every row, not from the first few."""

    @property
    def arrow_schema(self) -> pa.Schema:
        """What polars infers."""
        return self._inferred.to_arrow().schema

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        return self._inferred.height

    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The rows."""
        return self._frame[rows]

    @cached_property
    def _frame(self) -> pl.DataFrame:
        return self.conformed(self._inferred)

    @cached_property
    def _inferred(self) -> pl.DataFrame:
        try:
            content = io.BytesIO(self.file.read_bytes())
            match self.file.suffix:
                case ".csv":
                    return pl.read_csv(content, infer_schema_length=None)
                case ".json":
                    return pl.read_json(content, infer_schema_length=None)
                case _:
                    return pl.read_ndjson(content, infer_schema_length=None)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self.file.unreadable(error) from error


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


def check_format(file: SeedFile) -> None:
    """Raise SeedError for a file of no known format."""
    if file.suffix not in FORMATS:
        raise SeedError(f"seed file {file.name}: unknown format {file.suffix!r}", remedy=f"one of {', '.join(FORMATS)}")
