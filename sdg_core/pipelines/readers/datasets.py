"""The files of another dataset or pipeline as sources: its finished files, or those that are committed so far.

The version is the digest of a file's rows as they are stored, without what the file says of itself: rows that are made again
and come out the same are no change.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from sdg_core.config.sources import DatasetSources
from sdg_core.errors import SeedError
from sdg_core.pipelines.readers.base import OpenSource, Record, Source, SourceError
from sdg_core.pipelines.readers.files import OpenFile, unreadable
from sdg_core.pipelines.readers.tables import not_parquet, read_parquet
from sdg_core.pipelines.store import SourcesLayout
from sdg_core.seeds.digests import kept_digest
from sdg_core.seeds.files import LocalFile, ObjectFile, SeedFile, Stamp
from sdg_core.store.layout import DatasetLayout
from sdg_core.store.metadata import read_current
from sdg_core.store.objects import StorePath
from sdg_core.store.parts import finished_parts

_BLOCK = 2**20
_TAIL = 8
"""Bytes at the end of a parquet file: the length of its footer, and its mark."""


class PartSource(Source):
    """A file of another dataset."""

    __slots__ = ("_path",)

    def __init__(self, key: str, locator: str, path: StorePath) -> None:
        super().__init__(key, locator)
        self._path = path

    def open(self) -> OpenSource:
        """The file as it is now."""
        try:
            file: SeedFile = (
                LocalFile(self._path)
                if isinstance(self._path, Path)
                else ObjectFile(self._path)
            )
        except SeedError as error:
            raise unreadable(error) from error
        return OpenFile(file, self.locator, _records, version=_rows_digest(file))


def _records(file: SeedFile) -> Iterator[Record]:
    return read_parquet(file, None)


def dataset_sources(config: DatasetSources, *, root: StorePath) -> list[Source]:
    """The files that there are, in order. Raises SeedError if the dataset is not finished and `committed` does not say that it
    need not be."""
    layout = DatasetLayout(root, config.dataset)
    parts = _committed(layout) if config.committed else list(finished_parts(layout))
    named = [(f"{config.dataset}/{part.stem}", part) for part in parts]
    return [PartSource(f"dataset:{name}", name, part) for name, part in named]


def _committed(layout: DatasetLayout) -> list[StorePath]:
    """The row groups or partitions of the version last generated into; none before there is one."""
    current = read_current(layout.current)
    if current is None:
        return []
    version = layout.version(current)
    found = [version.row_group(index) for index in version.existing_row_groups()]
    sources = SourcesLayout(layout.directory / current)
    found += [sources.row_group(index) for index in sources.existing_row_groups()]
    return found


def _rows_digest(file: SeedFile) -> str:
    """Raises SourceError if the file is not parquet."""
    try:
        stamp = file.stamp()
        return _kept_rows_digest(file.name, stamp, _Opener(file))
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}") from error
    except (pa.ArrowException, ValueError) as error:
        raise not_parquet(error) from error


class _Opener:
    """A file as the key of a cache: all are equal, since name and stamp are in the key as well."""

    def __init__(self, file: SeedFile) -> None:
        self.file = file

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opener)


@lru_cache(maxsize=100_000)
def _kept_rows_digest(name: str, stamp: Stamp, opener: _Opener) -> str:
    def compute() -> tuple[str, bool]:
        with opener.file.open() as handle:
            return _digest_of_rows(handle), opener.file.stamp() == stamp

    return kept_digest(f"rows:{name}", stamp, compute)


def _digest_of_rows(handle: IO[bytes]) -> str:
    """Of everything in a parquet file before its footer, and of its schema."""
    schema = pq.ParquetFile(handle).schema_arrow.remove_metadata()
    size = handle.seek(0, 2)
    handle.seek(size - _TAIL)
    remaining = size - _TAIL - int.from_bytes(handle.read(4), "little")
    state = hashlib.sha256(str(schema).encode())
    handle.seek(0)
    while remaining > 0 and (block := handle.read(min(_BLOCK, remaining))):
        state.update(block)
        remaining -= len(block)
    return f"sha256:{state.hexdigest()}"
