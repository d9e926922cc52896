"""The verbs of pipelines; the same words as for datasets.

pipeline = pipelines.open_pipeline("pipeline.yaml")
pipelines.generate(pipeline)
print(pipelines.process(pipeline).outputs)
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

from sdg_core.api.arguments import checked
from sdg_core.api.finish import export, process, push, reopen, report
from sdg_core.config.load import is_pipeline
from sdg_core.config.pipeline import PipelineConfig
from sdg_core.config.run_settings import ResumeMode
from sdg_core.config.sources import DatasetSources
from sdg_core.custom import Failed, Filtered, Resources, SourceReader, Stage
from sdg_core.dataset.events import Observer
from sdg_core.dataset.handle import seal_of
from sdg_core.errors import PlanError
from sdg_core.models.pool import open_models_of
from sdg_core.pipelines.build import Pipeline
from sdg_core.pipelines.compile import load_pipeline
from sdg_core.pipelines.estimate import PipelineEstimate, estimate_pipeline
from sdg_core.pipelines.events import PartitionFinished, PipelineSummary
from sdg_core.pipelines.finish import check_complete
from sdg_core.pipelines.generate import agenerate_pipeline
from sdg_core.pipelines.handle import (
    OpenPipeline,
    PartitionStatus,
    PipelineLike,
    measured,
    open_pipeline,
    with_settings,
)
from sdg_core.pipelines.partition_results import OnPartition
from sdg_core.pipelines.preview import PipelinePreview, preview_pipeline
from sdg_core.pipelines.prune import Prunable, prunable_of, prune_pipeline
from sdg_core.pipelines.rejected import selection_of
from sdg_core.pipelines.status import (
    PipelineRunPlan,
    PipelineStatus,
    describe_pipeline,
    plan_pipeline_run,
    sources_notice,
)
from sdg_core.pipelines.store import (
    Partition,
    PartitionFooter,
    PipelineLayout,
    record_partitions,
    stage_label,
)
from sdg_core.plan.row_groups import Shard
from sdg_core.store.atomic import ensure_writable
from sdg_core.store.roots import choose_root
from sdg_core.store.versions import Version, find_version
from sdg_core.system.former_names import takes_former_names
from sdg_core.system.signals import run_long, run_until_signalled

__all__ = [
    "DatasetSources",
    "Failed",
    "Filtered",
    "OpenPipeline",
    "PartitionFinished",
    "PartitionFooter",
    "PartitionStatus",
    "Pipeline",
    "PipelineConfig",
    "PipelineEstimate",
    "PipelinePreview",
    "PipelineRunPlan",
    "PipelineStatus",
    "PipelineSummary",
    "Prunable",
    "Resources",
    "SourceReader",
    "Stage",
    "check_complete",
    "discover",
    "estimate",
    "export",
    "generate",
    "is_pipeline",
    "load_pipeline",
    "measured",
    "open_pipeline",
    "open_unread",
    "partition_statuses",
    "plan",
    "preview",
    "process",
    "prune",
    "push",
    "reopen",
    "report",
    "seal",
    "selection_of",
    "sources_notice",
    "stage_label",
    "status",
    "with_settings",
    "without_anything",
]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def takes_pipeline(
    function: Callable[Concatenate[OpenPipeline, Parameters], Result],
) -> Callable[Concatenate[PipelineLike, Parameters], Result]:
    """Let a function of an open pipeline also take what `open_pipeline` takes."""

    @functools.wraps(function)
    def call(
        pipeline: PipelineLike, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        opened = (
            pipeline if isinstance(pipeline, OpenPipeline) else open_pipeline(pipeline)
        )
        return function(opened, *args, **kwargs)

    signature = inspect.signature(function)
    first, *others = signature.parameters.values()
    call.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[first.replace(annotation=PipelineLike), *others]
    )
    return cast("Callable[Concatenate[PipelineLike, Parameters], Result]", call)


plan = takes_pipeline(plan_pipeline_run)
status = takes_pipeline(describe_pipeline)


@takes_pipeline
@takes_former_names(begun_by="created_by_run")
def generate(
    pipeline: OpenPipeline,
    *,
    partitions: Sequence[str] | None = None,
    shard: Shard | None = None,
    resume: ResumeMode | None = None,
    retry: bool = False,
    sources: Sequence[str] | None = None,
    on_event: Observer = lambda event: None,
    on_partition: OnPartition = lambda event: None,
    run_id: str | None = None,
    created_by_run: str | None = None,
) -> PipelineSummary:
    """Make sources that are missing, partial or changed, as `agenerate_pipeline` does.

    SIGINT and SIGTERM save what is finished, then raise KeyboardInterrupt.
    """
    return run_long(
        lambda: agenerate_pipeline(
            pipeline,
            partitions=partitions,
            shard=shard,
            resume=resume,
            retry=retry,
            sources=sources,
            on_event=on_event,
            on_partition=on_partition,
            run_id=run_id,
            created_by_run=created_by_run,
        )
    )


def preview(
    path: PipelineLike, *, num_records: int = 10, root: str | Path | None = None
) -> PipelinePreview:
    """Make the first rows in memory. Asks models, stores nothing."""
    pipeline = (
        path if isinstance(path, OpenPipeline) else open_pipeline(path, root=root)
    )

    async def main() -> PipelinePreview:
        async with open_models_of(pipeline.plan.shell, env=pipeline.env) as models:
            await models.check()
            return await preview_pipeline(pipeline, rows=num_records, models=models)

    return run_until_signalled(main)


@takes_pipeline
def estimate(pipeline: OpenPipeline, *, sample: int = 20) -> PipelineEstimate:
    """Estimate requests, tokens, cost and time for the remaining sources from a sample of them.

    The sample runs through the stages, functions included, with simulated replies: no model is asked, nothing is paid. Raises
    RefusedError if a run would be refused.
    """
    if sample < 1:
        raise PlanError(f"sample is {sample}", remedy="use at least 1 source")
    return run_until_signalled(lambda: estimate_pipeline(pipeline, sample=sample))


@takes_pipeline
def prune(pipeline: OpenPipeline, *, keep: int = 0, dry_run: bool = False) -> Prunable:
    """Remove old versions except the `keep` most recently changed, and checkpoints that no remaining version would use.

    Returns what it removed; with `dry_run`, removes nothing. Raises PlanError, a MetadataError; ClaimedError, and removes
    nothing, while a run works on any version.
    """
    if keep < 0:
        raise PlanError(f"keep is {keep}", remedy="keep 0 or more old versions")
    found = prunable_of(pipeline, keep=keep)
    return found if dry_run else prune_pipeline(pipeline, found, keep=keep)


@takes_pipeline
def discover(pipeline: OpenPipeline) -> list[Partition]:
    """Assign new sources to partitions, and store that. Returns all partitions. Raises StoreError."""
    ensure_writable(pipeline.layout.directory)
    config = pipeline.plan.config.sources
    return record_partitions(
        pipeline.layout,
        [*pipeline.sources.values()],
        per_partition=config.sources_per_partition,
    )


@takes_pipeline
def without_anything(
    pipeline: OpenPipeline, partitions: Sequence[Partition]
) -> list[Partition]:
    """Partitions that will stay empty: all their sources are gone, and this config's version has no file of them."""
    version = find_version(pipeline.layout, pipeline.as_dataset(partitions).plan)
    present: frozenset[int] = frozenset()
    if version is not None:
        layout = pipeline.layout.version(version.layout.name)
        present = frozenset(layout.existing_row_groups())
    found = []
    for partition in partitions:
        has_sources = any(key in pipeline.sources for key, _ in partition.sources)
        if partition.index not in present and not has_sources:
            found.append(partition)
    return found


@takes_pipeline
def partition_statuses(pipeline: OpenPipeline) -> list[PartitionStatus]:
    """The state of every partition in the version of this config."""
    return measured(pipeline)[2]


def open_unread(
    path: str | Path, *, root: str | None = None, env: Mapping[str, str] | None = None
) -> OpenPipeline:
    """Open a pipeline without finding its sources or running its code: enough for its versions and its seal.

    Raises ConfigError, StoreError.
    """
    env = os.environ if env is None else env
    plan = load_pipeline(Path(path), env=env, offline=True)
    chosen = choose_root(root, env=env, folder=plan.base)
    layout = PipelineLayout(chosen.path, plan.config.name, chosen.given, chosen.others)
    return OpenPipeline(plan, {}, layout, env, is_current=False, offline=True)


@takes_pipeline
def seal(pipeline: OpenPipeline) -> Version | None:
    """The sealed version that a run would be refused for; None if there is none."""
    return seal_of(pipeline.as_dataset())


for _name in __all__:
    if inspect.isfunction(globals()[_name]):
        globals()[_name] = checked(globals()[_name], name=_name)
