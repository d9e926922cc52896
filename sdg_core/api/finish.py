"""Finishing a dataset or a pipeline: post-generation and its seal, the report, exported files, an upload.

Both are finished in the same steps; `GeneratedVersion` answers where they differ.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from polars.exceptions import PanicException

from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.load import is_pipeline
from sdg_core.dataset.events import Notice, Observer
from sdg_core.dataset.generated_version import GeneratedVersion
from sdg_core.dataset.handle import (
    ConfigLike,
    Dataset,
    existing_version,
    open_source,
    opened,
)
from sdg_core.dataset.ledger import exclusive_access, runs_to_report
from sdg_core.dataset.resume import check_not_shrunk, check_row_group_size
from sdg_core.dataset.spending import DatasetSpending, spending_of
from sdg_core.errors import LedgerError
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.processing import process as processing
from sdg_core.processing.export import (
    Exported,
    ExportOptions,
    check_exportable,
    check_finished,
    check_target,
    export_version,
)
from sdg_core.processing.hub import PushPlan as PushPlan
from sdg_core.processing.hub import push_finished
from sdg_core.processing.process import ProcessingResult
from sdg_core.profiling.build import (
    MadeReport,
    is_of_finished,
    make_report,
    remove_report_of_finished,
    write_report,
)
from sdg_core.seeds.dataset import open_dataset_parts
from sdg_core.store.cleanup import remove_stale_temp_files
from sdg_core.store.layout import VersionLayout, part_files
from sdg_core.store.parts import resolve_parts
from sdg_core.store.row_group_state import RowGroupStatus, scan_row_groups

if TYPE_CHECKING:
    from sdg_core.pipelines.handle import OpenPipeline, PipelineLike


class GeneratedDataset(GeneratedVersion):
    """A dataset that has data."""

    @property
    def plan(self) -> DatasetPlan:
        """The dataset's own."""
        return self.dataset.plan

    @cached_property
    def row_groups(self) -> Sequence[RowGroupStatus]:
        """Every planned row group."""
        return scan_row_groups(self.layout, self.plan)

    def check_plan(self) -> None:
        """Raise RowGroupSizeError, or ShrinkError."""
        check_row_group_size(self.version, self.plan)
        check_not_shrunk(self.layout, self.plan)

    def check_complete(self, *, allow_missing: bool) -> None:
        """Raise IncompleteError unless every row group and, except for allowed failures, every record exists."""
        processing.check_complete(
            self.row_groups, self.plan, allow_missing=allow_missing
        )

    def spending(self) -> DatasetSpending | None:
        """What files and journal say of all its versions."""
        footers = [
            status.footer for status in self.row_groups if status.footer is not None
        ]
        try:
            return spending_of(self.dataset, self.layout, footers)
        except LedgerError:
            return None


def _opened(data: "ConfigLike | Dataset | PipelineLike") -> "Dataset | OpenPipeline":
    """An open dataset or pipeline as it is; what `open_dataset` or `open_pipeline` takes opened. Raises what those raise."""
    if isinstance(data, Dataset):
        return data
    in_file = isinstance(data, str | Path) and is_pipeline(data)
    if isinstance(data, DatasetConfig) or (
        isinstance(data, str | Path) and not in_file
    ):
        return opened(data)
    from sdg_core.config.pipeline import PipelineConfig
    from sdg_core.pipelines.build import Pipeline
    from sdg_core.pipelines.handle import OpenPipeline, open_pipeline

    if isinstance(data, OpenPipeline):
        return data
    in_mapping = isinstance(data, Mapping) and data.get("kind") == "pipeline"
    if in_file or in_mapping or isinstance(data, Pipeline | PipelineConfig):
        return open_pipeline(data)  # type: ignore[arg-type]
    return opened(data)


def _generated(data: "Dataset | OpenPipeline") -> GeneratedVersion:
    if isinstance(data, Dataset):
        return GeneratedDataset(data)
    from sdg_core.pipelines.finish import (
        GeneratedPipeline,
    )  # a command on a dataset does not wait for pipelines

    return GeneratedPipeline(data)


def _dataset_of(data: "Dataset | OpenPipeline") -> Dataset:
    return data if isinstance(data, Dataset) else data.as_dataset()


def process(
    data: "ConfigLike | Dataset | PipelineLike",
    *,
    allow_missing: bool = False,
    on_row_group: Callable[[int], None] = lambda index: None,
    on_event: Observer = lambda event: None,
) -> ProcessingResult:
    """Apply post-generation processing and seal the version, then write the report. A report that cannot be written
    is a Notice, not an error.

    Raises IncompleteError if row groups or records remain, ClaimedError while a run works on the version.
    allow_missing: leave out records that failed permanently. on_row_group: called with the index of each row group
    that is read.
    """
    data = _opened(data)
    dataset = _dataset_of(data)
    try:
        with exclusive_access(dataset, action="process") as commit_guard:
            version = _generated(data)
            result = _finished_before(version, allow_missing=allow_missing)
            if result is None:
                remove_stale_temp_files(dataset.layout, version.layout)
                result = processing.process(
                    version.layout,
                    version.plan,
                    version.row_groups,
                    on_row_group=on_row_group,
                    open_source=lambda source: open_source(dataset, source),
                    commit_guard=commit_guard,
                )
            _report_on_finished(version, result, on_event=on_event)
            return result
    # where nothing can be written, there may be nothing to write, or a plainer reason not to
    except LedgerError:
        result = _finished_before(_generated(data), allow_missing=allow_missing)
        if result is not None:
            return result
        raise


