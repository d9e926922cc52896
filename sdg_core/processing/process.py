"""Post-generation: from complete row groups to the finished dataset, published whole, then sealed.

Row groups are only read. The output is built beside its place and switched in (`sdg_core.store.staged_output`).
`metadata.json` says `started` before and `complete` after; a crash in between loses nothing, because processing
simply runs again. A reader of the output looks at `metadata.json` first: on an object store, that is the only switch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sdg_core.config.processors import SchemaTransformProcessor
from sdg_core.counts import counted
from sdg_core.errors import IncompleteError, SealedError
from sdg_core.filters.clusters import Ids
from sdg_core.plan.checks.processors import REMOVED, WITH_IMAGES
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.row_groups import format_ranges
from sdg_core.processing.card import dataset_card
from sdg_core.processing.evaluation_sets import OpenSource
from sdg_core.processing.images import ROWS_PER_PART as IMAGE_ROWS_PER_PART
from sdg_core.processing.images import WithImages, image_columns
from sdg_core.processing.removed import RemovedRecords, removals, write_clusters
from sdg_core.processing.row_processors import (
    RowProcessors,
    open_row_processors,
    removes_everything,
    row_processor_marks,
)
from sdg_core.processing.transform import TEMPLATE_KEY, SchemaTransform
from sdg_core.store.atomic import remove_directory, write_atomic
from sdg_core.store.layout import VersionLayout, part_files, part_name
from sdg_core.store.metadata import Metadata
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus
from sdg_core.store.row_groups import (
    read_dropped,
    read_parquet_metadata,
    read_rows,
    with_columns,
)
from sdg_core.store.staged_output import StagedFile, StagedOutput, new_output
from sdg_core.store.versions import update_metadata
from sdg_core.system.commit_guard import CommitGuard
from sdg_core.system.failpoints import failpoint

ROWS_PER_PART = 1_000_000


@dataclass(frozen=True)
class ProcessingResult:
    """The result of post-generation processing. already_done: the version was already sealed, and nothing was written.

    removed_by_processor: the number of records that each processor removed.
    """

    version: VersionLayout
    num_rows: int
    outputs: tuple[StorePath, ...]
    already_done: bool
    removed_by_processor: Mapping[str, int] = field(default_factory=dict)


def check_complete(
    statuses: Sequence[RowGroupStatus], plan: DatasetPlan, *, allow_missing: bool
) -> None:
    """Raise IncompleteError unless every row group and, except for allowed failures, every record exists."""
    there = (RowGroupState.COMPLETE, RowGroupState.PARTIAL)
    absent = [status for status in statuses if status.state not in there]
    if absent:
        states = sorted({status.state.value for status in absent})
        indices = format_ranges([status.group.index for status in absent])
        raise IncompleteError(
            f"{len(absent)} of {counted(len(statuses), 'row group', 'are')} incomplete "
            f"({', '.join(states)}): {indices}",
            remedy="generate them first",
        )
    footers = [status.footer for status in statuses if status.footer is not None]
    has_rows = any(footer.num_rows for footer in footers)
    remaining = sum(len(status.remaining) for status in statuses)
    # a function that returns no rows has its reasons
    may_be_empty = plan.resizes and not remaining
    if not has_rows and not may_be_empty:
        if not remaining:
            raise IncompleteError(
                f"select kept no candidate of any of {counted(plan.num_records, 'record')}, so there is nothing to process",
                remedy="relax select.keep, or allow more candidates; the reasons are in rejected/",
            )
        raise IncompleteError(
            f"none of the {counted(plan.num_records, 'record')} has a row, so there is nothing to process",
            remedy="`sdg status FILE` shows why they failed; generate again to retry them",
        )
    if not remaining or allow_missing:
        return
    if remaining > plan.config.run.max_missing_rate * plan.num_records:
        partial = [status.group.index for status in statuses if status.remaining]
        raise IncompleteError(
            f"{remaining} of {counted(plan.num_records, 'record', 'have')} no row, in row groups {format_ranges(partial)}",
            remedy="generate again to retry them, or leave them out with --allow-missing (or run.max_missing_rate)",
        )


def process(
    version: VersionLayout,
    plan: DatasetPlan,
    statuses: Sequence[RowGroupStatus],
    *,
    on_row_group: Callable[[int], None],
    open_source: OpenSource,
    commit_guard: CommitGuard = nullcontext,
) -> ProcessingResult:
    """Write `processed/` from row groups that have passed `check_complete`, and seal. `on_row_group` is called with each index.

    commit_guard: entered around what makes the beginning, the output and the seal visible; what it raises keeps them from it.
    open_source: opens the evaluation sets of processors. Raises FilterError if a processor cannot be used, or no record is left.
    """
    rows = open_row_processors(plan.config.processors, open_source)
    with commit_guard():
        update_metadata(
            version,
            target_num_records=plan.num_records,
            total_num_batches=len(plan.row_groups),
            post_generation_state="started",
            post_generation_processed=False,
            **removals(()),
        )
    failpoint("processing.after_start")
    transforms = _transforms(plan)
    source = _Source(version, plan, statuses)
    rows.prepare(source.batches)
    failpoint("processing.after_decisions")
    with (
        store_errors("write", version.processed),
        new_output(version.processed, commit_guard=commit_guard) as output,
    ):
        num_rows = _write(output, source, rows, transforms, on_row_group=on_row_group)
        failpoint("processing.before_publish")
    failpoint("processing.after_publish")
    card = dataset_card(
        plan,
        num_rows=num_rows,
        transforms=[(transform.name, transform.schema) for transform in transforms],
        outcomes=rows.outcomes,
        images=image_columns(plan),
    )
    with commit_guard():
        write_atomic(version.card, card.encode())
        update_metadata(
            version,
            post_generation_state="complete",
            post_generation_processed=True,
            **removals(rows.outcomes),
        )
    failpoint("processing.after_seal")
    outputs = tuple(version.processed / name for name in output_names(plan))
    removed = {outcome.name: outcome.removed for outcome in rows.outcomes}
    return ProcessingResult(
        version, num_rows, outputs, already_done=False, removed_by_processor=removed
    )


def _write(
    output: StagedOutput,
    source: "_Source",
    rows: RowProcessors,
    transforms: Sequence[SchemaTransform],
    *,
    on_row_group: Callable[[int], None],
) -> int:
    """Write every file of the output; returns how many rows the dataset has."""
    kept_schema = source.plan.kept_schema
    dataset = _Parts(output, "dataset", kept_schema)
    side = [
        _Parts(output, transform.name, transform.schema) for transform in transforms
    ]
    removed = [
        RemovedRecords(output, outcome, kept_schema) for outcome in rows.outcomes
    ]
    columns_of_images = image_columns(source.plan)
    shown = (
        [WithImages(source.version, columns_of_images, kept_schema)]
        if columns_of_images
        else []
    )
    images = [
        _Parts(output, WITH_IMAGES, each.schema, rows_per_part=IMAGE_ROWS_PER_PART)
        for each in shown
    ]
    files: tuple[_Parts | RemovedRecords, ...] = (dataset, *side, *removed, *images)
    num_rows = 0
    of_transforms = [transform.columns for transform in transforms]
    columns = rows.columns.union(kept_schema.names, *of_transforms)
    try:
        for status, (ids, table) in zip(
            source.statuses, source.batches(columns), strict=True
        ):
            *left_out, (_, table, _) = rows.apply(ids, table)
            for target, (ids, gone, reasons) in zip(removed, left_out, strict=True):
                target.write(ids, gone, reasons)
            dataset.write(table.select(kept_schema.names))
            for transform, parts in zip(transforms, side, strict=True):
                parts.write(transform.apply(table))
            for each, parts in zip(shown, images, strict=True):
                for batch in each.batches(table.select(kept_schema.names)):
                    parts.write(batch)
            num_rows += table.num_rows
            on_row_group(status.group.index)
        if not num_rows and any(outcome.removed for outcome in rows.outcomes):
            raise removes_everything(rows.outcomes)
        for file in files:
            file.close()
    except BaseException:
        for file in files:
            file.abandon()
        raise
    write_clusters(output, rows.clusters())
    return num_rows


def existing_result(
    version: VersionLayout, plan: DatasetPlan, metadata: Metadata
) -> ProcessingResult:
    """The result of a version that is sealed already. Raises SealedError if the config now asks for another: more records, other
    outputs, another template."""
    if plan.num_records > metadata.target_num_records:
        raise SealedError(
            f"{version.directory} is sealed with {counted(metadata.target_num_records, 'record')}, but num_records is now "
            f"{plan.num_records}",
            remedy="`sdg reopen FILE`, then generate and process again",
        )
    transforms = _transforms(plan)
    names = output_names(plan)
    with store_errors("list", version.processed):
        present = {path.name for path in version.processed.iterdir()}
    # Datasets sealed by 0.1 have no outputs with images.
    if present - {WITH_IMAGES} != set(names) - {WITH_IMAGES}:
        raise SealedError(
            f"{version.directory} is sealed with outputs {', '.join(sorted(present))}, but the config "
            f"now has {', '.join(sorted(names))}",
            remedy="`sdg reopen FILE`, then process again",
        )
    for transform in transforms:
        _check_template(version, transform)
    marks = row_processor_marks(plan.config.processors)
    if list(metadata.processor_marks.items()) != list(marks.items()):
        raise SealedError(
            f"{version.directory} is sealed, and the processors that remove records have changed since",
            remedy="`sdg reopen FILE`, then process again",
        )
    with store_errors("read", version.processed_dataset):
        parts = part_files(version.processed_dataset)
        num_rows = sum(read_parquet_metadata(part).num_rows for part in parts)
    outputs = [version.processed / name for name in names if name in present]
    return ProcessingResult(
        version,
        num_rows,
        tuple(outputs),
        already_done=True,
        removed_by_processor=metadata.removed_by_processor,
    )


def output_names(plan: DatasetPlan) -> list[str]:
    """What there is in `processed/`: the dataset, what processors make beside it, its images, and what was removed."""
    processors = plan.config.processors
    names = ["dataset"]
    names += [
        each.name for each in processors if isinstance(each, SchemaTransformProcessor)
    ]
    if image_columns(plan):
        names.append(WITH_IMAGES)
    if row_processor_marks(processors):
        names.append(REMOVED)
    return names


def _transforms(plan: DatasetPlan) -> list[SchemaTransform]:
    transforms = []
    for processor in plan.config.processors:
        if isinstance(processor, SchemaTransformProcessor):
            transforms.append(SchemaTransform(processor))
    return transforms


def _check_template(version: VersionLayout, transform: SchemaTransform) -> None:
    """Raise SealedError if an output was made by another template. Outputs that do not say are taken as they are."""
    directory = version.processed / transform.name
    with store_errors("read", directory):
        parts = part_files(directory)
        mark = (
            (read_parquet_metadata(parts[0]).metadata or {}).get(TEMPLATE_KEY)
            if parts
            else None
        )
    if mark not in (None, transform.mark):
        raise SealedError(
            f"{version.directory} is sealed, and the template of processor {transform.name!r} has changed since",
            remedy="`sdg reopen FILE`, then process again",
        )


def reopen(version: VersionLayout) -> None:
    """Remove the seal, then card and processed output; a crash in between leaves what the next processing replaces."""
    update_metadata(
        version,
        post_generation_state="none",
        post_generation_processed=False,
        **removals(()),
    )
    failpoint("reopen.after_unseal")
    with store_errors("remove", version.card):
        version.card.unlink(missing_ok=True)
    remove_directory(version.processed)


@dataclass(frozen=True)
class _Source:
    """The records of a version, to be read as often as needed."""

    version: VersionLayout
    plan: DatasetPlan
    statuses: Sequence[RowGroupStatus]

    def batches(self, columns: frozenset[str]) -> Iterator[tuple[Ids, pa.Table]]:
        """Record indices and these columns of each row group. Where row groups were resized, rows are counted instead."""
        first = 0
        footers = [
            status.footer for status in self.statuses if status.footer is not None
        ]
        resized = any(footer.resized for footer in footers)
        for status, footer in zip(self.statuses, footers, strict=True):
            table = self._read(status, columns)
            if resized:
                ids = np.arange(first, first + footer.num_rows)
            else:
                ids = footer.records()
            first += footer.num_rows
            yield ids, table
            failpoint("processing.after_batch")

    def _read(self, status: RowGroupStatus, columns: frozenset[str]) -> pa.Table:
        assert status.footer is not None
        wanted = sorted(self.plan.dropped & columns)
        stored = [name for name in self.plan.kept_schema.names if name in columns]
        # With no column there would be no rows to add the dropped columns to.
        stored = stored or self.plan.kept_schema.names[:1]
        table = read_rows(self.version.row_group(status.group.index), columns=stored)
        fields = [self.plan.kept_schema.field(name) for name in stored]
        table = with_columns(table.replace_schema_metadata(None), pa.schema(fields))
        if wanted:
            dropped = read_dropped(
                self.version.dropped(status.group.index),
                status.footer.records(),
                columns=wanted,
            )
            for name in wanted:
                table = table.append_column(name, dropped.column(name))
        return table


class _Parts:
    """A dataset in files `part-00000.parquet`, ... of at most so many rows."""

    def __init__(
        self,
        output: StagedOutput,
        name: str,
        schema: pa.Schema,
        *,
        rows_per_part: int = ROWS_PER_PART,
    ) -> None:
        self._output = output
        self._rows_per_part = rows_per_part
        self._schema = schema
        self._names: Iterator[str] = (
            f"{name}/{part_name(number)}" for number in range(100_000)
        )
        self._part: tuple[StagedFile, pq.ParquetWriter] | None = None
        self._rows = 0

    def write(self, table: pa.Table) -> None:
        if self._part is not None and self._rows + table.num_rows > self._rows_per_part:
            self.close()
        if self._part is None:
            file = self._output.create(next(self._names))
            self._part = (file, pq.ParquetWriter(file.file, self._schema))
            self._rows = 0
        self._part[1].write_table(table.cast(self._schema))
        self._rows += table.num_rows

    def close(self) -> None:
        if self._part is not None:
            file, writer = self._part
            writer.close()
            file.finish()
            self._part = None

    def abandon(self) -> None:
        """Give up a file that cannot be finished; a writer left open would try to, and complain, when it is collected."""
        if self._part is not None:
            file, writer = self._part
            writer.is_open = False
            file.abandon()
            self._part = None
