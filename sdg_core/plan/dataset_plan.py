"""The compiled plan of a dataset: everything a run needs to know, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from sdg_core.config.columns import (
    Column,
)
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.models import ModelConfig, ModelProvider
from sdg_core.config.run import RunSettings
from sdg_core.counts import counted
from sdg_core.plan.fingerprint import Fingerprint
from sdg_core.plan.graph import ColumnGraph
from sdg_core.plan.kinds import is_whole_column, resizes
from sdg_core.plan.models import UsedTools
from sdg_core.plan.row_groups import RowGroup
from sdg_core.plan.usercode.functions import UserFunction


@dataclass(frozen=True)
class SeedInfo:
    """What planning needs to know of seed data: its columns, its selected rows, the digest of its content, the digests of the
    files that it comes from, by name, if it comes from files, and what people should know of how it was read."""

    schema: pa.Schema
    num_rows: int
    digest: str
    files: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeedContent:
    """What seed data holds: the digest of all of it, and of its files by name (in their order; none if it is not files).
    num_rows: those that records draw from. notices: what people should know of how it was read."""

    digest: str
    files: Mapping[str, str]
    num_rows: int = 0
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetPlan:
    """The resolved plan of a dataset.

    schema: every column with its Arrow type, in output order, dropped ones included.
    dropped: columns stored beside the dataset instead of in it.
    models: alias to model config and provider, for the aliases that columns use.
    simulated: whether any replies come from the simulated provider.
    functions: the user's functions, by the column that calls them. clients: the user's model clients, by provider.
    tools: the tools that columns allow their models to call.
    seed_content: a summary of the seed data for messages; None without seed data.
    """

    config: DatasetConfig
    graph: ColumnGraph
    fingerprint: Fingerprint
    schema: pa.Schema
    seed_columns: tuple[str, ...]
    dropped: frozenset[str]
    row_groups: tuple[RowGroup, ...]
    models: Mapping[str, tuple[ModelConfig, ModelProvider]]
    simulated: bool
    functions: Mapping[str, UserFunction] = field(default_factory=dict)
    clients: Mapping[str, Any] = field(default_factory=dict)
    tools: UsedTools = UsedTools()
    seed_content: SeedContent | None = None

    @property
    def num_records(self) -> int:
        """How many records the finished dataset has if none fails."""
        return self.row_groups[-1].stop

    @property
    def seed_repeats(self) -> str | None:
        """A sentence on how often each seed row is used; None if no row is used twice."""
        rows = self.seed_content.num_rows if self.seed_content is not None else 0
        if not rows or self.num_records <= rows:
            return None
        least, more = divmod(self.num_records, rows)
        times = f"{least} or {least + 1} times" if more else f"{counted(least, 'time')}"
        return f"{self.num_records:,} records draw from {counted(rows, 'seed row')}, so each row is used {times}"

    @property
    def seed_notices(self) -> tuple[str, ...]:
        """Notices on how the seed data was read."""
        return self.seed_content.notices if self.seed_content is not None else ()

    @property
    def selection(self) -> str | None:
        """The selection rule in words; None without `select`."""
        select = self.config.select
        if select is None:
            return None
        if select.keep is None:
            return f"each record is the one of {counted(select.candidates, 'candidate')} with the best {select.best}"
        ends = {
            "drop": "it has no row",
            "fail": "it has failed",
            "best": f"the candidate with the best {select.best} is taken",
        }
        drawn = f"each record is drawn up to {counted(select.candidates, 'time')} until {select.keep}"
        return f"{drawn}; else {ends[select.otherwise]}"

    @cached_property
    def resizes(self) -> bool:
        """Whether a row group's rows may be other than its records, in number and in kind."""
        return any(map(resizes, self.config.columns))

    @property
    def all_or_nothing(self) -> bool:
        """Whether a row group with missing records is regenerated as a whole.

        A whole-column function may read all rows, so leaving some out may change the others. A resized row group must
        be regenerated, because its rows cannot be matched to records; one without paid cells costs nothing to
        regenerate. Otherwise the function gets only the remaining records, because nothing is paid for twice.
        """
        if self.resizes:
            return True
        if self.graph.per_record:
            return False
        return any(map(is_whole_column, self.config.columns))

    @property
    def kept_schema(self) -> pa.Schema:
        """The schema of the finished dataset."""
        kept = [field for field in self.schema if field.name not in self.dropped]
        return pa.schema(kept)

    @property
    def dropped_schema(self) -> pa.Schema:
        """The schema of the dropped columns; empty when none is dropped."""
        dropped = [field for field in self.schema if field.name in self.dropped]
        return pa.schema(dropped)

    def column(self, name: str) -> Column:
        """The config of a column that is generated."""
        return next(column for column in self.config.columns if column.name == name)

    def with_settings(self, settings: RunSettings) -> "DatasetPlan":
        """The same plan with different run settings; the fingerprint does not change."""
        return replace(self, config=self.config.model_copy(update={"run": settings}))
