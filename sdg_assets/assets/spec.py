"""A dataset or pipeline as Dagster's definitions need it: from its file alone, without looking at any data."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import dagster as dg

from sdg_assets.assets.catalog import DatasetRef, PipelineRef, Ref, dataset_key
from sdg_assets.checks.rules import Checks
from sdg_assets.recording.columns import column_table, described_schema
from sdg_core import api
from sdg_core.errors import PlanError, SeedError

if TYPE_CHECKING:
    from sdg_core.api import DatasetConfig, RunSettings

MAX_PER_RUN = 1000
"""Partitions of a requested run where the component does not say."""


@dataclass(frozen=True)
class Schedule:
    """When a dataset asks for what is missing. timezone: of the cron expression, by its IANA name; UTC without one."""

    cron: str
    timezone: str | None = None
    running: bool = False


@dataclass(frozen=True, kw_only=True)
class FileSpec(ABC):
    """A checked file with the attributes that its component gives it.

    max_per_run: most partitions of a run; None if the component does not say.
    key_prefix: what its asset keys begin with. root: a storage root of its own. pool: of the generating asset.
    kinds: of both assets instead of ours. asset_attributes: keyword arguments that both assets share (group, owners, tags, op
    tags, condition).
    """

    path: Path
    config: "DatasetConfig | api.pipelines.PipelineConfig"
    code_version: str
    max_per_run: int | None = None
    schedule: Schedule | None = None
    checks: Checks | None = None
    key_prefix: tuple[str, ...] = ()
    root: str | None = None
    pool: str | None = None
    kinds: frozenset[str] | None = None
    asset_attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name, the prefix of its asset keys."""
        return self.config.name

    @property
    def description(self) -> str:
        """What the file says of it, perhaps nothing."""
        return self.config.description or ""

    @property
    def run(self) -> "RunSettings":
        """The settings of runs in the file."""
        return self.config.run

    @property
    @abstractmethod
    def ref(self) -> Ref:
        """What sensors and jobs need of it."""

    @property
    @abstractmethod
    def backfill_policy(self) -> dg.BackfillPolicy:
        """How a backfill is cut into runs."""

    @property
    @abstractmethod
    def columns(self) -> Mapping[str, Any]:
        """Metadata of both assets about columns, as far as they are known before there is data."""

    @property
    @abstractmethod
    def upstream(self) -> list[dg.AssetKey]:
        """Assets that it reads."""

    @property
    def partitioned_key(self) -> dg.AssetKey:
        """The partitioned asset."""
        return self.ref.partitioned_key

    @property
    def dataset_key(self) -> dg.AssetKey:
        """The post-generation asset."""
        return dataset_key(self.name, self.key_prefix)

    def with_attributes(self, **attributes: Any) -> Self:
        """The same with these attributes on its assets."""
        return replace(self, asset_attributes=attributes)


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(FileSpec):
    """A dataset file."""

    config: "DatasetConfig"

    @property
    def num_records(self) -> int:
        """Number of records; checked by `load_spec`."""
        assert isinstance(self.config.num_records, int)
        return self.config.num_records

    @property
    def ref(self) -> DatasetRef:
        """See the base class."""
        return DatasetRef(
            name=self.name,
            path=self.path,
            num_row_groups=api.row_group_count(
                self.num_records, self.config.row_group_size
            ),
            max_per_run=self.max_per_run or MAX_PER_RUN,
            key_prefix=self.key_prefix,
            root=self.root,
        )

    @property
    def backfill_policy(self) -> dg.BackfillPolicy:
        """Slices of at most `max_row_groups_per_run`. A dataset that fits into one run keeps the policy of a single run, which
        `dagster asset materialize --partition-range` demands."""
        if self.ref.num_row_groups <= self.ref.max_per_run:
            return dg.BackfillPolicy.single_run()
        return dg.BackfillPolicy.multi_run(max_partitions_per_run=self.ref.max_per_run)

    @cached_property
    def columns(self) -> Mapping[str, Any]:
        """See the base class."""
        return {
            "dagster/column_schema": described_schema(self.config),
            "columns": column_table(self.config),
        }

    @property
    def upstream(self) -> list[dg.AssetKey]:
        """Assets that write the seed data."""
        if self.config.seed_config is None:
            return []
        match self.config.seed_config.source:
            case api.LocalSeedSource(upstream_asset=str(asset)):
                return [dg.AssetKey(asset.split("/"))]
            case api.DatasetSeedSource(dataset=name):
                return [dataset_key(name, self.key_prefix)]
            case _:
                return []


