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
    config = read_or_none(version.config)
    footers = [status.footer for status in statuses if status.footer is not None]
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
        remaining=sum(len(status.remaining) for status in statuses),
        row_groups=(len(footers), len(statuses)),
        created_at=metadata.created_at,
        updated_at=metadata.updated_at,
        config=config.decode(errors="replace") if config is not None else resolved_config(plan),
        seed=_seed(plan, version),
        models=_models(plan),
        usage=usage,
        usage_by_column=by_column,
        cost=costs(usage, plan.config.model_configs),
        runs=tuple(run for run in runs if run.version == version.name),
        history_fault=history_fault,
        library_versions=metadata.library_versions,
        failures=_failures(version, statuses),
        dropped=tuple(field.name for field in plan.schema if field.name in plan.dropped),
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
    kept = metadata.kept_by_processor
    return tuple(
        ProcessorCount(name, kept.get(name, 0), count)
        for name, count in metadata.removed_by_processor.items()
    )


def describe_columns(plan: DatasetPlan) -> tuple[Described, ...]:
    """What the plan says of the columns of the finished dataset."""
    columns = {column.name: column for column in plan.config.columns}
    described = []
    for field in plan.kept_schema:
        column = columns.get(field.name)
        if column is None:
            maker = columns.get(plan.graph.producers.get(field.name, field.name))
            described.append(Described(field.name, str(field.type), made_by=_made_by(maker)))
            continue
        expected = None
        if not plan.config.constraints:  # they repeat draws, which moves the shares
            expected = expected_shares(column)
        described.append(
            Described(
                name=field.name,
                type=str(field.type),
                made_by=_made_by(column),
                description=column.description,
                column=column if field.name not in plan.seed_columns else None,
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
            return "seed data" if column.column_type == "seed-dataset" else str(column.column_type)


def _seed(plan: DatasetPlan, version: VersionLayout) -> SeedFacts | None:
    if plan.config.seed_config is None:
        return None
    content = read_seed_content(version.seed_content)
    config: Mapping[str, Any] = plan.config.seed_config.model_dump(mode="json", exclude_none=True)
    return SeedFacts(
        config,
        content.digest if content else None,
        dict(content.files) if content else {},
        num_rows=plan.seed_content.num_rows if plan.seed_content is not None else None,
        repeats=plan.seed_repeats,
    )


def _models(plan: DatasetPlan) -> tuple[ModelFacts, ...]:
    asked: dict[str, list[str]] = {}
    for column in plan.config.columns:
        for alias in aliases_of(column):
            asked.setdefault(alias, []).append(column.name)
    return tuple(
        ModelFacts(
            alias=alias,
            model=model.model,
            provider=provider.name,
            provider_type=provider.provider_type,
            endpoint=provider.endpoint,
            parameters=model.inference_parameters.model_dump(mode="json", exclude_none=True),
            fallback=model.fallback,
            columns=tuple(asked.get(alias, ())),
        )
        for alias, (model, provider) in plan.models.items()
    )


def _failures(
    version: VersionLayout, statuses: Sequence[RowGroupStatus]
) -> tuple[FailureCount, ...]:
    """Why records have no row, the most frequent reasons first."""
    reasons = count_failures(
        (failure.column, failure.kind, failure.message)
        for status in statuses
        for failure in failures_of(version.failure_list(status.group.index), status.remaining)
    )
    return tuple(reasons[:MAX_SHOWN_FAILURES])
