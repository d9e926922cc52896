"""Columns as Dagster shows them: their schema and descriptions, what each reads, and where it comes from."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

import dagster as dg

from sdg_assets.recording.inert import inert, without_images
from sdg_core import api

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_core.api import Column, ColumnGraph, DatasetConfig, DatasetPlan

EVENT_COLUMNS = 16
"""Columns up to which the event of a row group has their types and lineage; each takes about 200 bytes."""


def descriptions_of(
    config: "DatasetConfig", seed_columns: Iterable[str] = ()
) -> dict[str, str]:
    """What the config says of each column; of a seed column, where it comes from."""
    said = dict.fromkeys(seed_columns, _seed_data(config))
    for column in config.columns:
        if column.description is not None:
            said[column.name] = without_images(column.description)
    return said


def _seed_data(config: "DatasetConfig") -> str:
    source = config.seed_config.source if config.seed_config is not None else None
    match source:
        case api.LocalSeedSource(upstream_asset=str(asset)):
            return f"Seed data from the asset {asset}."
        case api.LocalSeedSource(path=str(path)):
            return f"Seed data from {PurePath(path).name}."
        case api.DatasetSeedSource(dataset=name):
            return f"Seed data from the dataset {name}."
        case _:
            return "Seed data."


def table_schema(
    schema: "pa.Schema", descriptions: Mapping[str, str] | None = None
) -> dg.TableSchema:
    """An Arrow schema as Dagster shows it."""
    described = descriptions or {}
    columns = []
    for field in schema:
        description = described.get(field.name)
        columns.append(
            dg.TableColumn(field.name, type=str(field.type), description=description)
        )
    return dg.TableSchema(columns)


def described_schema(config: "DatasetConfig") -> dg.TableSchema:
    """The columns that the config makes and keeps, known before any data is there; those of seed data are not."""
    return table_schema(api.planned_schema(config), descriptions_of(config))


def column_table(config: "DatasetConfig") -> dg.MarkdownMetadataValue:
    """Each column with its kind, the columns it reads, and its description."""
    graph = api.build_graph(config)
    dropped = api.dropped_columns(config, [column.name for column in config.columns])
    rows = []
    for column in config.columns:
        name = f"{column.name} (dropped)" if column.name in dropped else column.name
        reads = ", ".join(graph.dependencies.get(column.name, ()))
        rows.append((name, _kind(column), reads, column.description or ""))
    return markdown_table(("column", "kind", "reads", "description"), rows)


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[object]]
) -> dg.MarkdownMetadataValue:
    """A table; cells are one line each, and text whatever they hold."""
    lines = [
        _line(header),
        f"| {' | '.join(['---'] * len(header))} |",
        *map(_line, rows),
    ]
    return dg.MetadataValue.md("\n".join(lines))


def _line(row: Sequence[object]) -> str:
    cells = [inert(cell(value)) for value in row]
    return f"| {' | '.join(cells)} |"


def cell(value: object, *, width: int = 160) -> str:
    """A value as the text of one table cell, shortened to `width` characters."""
    text = " ".join(str(value).split())
    return text if len(text) <= width else f"{text[: width - 1]}…"


def lineage_metadata(
    plan: "DatasetPlan", upstream: Sequence[dg.AssetKey]
) -> dict[str, dg.TableColumnLineage]:
    """For each column the columns of the upstream asset that went into it, through whatever columns are in between."""
    if not upstream or not plan.seed_columns:
        return {}
    if len(plan.kept_schema.names) > EVENT_COLUMNS:
        return {}
    sources = seed_columns_behind(plan.graph, plan.seed_columns)
    lineage = {}
    for name in plan.kept_schema.names:
        seeds = [seed for seed in plan.seed_columns if seed in sources.get(name, ())]
        if seeds:
            lineage[name] = [dg.TableColumnDep(upstream[0], seed) for seed in seeds]
    return {"dagster/column_lineage": dg.TableColumnLineage(lineage)}


def row_groups_lineage(
    plan: "DatasetPlan", row_groups: dg.AssetKey
) -> dg.TableColumnLineage:
    """The finished dataset has the columns of the row groups."""
    deps = {
        name: [dg.TableColumnDep(row_groups, name)] for name in plan.kept_schema.names
    }
    return dg.TableColumnLineage(deps)


def seed_columns_behind(
    graph: "ColumnGraph", seed_columns: Iterable[str]
) -> dict[str, frozenset[str]]:
    """For each column, itself a seed column or not, the seed columns it depends on."""
    behind = {name: frozenset([name]) for name in seed_columns}
    for name in graph.order:
        read = (
            behind.get(graph.producers.get(dep, dep), frozenset())
            for dep in graph.dependencies[name]
        )
        behind[name] = frozenset().union(*read)
    for name, producer in graph.producers.items():
        behind[name] = behind.get(producer, frozenset())
    return behind


def _kind(column: "Column") -> str:
    if isinstance(column, api.SamplerColumn):
        return f"{column.column_type} {column.sampler_type}"
    return str(column.column_type)