@dataclass(frozen=True, kw_only=True)
class PipelineSpec(FileSpec):
    """A pipeline file."""

    config: "api.pipelines.PipelineConfig"

    @property
    def ref(self) -> PipelineRef:
        """See the base class."""
        return PipelineRef(
            name=self.name,
            path=self.path,
            max_per_run=self.max_per_run or MAX_PER_RUN,
            key_prefix=self.key_prefix,
            root=self.root,
        )

    @property
    def backfill_policy(self) -> dg.BackfillPolicy:
        """Slices of at most `max_partitions_per_run` where it is given; nobody knows beforehand how many sources will come."""
        if self.max_per_run is None:
            return dg.BackfillPolicy.single_run()
        return dg.BackfillPolicy.multi_run(max_partitions_per_run=self.max_per_run)

    @property
    def columns(self) -> Mapping[str, Any]:
        """What columns there are depends on the sources."""
        return {}

    @property
    def upstream(self) -> list[dg.AssetKey]:
        """The finished dataset or pipeline that it reads."""
        sources = self.config.sources
        if isinstance(sources, api.pipelines.DatasetSources) and not sources.committed:
            return [dataset_key(sources.dataset, self.key_prefix)]
        return []


def load_spec(path: Path, **attributes: Any) -> DatasetSpec:
    """Load a dataset file. Raises ConfigError, or PlanError if it does not say how many records."""
    config = api.load_dataset(path, env=os.environ, offline=True).config
    if config.num_records == "seed":
        config = config.model_copy(update={"num_records": _seed_rows(path)})
    if config.num_records is None:
        raise PlanError(
            f"{path}: num_records is not set",
            remedy="the asset needs it to define its partitions; add it to the file",
        )
    spec = DatasetSpec(
        path=path,
        config=config,
        code_version=api.config_fingerprint(config),
        **attributes,
    )
    _check_rule_columns(spec)
    return spec


def load_pipeline_spec(path: Path, **attributes: Any) -> PipelineSpec:
    """Load a pipeline file; looks at no source and runs no code of it. Raises ConfigError."""
    plan = api.pipelines.load_pipeline(path, env=os.environ, offline=True)
    return PipelineSpec(
        path=path,
        config=plan.config,
        code_version=plan.fingerprint.config_fingerprint,
        **attributes,
    )


def _seed_rows(path: Path) -> int:
    """How many records a dataset has that has as many as its seed data.

    1 while that cannot be told, as before an upstream asset is materialized: the dataset then has one partition until the
    definitions are loaded again, and the sensor that resumes says that there are more.
    """
    try:
        return api.open_dataset(path, offline=True).plan.num_records
    except SeedError:
        return 1


def _check_rule_columns(spec: DatasetSpec) -> None:
    """Raise PlanError for a rule about a column that the finished dataset will not have; seed columns are not known yet."""
    if spec.checks is None or spec.config.seed_config is not None:
        return
    kept = set(api.planned_schema(spec.config).names)
    wrong = []
    for name, rule in spec.checks.rules():
        for column in rule.columns_read:
            if column not in kept and column.partition(".")[0] not in kept:
                wrong.append(f"check {name}: the dataset has no column {column!r}")
    if wrong:
        raise PlanError(
            "; ".join(wrong),
            remedy=f"use columns that {spec.path} keeps: {', '.join(sorted(kept))}",
        )
