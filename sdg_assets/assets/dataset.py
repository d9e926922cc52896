"""`<dataset>/dataset`: post-generation. Reads complete row groups, writes the finished dataset, seals."""

import logging
from dataclasses import replace
from typing import Any

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import FINISHED_OF, place_metadata
from sdg_assets.assets.run_config import CheckedConfig
from sdg_assets.assets.spec import DatasetSpec
from sdg_assets.recording.columns import column_table, descriptions_of, planned_schema, row_groups_lineage, table_schema
from sdg_assets.recording.inert import without_pictures
from sdg_assets.recording.metadata import (
    cost_metadata,
    failure_table,
    finished_data_version,
    preview,
    report_metadata,
    selection_metadata,
    spending_metadata,
    usage_by_model,
    usage_metadata,
)
from sdg_assets.resources import store_of_run
from sdg_assets.wording import in_dagster
from sdg_core import api
from sdg_core.api import Event, Notice, ProcessingResult, RowGroupState, failures_of, read_rows
from sdg_core.errors import SdgError

SAMPLE_ROWS = 5


class ProcessConfig(CheckedConfig):
    """Settings of post-generation; what is left out comes from the dataset file's `run` block."""

    allow_missing: bool = Field(default=False, description="Leave out all records that failed for good.")
    max_missing_rate: float | None = Field(
        default=None, ge=0, le=1, description="Share of records that may be left out because they failed for good."
    )


def build_dataset(spec: DatasetSpec) -> dg.AssetsDefinition:
    """The asset that turns row groups into the finished dataset."""
    described = without_pictures(spec.config.description or "")

    @dg.asset(
        key=spec.dataset_key,
        deps=[spec.row_groups_key],
        backfill_policy=dg.BackfillPolicy.single_run(),  # else no command could select it with a range of row groups
        code_version=spec.code_version,
        description=f"{spec.name}, finished: post-generation, which seals it. {described}".strip(),
        kinds=spec.kinds or {"parquet"},
        metadata={
            **place_metadata(FINISHED_OF, spec.path, root=spec.root),
            "dagster/column_schema": planned_schema(spec.config),
            "columns": column_table(spec.config),
        },
        **spec.asset_attributes,
    )
    def dataset(context: dg.AssetExecutionContext, config: ProcessConfig) -> dg.MaterializeResult[None]:
        config.check(context)
        try:
            opened = api.open_dataset(spec.path, root=store_of_run(context).root_of(spec))
            if config.max_missing_rate is not None:
                settings = opened.plan.config.run.model_copy(update={"max_missing_rate": config.max_missing_rate})
                opened = replace(opened, plan=opened.plan.with_settings(settings))
            result = api.process(
                opened, allow_missing=config.allow_missing, on_event=lambda event: log_notice(context.log, event)
            )
        except SdgError as error:
            raise dg.Failure(description=in_dagster(error), allow_retries=False) from None
        if result.already_done:
            context.log.info("this version was processed before; nothing was written")
        version = dg.DataVersion(finished_data_version(result.version))
        metadata = dataset_metadata(opened, result, row_groups=spec.row_groups_key)
        return dg.MaterializeResult(metadata=metadata, data_version=version)

    return dataset


def log_notice(log: logging.Logger, event: Event) -> None:
    """Show in a run's log what a person should know."""
    if isinstance(event, Notice):
        log.warning(event.message)


def dataset_metadata(opened: api.Dataset, result: ProcessingResult, *, row_groups: dg.AssetKey) -> dict[str, Any]:
    """What the page of a finished dataset shows."""
    plan = opened.plan
    statuses = api.row_group_statuses(opened)
    status = api.status(opened)
    removed = result.removed_by_processor
    chosen = status.selection
    selected: dict[str, Any] = {}
    if chosen is not None:
        selected = selection_metadata(
            dropped=chosen.dropped, rejected=chosen.rejected, usage=chosen.usage, models=plan.config.model_configs
        )
    failures = [
        failure
        for item in statuses
        for failure in failures_of(result.version.failure_list(item.group.index), item.remaining)
    ]
    return {
        "dagster/row_count": result.num_rows,
        "records_missing": status.remaining,
        "records_failed": status.failed,
        **selected,
        **({"records_removed": sum(removed.values())} if removed else {}),
        **{f"removed/{name}": count for name, count in removed.items()},
        **cost_metadata(status.usage, plan.config.model_configs, simulated=plan.simulated),
        **spending_metadata(status.spending, simulated=plan.simulated),
        **report_metadata(result.version),
        "sample": preview(read_rows(result.version.processed_dataset / "part-00000.parquet"), rows=SAMPLE_ROWS),
        **({"failures": failure_table(failures)} if failures else {}),
        **({"usage": usage_by_model(status.usage)} if status.usage else {}),
        **usage_metadata(status.usage),
        "row_groups": sum(len(keys) for state, keys in status.states.items() if state is not RowGroupState.MISSING),
        "simulated": plan.simulated,
        "adopted": result.already_done,
        "dagster/uri": result.version.processed_dataset.as_uri(),
        **{f"output/{path.name}": dg.MetadataValue.path(str(path)) for path in result.outputs},
        "config_fingerprint": plan.fingerprint.config_hash,
        "dagster/column_schema": table_schema(plan.kept_schema, descriptions_of(plan.config)),
        "dagster/column_lineage": row_groups_lineage(plan, row_groups),
    }
