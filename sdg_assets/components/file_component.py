"""What the components of datasets and of pipelines share: one file, its definitions, and what is shown if it cannot be used."""

import os
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import prefix_of
from sdg_assets.assets.finished import build_finished
from sdg_assets.assets.spec import FileSpec, Schedule
from sdg_assets.automation.schedules import build_schedule
from sdg_assets.automation.stale_or_missing import stale_or_missing
from sdg_assets.checks.asset_checks import build_dataset_checks
from sdg_assets.checks.rules import Checks
from sdg_assets.components.broken import broken
from sdg_assets.components.names import is_second, name_taken, shown_as
from sdg_assets.resources import resolve_for
from sdg_core.errors import SdgError


class FileComponent(dg.Component, dg.Model, dg.Resolvable):
    """A component whose assets follow from one file."""

    config: str = Field(description="The file, relative to this defs.yaml.")
    key_prefix: str | list[str] | None = Field(
        default=None, description="Prefix of the asset keys."
    )
    pool: str | None = Field(
        default=None, description="Concurrency pool of the generating asset."
    )
    op_tags: dict[str, Any] = Field(
        default_factory=dict,
        description="Tags of the steps, such as dagster/priority or dagster-k8s/config.",
    )
    schedule: str | None = Field(
        default=None, description="Cron expression; each tick requests what is missing."
    )
    schedule_timezone: str | None = Field(
        default=None,
        description="Time zone of the schedule, such as Europe/Berlin. Default: UTC.",
    )
    schedule_status: Literal["stopped", "running"] = Field(
        default="stopped",
        description="Whether the schedule is on by default; the UI can change it.",
    )
    checks: Checks | None = Field(
        default=None,
        description="Rules for the finished dataset; each is an asset check.",
    )
    automation: Literal["stale_or_missing"] | None = Field(
        default=None,
        description="Automation condition that the sensor `automation` evaluates: it requests "
        "partitions, then the finished dataset.",
    )
    root: str | None = Field(
        default=None,
        description="Storage root; a relative path is relative to the project. Default: the root of the "
        "store resource.",
    )
    kinds: list[str] | None = Field(
        default=None, description="Kinds shown on the assets in the UI."
    )
    group: str | None = Field(
        default=None, description="Asset group. Default: the name in the file."
    )
    owners: list[str] = Field(
        default_factory=list, description="E-mail addresses, or team:<name>."
    )
    tags: dict[str, str] = Field(
        default_factory=dict, description="Tags of the assets."
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The definitions of one file; where it cannot be used, one asset that says why, if the project has others.

        Raises ConfigError with every problem of the file where it is the only one, and in `dg check defs`.
        """
        path = Path(os.path.realpath(context.path / self.config))
        prefix = prefix_of(self.key_prefix)
        try:
            made = self.definitions_of(
                path, is_second=is_second(context, path, prefix=prefix)
            )
            if taken := name_taken(context, path, prefix=prefix):
                raise taken
            return made
        except SdgError as error:
            name = shown_as(context, path, prefix=prefix)
            return broken(
                context,
                path,
                error,
                prefix=prefix,
                group=self.group,
                owners=self.owners,
                name=name,
            )

    @abstractmethod
    def definitions_of(self, path: Path, *, is_second: bool) -> dg.Definitions:
        """The definitions of a file that can be used. is_second: another one has its name, under another key prefix.

        Raises SdgError.
        """

    def spec_attributes(self) -> dict[str, Any]:
        """What the spec of the file takes from the component."""
        when = None
        if self.schedule is not None:
            when = Schedule(
                self.schedule,
                timezone=self.schedule_timezone,
                running=self.schedule_status == "running",
            )
        kinds = frozenset(self.kinds) if self.kinds is not None else None
        return {
            "schedule": when,
            "checks": self.checks,
            "key_prefix": prefix_of(self.key_prefix),
            "root": self.root,
            "pool": self.pool,
            "kinds": kinds,
        }

    def assemble(
        self,
        spec: FileSpec,
        build_partitioned: Callable[[Any], dg.AssetsDefinition],
        *,
        is_second: bool,
    ) -> dg.Definitions:
        """The definitions of a spec: both assets, the checks, the schedule."""
        root = resolve_for(self.root, spec.path)
        condition = None
        if self.automation is not None:
            condition = stale_or_missing(root=root)
        spec = spec.with_attributes(
            automation_condition=condition,
            owners=self.owners,
            tags=self.tags,
            op_tags=self.op_tags,
            group_name=self.group or spec.name,
        )
        schedules = []
        if spec.schedule is not None:
            schedules.append(build_schedule(spec, with_prefix=is_second))
        return dg.Definitions(
            assets=[build_partitioned(spec), build_finished(spec)],
            asset_checks=[build_dataset_checks(spec)],
            schedules=schedules,
        )
