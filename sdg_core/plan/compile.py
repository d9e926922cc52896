"""A checked config, and what is known of its seed data, to a DatasetPlan: everything a run needs to know, decided."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import pyarrow as pa

from sdg_core.config.columns import Column, ExpressionColumn, LlmTextColumn, SamplerColumn, SeedColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.models import ModelConfig, ModelProvider
from sdg_core.config.processors import DropColumnsProcessor
from sdg_core.config.samplers import CategoryParams, GaussianParams, SubcategoryParams, UniformParams
from sdg_core.errors import ConfigError, PlanError, Problem
from sdg_core.plan.check import LoadedDataset, check_config
from sdg_core.plan.fingerprint import Fingerprint, compute_fingerprint
from sdg_core.plan.graph import ColumnGraph, build_graph
from sdg_core.plan.names import matching_columns
from sdg_core.plan.row_groups import RowGroup, plan_row_groups

_DTYPES = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


@dataclass(frozen=True)
class SeedInfo:
    """What planning needs to know of seed data: its columns, its selected rows, the digest of its content."""

    schema: pa.Schema
    num_rows: int
    digest: str


@dataclass(frozen=True)
class DatasetPlan:
    """All decisions of a dataset, made.

    schema: every column with its Arrow type, in output order, dropped ones included.
    dropped: columns stored beside the dataset instead of in it.
    models: alias to model config and provider, for the aliases that columns use.
    simulated: whether some replies come from the simulated provider.
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

    @property
    def num_records(self) -> int:
        """How many records the finished dataset has if none fails."""
        return self.row_groups[-1].stop

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
    )


def config_part(config: DatasetConfig) -> str:
    """The part of the fingerprint that is known without looking at seed data."""
    return compute_fingerprint(config, build_graph(config)).config_part


def used_models(config: DatasetConfig) -> dict[str, tuple[ModelConfig, ModelProvider]]:
    """Alias to model and provider, for the aliases that columns use."""
    used = {column.model_alias for column in config.columns if isinstance(column, LlmTextColumn)}
    providers = {provider.name: provider for provider in config.model_providers}
    return {model.alias: (model, providers[model.provider]) for model in config.model_configs if model.alias in used}


def _schema(config: DatasetConfig, seed: SeedInfo | None) -> pa.Schema:
    listed = {column.name for column in config.columns if isinstance(column, SeedColumn)}
    seed_fields = {field.name: field for field in seed.schema} if seed is not None else {}
    fields = [field for name, field in seed_fields.items() if name not in listed]
    for column in config.columns:
        fields.append(seed_fields[column.name] if column.name in listed else pa.field(column.name, column_type(column)))
    return pa.schema(fields)


def column_type(column: Column) -> pa.DataType:
    """The Arrow type of a generated column, the same in every row group."""
    match column:
        case SamplerColumn():
            return _sampler_type(column)
        case ExpressionColumn():
            return _DTYPES[column.dtype]
        case LlmTextColumn():
            return pa.string()
        case SeedColumn():
            raise TypeError("the type of a seed column comes from the seed data")
        case _:
            assert_never(column)


def _sampler_type(column: SamplerColumn) -> pa.DataType:
    match column.params:
        case CategoryParams():
            return _values_type(column.params.values)
        case SubcategoryParams():
            return _values_type([value for values in column.params.values.values() for value in values])
        case UniformParams() | GaussianParams():
            return _DTYPES[column.convert_to or "float"]
        case _:
            return pa.string()


def _values_type(values: list[str | int | float] | tuple[str | int | float, ...]) -> pa.DataType:
    if all(isinstance(value, str) for value in values):
        return pa.string()
    return pa.int64() if all(isinstance(value, int) for value in values) else pa.float64()


def _dropped(config: DatasetConfig, names: list[str]) -> frozenset[str]:
    dropped = {column.name for column in config.columns if column.drop}
    for processor in config.processors:
        if isinstance(processor, DropColumnsProcessor):
            for pattern in processor.column_names:
                dropped.update(matching_columns(pattern, names))
    return frozenset(dropped)
