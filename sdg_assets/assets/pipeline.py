"""`<pipeline>/sources` and `<pipeline>/dataset`: a source pipeline as assets.

Partitions are dynamic, because sources come and go: `discover_sources` (job or sensor) adds them. Each partition is recorded the
moment its file is durable; one that was settled before is recorded as adopted.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import FINISHED_OF, PIPELINE, dataset_key, place_metadata, place_of
from sdg_assets.assets.dataset import log_notice
from sdg_assets.assets.row_groups import beginner_of, consumers
from sdg_assets.assets.run_config import Executor, RunConfig, WhenClaimed
from sdg_assets.assets.run_worker import exit_with_run_worker
from sdg_assets.assets.sealed_guard import ending_of, refuse_sealed
from sdg_assets.recording.columns import table_schema
from sdg_assets.recording.inert import without_pictures
from sdg_assets.recording.metadata import (
    cost_metadata,
    finished_data_version,
    preview,
    report_metadata,
    usage_metadata,
)
from sdg_assets.resources import store_of_run
from sdg_assets.wording import in_dagster
from sdg_core.api import part_files, pipelines, read_head
from sdg_core.api.pipelines import PartitionFooter, load_pipeline, with_settings
from sdg_core.errors import SdgError

MAX_PARTITIONS = "sdg/max_partitions_per_run"
PREVIEW_ROWS = 5
MAX_REQUESTED = 1000
"""Partitions of a requested run where the component does not say."""


@dataclass(frozen=True)
class PipelineSpec:
    """A checked pipeline file with the attributes that its component gives it.

    key_prefix: what its asset keys begin with. root: a storage root of its own. pool: of the generating asset.
    max_partitions_per_run: None if the component does not say.
    """

    name: str
    path: Path
    code_version: str
    description: str | None = None
    max_partitions_per_run: int | None = None
    key_prefix: tuple[str, ...] = ()
    root: str | None = None
    pool: str | None = None
    asset_attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sources_key(self) -> dg.AssetKey:
        """The partitioned asset."""
        return dg.AssetKey([*self.key_prefix, self.name, "sources"])

    @property
    def dataset_key(self) -> dg.AssetKey:
        """The post-generation asset."""
        return dataset_key(self.name, self.key_prefix)


def partitions_name(pipeline: str) -> str:
    """The name of a pipeline's dynamic partitions."""
    return f"{pipeline}_sources"


def load_pipeline_spec(path: Path, **attributes: Any) -> PipelineSpec:
    """Load a pipeline file; looks at no source. Raises ConfigError."""
    plan = load_pipeline(path, env=os.environ)
    config = plan.config
    return PipelineSpec(config.name, path, plan.fingerprint.config_part, config.description, **attributes)


class SourcesConfig(RunConfig):
    """Settings of one run; what is left out comes from the pipeline file's `run` block."""

    retry: bool = Field(default=False, description="Try sources again that were given up after too many attempts.")
    when_claimed: WhenClaimed | None = Field(
        default=None,
        description="What to do about partitions that another run is working on: wait, or refuse to begin.",
    )
    max_parallel_requests: int | None = Field(
        default=None, ge=1, description="Most requests under way at once, per model."
    )
    num_retries: int | None = Field(
        default=None, ge=0, description="Further attempts after a retryable failure of a request."
    )
    executor: Executor | None = Field(
        default=None,
        description="Where functions and quality rules run. local: in the run. ray: on the Ray cluster that RAY_ADDRESS names.",
    )


def _backfill_policy(spec: PipelineSpec) -> dg.BackfillPolicy:
    """Slices of at most `max_partitions_per_run` where it is given; nobody knows beforehand how many sources there will be."""
    if spec.max_partitions_per_run is None:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(max_partitions_per_run=spec.max_partitions_per_run)


