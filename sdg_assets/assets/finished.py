"""`<name>/dataset`: post-generation of a dataset or a pipeline. Reads complete partitions, writes the finished dataset, seals."""

import logging
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import FINISHED_OF, place_metadata
from sdg_assets.assets.run_config import CheckedConfig, run_setting
from sdg_assets.assets.spec import DatasetSpec, FileSpec
from sdg_assets.opened.files import open_file
from sdg_assets.recording.inert import without_images
from sdg_assets.recording.metadata import finished_data_version
from sdg_assets.resources import store_of_run
from sdg_assets.wording import in_dagster
from sdg_core import api
from sdg_core.errors import SdgError

if TYPE_CHECKING:
    from sdg_core.api import Event


class FinishConfig(CheckedConfig):
    """Settings of post-generation."""

    allow_missing: bool = Field(
        default=False, description="Leave out what failed permanently."
    )


class ProcessConfig(FinishConfig):
    """Settings of a dataset's post-generation; what is left out comes from the dataset file's `run` block."""

    max_missing_rate: float | None = run_setting("max_missing_rate")


def build_finished(spec: FileSpec) -> dg.AssetsDefinition:
    """The asset that turns partitions into the finished dataset."""

    def dataset(
        context: dg.AssetExecutionContext, config: FinishConfig
    ) -> dg.MaterializeResult[None]:
        config.check(context)
        try:
            opened = open_file(
                spec.path, root=store_of_run(context).root_of(spec), offline=False
            )
            result = opened.process(
                **config.model_dump(),
                on_event=lambda event: log_notice(context.log, event),
            )
            metadata = opened.finished_metadata(
                result, partitioned=spec.partitioned_key
            )
        except SdgError as error:
            raise dg.Failure(
                description=in_dagster(error), allow_retries=False
            ) from None
        if result.already_done:
            context.log.info("this version is already processed; nothing was written")
        version = dg.DataVersion(finished_data_version(result.version))
        return dg.MaterializeResult(metadata=metadata, data_version=version)

    dataset.__annotations__["config"] = (
        ProcessConfig if isinstance(spec, DatasetSpec) else FinishConfig
    )
    described = without_images(spec.description)
    return dg.asset(
        key=spec.dataset_key,
        deps=[spec.partitioned_key],
        # else no command could select it with a range of partitions
        backfill_policy=dg.BackfillPolicy.single_run(),
        code_version=spec.code_version,
        description=(
            f"The finished dataset {spec.name}. Materializing it runs post-generation "
            f"processing and seals the version. {described}"
        ).strip(),
        kinds=set(spec.kinds or {"parquet"}),
        metadata={
            **place_metadata(FINISHED_OF, spec.path, root=spec.root),
            **spec.columns,
        },
        **spec.asset_attributes,
    )(dataset)


def log_notice(log: logging.Logger, event: "Event") -> None:
    """Show in a run's log what a person should know."""
    if isinstance(event, api.Notice):
        log.warning(event.message)
