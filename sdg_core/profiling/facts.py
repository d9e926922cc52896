"""Gathering what is known of a version beside its rows: from the plan, the files, and the ledger of runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from sdg_core.config.columns import CustomColumn, SamplerColumn
from sdg_core.dataset.estimates import compare
from sdg_core.dataset.spending import DatasetSpending
from sdg_core.ledger.history import RunRecord
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.kinds import aliases_of
from sdg_core.plan.usage import Cost, costs
from sdg_core.profiling.report import Facts, ModelFacts, ProcessorCount, SeedFacts
from sdg_core.profiling.table import Described, expected_shares
from sdg_core.store.atomic import read_or_none
from sdg_core.store.failures import FailureCount, count_failures, failures_of
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import Metadata
from sdg_core.store.parts import StoredRows
from sdg_core.store.row_group_state import RowGroupStatus
from sdg_core.store.row_groups import SelectionCounts, total_usage
from sdg_core.store.seed_manifest import read_seed_content
from sdg_core.store.versions import resolved_config

MAX_SHOWN_FAILURES = 20


def gather_facts(
    plan: DatasetPlan,
    version: VersionLayout,
    metadata: Metadata,
    statuses: Sequence[RowGroupStatus],
    stored: StoredRows,
    *,
    runs: Sequence[RunRecord],
    history_fault: str | None,
    spending: DatasetSpending,
    selection: SelectionCounts | None,
) -> Facts:
    """What the page says beside the statistics. Raises StoreError."""
    usage, by_column = total_usage(status.footer for status in statuses)
    stored_config = read_or_none(version.config)
    if stored_config is not None:
        config = stored_config.decode(errors="replace")
    else:
        config = resolved_config(plan)
    footers = [status.footer for status in statuses if status.footer is not None]
    remaining = sum(len(status.remaining) for status in statuses)
    dropped = [field.name for field in plan.schema if field.name in plan.dropped]
    rejected_cost: dict[str, Cost] = {}
    if selection is not None:
        rejected_cost = costs(selection.usage, plan.config.model_configs)
    return Facts(
        dataset=plan.config.name,
        description=plan.config.description,
        version=version.name,
        directory=str(version.directory),
        fingerprint=metadata.config_hash,
        simulated=metadata.simulated,
        source="dataset" if stored.finished else "row_groups",
        num_rows=stored.num_rows,
        target_num_records=plan.num_records,
        resized=plan.resizes,
        remaining=remaining,
        row_groups=(len(footers), len(statuses)),
        created_at=metadata.created_at,
        updated_at=metadata.updated_at,
        config=config,
        seed=_seed(plan, version),
        models=_models(plan),
        usage=usage,
        usage_by_column=by_column,
        cost=costs(usage, plan.config.model_configs),
        runs=tuple(run for run in runs if run.version == version.name),
        history_fault=history_fault,
        library_versions=metadata.library_versions,
        failures=_failures(version, statuses),
        dropped=tuple(dropped),
        removed=_removed(metadata),
        processor_methods=metadata.processor_methods,
        removal_examples=metadata.removal_examples,
        selection=selection,
        selection_rule=plan.selection,
        rejected_cost=rejected_cost,
        **spending.to_dict(),
        estimate=compare(metadata, footers, spending.own),
    )


def _removed(metadata: Metadata) -> tuple[ProcessorCount, ...]:
    counts = []
    for name, removed in metadata.removed_by_processor.items():
        kept = metadata.kept_by_processor.get(name, 0)
        counts.append(ProcessorCount(name, kept, removed))
    return tuple(counts)


def describe_columns(plan: DatasetPlan) -> tuple[Described, ...]:
    """What the plan says of the columns of the finished dataset."""
    columns = {column.name: column for column in plan.config.columns}
    described = []
    for field in plan.kept_schema:
        column = columns.get(field.name)
        if column is None:
            producer = plan.graph.producers.get(field.name, field.name)
            made_by = _made_by(columns.get(producer))
            described.append(Described(field.name, str(field.type), made_by=made_by))
            continue
        expected = None
        if not plan.config.constraints:  # they repeat draws, which moves the shares
            expected = expected_shares(column)
        from_seed = field.name in plan.seed_columns
        described.append(
            Described(
                name=field.name,
                type=str(field.type),
                made_by=_made_by(column),
                description=column.description,
                column=None if from_seed else column,
                expected=expected,
            )
        )
    return tuple(described)


def _made_by(column: Any) -> str:
    match column:
        case None:
            return "seed data"
        case SamplerColumn():
            return f"sampler {column.sampler_type}"
        case CustomColumn():
            return f"custom {column.generator_function}"
        case _:
            return (
                "seed data"
                if column.column_type == "seed-dataset"
                else str(column.column_type)
            )


def _seed(plan: DatasetPlan, version: VersionLayout) -> SeedFacts | None:
    if plan.config.seed_config is None:
        return None
    content = read_seed_content(version.seed_content)
    config: Mapping[str, Any] = plan.config.seed_config.model_dump(
        mode="json", exclude_none=True
    )
    digest = None
    files: dict[str, str] = {}
    if content:
        digest = content.digest
        files = dict(content.files)
    num_rows = None
    if plan.seed_content is not None:
        num_rows = plan.seed_content.num_rows
    return SeedFacts(
        config, digest, files, num_rows=num_rows, repeats=plan.seed_repeats
    )


def _models(plan: DatasetPlan) -> tuple[ModelFacts, ...]:
    asked: dict[str, list[str]] = {}
    for column in plan.config.columns:
        for alias in aliases_of(column):
            asked.setdefault(alias, []).append(column.name)
    models = []
    for alias, (model, provider) in plan.models.items():
        parameters = model.inference_parameters.model_dump(
            mode="json", exclude_none=True
        )
        models.append(
            ModelFacts(
                alias=alias,
                model=model.model,
                provider=provider.name,
                provider_type=provider.provider_type,
                endpoint=provider.endpoint,
                parameters=parameters,
                fallback=model.fallback,
                columns=tuple(asked.get(alias, ())),
            )
        )
    return tuple(models)


def _failures(
    version: VersionLayout, statuses: Sequence[RowGroupStatus]
) -> tuple[FailureCount, ...]:
    """Why records have no row, the most frequent reasons first."""
    failures = []
    for status in statuses:
        path = version.failure_list(status.group.index)
        for failure in failures_of(path, status.remaining):
            failures.append((failure.column, failure.kind, failure.message))
    reasons = count_failures(failures)
    return tuple(reasons[:MAX_SHOWN_FAILURES])