def build_sources(spec: PipelineSpec) -> dg.AssetsDefinition:
    """The asset that makes a pipeline's partitions."""

    @dg.asset(
        key=spec.sources_key,
        partitions_def=dg.DynamicPartitionsDefinition(name=partitions_name(spec.name)),
        backfill_policy=_backfill_policy(spec),
        output_required=False,
        dagster_type=cast(dg.DagsterType, dg.Nothing),
        code_version=spec.code_version,
        description=f"Sources of {spec.name}, a few per partition. {without_pictures(spec.description or '')}".strip(),
        metadata={
            **place_metadata(PIPELINE, spec.path, root=spec.root),
            MAX_PARTITIONS: spec.max_partitions_per_run or MAX_REQUESTED,
        },
        pool=spec.pool,
        **spec.asset_attributes,
    )
    def sources(context: dg.AssetExecutionContext, config: SourcesConfig) -> Iterator[Any]:
        config.check(context)
        resume = config.resume_mode()
        recorded: list[dg.AssetMaterialization] = []

        def record(event: pipelines.PartitionFinished) -> None:
            recorded.append(_materialization(spec, pipeline, event))
            context.log_event(recorded[-1])

        try:
            opened = pipelines.open_pipeline(spec.path, root=store_of_run(context).root_of(spec))
            pipeline = with_settings(opened, **config.changes())
            refuse_sealed(context, pipeline.as_dataset(), resume=resume)
            exit_with_run_worker(context)
            summary = pipelines.generate(
                pipeline,
                partitions=context.partition_keys,
                resume=resume,
                retry=config.retry,
                on_event=lambda event: log_notice(context.log, event),
                on_partition=record,
                run_id=context.run.run_id,
                begun_by=beginner_of(context.run),
            )
        except SdgError as error:
            raise ending_of(context, error, file=spec.path, touched=bool(recorded)) from None
        except KeyboardInterrupt as interrupt:
            raise dg.DagsterExecutionInterruptedError(str(interrupt)) from None
        context.log.info(
            f"{summary.made} sources made, {summary.adopted} adopted, {summary.removed} removed, {summary.replayed} replies "
            f"taken from the journal; in {summary.version.row_groups}"
        )
        for locator, failure in summary.failures:
            context.log.warning(f"{locator}, task {failure.task or 'all'}: {failure.message}")
        if consumers(context):
            yield dg.Output(None)
            for event in recorded:  # the output records every partition once more, without what is known of it
                context.log_event(event)

    return sources


def _materialization(
    spec: PipelineSpec, pipeline: pipelines.OpenPipeline, event: pipelines.PartitionFinished
) -> dg.AssetMaterialization:
    footer = event.footer
    rows = read_head(event.path, PREVIEW_ROWS)
    failed = [failure for entry in footer.sources for failure in entry.failed]
    filtered: dict[str, int] = {}
    for entry in footer.sources:
        for reason, count in entry.filtered.items():
            filtered[f"filtered/{reason}"] = filtered.get(f"filtered/{reason}", 0) + count
    states = [entry.state for entry in footer.sources]
    return dg.AssetMaterialization(
        asset_key=spec.sources_key,
        partition=event.key,
        metadata={
            "dagster/partition_row_count": footer.num_rows,
            "dagster/uri": event.path.as_uri(),
            "dagster/column_schema": table_schema(rows.schema),
            "config_fingerprint": footer.config_hash,
            "sources": len(footer.sources),
            "sources_partial": states.count("partial"),
            "sources_failed": states.count("failed"),
            "sources_removed": len(footer.removed),
            "source_versions": {entry.locator: entry.version for entry in footer.sources},
            "rows": footer.num_rows,
            "tasks_read": sum(entry.read for entry in footer.sources),
            "tasks_filtered": sum(filtered.values()),
            "tasks_failed": len(failed),
            "adopted": event.adopted,
            "replayed": event.replayed,
            "simulated": footer.simulated,
            "preview": preview(rows),
            **filtered,
            **({"first_failure": failed[0].message} if failed else {}),
            **usage_metadata(footer.usage),
            **cost_metadata(footer.usage, pipeline.plan.config.model_configs),
        },
        tags={
            "dagster/code_version": spec.code_version,
            "dagster/data_version": _data_version(footer, version=event.path.parent.parent.name),
        },
    )


