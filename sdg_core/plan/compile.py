"""A checked config, and what is known of its seed data, to a DatasetPlan: everything a run needs to know, decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sdg_core.config.columns import (
    Column,
    CustomColumn,
    ModelColumn,
    SamplerColumn,
    SeedColumn,
)
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.models import ModelConfig, ModelProvider
from sdg_core.config.processors import DropColumnsProcessor
from sdg_core.config.run import RunSettings
from sdg_core.errors import ConfigError, PlanError, Problem
from sdg_core.plan.check import LoadedDataset, check_config
from sdg_core.plan.check_constraints import check_constraint_types
from sdg_core.plan.derived_types import derived_type, side_effect_fields
from sdg_core.plan.fallbacks import later_aliases
from sdg_core.plan.fingerprint import Fingerprint, compute_fingerprint
from sdg_core.plan.functions import UserFunction
from sdg_core.plan.graph import ColumnGraph, build_graph
from sdg_core.plan.model_columns import side_columns
from sdg_core.plan.names import matching_columns
from sdg_core.plan.row_groups import RowGroup, plan_row_groups
from sdg_core.plan.sampler_types import sampler_type
from sdg_core.plan.stages import is_whole_column, resizes
from sdg_core.plan.tools import UsedTools, used_tools


@dataclass(frozen=True)
class SeedInfo:
    """What planning needs to know of seed data: its columns, its selected rows, the digest of its content, and the digests of
    the files that it comes from, by name, if it comes from files."""

    schema: pa.Schema
    num_rows: int
    digest: str
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SeedContent:
    """What seed data holds: the digest of all of it, and of its files by name (in their order; none if it is not files)."""

    digest: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class DatasetPlan:
    """All decisions of a dataset, made.

    schema: every column with its Arrow type, in output order, dropped ones included.
    dropped: columns stored beside the dataset instead of in it.
    models: alias to model config and provider, for the aliases that columns use.
    simulated: whether some replies come from the simulated provider.
    functions: the user's functions, by the column that calls them. clients: the user's model clients, by provider.
    tools: what columns let their models call.
    seed_content: what the seed data holds, None without any; for messages.
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
    def resizes(self) -> bool:
        """Whether a row group's rows may be other than its records, in number and in kind."""
        return any(resizes(column) for column in self.config.columns)

    @property
    def whole_groups(self) -> bool:
        """Whether a row group that lacks records is made again as a whole.

        A whole-column function may look at all rows, so leaving some out may change the others. Where the rows cannot be told
        apart afterwards (resized), there is no choice; where no cell is paid for, it costs nothing. Otherwise the function
        sees the lacking records only, because nothing is paid for twice.
        """
        whole = any(is_whole_column(column) for column in self.config.columns)
        return self.resizes or (whole and not self.graph.per_record)

    @property
    def kept_schema(self) -> pa.Schema:
        """The schema of the finished dataset."""
        return pa.schema([field for field in self.schema if field.name not in self.dropped])

    @property
    def dropped_schema(self) -> pa.Schema:
        """The schema of the dropped columns; empty when none is dropped."""
        return pa.schema([field for field in self.schema if field.name in self.dropped])

    def column(self, name: str) -> Column:
        """The config of a column that is generated."""
        return next(column for column in self.config.columns if column.name == name)

    def with_settings(self, settings: RunSettings) -> "DatasetPlan":
        """The same plan under other run settings; the fingerprint does not change."""
        return DatasetPlan(**{**vars(self), "config": self.config.model_copy(update={"run": settings})})

    def with_num_records(self, num_records: int) -> "DatasetPlan":
        """The same plan for another number of records; the fingerprint does not change."""
        config = self.config.model_copy(update={"num_records": num_records})
        groups = plan_row_groups(num_records, config.row_group_size)
        return DatasetPlan(**{**vars(self), "config": config, "row_groups": groups})


