"""Finishing a dataset: post-generation and its seal, the report, exported files."""

from collections.abc import Callable, Sequence
from pathlib import Path

from polars.exceptions import PanicException

from sdg_core.dataset.events import Notice, Observer
from sdg_core.dataset.handle import ConfigLike, Dataset, existing_version, open_source, opened
from sdg_core.dataset.ledger import exclusive_access, runs_to_report
from sdg_core.dataset.resume import check_not_shrunk, check_row_group_size
from sdg_core.dataset.spending import DatasetSpending, spending_of
from sdg_core.errors import LedgerError
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


def process(
    dataset: ConfigLike | Dataset,
    *,
    allow_missing: bool = False,
    on_row_group: Callable[[int], None] = lambda index: None,
    on_event: Observer = lambda event: None,
) -> ProcessingResult:
    """Apply post-generation processing and seal, then write the report; one that cannot be written is a Notice, no error.

    Raises IncompleteError if row groups or records remain, ClaimedError while a run works on the version.
    allow_missing: leave records out that failed for good. on_row_group: told the index of each row group that is read.
    """
    dataset = opened(dataset)
    try:
        with exclusive_access(dataset, action="process") as commit_guard:
            ready = _ready_for_processing(dataset, allow_missing=allow_missing)
            statuses: Sequence[RowGroupStatus] = ()
            if isinstance(ready, ProcessingResult):
                result = ready
            else:
                version, statuses = ready
                remove_stale_temp_files(dataset.layout, version)
                result = processing.process(
                    version,
                    dataset.plan,
                    statuses,
                    on_row_group=on_row_group,
                    open_source=lambda source: open_source(dataset, source),
                    commit_guard=commit_guard,
                )
            _report_on_finished(dataset, result, statuses, on_event=on_event)
            return result
    except LedgerError:  # where nothing can be written, there may be nothing to write, or a plainer reason not to
        ready = _ready_for_processing(dataset, allow_missing=allow_missing)
        if isinstance(ready, ProcessingResult):
            return ready
        raise


def _ready_for_processing(
    dataset: Dataset, *, allow_missing: bool
) -> ProcessingResult | tuple[VersionLayout, list[RowGroupStatus]]:
    """What is to be processed, or the result if that was done before. Raises IncompleteError and others; writes nothing."""
    version = existing_version(dataset)
    assert version.metadata is not None
    check_row_group_size(version, dataset.plan)
    check_not_shrunk(version.layout, dataset.plan)
    if version.metadata.post_generation_state == "complete" and version.layout.processed_dataset.is_dir():
        return processing.existing_result(version.layout, dataset.plan, version.metadata)
    statuses = scan_row_groups(version.layout, dataset.plan)
    processing.check_complete(statuses, dataset.plan, allow_missing=allow_missing)
    return version.layout, statuses


def _report_on_finished(
    dataset: Dataset, result: ProcessingResult, known: Sequence[RowGroupStatus], *, on_event: Observer
) -> None:
    """Write the report, unless it was written when the dataset was sealed before."""
    try:
        if not result.already_done or not is_of_finished(result.version):
            remove_stale_temp_files(dataset.layout, result.version)
            _report(dataset, known=known)
    except (Exception, PanicException) as error:  # noqa: BLE001 - the dataset is finished, whatever becomes of its report
        on_event(Notice(f"no report was written: {error}"))


def reopen(dataset: ConfigLike | Dataset) -> bool:
    """Remove the seal, the processed output and the report on it; row groups stay. Returns False if it was not sealed.

    Raises ClaimedError while a run works on the version.
    """
    dataset = opened(dataset)
    with exclusive_access(dataset, action="reopen"):
        version = existing_version(dataset)
        assert version.metadata is not None
        if not version.metadata.sealed and not version.layout.processed.exists():
            return False
        remove_report_of_finished(version.layout)
        processing.reopen(version.layout)
        return True


