"""The files of a pipeline: which partition holds which sources, and the partitions themselves.

    <root>/<pipeline>/partitions/00000.json                      written once, never changed: partitions are sticky
    <root>/<pipeline>/checkpoints/                               see `sdg_core.pipelines.checkpoints`
    <root>/<pipeline>/<version>/sources/00000.parquet            rows of its sources, in order, and their accounts

The rest of a version is a dataset's (`sdg_core.store.layout`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO, Any, ClassVar

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from sdg_core.errors import CorruptFileError, StoreError
from sdg_core.pipelines.readers.base import Source
from sdg_core.pipelines.tasks import FailedTask, StageAccount
from sdg_core.plan.row_groups import row_group_key
from sdg_core.plan.types.arrow_values import array_of
from sdg_core.plan.usage import UsageByModel
from sdg_core.store.atomic import create_files, read_or_none
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.listing import list_files
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.publish_files import NewFile
from sdg_core.store.row_groups import (
    FOOTER_KEY,
    check_row_count,
    damage_errors,
    footer_content,
    read_parquet_metadata,
)
from sdg_core.store.storage import StoredFile

SCHEMA_VERSION = 1
UNLIKE = "give the column one type in a stage before the sink, or exclude the column with sink.columns"
"""What to do about values of different types in one column."""
MAX_SINGLE = 10_000
"""Sources that get a partition each by default; more are bucketed."""
_SHORT = 2**20
"""Bytes of rows that are laid out in memory, so that their file is a single write."""
_FEW_ROWS = 16
"""Rows that are too few for a dictionary, which is a second page for every column."""
_NAME = re.compile(r"\d{5,}\.json")
"""What says which sources a partition holds; temporaries of other processes lie beside it."""
_PARTITION = re.compile(r"(\d{5,})\.parquet")


@dataclass(frozen=True)
class SourcesLayout(VersionLayout):
    """The paths of one version of a pipeline: its partitions stand where a dataset's row groups do."""

    @property
    def row_groups(self) -> StorePath:
        """The directory of partitions."""
        return self.directory / "sources"

    def row_group(self, index: int) -> StorePath:
        """The file of a partition."""
        return self.row_groups / f"{row_group_key(index)}.parquet"

    def rejected_candidates(self, index: int) -> StorePath:
        """Candidates of a partition's tasks that were not kept; see `sdg_core.pipelines.rejected`."""
        return self.rejected / f"{row_group_key(index)}.parquet"

    def cells(self, index: int) -> StorePath:
        """What was paid for the complete sources of a partition; see `sdg_core.pipelines.source_cells`."""
        return self.directory / "cells" / f"{row_group_key(index)}.jsonl.zst"

    @property
    def checkpoints(self) -> StorePath:
        """Checkpoints of a forced version, which takes none from others."""
        return self.directory / "checkpoints"

    @property
    def checkpoint_list(self) -> StorePath:
        """Which checkpoints the version uses; see `sdg_core.pipelines.prune`."""
        return self.directory / "checkpoints.json"

    def row_group_files(self, *, first: int = 0) -> dict[int, StoredFile]:
        """The partitions that exist, by number."""
        with store_errors("list", self.row_groups):
            files = list_files(self.row_groups, after=None)
        found = {}
        for file in files:
            match = _PARTITION.fullmatch(file.name)
            if match and int(match[1]) >= first:
                found[int(match[1])] = file
        return found


@dataclass(frozen=True)
class PipelineLayout(DatasetLayout):
    """The paths of a pipeline below a root directory."""

    UNIT: ClassVar[str] = "partition"

    def version(self, name: str) -> SourcesLayout:
        """The paths of a version."""
        return SourcesLayout(self.directory / name)

    @property
    def partitions(self) -> StorePath:
        """Which sources each partition holds."""
        return self.directory / "partitions"

    @property
    def checkpoints(self) -> StorePath:
        """What stages with `checkpoint: true` made, for all versions."""
        return self.directory / "checkpoints"


@dataclass(frozen=True)
class Partition:
    """A partition and the sources that it holds for good: keys and locators."""

    index: int
    sources: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """The Dagster partition key, `00000` and up."""
        return row_group_key(self.index)


