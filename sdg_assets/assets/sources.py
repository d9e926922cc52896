"""`<pipeline>/sources`: one partition is a few sources.

Partitions are dynamic, because sources come and go: `discover_sources` (job or sensor) adds them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from sdg_assets.assets.partitioned import Maker, build_partitioned, creator_of
from sdg_assets.assets.run_config import SourcesConfig
from sdg_assets.assets.spec import PipelineSpec
from sdg_assets.checks.run_check import sources_check
from sdg_assets.opened.pipeline import OpenedPipeline
from sdg_assets.recording.sources_recorder import SourcesRecorder
from sdg_assets.resources import store_of_run
from sdg_core import api
from sdg_core.counts import counted

if TYPE_CHECKING:
    from sdg_core.api import ResumeMode


def build_sources(spec: PipelineSpec) -> dg.AssetsDefinition:
    """The asset that makes a pipeline's partitions."""
    return build_partitioned(SourcesMaker(spec))


class SourcesMaker(Maker[PipelineSpec, SourcesConfig, OpenedPipeline]):
    """Makes sources."""

    config = SourcesConfig
    title = "Sources of"
    kinds = frozenset({"parquet"})

    def __init__(self, spec: PipelineSpec) -> None:
        super().__init__(spec)
        self.check = sources_check(spec.partitioned_key)

    def open(
        self, context: dg.AssetExecutionContext, config: SourcesConfig
    ) -> OpenedPipeline:
        """See the base class."""
        opened = api.pipelines.open_pipeline(
            self.spec.path, root=store_of_run(context).root_of(self.spec)
        )
        return OpenedPipeline(api.pipelines.with_settings(opened, **config.changes()))

    def recorder(
        self, context: dg.AssetExecutionContext, opened: OpenedPipeline, *, keep: bool
    ) -> SourcesRecorder:
        """See the base class."""
        return SourcesRecorder(
            context, spec=self.spec, pipeline=opened.pipeline, keep=keep
        )

    def generate(
        self,
        context: dg.AssetExecutionContext,
        config: SourcesConfig,
        opened: OpenedPipeline,
        *,
        partitions: Sequence[str],
        resume: "ResumeMode | None",
        recorder: SourcesRecorder,
    ) -> str:
        """See the base class."""
        summary = api.pipelines.generate(
            opened.pipeline,
            partitions=partitions,
            resume=resume,
            retry=config.retry,
            on_event=recorder.notice,
            on_partition=recorder.finished,
            run_id=context.run.run_id,
            created_by_run=creator_of(context.run),
        )
        for locator, failure in summary.failures[:MAX_LOGGED]:
            context.log.warning(
                f"{locator}, task {failure.task or 'all'}: {failure.message}"
            )
        if len(summary.failures) > MAX_LOGGED:
            more = counted(len(summary.failures) - MAX_LOGGED, "more failure")
            context.log.warning(f"and {more}; see the files")
        counts = {
            "adopted": summary.adopted,
            "removed": summary.removed,
            "replies taken from the journal": summary.replayed,
            "sources remaining": summary.remaining,
        }
        made = counted(summary.made, "source")
        others = "".join(f", {count} {what}" for what, count in counts.items() if count)
        return f"{made} made{others}; in {summary.version.row_groups}"


MAX_LOGGED = 50
"""Failures that a run lists in its log."""
