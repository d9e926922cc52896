"""The YAML component of a dataset: `type: sdg_assets.Dataset` in `defs/<dataset>/defs.yaml`."""

from pathlib import Path
from typing import Literal

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import prefix_of
from sdg_assets.assets.dataset import build_dataset
from sdg_assets.assets.row_groups import build_row_groups
from sdg_assets.assets.spec import Schedule, load_spec
from sdg_assets.automation.schedules import build_schedule
from sdg_assets.automation.stale_or_missing import stale_or_missing
from sdg_assets.checks.asset_checks import build_dataset_checks
from sdg_assets.checks.rules import Checks
from sdg_assets.components.file_component import FileComponent
from sdg_assets.components.scaffold import DatasetScaffolder
from sdg_assets.resources import resolve_for


@dg.scaffold_with(DatasetScaffolder)
class Dataset(FileComponent):
    """A synthetic dataset: an asset of row groups, the finished dataset downstream of it, and a schedule if asked for.

    Loading it reads the dataset file and no data.
    """

    config: str = Field(description="The dataset file, relative to this defs.yaml.")
    schedule: str | None = Field(default=None, description="Cron expression; each tick asks for what is missing.")
    schedule_timezone: str | None = Field(
        default=None, description="Time zone of the schedule, such as Europe/Berlin. Default: UTC."
    )
    schedule_status: Literal["stopped", "running"] = Field(
        default="stopped", description="Whether the schedule runs before anybody has switched it in the UI."
    )
    max_row_groups_per_run: int = Field(
        default=1000,
        gt=0,
        description="Most row groups of one run. A backfill, schedule or sensor that wants more starts several.",
    )
    checks: Checks | None = Field(default=None, description="Rules for the finished dataset; each is an asset check.")
    automation: Literal["stale_or_missing"] | None = Field(
        default=None, description="What the sensor `automation` asks for: row groups, then the finished dataset."
    )
    root: str | None = Field(
        default=None,
        description="Storage root of this dataset; a relative path starts at the project. Default: that of the store.",
    )
    key_prefix: str | list[str] | None = Field(
        default=None, description="What the asset keys begin with; also those of datasets that seed this one."
    )
    kinds: list[str] | None = Field(
        default=None,
        description="Kinds that the UI shows on the assets. Default: parquet, and polars on the row groups.",
    )
    group: str | None = Field(default=None, description="Asset group. Default: the dataset's name.")

    def definitions_of(self, path: Path) -> dg.Definitions:
        """The definitions of a file that can be used. Raises SdgError."""
        condition = stale_or_missing(root=resolve_for(self.root, path)) if self.automation is not None else None
        spec = load_spec(
            path,
            schedule=self._schedule(),
            max_row_groups_per_run=self.max_row_groups_per_run,
            checks=self.checks,
            key_prefix=prefix_of(self.key_prefix),
            root=self.root,
            pool=self.pool,
            kinds=frozenset(self.kinds) if self.kinds is not None else None,
        )
        spec = spec.with_attributes(
            automation_condition=condition,
            owners=self.owners,
            tags=self.tags,
            op_tags=self.op_tags,
            group_name=self.group or spec.name,
        )
        return dg.Definitions(
            assets=[build_row_groups(spec), build_dataset(spec)],
            asset_checks=[build_dataset_checks(spec)],
            schedules=[build_schedule(spec)] if spec.schedule is not None else [],
        )

    def _schedule(self) -> Schedule | None:
        if self.schedule is None:
            return None
        return Schedule(self.schedule, timezone=self.schedule_timezone, running=self.schedule_status == "running")