def _data_version(footer: PartitionFooter, *, version: str) -> str:
    """Identifies the content: the version directory it lies in, and each source with its version and its failed tasks."""
    parts = [(e.key, e.version, sorted((f.task, f.stage) for f in e.failed)) for e in footer.sources]
    return hashlib.sha256(repr((version, parts)).encode("utf-8", "backslashreplace")).hexdigest()


class ProcessPipelineConfig(RunConfig):
    """Settings of post-generation."""

    allow_missing: bool = Field(default=False, description="Go on although sources are partial or given up.")


def build_pipeline_dataset(spec: PipelineSpec) -> dg.AssetsDefinition:
    """The asset that turns a pipeline's partitions into the finished dataset."""

    @dg.asset(
        key=spec.dataset_key,
        deps=[dg.AssetDep(spec.sources_key, partition_mapping=dg.AllPartitionMapping())],
        code_version=spec.code_version,
        description=f"{spec.name}, finished: post-generation, which seals it. {without_pictures(spec.description or '')}".strip(),
        metadata=place_metadata(FINISHED_OF, spec.path, root=spec.root),
        **spec.asset_attributes,
    )
    def dataset(context: dg.AssetExecutionContext, config: ProcessPipelineConfig) -> dg.MaterializeResult[None]:
        config.check(context)
        try:
            pipeline = pipelines.open_pipeline(spec.path, root=store_of_run(context).root_of(spec))
            result = pipelines.process(
                pipeline,
                allow_missing=config.allow_missing,
                on_event=lambda event: log_notice(context.log, event),
            )
            status = pipelines.status(pipeline).to_dict()
            sample = read_head(part_files(result.version.processed_dataset)[0], PREVIEW_ROWS)
        except SdgError as error:
            raise dg.Failure(description=in_dagster(error), allow_retries=False) from None
        return dg.MaterializeResult(
            data_version=dg.DataVersion(finished_data_version(result.version)),
            metadata={
                "dagster/row_count": result.num_rows,
                "dagster/uri": result.version.processed_dataset.as_uri(),
                "dagster/column_schema": table_schema(sample.schema),
                "config_fingerprint": status["config_hash"],
                "simulated": status["simulated"],
                "adopted": result.already_done,
                "tasks_failed": status["failures"]["count"],
                "sample": preview(sample, rows=PREVIEW_ROWS),
                **usage_metadata(status["usage"]),
                **cost_metadata(status["usage"], pipeline.plan.config.model_configs),
                **report_metadata(result.version),
                **{f"output/{path.name}": dg.MetadataValue.path(str(path)) for path in result.outputs},
            },
        )

    return dataset


@dataclass(frozen=True)
class PipelineRef:
    """A pipeline by its file, as the sensor and the job find it."""

    name: str
    path: Path
    max_partitions_per_run: int
    sources_key: dg.AssetKey
    root: str | None = None


def pipelines_in(definitions: dg.Definitions) -> list[PipelineRef]:
    """Every pipeline among definitions, by name."""
    assets = (asset for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition))
    return _refs(assets)


def _refs(assets: Iterable[dg.AssetsDefinition]) -> list[PipelineRef]:
    found = []
    for asset in assets:
        for key in asset.keys:
            metadata = asset.specs_by_key[key].metadata
            path = metadata.get(PIPELINE)
            place = place_of(key, metadata)
            if place is not None and isinstance(path, dg.PathMetadataValue) and path.path is not None:
                at_most = int(metadata[MAX_PARTITIONS])
                found.append(PipelineRef(place.name, Path(path.path), at_most, key, place.root))
    return sorted(found, key=lambda ref: ref.name)
