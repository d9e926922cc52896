"""Finishing a pipeline: post-generation and its seal, the report, exported files. They are the dataset's own; what is added here
is how partitions look as row groups."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from sdg_core.dataset.events import Notice, Observer
from sdg_core.dataset.handle import open_source
from sdg_core.dataset.ledger import exclusive_access, runs_to_report
from sdg_core.dataset.spending import DatasetSpending
from sdg_core.errors import ConfigError, IncompleteError, LedgerError, SdgError
from sdg_core.pipelines.handle import OpenPipeline, PartitionStatus, measured
from sdg_core.pipelines.rejected import selection_of
from sdg_core.pipelines.spending import footers_of, spending_of_pipeline
from sdg_core.pipelines.store import PartitionFooter, SourcesLayout
from sdg_core.plan.checks.processors import check_processor_types, check_processors
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.graph import build_graph
from sdg_core.plan.row_groups import RowGroup, plan_row_groups
from sdg_core.processing import process as processing
from sdg_core.processing.export import (
    Exported,
    ExportOptions,
    check_exportable,
    check_finished,
    check_target,
    export_version,
)
from sdg_core.processing.hub import PushPlan, push_finished
from sdg_core.processing.process import ProcessingResult
from sdg_core.profiling.build import MadeReport, make_report, write_report
from sdg_core.store.cleanup import remove_stale_temp_files
from sdg_core.store.metadata import Metadata
from sdg_core.store.parts import resolve_parts
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus
from sdg_core.store.row_groups import Footer, damage_errors, read_parquet_metadata


def process_pipeline(
    pipeline: OpenPipeline, *, allow_missing: bool = False, on_event: Observer = lambda event: None
) -> ProcessingResult:
    """Write the finished dataset from complete partitions, seal, then report. Raises IncompleteError, ClaimedError.

    allow_missing: go on although sources are partial or given up; what they have is in.
    """
    with exclusive_access(pipeline.as_dataset(), action="process") as commit_guard:
        layout, metadata, statuses = _existing(pipeline)
        plan = _plan_for(pipeline, layout, statuses)
        _check_processors(pipeline, plan)
        if metadata.post_generation_state == "complete" and layout.processed_dataset.is_dir():
            return processing.existing_result(layout, _with_target(plan, metadata), metadata)
        check_complete(statuses, allow_missing=allow_missing)
        remove_stale_temp_files(pipeline.layout, layout)
        rows = as_row_groups(statuses)
        result = processing.process(
            layout,
            plan,
            rows,
            open_source=lambda source: open_source(pipeline.as_dataset(), source),
            on_row_group=lambda index: None,
            commit_guard=commit_guard,
        )
        try:
            report_pipeline(pipeline)
        except SdgError as error:
            on_event(Notice(f"no report was written: {error}"))
        return result


def _check_processors(pipeline: OpenPipeline, plan: DatasetPlan) -> None:
    """Raise ConfigError for processors that cannot work on the rows there are; what functions made of them is known by now."""
    there = frozenset(plan.schema.names)
    types = {field.name: field.type for field in plan.schema}
    # Columns that were to be dropped are not there any more.
    dropped = frozenset(name for each in plan.config.processors for name in getattr(each, "column_names", ()))
    problems = [
        *check_processors(plan.config, there, droppable=there | dropped),
        *check_processor_types(plan.config, types),
    ]
    if problems:
        parsed = pipeline.plan.parsed
        raise ConfigError(parsed.source, [parsed.problem(path, message) for path, message in problems])


def _with_target(plan: DatasetPlan, metadata: Metadata) -> DatasetPlan:
    """The plan with as many records as the sealed version: sources that came later are not in it, and that is no fault."""
    return replace(plan, row_groups=plan_row_groups(max(metadata.target_num_records, 1), 1))


def report_pipeline(pipeline: OpenPipeline, *, output: str | Path | None = None) -> MadeReport:
    """Describe the rows that there are. Raises IncompleteError if there are none, StoreError."""
    layout, metadata, statuses = _existing(pipeline)
    runs, fault = runs_to_report(pipeline.as_dataset())
    plan = _plan_for(pipeline, layout, statuses)
    try:
        spending: DatasetSpending | None = spending_of_pipeline(pipeline, layout, footers_of(statuses))
    except LedgerError:
        spending = None
    entries = [entry for status in statuses if status.footer is not None for entry in status.footer.sources]
    made = make_report(
        plan,
        layout,
        metadata,
        as_row_groups(statuses),
        runs=runs,
        history_fault=fault,
        spending=spending,
        selection=selection_of(entries),
    )
    return write_report(layout, made, output=output)


def export_pipeline(
    pipeline: OpenPipeline,
    path: str | Path,
    *,
    partial: bool = False,
    overwrite: bool = False,
    processor: str | None = None,
    columns: Sequence[str] | None = None,
    split: Sequence[float] | None = None,
    defuse_formulas: bool = False,
) -> Exported:
    """Write the finished dataset into one file; see `export` of datasets."""
    target = Path(path).absolute()
    options = ExportOptions(processor, columns, split, overwrite, defuse_formulas)
    check_target(target, overwrite=overwrite or split is not None)
    layout, metadata, statuses = _existing(pipeline)
    check_exportable(layout, metadata, partial=partial)
    stored = resolve_parts(layout, metadata, as_row_groups(statuses))
    schema = _schema(layout, statuses)
    return export_version(layout, stored, schema, target, options=options)


def push_pipeline(
    pipeline: OpenPipeline,
    repo: str,
    *,
    confirm: Callable[[PushPlan], bool],
    private: bool = True,
    endpoint: str | None = None,
    token: str | None = None,
) -> str | None:
    """Upload the finished dataset and its card to a dataset repository of a hub; see `push` of datasets."""
    layout, metadata, statuses = _existing(pipeline)
    check_finished(layout, metadata)
    plan = _plan_for(pipeline, layout, statuses)
    return push_finished(plan, layout, repo, confirm=confirm, private=private, endpoint=endpoint, token=token)


def as_row_groups(statuses: Sequence[PartitionStatus]) -> list[RowGroupStatus]:
    """Partitions that have a file, as row groups whose records are their rows."""
    found = []
    start = 0
    for status in statuses:
        if status.footer is not None:
            group = RowGroup(status.partition.index, start, status.footer.num_rows)
            found.append(RowGroupStatus(group, RowGroupState.COMPLETE, footer=_as_row_group(status.footer, group)))
            start += group.size
    return found


def _as_row_group(footer: PartitionFooter, group: RowGroup) -> Footer:
    return Footer(
        schema_version=footer.schema_version,
        dataset=footer.dataset,
        config_hash=footer.config_hash,
        column_hashes=dict(footer.column_hashes),
        row_group=group.index,
        start=group.start,
        size=group.size,
        missing=[],
        resized=False,
        usage=footer.usage,
        simulated=footer.simulated,
        created_at=footer.created_at,
        run_id=footer.run_id,
        carried=footer.carried,
    )


def _existing(pipeline: OpenPipeline) -> tuple[SourcesLayout, Metadata, list[PartitionStatus]]:
    version, layout, statuses = measured(pipeline)
    if version is None or version.metadata is None:
        raise IncompleteError(
            f"{pipeline.layout.directory} holds no data of this config "
            f"(fingerprint {pipeline.plan.fingerprint.version})",
            remedy="generate it first",
        )
    return layout, version.metadata, statuses


def check_complete(statuses: Sequence[PartitionStatus], *, allow_missing: bool) -> None:
    """Raise IncompleteError unless every partition is there and, unless `allow_missing`, every source complete."""
    absent = [s for s in statuses if s.state in ("missing", "corrupt", "stale")]
    unfinished = [s for s in statuses if s.state in ("partial", "failed")]
    if absent or (unfinished and not allow_missing):
        wrong = absent or unfinished
        keys = ", ".join(f"{s.partition.key} ({s.state})" for s in wrong[:10])
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        remedy = "generate again; `sdg retry` tries given-up sources again"
        if not absent:
            remedy += ", and --allow-missing goes on without what failed"
        raise IncompleteError(
            f"{len(wrong)} of {len(statuses)} partitions are not complete: {keys}{more}", remedy=remedy
        )
    if not any(s.footer is not None and s.footer.num_rows for s in statuses):
        raise IncompleteError("no source has given a row", remedy="look at what was filtered: `sdg status FILE`")


def _schema(layout: SourcesLayout, statuses: Sequence[PartitionStatus]) -> pa.Schema:
    """The columns of all partitions together."""
    schemas = []
    for status in statuses:
        if status.footer is not None and status.footer.num_rows:
            path = layout.row_group(status.partition.index)
            with damage_errors(path):
                schemas.append(read_parquet_metadata(path).schema.to_arrow_schema().remove_metadata())
    return pa.unify_schemas(schemas, promote_options="permissive") if schemas else pa.schema([])


def _plan_for(pipeline: OpenPipeline, layout: SourcesLayout, statuses: Sequence[PartitionStatus]) -> DatasetPlan:
    """The plan of a dataset that has these rows."""
    schema = _schema(layout, statuses)
    rows = max(sum(s.footer.num_rows for s in statuses if s.footer is not None), 1)
    plan = pipeline.as_dataset().plan
    columns = tuple(column for column in plan.config.columns if column.name in schema.names)
    config = plan.config.model_copy(update={"columns": columns})
    groups = tuple(RowGroup(number, number, 1) for number in range(rows))
    made = {column.name for column in columns}
    seeds = tuple(name for name in schema.names if name not in made)
    return replace(
        plan,
        config=config,
        graph=build_graph(config),
        schema=schema,
        dropped=frozenset(),
        row_groups=groups,
        seed_columns=seeds,
    )
