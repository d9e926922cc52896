"""The YAML component of a source pipeline: `type: sdg_assets.SourcePipeline` in `defs/<pipeline>/defs.yaml`."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import prefix_of
from sdg_assets.assets.pipeline import build_pipeline_dataset, build_sources, load_pipeline_spec
from sdg_assets.components.file_component import FileComponent


class SourcePipeline(FileComponent):
    """A source pipeline: an asset of its sources, whose partitions are dynamic, and the finished dataset downstream of it.

    Loading it reads the pipeline file and no source. The sensor and the job `discover_sources` add partitions.
    """

    config: str = Field(description="The pipeline file, relative to this defs.yaml.")
    max_partitions_per_run: int | None = Field(
        default=None,
        gt=0,
        description="Most partitions of one run; a backfill that wants more starts several. Default: 1000 in a requested run, "
        "all in a backfill.",
    )
    root: str | None = Field(
        default=None,
        description="Storage root of this pipeline; a relative path starts at the project. Default: that of the store.",
    )
    kinds: list[str] | None = Field(
        default=None, description="Kinds that the UI shows on the assets. Default: parquet."
    )
    group: str | None = Field(default=None, description="Asset group. Default: the pipeline's name.")

    def definitions_of(self, path: Path) -> dg.Definitions:
        """The definitions of a file that can be used. Raises SdgError."""
        spec = load_pipeline_spec(
            path,
            max_partitions_per_run=self.max_partitions_per_run,
            key_prefix=prefix_of(self.key_prefix),
            root=self.root,
            pool=self.pool,
        )
        attributes = {
            "owners": self.owners,
            "tags": self.tags,
            "op_tags": self.op_tags,
            "kinds": set(self.kinds) if self.kinds is not None else {"parquet"},
            "group_name": self.group or spec.name,
        }
        spec = replace(spec, asset_attributes=attributes)
        return dg.Definitions(assets=[build_sources(spec), build_pipeline_dataset(spec)])
