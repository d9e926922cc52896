"""Reading seed data by absolute row numbers."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.config.seeds import LocalSeedSource, SeedConfig
from sdg_core.errors import SeedError
from sdg_core.plan.compile import SeedInfo
from sdg_core.plan.rng import contiguous_runs
from sdg_core.seeds.addressing import seed_rows, selected_range

_FORMATS = (".parquet", ".csv", ".jsonl", ".ndjson", ".json")


class SeedReader(ABC):
    """Rows of seed data with a schema, a length and a digest of their content."""

    @property
    @abstractmethod
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns."""

    @property
    @abstractmethod
    def num_rows(self) -> int:
        """Number of rows."""

    @abstractmethod
    def digest(self) -> str:
        """`sha256:<hex>` of the content; equal content gives an equal digest wherever it lies."""

    @abstractmethod
    def read(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """The rows with these absolute numbers, in this order, repeats included."""


class LocalFileReader(SeedReader):
    """One csv, parquet, json or jsonl file. Parquet is read in slices, the others are held in memory once read."""

    def __init__(self, path: Path, *, source: LocalSeedSource) -> None:
        if path.suffix.lower() not in _FORMATS:
            raise SeedError(f"seed file {path}: unknown format {path.suffix!r}", remedy=f"one of {', '.join(_FORMATS)}")
        if path.is_dir():
            raise SeedError(f"seed file {path} is a directory", remedy="name one file")
        if not path.is_file():
            raise SeedError(f"seed file {path} does not exist", remedy=_remedy(source))
        self._path = path

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and Arrow types; text is `string`, whatever width the file uses."""
        return pa.schema([pa.field(f.name, _plain_type(f.type)) for f in self._empty_frame.to_arrow().schema])

    @cached_property
    def num_rows(self) -> int:
        """Number of rows in the file."""
        return int(self._collect(self._scan().select(pl.len())).item())

    def digest(self) -> str:
        """sha256 of the file's bytes."""
        try:
            stat = self._path.stat()
            return file_digest(self._path, stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise SeedError(f"seed file {self._path} cannot be read: {error.strerror}") from error

    def read(self, rows: NDArray[np.int64]) -> pl.DataFrame:
        """The given rows. Wrap-around and shuffling are the caller's arithmetic."""
        runs = contiguous_runs(rows)
        if not runs:
            return self._empty_frame
        if self._path.suffix.lower() == ".parquet" and len(runs) <= 8:
            return pl.concat([self._collect(self._scan().slice(start, count)) for start, count in runs])
        return self._frame[rows]

    @cached_property
    def _frame(self) -> pl.DataFrame:
        return self._collect(self._scan())

    @cached_property
    def _empty_frame(self) -> pl.DataFrame:
        return self._collect(self._scan().head(0))

    def _scan(self) -> pl.LazyFrame:
        match self._path.suffix.lower():
            case ".parquet":
                return pl.scan_parquet(self._path)
            case ".csv":
                return pl.scan_csv(self._path, infer_schema_length=None)
            case ".json":
                return self._reading(lambda: pl.read_json(self._path, infer_schema_length=None)).lazy()
            case _:
                return pl.scan_ndjson(self._path, infer_schema_length=None)

    def _collect(self, scan: pl.LazyFrame) -> pl.DataFrame:
        return self._reading(scan.collect)

    def _reading(self, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        try:
            return read()
        except (pl.exceptions.PolarsError, OSError) as error:
            kind = self._path.suffix[1:]
            raise SeedError(f"seed file {self._path} cannot be read as {kind}: {str(error).splitlines()[0]}") from error


class Seeds:
    """Seed data as a dataset sees it: addressed by record index."""

    def __init__(self, reader: SeedReader, *, config: SeedConfig, seed: int) -> None:
        self._reader, self._config, self._seed = reader, config, seed

    def info(self) -> SeedInfo:
        """What planning needs to know. Raises SeedError if the data cannot be read or the selection does not fit."""
        _, count = selected_range(self._reader.num_rows, self._config.selection_strategy)
        return SeedInfo(schema=self._reader.schema, num_rows=count, digest=self._reader.digest())

    def read(self, indices: NDArray[np.int64]) -> pl.DataFrame:
        """The seed columns of the records with these indices."""
        rows = seed_rows(indices, config=self._config, num_rows=self._reader.num_rows, seed=self._seed)
        return self._reader.read(rows)


def open_seeds(config: SeedConfig, *, seed: int, base: Path, root: str) -> Seeds:
    """Open seed data; relative paths start at `base`, `{root}` is the storage root. Raises SeedError."""
    path = base / config.source.path.replace("{root}", str(Path(root).absolute()))
    return Seeds(LocalFileReader(path, source=config.source), config=config, seed=seed)


@lru_cache(maxsize=1024)
def file_digest(path: Path, size: int, mtime_ns: int) -> str:
    """`sha256:<hex>` of a file's bytes; `size` and `mtime_ns` (from stat) key the cache."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _remedy(source: LocalSeedSource) -> str:
    if source.upstream_asset is None:
        return "check seed_config.source.path; a relative path starts at the dataset file"
    return (
        f"materialize its upstream asset {source.upstream_asset} first: "
        f'dagster asset materialize -m sdg_assets.definitions --select "{source.upstream_asset}"'
    )


def _plain_type(data_type: pa.DataType) -> pa.DataType:
    """Arrow's 64-bit-offset and view types as their plain counterparts, nested ones too."""
    if pa.types.is_large_string(data_type) or pa.types.is_string_view(data_type):
        return pa.string()
    if pa.types.is_large_binary(data_type) or pa.types.is_binary_view(data_type):
        return pa.binary()
    if pa.types.is_large_list(data_type) or pa.types.is_list(data_type):
        return pa.list_(_plain_type(data_type.value_type))
    if pa.types.is_struct(data_type):
        return pa.struct([pa.field(field.name, _plain_type(field.type)) for field in data_type])
    if pa.types.is_dictionary(data_type):
        return _plain_type(data_type.value_type)
    return data_type
