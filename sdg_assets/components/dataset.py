"""The YAML component of a dataset: `type: sdg_assets.Dataset` in `defs/<dataset>/defs.yaml`."""

from typing import Any, Literal

import dagster as dg
from pydantic import Field

from sdg_assets.assets.dataset import build_dataset
from sdg_assets.assets.row_groups import build_row_groups
from sdg_assets.assets.spec import load_spec
from sdg_assets.automation.schedules import build_schedule
from sdg_assets.automation.stale_or_missing import stale_or_missing
from sdg_assets.checks.asset_checks import build_dataset_checks
from sdg_assets.checks.rules import Checks
from sdg_assets.components.scaffold import DatasetScaffolder


@dg.scaffold_with(DatasetScaffolder)
class Dataset(dg.Component, dg.Model, dg.Resolvable):
    """A synthetic dataset: an asset of row groups, the finished dataset downstream of it, and a schedule if asked for.

    Loading it reads the dataset file and no data.
    """

    config: str = Field(description="The dataset file, relative to this defs.yaml.")
    schedule: str | None = Field(default=None, description="Cron expression; each tick asks for what is missing.")
    max_row_groups_per_run: int = Field(
        default=1000,
        gt=0,
        description="Most row groups of one run. A backfill, schedule or sensor that wants more starts several.",
    )
    checks: Checks | None = Field(default=None, description="Rules for the finished dataset; each is an asset check.")
    automation: Literal["stale_or_missing"] | None = Field(
        default=None, description="What the sensor `automation` asks for: row groups, then the finished dataset."
    )
    pool: str | None = Field(default=None, description="Concurrency pool of the generating asset.")
    group: str | None = Field(default=None, description="Asset group. Default: the dataset's name.")
    owners: list[str] = Field(default_factory=list, description="E-mail addresses, or team:<name>.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the assets.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of one dataset. Raises ConfigError with every problem of the dataset file."""
        condition = stale_or_missing() if self.automation is not None else None
        attributes: dict[str, Any] = {
            "automation_condition": condition,
            "owners": self.owners,
            "tags": self.tags,
            "pool": self.pool,
        }
        spec = load_spec(
            (context.path / self.config).resolve(),
            schedule=self.schedule,
            max_row_groups_per_run=self.max_row_groups_per_run,
            checks=self.checks,
        )
        spec = spec.with_attributes(**attributes, group_name=self.group or spec.name)
        schedules = [build_schedule(spec)] if self.schedule is not None else []
        return dg.Definitions(
            assets=[build_row_groups(spec), build_dataset(spec)],
            asset_checks=[build_dataset_checks(spec)],
            schedules=schedules,
        )
