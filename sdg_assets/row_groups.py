"""`<dataset>/row_groups`: the partitioned asset. One partition is one row group is one parquet file.

A materialization is recorded the moment a row group's file is durable, one event each, so a crash loses none. The output is
optional on purpose: a returned or yielded MaterializeResult would claim every partition of the run's range at once.
"""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import dagster as dg
from pydantic import Field

from sdg_assets.guard import refuse_sealed
from sdg_assets.metadata import data_version, row_group_metadata, upstream_tags
from sdg_assets.resources import StoreResource
from sdg_assets.spec import DatasetSpec
from sdg_core import api
from sdg_core.config.run import ResumeMode, RunSettings
from sdg_core.errors import SdgError
from sdg_core.execution.events import Event, Notice, RowGroupFinished, RunStarted
from sdg_core.plan.row_groups import plan_row_groups


class Resume(Enum):
    """How a run treats data that exists. Run config takes the members' names, so they are spelled as in a dataset file."""

    if_possible = "if_possible"
    always = "always"
    never = "never"


class GenerateConfig(dg.Config):
    """Settings of one run; what is left out comes from the dataset file's `run` block."""

    resume: Resume | None = Field(
        default=None,
        description="if_possible: go on, or start a new version if the config changed. always: refuse a changed config. "
        "never: start a new version.",
    )
    num_retries: int | None = Field(
        default=None, ge=0, description="Further attempts after a retryable failure of a request."
    )
    max_failure_rate: float | None = Field(
        default=None, ge=0, le=1, description="Share of failed records above which the run stops."
    )

    def resume_mode(self) -> ResumeMode | None:
        """The resume mode as the engine knows it."""
        match self.resume:
            case None:
                return None
            case Resume.if_possible:
                return "if_possible"
            case Resume.always:
                return "always"
            case Resume.never:
                return "never"

    def settings(self, base: RunSettings) -> RunSettings:
        """The dataset's run settings with this run's on top."""
        chosen = {"num_retries": self.num_retries, "max_failure_rate": self.max_failure_rate}
        return base.model_copy(update={name: value for name, value in chosen.items() if value is not None})


def partitions_of(spec: DatasetSpec) -> dg.StaticPartitionsDefinition:
    """One key per row group."""
    groups = plan_row_groups(spec.num_records, spec.config.row_group_size)
    return dg.StaticPartitionsDefinition([group.key for group in groups])


def build_row_groups(spec: DatasetSpec) -> dg.AssetsDefinition:
    """The asset that generates a dataset's row groups."""

    @dg.asset(
        key=spec.row_groups_key,
        partitions_def=partitions_of(spec),
        backfill_policy=dg.BackfillPolicy.single_run(),
        output_required=False,
        code_version=spec.code_version,
        deps=spec.upstream,
        description=f"Row groups of {spec.name}. {spec.config.description or ''}".strip(),
        kinds={"parquet", "polars"},
        metadata={"sdg/config": dg.MetadataValue.path(str(spec.path))},
        **spec.asset_attributes,
    )
    def row_groups(context: dg.AssetExecutionContext, config: GenerateConfig, store: StoreResource) -> Iterator[None]:
        resume = config.resume_mode()
        try:
            dataset = api.open_dataset(spec.path, root=str(store.root_path()))
            refuse_sealed(context, dataset, resume=resume)
            summary = api.generate(
                dataset,
                row_groups=[int(key) for key in context.partition_keys],
                resume=resume,
                settings=config.settings(dataset.plan.config.run),
                on_event=_Recorder(context, spec=spec),
                run_id=context.run.run_id,
            )
        except SdgError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        except KeyboardInterrupt as interrupt:
            raise dg.DagsterExecutionInterruptedError(str(interrupt)) from None
        context.log.info(
            f"{summary.generated} records generated, {summary.failed} failed, {summary.adopted} row groups adopted, "
            f"{summary.lacking} records lacking; in {summary.version.row_groups}"
        )
        yield from ()

    return row_groups


class _Recorder:
    """Turns the engine's events into Dagster's, as they happen."""

    def __init__(self, context: dg.AssetExecutionContext, *, spec: DatasetSpec) -> None:
        self._context = context
        self._tags = {
            "dagster/code_version": spec.code_version,
            **upstream_tags(context.instance, spec.upstream),
        }

    def __call__(self, event: Event) -> None:
        match event:
            case RowGroupFinished():
                self._context.log_event(
                    dg.AssetMaterialization(
                        self._context.asset_key,
                        partition=event.group.key,
                        metadata=row_group_metadata(event),
                        tags={**self._tags, "dagster/data_version": data_version(event.footer)},
                    )
                )
            case Notice():
                self._context.log.info(event.message)
            case RunStarted():
                self._context.log.info(
                    f"version {event.version}: {event.records} records to generate in {event.row_groups} row groups; "
                    f"{event.complete} are complete"
                )
            case _:
                pass


def config_path_of(spec: dg.AssetSpec) -> Path | None:
    """The dataset file of a row-groups asset, None for any other asset."""
    value = spec.metadata.get("sdg/config")
    return Path(value.path) if isinstance(value, dg.PathMetadataValue) and value.path is not None else None
