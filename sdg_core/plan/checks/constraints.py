"""Checks of constraints: that both sides can be compared, and that drawing again can make a difference."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from sdg_core.config.columns import Column, ExpressionColumn, SamplerColumn, SeedColumn
from sdg_core.config.constraints import Constraint
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.yaml_document import Path, Problems
from sdg_core.plan.graph import ColumnGraph
from sdg_core.plan.kinds import resizes
from sdg_core.plan.names import did_you_mean
from sdg_core.plan.sampling.constraint_groups import (
    ConstraintGroup,
    describe_constraint,
    operands,
)
from sdg_core.plan.types.samplers import sampler_kind


def check_constraint_names(
    config: DatasetConfig, known: Iterable[str] | None, also_known: frozenset[str]
) -> Problems:
    """Problems that show without computing the column graph. `known` is None while seed columns are not known."""
    columns = {column.name: column for column in config.columns}
    for place, constraint in enumerate(config.constraints):
        sides = operands(constraint)
        for key, name in zip(("target_column", "rhs"), sides, strict=False):
            if known is not None and name not in known:
                yield (
                    ("constraints", place, key),
                    f"unknown column {name!r}{did_you_mean(name, known)}",
                )
            elif not isinstance(columns.get(name), SamplerColumn | SeedColumn | None):
                message = f"{name!r} is neither a sampler nor a seed column; constraints compare only these"
                yield ("constraints", place, key), message
        if len(sides) == 2 and sides[0] == sides[1]:
            yield ("constraints", place, "rhs"), f"compares {sides[0]!r} with itself"
            continue
        if known is None or also_known.intersection(sides):
            continue
        all_known = all(name in known for name in sides)
        has_sampler = any(
            isinstance(columns.get(name), SamplerColumn) for name in sides
        )
        if all_known and not has_sampler:
            message = (
                f"{describe_constraint(constraint)}: neither side is a sampler, so nothing can be "
                f"redrawn; compare a sampler column"
            )
            yield ("constraints", place), message


def check_samplers_in_graph(config: DatasetConfig, graph: ColumnGraph) -> Problems:
    """Problems of samplers that show in the column graph, which has no cycles."""
    for place, column in enumerate(config.columns):
        if isinstance(column, SamplerColumn):
            late = [
                name
                for name in graph.dependencies[column.name]
                if graph.producers.get(name, name) in graph.per_record
            ]
            for name in late:
                message = f"{column.name!r} reads {name!r}, which is computed per record; samplers are drawn earlier"
                yield ("columns", place), message
    columns = {column.name: column for column in config.columns}
    for group in graph.constraint_groups:
        for message in _constraint_faults(group, graph, columns):
            yield ("constraints", group.places[0]), message


def check_constraint_types(
    config: DatasetConfig, schema: pa.Schema
) -> list[tuple[Path, str]]:
    """Constraints whose sides are of kinds that cannot be compared; seed columns have their type from the seed data."""
    columns = {column.name: column for column in config.columns}
    found: list[tuple[Path, str]] = []
    for place, constraint in enumerate(config.constraints):
        kinds = [
            _kinds(columns.get(name), name, schema) for name in operands(constraint)
        ]
        if len(kinds) == 1:
            kinds.append(frozenset({"number"}))
        if kinds[0].isdisjoint(kinds[1]):
            found.append((("constraints", place), _incomparable(constraint, kinds)))
    return found


def _constraint_faults(
    group: ConstraintGroup, graph: ColumnGraph, columns: dict[str, Column]
) -> Iterator[str]:
    """What is computed once for all records cannot stand between columns that are drawn again."""
    fixed = {name: graph.producers.get(name, name) for name in group.inputs}
    for name, producer in fixed.items():
        if producer not in columns or isinstance(columns[producer], SeedColumn):
            continue
        again = sorted(graph.ancestors(producer).intersection(group.samplers))
        what = describe_constraint(group.constraints[0])
        if again:
            yield f"{what}: {name!r} reads {again[0]!r}, which is redrawn, but is itself computed only once"
        elif resizes(columns[producer]):
            yield f"{what}: depends on {name!r}, whose function changes the number of rows"
    for name in group.steps:
        column = columns[name]
        if isinstance(column, ExpressionColumn) and (
            column.skip is not None or graph.skip_sources[name] & _skipping(columns)
        ):
            yield f"{describe_constraint(group.constraints[0])}: depends on {name!r}, which may be skipped"


def _skipping(columns: dict[str, Column]) -> frozenset[str]:
    """The columns that have a condition to be skipped."""
    names = set()
    for name, column in columns.items():
        if getattr(column, "skip", None) is not None:
            names.add(name)
    return frozenset(names)


def _kinds(column: Column | None, name: str, schema: pa.Schema) -> frozenset[str]:
    """What a side can be compared as. Text of the seed data may hold times."""
    if isinstance(column, SamplerColumn):
        return frozenset({sampler_kind(column)})
    found = schema.field(name).type
    if pa.types.is_integer(found) or pa.types.is_floating(found):
        return frozenset({"number"})
    if pa.types.is_date(found) or pa.types.is_timestamp(found):
        return frozenset({"time"})
    return (
        frozenset({"time", "seed text"})
        if pa.types.is_string(found)
        else frozenset({str(found)})
    )


def _incomparable(constraint: Constraint, kinds: list[frozenset[str]]) -> str:
    sides = []
    for kind in kinds:
        sides.append("a " + "/".join(sorted(kind)) if kind else "nothing")
    left, right = sides
    return (
        f"{describe_constraint(constraint)} compares {left} with {right}; both sides must be numbers, or times "
        "(datetime, timedelta, or seed data with dates)"
    )
