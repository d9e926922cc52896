"""The rows of a version as one table that is not read yet: of the finished dataset, or of the row groups there are so far."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sdg_core.counts import counted
from sdg_core.errors import CorruptFileError, IncompleteError, SeedError
from sdg_core.store.layout import DatasetLayout, VersionLayout, part_files
from sdg_core.store.metadata import Metadata, read_current, read_metadata
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_group_state import RowGroupStatus
from sdg_core.store.row_groups import damage_errors, read_parquet_metadata

_FINISHED_ANEW = "`sdg reopen FILE` and `sdg process FILE` make it again"
_ROW_GROUP_ANEW = (
    "move the file out of row_groups/ and generate again; it is made again"
)


@dataclass(frozen=True)
class StoredRows:
    """Files of rows, in order. finished: they are the finished dataset; else row groups, of which some may be missing."""

    parts: tuple[StorePath, ...]
    finished: bool
    num_rows: int

    @property
    def remedy(self) -> str:
        """What to do about a file that is damaged."""
        return _FINISHED_ANEW if self.finished else _ROW_GROUP_ANEW


def resolve_parts(
    version: VersionLayout, metadata: Metadata, statuses: Sequence[RowGroupStatus]
) -> StoredRows:
    """What a version holds. Raises IncompleteError if that is no row, StoreError."""
    finished = metadata.post_generation_state == "complete"
    if finished:
        with (
            store_errors("read", version.processed_dataset),
            damage_errors(version.processed, remedy=_FINISHED_ANEW),
        ):
            parts = part_files(version.processed_dataset)
            rows = sum(read_parquet_metadata(part).num_rows for part in parts)
        if not rows:
            raise CorruptFileError(
                f"{version.processed_dataset} has no records", remedy=_FINISHED_ANEW
            )
        return StoredRows(parts, finished, rows)
    stored = row_group_parts(version, statuses)
    if not stored.num_rows:
        raise IncompleteError(
            f"{version.directory} has no records yet", remedy="generate records first"
        )
    return stored


def row_group_parts(
    version: VersionLayout, statuses: Sequence[RowGroupStatus]
) -> StoredRows:
    """The row groups of a version that hold rows, whether it is finished or not."""
    parts = []
    num_rows = 0
    for status in statuses:
        if status.footer is not None and status.footer.num_rows:
            parts.append(version.row_group(status.group.index))
            num_rows += status.footer.num_rows
    return StoredRows(tuple(parts), False, num_rows)


@contextmanager
def scan_parts(parts: Sequence[StorePath]) -> Iterator[pl.LazyFrame]:
    """A lazy scan of parquet files, valid inside the `with` block. Raises StoreError.

    Files in an object store are copied to a temporary directory, because they are read several times.
    """
    with tempfile.TemporaryDirectory(prefix="sdg-") as directory:
        local = [
            _local(part, Path(directory) / f"{number}.parquet")
            for number, part in enumerate(parts)
        ]
        yield pl.scan_parquet(local, glob=False, hive_partitioning=False)


def _local(part: StorePath, copy: Path) -> Path:
    if isinstance(part, Path):
        return part
    with (
        store_errors("read", part),
        part.open_reader() as source,
        copy.open("xb") as target,
    ):
        shutil.copyfileobj(source, target, 2**20)
    return copy


def finished_parts(layout: DatasetLayout) -> tuple[StorePath, ...]:
    """The files of the version last generated into, in order.

    Raises SeedError if there is none or it is not sealed (an unsealed version may still change), and a MetadataError
    if its state cannot be read.
    """
    name = layout.dataset
    current = read_current(layout.current)
    if current is None:
        remedy = (
            f"`sdg generate` and `sdg process` its file with the same root, or materialize {name}/row_groups and "
            f"then {name}/dataset"
        )
        if (other := layout.other_place()) is not None:
            remedy = (
                f"{other} has its data: move it to {layout.directory}, or use the same root for "
                f"both (--root, SDG_ROOT)"
            )
        raise SeedError(
            f"the seed data is dataset {name!r}, but {layout.directory} holds no data",
            remedy=remedy,
        )
    version = layout.version(current)
    metadata = read_metadata(version.metadata)
    with store_errors("list", version.processed_dataset):
        parts = part_files(version.processed_dataset)
    if metadata.post_generation_state != "complete" or not parts:
        raise SeedError(
            f"the seed data is dataset {name!r}, but its version {current} is not finished: "
            f"{metadata.num_completed_batches} of {counted(metadata.total_num_batches, 'row group', 'are')} complete, "
            "and it is not sealed",
            remedy=f"`sdg process` its file, or materialize {name}/dataset",
        )
    return parts