def report(dataset: ConfigLike | Dataset, *, output: str | Path | None = None) -> MadeReport:
    """Describe the finished dataset, or the row groups there are so far: statistics, how it was made, what failed.

    Writes report.html and report.json beside the data, or only the page, to `output`. Raises IncompleteError if there is no
    record, StoreError.
    """
    dataset = opened(dataset)
    return _report(dataset, output=output)


def _report(dataset: Dataset, *, output: str | Path | None = None, known: Sequence[RowGroupStatus] = ()) -> MadeReport:
    """`known` is what an earlier look at the row groups found."""
    version = existing_version(dataset)
    assert version.metadata is not None
    runs, fault = runs_to_report(dataset)
    statuses = scan_row_groups(version.layout, dataset.plan, known=known)
    made = make_report(
        dataset.plan,
        version.layout,
        version.metadata,
        statuses,
        runs=runs,
        history_fault=fault,
        spending=_spending(dataset, version.layout, statuses),
    )
    return write_report(version.layout, made, output=output)


def _spending(dataset: Dataset, version: VersionLayout, statuses: Sequence[RowGroupStatus]) -> DatasetSpending | None:
    """What the dataset has cost, as far as the ledger lets one see."""
    try:
        return spending_of(dataset, version, [status.footer for status in statuses if status.footer is not None])
    except LedgerError:
        return None


def push(
    dataset: ConfigLike | Dataset,
    repo: str,
    *,
    confirm: Callable[[PushPlan], bool],
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
) -> str | None:
    """Upload the finished dataset, its card and its pictures to a dataset repository of the Hugging Face Hub, `user/name`.

    confirm: is shown what would be uploaded; nothing is sent or created unless it returns True. private: for a repository that
    does not exist yet. endpoint: of another hub than huggingface.co. Returns the dataset's address, None if it was not confirmed.
    What the hub has already is not sent again, so an upload that broke off goes on. Raises IncompleteError if the dataset is not
    finished, HubError, StoreError.
    """
    dataset = opened(dataset)
    version = existing_version(dataset)
    assert version.metadata is not None
    check_finished(version.layout, version.metadata)
    return push_finished(
        dataset.plan, version.layout, repo, confirm=confirm, private=private, endpoint=endpoint, token=token
    )


def export(
    dataset: ConfigLike | Dataset,
    path: str | Path,
    *,
    partial: bool = False,
    overwrite: bool = False,
    processor: str | None = None,
    columns: Sequence[str] | None = None,
    split: Sequence[float] | None = None,
    defuse_formulas: bool = False,
) -> Exported:
    """Write the finished dataset into one file: .parquet, .jsonl or .csv, the latter two also .gz or .zst.

    partial: if it is not finished, the rows there are so far. processor: what this processor wrote (chat messages, say) instead
    of the dataset. columns: only these, in this order. split: shares of the rows, as in (0.9, 0.1): `out.jsonl` becomes
    `out-train.jsonl` and `out-validation.jsonl`, disjoint, and the same whenever there are as many rows.
    defuse_formulas: in csv, put an apostrophe before text that a spreadsheet would take for a formula.
    Raises IncompleteError, RefusedError if a file exists, PlanError for what does not fit, StoreError.
    """
    dataset = opened(dataset)
    target = Path(path).absolute()
    options = ExportOptions(processor, columns, split, overwrite, defuse_formulas)
    check_target(target, overwrite=overwrite or split is not None)
    version = existing_version(dataset)
    assert version.metadata is not None
    check_exportable(version.layout, version.metadata, partial=partial)
    stored = resolve_parts(version.layout, version.metadata, scan_row_groups(version.layout, dataset.plan))
    return export_version(version.layout, stored, dataset.plan.kept_schema, target, options=options)


def finished_digest(version: VersionLayout) -> str:
    """`sha256:` over the content of a finished dataset's files, by which datasets that it seeds know it. Raises SeedError."""
    return open_dataset_parts(part_files(version.processed_dataset)).digest()