def _finished_before(
    version: GeneratedVersion, *, allow_missing: bool
) -> ProcessingResult | None:
    """The result of a version that is sealed; None if it is ready to be processed. Raises IncompleteError and others; writes
    nothing."""
    version.check_plan()
    if (
        version.metadata.post_generation_state == "complete"
        and version.layout.processed_dataset.is_dir()
    ):
        return processing.existing_result(
            version.layout, version.finished_plan, version.metadata
        )
    version.check_complete(allow_missing=allow_missing)
    return None


def _report_on_finished(
    version: GeneratedVersion, result: ProcessingResult, *, on_event: Observer
) -> None:
    """Write the report, unless it was written when the dataset was sealed before."""
    try:
        if not result.already_done or not is_of_finished(result.version):
            remove_stale_temp_files(version.dataset.layout, result.version)
            version.reread()
            _report(version)
    except (Exception, PanicException) as error:  # noqa: BLE001 - the dataset is finished, whatever becomes of its report
        on_event(Notice(f"no report was written: {error}"))


def reopen(data: "ConfigLike | Dataset | PipelineLike") -> bool:
    """Remove the seal, the processed output and its report; row groups are kept. Returns False if it was not sealed.

    Raises ClaimedError while a run works on the version.
    """
    data = _opened(data)
    dataset = _dataset_of(data)
    with exclusive_access(dataset, action="reopen"):
        version = existing_version(dataset)
        assert version.metadata is not None
        if not version.metadata.sealed and not version.layout.processed.exists():
            return False
        remove_report_of_finished(version.layout)
        processing.reopen(version.layout)
        return True


def report(
    data: "ConfigLike | Dataset | PipelineLike", *, output: str | Path | None = None
) -> MadeReport:
    """Describe the finished dataset, or the row groups generated so far: statistics, how it was generated, what failed.

    Writes report.html and report.json next to the data, or only the page to `output`. Raises IncompleteError if there
    are no records, or StoreError.
    """
    data = _opened(data)
    return _report(_generated(data), output=output)


def _report(
    version: GeneratedVersion, *, output: str | Path | None = None
) -> MadeReport:
    runs, fault = runs_to_report(version.dataset)
    made = make_report(
        version.plan,
        version.layout,
        version.metadata,
        version.row_groups,
        runs=runs,
        history_fault=fault,
        spending=version.spending(),
        selection=version.selection(),
    )
    return write_report(version.layout, made, output=output)


def push(
    data: "ConfigLike | Dataset | PipelineLike",
    repo: str,
    *,
    confirm: Callable[[PushPlan], bool],
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
) -> str | None:
    """Upload the finished dataset, its card and its images to a dataset repository of the Hugging Face Hub, `user/name`.

    confirm: called with the upload plan; nothing is sent or created unless it returns True. private: applies to a new
    repository. endpoint: URL of a hub other than huggingface.co. Returns the dataset's URL, or None if it was not
    confirmed. Files that the hub already has are not sent again, so an interrupted upload resumes. Raises
    IncompleteError if the dataset is not finished, HubError, StoreError.
    """
    data = _opened(data)
    version = _generated(data)
    check_finished(version.layout, version.metadata)
    return push_finished(
        version.plan,
        version.layout,
        repo,
        confirm=confirm,
        private=private,
        endpoint=endpoint,
        token=token,
    )


def export(
    data: "ConfigLike | Dataset | PipelineLike",
    path: str | Path,
    *,
    partial: bool = False,
    overwrite: bool = False,
    processor: str | None = None,
    columns: Sequence[str] | None = None,
    split: Sequence[float] | None = None,
    defuse_formulas: bool = False,
) -> Exported:
    """Export the finished dataset to a file: .parquet, .jsonl or .csv, the latter two optionally with .gz or .zst.

    partial: for an unfinished dataset, export the rows generated so far. processor: export the output of this
    processor (chat messages, for example) instead of the dataset. columns: only these, in this order. split: shares
    of the rows, such as (0.9, 0.1): `out.jsonl` becomes the disjoint files `out-train.jsonl` and
    `out-validation.jsonl`; the split is the same for the same number of rows. defuse_formulas: in csv, prefix text
    that a spreadsheet would read as a formula with an apostrophe.

    Raises IncompleteError, RefusedError if a file exists, PlanError for an invalid argument, or StoreError.
    """
    data = _opened(data)
    target = Path(path).absolute()
    options = ExportOptions(processor, columns, split, overwrite, defuse_formulas)
    check_target(target, overwrite=overwrite or split is not None)
    version = _generated(data)
    check_exportable(version.layout, version.metadata, partial=partial)
    stored = resolve_parts(version.layout, version.metadata, version.row_groups)
    return export_version(
        version.layout, stored, version.plan.kept_schema, target, options=options
    )


def finished_digest(version: VersionLayout) -> str:
    """`sha256:` over the content of a finished dataset's files; datasets that it seeds identify it by this digest.
    Raises SeedError."""
    return open_dataset_parts(part_files(version.processed_dataset)).digest()
