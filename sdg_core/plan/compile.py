"""A checked config, and what is known of its seed data, to a DatasetPlan: everything a run needs to know, decided."""

from collections.abc import Sequence

import pyarrow as pa

from sdg_core.config.columns import (
    Column,
    SeedColumn,
)
from sdg_core.config.dataset import AS_SEED, DatasetConfig
from sdg_core.config.processors import DropColumnsProcessor, Processor
from sdg_core.config.yaml_document import Path
from sdg_core.errors import ConfigError, PlanError, Problem
from sdg_core.plan.checks.config import check_config, check_size
from sdg_core.plan.checks.constraints import check_constraint_types
from sdg_core.plan.checks.processors import check_processor_types
from sdg_core.plan.dataset_plan import DatasetPlan, SeedContent, SeedInfo
from sdg_core.plan.fingerprint import compute_fingerprint
from sdg_core.plan.graph import build_graph
from sdg_core.plan.kinds import column_type, side_effect_fields
from sdg_core.plan.load import LoadedDataset
from sdg_core.plan.models import used_models, used_tools
from sdg_core.plan.names import matching_columns
from sdg_core.plan.row_groups import plan_row_groups
from sdg_core.plan.types.replies import side_columns


def compile_plan(dataset: LoadedDataset, seed: SeedInfo | None) -> DatasetPlan:
    """Compile a dataset. Raises ConfigError where the config asks for seed columns that do not exist, PlanError if it has no
    `num_records`."""
    config = dataset.config
    seed_columns: tuple[str, ...] = ()
    seed_digest = None
    seed_content = None
    if seed is not None:
        seed_columns = tuple(seed.schema.names)
        seed_digest = seed.digest
        seed_content = SeedContent(seed.digest, seed.files, seed.num_rows, seed.notices)
    _raise_problems(dataset, _problems_after_loading(dataset, seed_columns))
    num_records = _number_of_records(dataset, seed)
    config = config.model_copy(update={"num_records": num_records})
    graph = dataset.graph
    if graph is None:
        graph = build_graph(config)
    schema = _schema(config, seed)
    types = {field.name: field.type for field in schema}
    unfit = [
        *check_constraint_types(config, schema),
        *check_processor_types(config, types),
    ]
    _raise_problems(dataset, unfit)
    models = used_models(config)
    simulated = any(
        provider.provider_type == "simulated" for _, provider in models.values()
    )
    fingerprint = compute_fingerprint(
        config, graph, seed_columns=seed_columns, seed_digest=seed_digest
    )
    dropped = dropped_columns(config, schema.names)
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
        row_groups=plan_row_groups(num_records, config.row_group_size),
        models=models,
        simulated=simulated,
        functions=dataset.functions,
        seed_content=seed_content,
        clients=dataset.clients,
        tools=used_tools(config, base=dataset.base),
    )


def _raise_problems(
    dataset: LoadedDataset, problems: Sequence[tuple[Path, str]]
) -> None:
    if problems:
        placed = [dataset.parsed.problem(path, message) for path, message in problems]
        raise ConfigError(dataset.source, placed)


def _problems_after_loading(
    dataset: LoadedDataset, seed_columns: Sequence[str]
) -> list[tuple[Path, str]]:
    """What was not known when the file was loaded: the columns of the seed data, and how many records a caller asks for."""
    if dataset.graph is not None and dataset.config.seed_config is None:
        return [*check_size(dataset.config)]
    return check_config(dataset.config, seed_columns=seed_columns, graph=dataset.graph)


def _number_of_records(dataset: LoadedDataset, seed: SeedInfo | None) -> int:
    """How many records there shall be. Raises PlanError if the file does not say."""
    asked = dataset.config.num_records
    if asked is None:
        raise PlanError(
            f"{dataset.source}: num_records is not set",
            remedy="add num_records to the file, or pass --num-records",
        )
    if asked != AS_SEED:
        return asked
    assert seed is not None  # checked with the config
    return seed.num_rows


def config_fingerprint(config: DatasetConfig) -> str:
    """The part of the fingerprint that does not depend on seed data."""
    return compute_fingerprint(config, build_graph(config)).config_fingerprint


def _schema(config: DatasetConfig, seed: SeedInfo | None) -> pa.Schema:
    """The seed columns that no column lists, and then the columns in order."""
    seed_fields = (
        {field.name: field for field in seed.schema} if seed is not None else {}
    )
    listed = {
        column.name for column in config.columns if isinstance(column, SeedColumn)
    }
    fields = [field for name, field in seed_fields.items() if name not in listed]
    for column in config.columns:
        if column.name in listed:
            fields.append(seed_fields[column.name])
        else:
            fields += _fields_of(column)
    return pa.schema(fields)


def _fields_of(column: Column) -> list[pa.Field]:
    """A column that is made, with those beside it."""
    return [pa.field(column.name, column_type(column)), *side_effect_fields(column)]


def planned_schema(config: DatasetConfig) -> pa.Schema:
    """The columns that the config generates and keeps, without seed columns, whose types need the seed data."""
    fields: list[pa.Field] = []
    for column in config.columns:
        if not isinstance(column, SeedColumn):
            fields += _fields_of(column)
    dropped = dropped_columns(config, [field.name for field in fields])
    kept = [field for field in fields if field.name not in dropped]
    return pa.schema(kept)


def dropped_columns(config: DatasetConfig, names: Sequence[str]) -> frozenset[str]:
    """The columns among `names` that are excluded from the rows by their own `drop` or by a processor."""
    dropped: set[str] = set()
    for column in config.columns:
        if column.drop:
            dropped.add(column.name)
            dropped.update(side_columns(column))
    return columns_dropped_by(config.processors, names) | dropped


def columns_dropped_by(
    processors: Sequence[Processor], names: Sequence[str]
) -> frozenset[str]:
    """The columns among `names` that processors keep out of the rows."""
    dropped: set[str] = set()
    for processor in processors:
        if isinstance(processor, DropColumnsProcessor):
            for pattern in processor.column_names:
                dropped.update(matching_columns(pattern, names))
    return frozenset(dropped)
