"""A dataset as Dagster's definitions need it: from its file alone, without looking at any data."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg

from sdg_assets.assets.catalog import DatasetRef, dataset_key, row_groups_key
from sdg_assets.checks.rules import Checks
from sdg_core.api import (
    DatasetConfig,
    DatasetSeedSource,
    LocalSeedSource,
    config_part,
    dropped_columns,
    load_dataset,
    open_dataset,
    producers_of,
    row_group_count,
)
from sdg_core.errors import PlanError, SeedError


@dataclass(frozen=True)
class Schedule:
    """When a dataset asks for what is missing. timezone: of the cron expression, by its IANA name; UTC without one."""

    cron: str
    timezone: str | None = None
    running: bool = False


@dataclass(frozen=True)
class DatasetSpec:
    """A checked dataset file with the attributes that its component gives it.

    key_prefix: what its asset keys begin with. root: a storage root of its own. pool: of the generating asset.
    asset_attributes: keyword arguments that both assets share (group, owners, tags, op tags, condition). kinds: of both assets
    instead of ours.
    """

    path: Path
    config: DatasetConfig
    code_version: str
    max_row_groups_per_run: int = 1000
    schedule: Schedule | None = None
    checks: Checks | None = None
    key_prefix: tuple[str, ...] = ()
    root: str | None = None
    pool: str | None = None
    kinds: frozenset[str] | None = None
    asset_attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The dataset's name, the prefix of its asset keys."""
        return self.config.name

    @property
    def num_records(self) -> int:
        """Number of records; checked by `load_spec`."""
        assert isinstance(self.config.num_records, int)
        return self.config.num_records

    @property
    def ref(self) -> DatasetRef:
        """What sensors and jobs need of it."""
        return DatasetRef(
            name=self.name,
            path=self.path,
            num_row_groups=row_group_count(self.num_records, self.config.row_group_size),
            max_row_groups_per_run=self.max_row_groups_per_run,
            key_prefix=self.key_prefix,
            root=self.root,
        )

    @property
    def row_groups_key(self) -> dg.AssetKey:
        """The partitioned asset."""
        return row_groups_key(self.name, self.key_prefix)

    @property
    def dataset_key(self) -> dg.AssetKey:
        """The post-generation asset."""
        return dataset_key(self.name, self.key_prefix)

    @property
    def upstream(self) -> list[dg.AssetKey]:
        """Assets that write the seed data."""
        match self.config.seed_config.source if self.config.seed_config is not None else None:
            case LocalSeedSource(upstream_asset=str(asset)):
                return [dg.AssetKey(asset.split("/"))]
            case DatasetSeedSource(dataset=name):
                return [dataset_key(name, self.key_prefix)]
            case _:
                return []

    def with_attributes(self, **attributes: Any) -> "DatasetSpec":
        """The same dataset with these attributes on its assets."""
        return replace(self, asset_attributes=attributes)


def load_spec(path: Path, **attributes: Any) -> DatasetSpec:
    """Load a dataset file. Raises ConfigError, or PlanError if it does not say how many records."""
    config = load_dataset(path, env=os.environ, offline=True).config
    if config.num_records == "seed":
        config = config.model_copy(update={"num_records": _seed_rows(path)})
    if config.num_records is None:
        raise PlanError(
            f"{path}: num_records is not set", remedy="an asset needs it for its partitions; add it to the file"
        )
    spec = DatasetSpec(path=path, config=config, code_version=config_part(config), **attributes)
    _check_rule_columns(spec)
    return spec


def _seed_rows(path: Path) -> int:
    """How many records a dataset has that has as many as its seed data.

    1 while that cannot be told, as before an upstream asset is materialized: the dataset then has one partition until the
    definitions are loaded again, and the sensor that resumes says that there are more.
    """
    try:
        return open_dataset(path, offline=True).plan.num_records
    except SeedError:
        return 1


def _check_rule_columns(spec: DatasetSpec) -> None:
    """Raise PlanError for a rule about a column that the finished dataset will not have; seed columns are not known yet."""
    if spec.checks is None or spec.config.seed_config is not None:
        return
    made = [*(column.name for column in spec.config.columns), *producers_of(spec.config.columns)]
    kept = set(made) - dropped_columns(spec.config, made)
    wrong = [
        f"check {name}: the dataset has no column {column!r}"
        for name, rule in spec.checks.rules()
        for column in rule.columns_read
        if column not in kept and column.partition(".")[0] not in kept
    ]
    if wrong:
        raise PlanError("; ".join(wrong), remedy=f"name columns of {spec.path}; kept are {', '.join(sorted(kept))}")
