"""Several files as one: end to end, in the order given, with one schema."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import accumulate

import numpy as np
import polars as pl
import pyarrow as pa

from sdg_core.config.seeds import TextFileKeys
from sdg_core.errors import SeedError
from sdg_core.plan.hashed_fields import digest
from sdg_core.plan.types.polars_columns import exact_column
from sdg_core.seeds.base import Rows, SeedReader, gather
from sdg_core.seeds.columns import plain_schema
from sdg_core.seeds.files import SeedFile
from sdg_core.seeds.parquet import ChunkCache, ParquetReader
from sdg_core.seeds.tables import FileReader, TextFileReader, check_format
from sdg_core.seeds.text_options import TextOptions


def open_files(
    files: Sequence[SeedFile], *, options: TextOptions | None = None
) -> SeedReader:
    """A reader of one or several csv, parquet, json or jsonl files. Raises SeedError for an unknown format.

    options: how the text files among them are read.
    """
    for file in files:
        check_format(file)
    has_text = any(file.suffix != ".parquet" for file in files)
    if options is not None and options.stated and not has_text:
        raise SeedError(
            f"seed file {files[0].name} is parquet, which needs no reading options",
            remedy="remove separator, encoding, null_values and types from seed_config.source",
        )
    cache = ChunkCache()
    readers: list[ParquetReader | TextFileReader] = []
    for file in files:
        if file.suffix == ".parquet":
            readers.append(ParquetReader(file, cache=cache))
        else:
            readers.append(TextFileReader(file, options=options))
    return readers[0] if len(readers) == 1 else ConcatReader(readers)


def text_options(source: TextFileKeys) -> TextOptions:
    """What a source says of its text files."""
    return TextOptions(
        separator=source.separator,
        encoding=source.encoding,
        null_values=frozenset(source.null_values),
        types=source.types,
    )


class ConcatReader(SeedReader):
    """Files end to end. They have the same columns (in any order) of the same types; a column that is null throughout a file
    takes the type it has in the others."""

    def __init__(self, readers: Sequence[FileReader]) -> None:
        self._readers = readers

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema that the files agree on. Raises SeedError naming the file and column that do not."""
        first = self._readers[0]
        types = {field.name: field.type for field in first.raw_schema}
        for reader in self._readers[1:]:
            _check_names(reader, first)
            for field in reader.raw_schema:
                known = types[field.name]
                if pa.types.is_null(known):
                    types[field.name] = field.type
                elif field.type != known and not pa.types.is_null(field.type):
                    _check_type(reader, first, field=field, known=known)
        return plain_schema(pa.schema([*types.items()]))

    @cached_property
    def num_rows(self) -> int:
        """Number of rows, all files together."""
        return sum(reader.num_rows for reader in self._readers)

    def digest(self) -> str:
        """Of the files' digests, in order."""
        return digest([reader.digest() for reader in self._readers])

    def files(self) -> Mapping[str, str]:
        """Those of the readers, in order."""
        files: dict[str, str] = {}
        for reader in self._readers:
            files.update(reader.files())
        return files

    def check_values(self) -> None:
        """Those of every file."""
        for reader in self._readers:
            reader.check_values()

    def notices(self) -> tuple[str, ...]:
        """Those of every file."""
        notices: list[str] = []
        for reader in self._readers:
            notices += reader.notices()
        return tuple(notices)

    def check_unchanged(self) -> None:
        """Look at every file."""
        for reader in self._readers:
            reader.check_unchanged()

    def fetch(self, rows: Rows) -> pl.DataFrame:
        """The rows, each file asked once."""
        ends = accumulate(reader.num_rows for reader in self._readers)
        starts = [0, *ends][:-1]
        return gather(rows, np.array(starts), self._take)

    def _take(self, place: int, rows: Rows) -> pl.DataFrame:
        reader = self._readers[place]
        frame = reader.read(rows)
        columns: list[pl.Expr] = []
        for name, data_type in self._types.items():
            only_nulls = pa.types.is_null(reader.raw_schema.field(name).type)
            if only_nulls and frame.schema[name] != data_type:
                columns.append(pl.lit(None, dtype=data_type).alias(name))
            else:
                columns.append(exact_column(name))
        return frame.select(columns)


def _check_names(reader: FileReader, first: FileReader) -> None:
    names = set(reader.raw_schema.names)
    expected = set(first.raw_schema.names)
    if names != expected:
        name = sorted(names ^ expected)[0]
        with_it, without = (reader, first) if name in names else (first, reader)
        raise SeedError(
            f"seed files differ in their columns: {with_it.file.name} has {name!r}, {without.file.name} does not",
            remedy="all files of a source must have the same columns; list only the files that belong together",
        )


def _check_type(
    reader: FileReader, first: FileReader, *, field: pa.Field, known: pa.DataType
) -> None:
    ours = reader.schema.field(field.name).type
    theirs = plain_schema(pa.schema([(field.name, known)])).types[0]
    if ours != theirs:
        raise SeedError(
            f"seed files differ in column {field.name!r}: {ours} in {reader.file.name}, {theirs} in {first.file.name}",
            remedy="use the same type in all files, preferably as parquet: the types of csv and json "
            "are inferred per file",
        )
