"""The YAML component of a source pipeline: `type: sdg_assets.SourcePipeline` in `defs/<pipeline>/defs.yaml`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import prefix_of
from sdg_assets.assets.pipeline import build_pipeline_dataset, build_sources, load_pipeline_spec
from sdg_assets.components.broken import broken
from sdg_core.errors import SdgError


class SourcePipeline(dg.Component, dg.Model, dg.Resolvable):
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
    key_prefix: str | list[str] | None = Field(default=None, description="What the asset keys begin with.")
    pool: str | None = Field(default=None, description="Concurrency pool of the generating asset.")
    op_tags: dict[str, Any] = Field(
        default_factory=dict, description="Tags of the steps, such as dagster/priority or dagster-k8s/config."
    )
    kinds: list[str] | None = Field(
        default=None, description="Kinds that the UI shows on the assets. Default: parquet."
    )
    group: str | None = Field(default=None, description="Asset group. Default: the pipeline's name.")
    owners: list[str] = Field(default_factory=list, description="E-mail addresses, or team:<name>.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the assets.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of one pipeline; of a file that cannot be used, one asset that says why, if the project has others.

        Raises ConfigError with every problem of the file where it is the only one, and in `dg check defs`.
        """
        path = (context.path / self.config).resolve()
        try:
            return self._definitions(path)
        except SdgError as error:
            prefix = prefix_of(self.key_prefix)
            return broken(context, path, error, prefix=prefix, group=self.group, owners=self.owners)

    def _definitions(self, path: Path) -> dg.Definitions:
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