def read_partitions(layout: PipelineLayout) -> list[Partition]:
    """The partitions that were written down. Raises CorruptFileError for one that cannot be understood, StoreError."""
    return [_parse(layout.partitions / name) for name in _partition_names(layout)]


def count_partitions(layout: PipelineLayout) -> int:
    """How many partitions were written down, without a look into them. Raises StoreError."""
    return len(_partition_names(layout))


def _partition_names(layout: PipelineLayout) -> list[str]:
    with store_errors("list", layout.partitions):
        files = list_files(layout.partitions, after=None)
    names = [file.name for file in files if _NAME.fullmatch(file.name)]
    return sorted(names, key=lambda name: int(name.partition(".")[0]))


def _parse(path: StorePath) -> Partition:
    content = read_or_none(path)
    try:
        data = orjson.loads(content or b"")
        sources = []
        for source in data["sources"]:
            key = source["key"]
            locator = source["locator"]
            if not isinstance(key, str) or not isinstance(locator, str):
                raise TypeError("the name of a source is not text")
            sources.append((key, locator))
        return Partition(int(path.stem), tuple(sources))
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise CorruptFileError(
            f"{path} is not valid: {error}",
            remedy="restore it; it lists the sources of the partition",
        ) from error


def assigned(
    known: Sequence[Partition], found: Sequence[Source], *, per_partition: int | None
) -> list[Partition]:
    """The partitions with those that new sources need; writes nothing."""
    taken = {key for partition in known for key, _ in partition.sources}
    new = [source for source in found if source.key not in taken]
    size = per_partition or max(1, -(-len(new) // MAX_SINGLE))
    first = known[-1].index + 1 if known else 0
    partitions = [*known]
    for number, start in enumerate(range(0, len(new), size), start=first):
        chosen = new[start : start + size]
        sources = tuple((source.key, source.locator) for source in chosen)
        partitions.append(Partition(number, sources))
    return partitions


def record_partitions(
    layout: PipelineLayout, found: Sequence[Source], *, per_partition: int | None
) -> list[Partition]:
    """Give new sources their partitions, for good. Of two processes that try at once one is first, and the other goes on from
    what that one wrote."""
    while True:
        known = read_partitions(layout)
        wanted = assigned(known, found, per_partition=per_partition)
        new = {
            layout.partitions / f"{partition.key}.json": _content(partition)
            for partition in wanted[len(known) :]
        }
        if create_files(new):
            return wanted


def _content(partition: Partition) -> bytes:
    sources = [{"key": key, "locator": locator} for key, locator in partition.sources]
    return orjson.dumps(
        {"schema_version": SCHEMA_VERSION, "sources": sources},
        option=orjson.OPT_INDENT_2,
    )


@dataclass(frozen=True)
class SourceEntry:
    """What a partition's footer says of one source; see DESIGN: `rows` of the file are its own, `read` are the tasks it gave.

    stages: the account of each stage, the reader first. runs: that contributed, so that no reply is counted twice.
    """

    key: str
    locator: str
    version: str
    state: str
    rows: int
    read: int
    filtered: Mapping[str, int]
    failed: tuple[FailedTask, ...]
    stages: tuple[StageAccount, ...]
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class PartitionFooter:
    """What a partition's file says of itself. removed: sources that are gone, with their last version. carried: cells
    that earlier versions paid for, by version and column."""

    dataset: str
    config_hash: str
    column_hashes: Mapping[str, str]
    partition: str
    sources: tuple[SourceEntry, ...]
    removed: tuple[Mapping[str, str], ...]
    usage: UsageByModel
    simulated: bool
    created_at: str
    run_id: str
    schema_version: int = SCHEMA_VERSION
    carried: UsageByModel = field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """Rows in the file."""
        return sum(entry.rows for entry in self.sources)


def partition_file(
    path: StorePath, table: pa.Table, footer: PartitionFooter
) -> NewFile:
    """The file of a partition, to be written with others."""

    def write(file: IO[bytes]) -> None:
        metadata = {FOOTER_KEY: orjson.dumps(_plain(footer))}
        whole = table.replace_schema_metadata(metadata)
        if table.nbytes > _SHORT:
            pq.write_table(whole, file, compression="zstd")
            return
        content = pa.BufferOutputStream()
        has_repeats = table.num_rows > _FEW_ROWS
        pq.write_table(whole, content, compression="zstd", use_dictionary=has_repeats)
        file.write(content.getvalue())

    return NewFile(path, write)


def _plain(footer: PartitionFooter) -> dict[str, Any]:
    """A footer as JSON has it. Dataclasses within it are turned into mappings by `orjson`."""
    sources = []
    for entry in footer.sources:
        failed = [
            {**vars(task), "stage": stage_label(task.stage)} for task in entry.failed
        ]
        sources.append({**vars(entry), "failed": failed})
    return {**vars(footer), "sources": sources}


def stage_label(stage: int) -> str:
    """Where in the pipeline file a stage stands."""
    return f"stages[{stage}]" if stage >= 0 else "sources"


def read_footer(path: StorePath) -> PartitionFooter:
    """Read a partition's footer. Raises CorruptFileError, UnrecognizedFileError or StoreError."""
    with damage_errors(path, "is not a complete parquet file"):
        parquet = read_parquet_metadata(path)
    content = footer_content(parquet, path)
    try:
        footer = _footer_type().validate_json(_with_stage_numbers(content), strict=True)
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
    ) as error:  # pydantic's is a ValueError
        reason = str(error).replace("\n", "; ")
        raise CorruptFileError(
            f"{path} has a footer that cannot be read: {reason[:300]}"
        ) from error
    check_row_count(parquet, footer.num_rows, path)
    return footer


@lru_cache(maxsize=1)
def _footer_type() -> TypeAdapter[PartitionFooter]:
    return TypeAdapter(PartitionFooter)


def _with_stage_numbers(content: bytes) -> bytes:
    """A footer in which failed tasks have the numbers of their stages."""
    data = orjson.loads(content)
    for entry in data["sources"]:
        for failed in entry["failed"]:
            failed["stage"] = stage_number(failed["stage"])
    return orjson.dumps(data)


def stage_number(label: str) -> int:
    """The place of a stage in the pipeline file, from how it is named."""
    return (
        -1
        if label == "sources"
        else int(label.removeprefix("stages[").removesuffix("]"))
    )


def to_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    types: Mapping[str, pa.DataType],
) -> pa.Table:
    """Rows as a table. Columns that stages of known type made have that type; of others it is what the values say.

    Raises StoreError for a column whose values have no type in common.
    """
    arrays = []
    for name in columns:
        values = [row.get(name) for row in rows]
        arrays.append(_array(name, values, types.get(name)))
    if not columns:
        return pa.table({})
    return pa.table(arrays, names=list(columns))


