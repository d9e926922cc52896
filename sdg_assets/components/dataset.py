"""The YAML component of a dataset: `type: sdg_assets.Dataset` in `defs/<dataset>/defs.yaml`."""

from pathlib import Path

import dagster as dg
from pydantic import Field

from sdg_assets.assets.row_groups import build_row_groups
from sdg_assets.assets.spec import MAX_PER_RUN, load_spec
from sdg_assets.components.file_component import FileComponent
from sdg_assets.components.scaffold import DatasetScaffolder


@dg.scaffold_with(DatasetScaffolder)
class Dataset(FileComponent):
    """A synthetic dataset: an asset of row groups, the finished dataset downstream of it, and a schedule if asked for.

    Loading it reads the dataset file and no data.
    """

    config: str = Field(description="The dataset file, relative to this defs.yaml.")
    max_row_groups_per_run: int = Field(
        default=MAX_PER_RUN,
        gt=0,
        description="Maximum row groups per run. A backfill, schedule or sensor that needs more starts several runs.",
    )
    key_prefix: str | list[str] | None = Field(
        default=None,
        description="Prefix of the asset keys; also applied to datasets that seed this one.",
    )
    kinds: list[str] | None = Field(
        default=None,
        description="Kinds shown on the assets in the UI. Default: parquet, and polars on the row groups.",
    )
    group: str | None = Field(
        default=None, description="Asset group. Default: the dataset's name."
    )

    def definitions_of(self, path: Path, *, is_second: bool) -> dg.Definitions:
        """See the base class."""
        spec = load_spec(
            path, max_per_run=self.max_row_groups_per_run, **self.spec_attributes()
        )
        return self.assemble(spec, build_row_groups, is_second=is_second)
