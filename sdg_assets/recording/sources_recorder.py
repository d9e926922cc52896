"""Records the partitions of a pipeline as they are finished, and says in the run's log how far it is."""

import time
from typing import TYPE_CHECKING

import dagster as dg

from sdg_assets.assets.spec import PipelineSpec
from sdg_assets.checks.run_check import SourcesCheck
from sdg_assets.recording.metadata import upstream_tags
from sdg_assets.recording.recorder import Recorder
from sdg_assets.recording.row_group_recorder import PROGRESS_EVERY
from sdg_assets.recording.sources import partition_metadata, sources_data_version
from sdg_core import api
from sdg_core.counts import counted

if TYPE_CHECKING:
    from sdg_core.api import Event
    from sdg_core.api.pipelines import OpenPipeline, PartitionFinished


class SourcesRecorder(Recorder["PartitionFinished"]):
    """Observers of a run: `finished` of its partitions, `notice` of everything else."""

    check: SourcesCheck

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        *,
        spec: PipelineSpec,
        pipeline: "OpenPipeline",
        keep: bool = False,
    ) -> None:
        tags = {
            "dagster/code_version": spec.code_version,
            **upstream_tags(context.instance, spec.upstream),
        }
        super().__init__(context, tags=tags, keep=keep)
        self.check = SourcesCheck(pipeline.plan.fingerprint.config_hash)
        self._pipeline = pipeline
        self._sources = self._adopted = 0
        self._next = time.monotonic() + PROGRESS_EVERY

    def finished(self, event: "PartitionFinished") -> None:
        """A partition is on disk."""
        self.has_made = self.has_made or not event.adopted
        self._add(event)
        self._sources += len(event.made)
        self._adopted += event.adopted
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PROGRESS_EVERY
            self._context.log.info(
                f"{counted(self._sources, 'source')} made; {counted(self._adopted, 'partition', 'were')} complete"
            )

    def notice(self, event: "Event") -> None:
        """Show in the run's log what a person should know."""
        if isinstance(event, api.Notice):
            self._context.log.info(event.message)

    def _described(self, made: "PartitionFinished") -> dg.AssetMaterialization:
        self.check.add(made)
        version = made.path.parent.parent.name
        first_rows = api.read_head(made.path, api.HEAD_ROWS)
        data_version = sources_data_version(made.footer, version=version)
        return dg.AssetMaterialization(
            self._context.asset_key,
            partition=made.key,
            metadata=partition_metadata(made, first_rows, self._pipeline),
            tags={"dagster/data_version": data_version},
        )
