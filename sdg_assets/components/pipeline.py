"""The YAML component of a source pipeline: `type: sdg_assets.SourcePipeline` in `defs/<pipeline>/defs.yaml`."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from sdg_assets.assets.sources import build_sources
from sdg_assets.assets.spec import load_pipeline_spec
from sdg_assets.components.file_component import FileComponent
from sdg_assets.components.scaffold import PipelineScaffolder


@dg.scaffold_with(PipelineScaffolder)
class SourcePipeline(FileComponent):
    """A source pipeline: an asset of its sources, whose partitions are dynamic, the finished dataset downstream of it, and a
    schedule if asked for.

    Loading it reads the pipeline file and no source. The sensor and the job `discover_sources` add partitions.
    """

    config: str = Field(description="The pipeline file, relative to this defs.yaml.")
    max_partitions_per_run: int | None = Field(
        default=None,
        gt=0,
        description="Maximum partitions per run; a backfill that needs more starts several runs. "
        "Default: 1000 in a requested run, all in a backfill.",
    )
    kinds: list[str] | None = Field(
        default=None,
        description="Kinds shown on the assets in the UI. Default: parquet.",
    )
    group: str | None = Field(
        default=None, description="Asset group. Default: the pipeline's name."
    )

    def definitions_of(self, path: Path, *, is_second: bool) -> dg.Definitions:
        """See the base class."""
        spec = load_pipeline_spec(
            path, max_per_run=self.max_partitions_per_run, **self.spec_attributes()
        )
        return self.assemble(spec, build_sources, is_second=is_second)
