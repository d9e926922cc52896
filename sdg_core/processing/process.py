"""Post-generation: from complete row groups to the finished dataset, published whole, then sealed.

Row groups are only read. The output is built beside its place and switched in (`sdg_core.store.staged_output`).
`metadata.json` says `started` before and `complete` after; a crash in between loses nothing, because processing
simply runs again. A reader of the output looks at `metadata.json` first: on an object store, that is the only switch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from sdg_core.config.processors import SchemaTransformProcessor
from sdg_core.errors import IncompleteError, SealedError
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.row_groups import format_ranges
from sdg_core.processing.transform import TEMPLATE_KEY, SchemaTransform
from sdg_core.store.atomic import remove_directory
from sdg_core.store.layout import VersionLayout, part_files
from sdg_core.store.metadata import Metadata
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus
from sdg_core.store.row_groups import read_dropped, read_parquet_metadata, read_rows, with_columns
from sdg_core.store.staged_output import Output, OutputFile, new_output
from sdg_core.store.versions import update_metadata
from sdg_core.system.commit_guard import CommitGuard
from sdg_core.system.failpoints import failpoint

ROWS_PER_PART = 1_000_000


@dataclass(frozen=True)
class ProcessingResult:
    """What post-generation wrote. `already_done`: the version was sealed before, nothing was written now."""

    version: VersionLayout
    num_rows: int
    outputs: tuple[StorePath, ...]
    already_done: bool


def check_complete(statuses: Sequence[RowGroupStatus], plan: DatasetPlan, *, allow_missing: bool) -> None:
    """Raise IncompleteError unless every row group is there and, save for allowed failures, every record."""
    absent = [s for s in statuses if s.state not in (RowGroupState.COMPLETE, RowGroupState.PARTIAL)]
    if absent:
        states = ", ".join(sorted({s.state.value for s in absent}))
        raise IncompleteError(
            f"{len(absent)} of {len(statuses)} row groups are not there ({states}): "
            f"{format_ranges([s.group.index for s in absent])}",
            remedy="generate them first",
        )
    remaining = sum(len(status.remaining) for status in statuses)
    if remaining and not allow_missing and remaining > plan.config.run.max_missing_rate * plan.num_records:
        partial = [status.group.index for status in statuses if status.remaining]
        raise IncompleteError(
            f"{remaining} of {plan.num_records} records have no row, in row groups {format_ranges(partial)}",
            remedy="generate again to retry them, or leave them out by --allow-missing (or run.max_missing_rate)",
        )


def process(
    version: VersionLayout,
    plan: DatasetPlan,
    statuses: Sequence[RowGroupStatus],
    *,
    on_row_group: Callable[[int], None],
    commit_guard: CommitGuard = nullcontext,
) -> ProcessingResult:
    """Write `processed/` from row groups that have passed `check_complete`, and seal. `on_row_group` is told each index.

    publishing: entered around what makes the output and the seal visible; what it raises keeps them from being so.
    """
    update_metadata(
        version,
        target_num_records=plan.num_records,
        total_num_batches=len(plan.row_groups),
        post_generation_state="started",
        post_generation_processed=False,
    )
    failpoint("processing.after_start")
    transforms = _transforms(plan)
    num_rows = 0
    with store_errors("write", version.processed), new_output(version.processed, commit_guard=commit_guard) as output:
        dataset = _Parts(output, "dataset", plan.kept_schema)
        side = [_Parts(output, transform.name, transform.schema) for transform in transforms]
        try:
            for status in statuses:
                table = _read(version, plan, status, transforms)
                dataset.write(table.select(plan.kept_schema.names))
                for transform, parts in zip(transforms, side, strict=True):
                    parts.write(transform.apply(table))
                num_rows += table.num_rows
                on_row_group(status.group.index)
            for parts in (dataset, *side):
                parts.close()
        except BaseException:
            for parts in (dataset, *side):
                parts.abandon()
            raise
        failpoint("processing.before_publish")
    failpoint("processing.after_publish")
    with commit_guard():
        update_metadata(version, post_generation_state="complete", post_generation_processed=True)
    failpoint("processing.after_seal")
    outputs = tuple(version.processed / name for name in ("dataset", *(transform.name for transform in transforms)))
    return ProcessingResult(version, num_rows, outputs, already_done=False)


def existing_result(version: VersionLayout, plan: DatasetPlan, metadata: Metadata) -> ProcessingResult:
    """The result of a version that is sealed already. Raises SealedError if the config now asks for another: more records, other
    outputs, another template."""
    if plan.num_records > metadata.target_num_records:
        raise SealedError(
            f"{version.directory} is sealed with {metadata.target_num_records} records, but num_records is now "
            f"{plan.num_records}",
            remedy="`sdg reopen FILE`, then generate and process again",
        )
    transforms = _transforms(plan)
    names = ["dataset", *(transform.name for transform in transforms)]
    with store_errors("list", version.processed):
        present = {path.name for path in version.processed.iterdir()}
    if present != set(names):
        raise SealedError(
            f"{version.directory} is sealed with outputs {', '.join(sorted(present))}, but the config now asks for "
            f"{', '.join(sorted(names))}",
            remedy="`sdg reopen FILE`, then process again",
        )
    for transform in transforms:
        _check_template(version, transform)
    with store_errors("read", version.processed_dataset):
        num_rows = sum(read_parquet_metadata(part).num_rows for part in part_files(version.processed_dataset))
    return ProcessingResult(version, num_rows, tuple(version.processed / name for name in names), already_done=True)


def _transforms(plan: DatasetPlan) -> list[SchemaTransform]:
    return [SchemaTransform(p) for p in plan.config.processors if isinstance(p, SchemaTransformProcessor)]


def _check_template(version: VersionLayout, transform: SchemaTransform) -> None:
    """Raise SealedError if an output was made by another template. Outputs that do not say are taken as they are."""
    directory = version.processed / transform.name
    with store_errors("read", directory):
        parts = part_files(directory)
        mark = (read_parquet_metadata(parts[0]).metadata or {}).get(TEMPLATE_KEY) if parts else None
    if mark not in (None, transform.mark):
        raise SealedError(
            f"{version.directory} is sealed, and the template of processor {transform.name!r} has changed since",
            remedy="`sdg reopen FILE`, then process again",
        )


def reopen(version: VersionLayout) -> None:
    """Remove the seal, then the processed output; a crash in between leaves output that the next processing replaces."""
    update_metadata(version, post_generation_state="none", post_generation_processed=False)
    failpoint("reopen.after_unseal")
    remove_directory(version.processed)


def _read(
    version: VersionLayout, plan: DatasetPlan, status: RowGroupStatus, transforms: Sequence[SchemaTransform]
) -> pa.Table:
    """The rows of a row group, with those dropped columns that a transform reads."""
    table = read_rows(version.row_group(status.group.index)).replace_schema_metadata(None)
    table = with_columns(table, plan.kept_schema)
    wanted = sorted(plan.dropped & frozenset().union(*(transform.columns for transform in transforms)))
    if wanted:
        assert status.footer is not None
        dropped = read_dropped(version.dropped(status.group.index), status.footer.records(), columns=wanted)
        for name in wanted:
            table = table.append_column(name, dropped.column(name))
    return table


class _Parts:
    """A dataset in files `part-00000.parquet`, ... of at most a million rows."""

    def __init__(self, output: Output, name: str, schema: pa.Schema) -> None:
        self._output, self._schema = output, schema
        self._names: Iterator[str] = (f"{name}/part-{number:05d}.parquet" for number in range(100_000))
        self._part: tuple[OutputFile, pq.ParquetWriter] | None = None
        self._rows = 0

    def write(self, table: pa.Table) -> None:
        if self._part is not None and self._rows + table.num_rows > ROWS_PER_PART:
            self.close()
        if self._part is None:
            file = self._output.create(next(self._names))
            self._part, self._rows = (file, pq.ParquetWriter(file.file, self._schema)), 0
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