def compile_plan(dataset: LoadedDataset, seed: SeedInfo | None) -> DatasetPlan:
    """Compile a dataset. Raises ConfigError where the config asks for seed columns that do not exist, PlanError if it has no
    `num_records`."""
    config = dataset.config
    seed_columns = tuple(seed.schema.names) if seed is not None else ()
    problems = check_config(config, seed_columns=seed_columns)
    if problems:
        raise ConfigError(dataset.source, [dataset.parsed.problem(path, message) for path, message in problems])
    if config.num_records is None:
        raise PlanError(
            f"{dataset.source}: num_records is not set", remedy="add num_records to the file, or pass --num-records"
        )
    graph = build_graph(config)
    schema = _schema(config, seed)
    unfit = check_constraint_types(config, schema)
    if unfit:
        raise ConfigError(dataset.source, [dataset.parsed.problem(path, message) for path, message in unfit])
    models = used_models(config)
    fingerprint = compute_fingerprint(
        config, graph, seed_columns=seed_columns, seed_digest=seed.digest if seed is not None else None
    )
    dropped = _dropped(config, schema.names)
    if len(dropped) == len(schema.names):
        problem = Problem("columns", "every column is dropped; keep at least one")
        raise ConfigError(dataset.source, [problem])
    return DatasetPlan(
        config=config,
        graph=graph,
        fingerprint=fingerprint,
        schema=schema,
        seed_columns=seed_columns,
        dropped=dropped,
        row_groups=plan_row_groups(config.num_records, config.row_group_size),
        models=models,
        simulated=any(provider.provider_type == "simulated" for _, provider in models.values()),
        functions=dataset.functions,
        seed_content=SeedContent(seed.digest, seed.files) if seed is not None else None,
        clients=dataset.clients,
        tools=used_tools(config, base=dataset.base),
    )


def config_part(config: DatasetConfig) -> str:
    """The part of the fingerprint that is known without looking at seed data."""
    return compute_fingerprint(config, build_graph(config)).config_part


def used_models(config: DatasetConfig) -> dict[str, tuple[ModelConfig, ModelProvider]]:
    """Alias to model and provider, for the aliases that columns use and those that step in for them."""
    fallbacks = {model.alias: model.fallback for model in config.model_configs}
    used = {alias for column in config.columns for alias in aliases_of(column)}
    used |= {later for alias in used for later in later_aliases(alias, fallbacks)}
    providers = {provider.name: provider for provider in config.model_providers}
    return {model.alias: (model, providers[model.provider]) for model in config.model_configs if model.alias in used}


def aliases_of(column: Column) -> tuple[str, ...]:
    """The models that a column asks."""
    match column:
        case ModelColumn():
            return (column.model_alias,)
        case CustomColumn():
            return column.model_aliases or ()
        case _:
            return ()


def _schema(config: DatasetConfig, seed: SeedInfo | None) -> pa.Schema:
    listed = {column.name for column in config.columns if isinstance(column, SeedColumn)}
    seed_fields = {field.name: field for field in seed.schema} if seed is not None else {}
    fields = [field for name, field in seed_fields.items() if name not in listed]
    for column in config.columns:
        fields.append(seed_fields[column.name] if column.name in listed else pa.field(column.name, column_type(column)))
        fields += side_effect_fields(column)
    return pa.schema(fields)


def column_type(column: Column) -> pa.DataType:
    """The Arrow type of a generated column, the same in every row group."""
    match column:
        case SamplerColumn():
            return sampler_type(column)
        case SeedColumn():
            raise TypeError("the type of a seed column comes from the seed data")
        case _:
            return derived_type(column)


def _dropped(config: DatasetConfig, names: list[str]) -> frozenset[str]:
    dropped = {name for column in config.columns if column.drop for name in (column.name, *side_columns(column))}
    for processor in config.processors:
        if isinstance(processor, DropColumnsProcessor):
            for pattern in processor.column_names:
                dropped.update(matching_columns(pattern, names))
    return frozenset(dropped)