def _array(name: str, values: list[Any], kind: pa.DataType | None) -> pa.Array:
    try:
        if kind is not None:
            return array_of(values, kind)
    except (pa.ArrowException, TypeError, ValueError):
        pass  # a later stage put values of another type in its place
    try:
        array = array_of(values)
        return (
            array_of(_without_empty(values)) if _has_empty_struct(array.type) else array
        )
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise StoreError(
            f"the values of column {name!r} have no common type ({error})",
            remedy=UNLIKE,
        ) from error


def _has_empty_struct(kind: pa.DataType) -> bool:
    """Whether a type has mappings without a key, which parquet cannot hold."""
    if pa.types.is_struct(kind) and kind.num_fields == 0:
        return True
    children = [kind.field(at).type for at in range(kind.num_fields)]
    return any(_has_empty_struct(child) for child in children)


def _without_empty(value: Any) -> Any:
    """The value with null in the place of empty mappings."""
    if isinstance(value, Mapping):
        return {key: _without_empty(part) for key, part in value.items()} or None
    if isinstance(value, list | tuple):
        return [_without_empty(part) for part in value]
    return value


def joined(tables: Iterable[pa.Table], *, where: object) -> pa.Table:
    """Tables of sources below each other; a column that one does not have is null there. Raises StoreError."""
    parts = [table.replace_schema_metadata(None) for table in tables]
    if not parts:
        return pa.table({})
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise StoreError(
            f"{where}: the sources of this partition have columns with the same name but different types: {error}",
            remedy="give the column one type in a stage before the sink",
        ) from error
