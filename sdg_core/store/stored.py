"""What is stored of a dataset or pipeline, by its name and root alone: for programs that read it and need not know its file.

It is always the version last generated into. Nothing is computed from the config, so a config that was edited since changes
nothing here; the run that makes its data does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa

from sdg_core.errors import IncompleteError
from sdg_core.store.layout import DatasetLayout, VersionLayout, part_files
from sdg_core.store.listing import list_files
from sdg_core.store.metadata import read_current, read_metadata
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_groups import read_rows

PARTITIONED = ("row_groups", "sources")
"""The directories of partitions: of a dataset, of a pipeline."""


@dataclass(frozen=True)
class StoredFiles:
    """Parquet files of ours, in order, as one table."""

    paths: tuple[StorePath, ...]

    @classmethod
    def together(cls, files: Iterable["StoredFiles"]) -> "StoredFiles":
        """Several tables, one after the other."""
        paths: list[StorePath] = []
        for each in files:
            paths += each.paths
        return cls(tuple(paths))

    def scan(self) -> pl.LazyFrame:
        """The rows as a lazy frame. Files of an object store are read into memory.

        Files of a pipeline may differ in columns that some of them have no value of.
        """
        frames = []
        for path in self.paths:
            if isinstance(path, Path):
                frames.append(
                    pl.scan_parquet(path, glob=False, hive_partitioning=False)
                )
            else:
                frame = pl.DataFrame(read_rows(path))
                frames.append(frame.lazy())
        if len(frames) == 1:
            return frames[0]
        return pl.concat(frames, how="diagonal_relaxed")

    def to_arrow(self) -> pa.Table:
        """The rows with the types that they are stored with. Raises CorruptFileError, StoreError."""
        tables = [read_rows(path).replace_schema_metadata() for path in self.paths]
        return pa.concat_tables(tables, promote_options="permissive")


def finished_files(layout: DatasetLayout) -> StoredFiles:
    """The files of the finished dataset. Raises IncompleteError if the version last generated into is not finished."""
    version = _current(layout)
    state = read_metadata(version.metadata).post_generation_state
    with store_errors("list", version.processed_dataset):
        files = part_files(version.processed_dataset) if state == "complete" else ()
    if not files:
        raise IncompleteError(
            f"version {version.name} of {layout.dataset} is not finished: {version.directory} has no finished dataset",
            remedy=f"materialize {layout.dataset}/dataset, or `sdg process` its file",
        )
    return StoredFiles(files)


def _listed(keys: Sequence[str]) -> str:
    more = ", …" if len(keys) > 10 else ""
    return f"{', '.join(keys[:10])}{more}"


def partition_files(
    layout: DatasetLayout, keys: Sequence[str] | None = None
) -> dict[str, StoredFiles]:
    """The file of each of these partitions, in order of their keys; without keys, of all that there are.

    Raises IncompleteError for partitions that have no file, and if there is none at all.
    """
    version = _current(layout)
    found: dict[str, StorePath] = {}
    for name in PARTITIONED:
        folder = version.directory / name
        with store_errors("list", folder):
            files = sorted(file.name for file in list_files(folder, after=None))
        for file in files:
            if file.endswith(".parquet"):
                found[file.removesuffix(".parquet").removeprefix("batch_")] = (
                    folder / file
                )
    missing = [key for key in keys or () if key not in found]
    if missing or not found:
        which = f"partitions {_listed(missing)}" if missing else "any partition"
        what = "them" if missing else layout.dataset
        raise IncompleteError(
            f"version {version.name} of {layout.dataset} has no file of {which}",
            remedy=f"materialize {what} first",
        )
    wanted = sorted(found if keys is None else keys)
    return {key: StoredFiles((found[key],)) for key in wanted}


def _current(layout: DatasetLayout) -> VersionLayout:
    """The version last generated into. Raises IncompleteError."""
    name = read_current(layout.current)
    if name is None:
        other = layout.other_place()
        remedy = f"generate {layout.dataset} first"
        if other is not None:
            remedy = f"{other} does: use the same root for both (SDG_ROOT)"
        raise IncompleteError(f"{layout.directory} holds no data", remedy=remedy)
    return layout.version(name)
