"""The column graph: what each column reads, and an order in which columns can be computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from sdg_core.config.columns import Column, ExpressionColumn, LlmTextColumn, SamplerColumn, SeedColumn
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.document import Path
from sdg_core.config.samplers import SubcategoryParams
from sdg_core.plan.templates import template_references


def templates_of(column: Column) -> dict[Path, str]:
    """The templates of a column by their path inside it."""
    match column:
        case ExpressionColumn():
            return {("expr",): column.expr}
        case LlmTextColumn():
            texts: dict[Path, str] = {("prompt",): column.prompt}
            if column.system_prompt is not None:
                texts["system_prompt",] = column.system_prompt
            return texts
        case _:
            return {}


def references_of(column: Column) -> dict[str, Path]:
    """Columns that a column reads, each with the path (inside the column) of the first place that names it."""
    found: dict[str, Path] = {}
    for path, source in templates_of(column).items():
        for name in sorted(template_references(source)):
            found.setdefault(name, path)
    if isinstance(column, SamplerColumn) and isinstance(column.params, SubcategoryParams):
        found.setdefault(column.params.category, ("params", "category"))
    return found


@dataclass(frozen=True)
class ColumnGraph:
    """Columns in computable order, with what each one reads.

    dependencies: for every config column the names it reads (seed columns included).
    order: names of the config columns, dependencies first; ties in config order.
    per_record: columns computed record by record, because they (or something they read) call a model.
    """

    dependencies: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    per_record: frozenset[str]


def build_graph(config: DatasetConfig) -> ColumnGraph:
    """Order the columns of a checked config. Raises graphlib.CycleError for a cycle, naming its members."""
    generated = {column.name: column for column in config.columns if not isinstance(column, SeedColumn)}
    dependencies = {name: tuple(references_of(column)) for name, column in generated.items()}
    inner = {name: [d for d in deps if d in generated] for name, deps in dependencies.items()}
    order = _stable_order(inner)
    per_record: set[str] = set()
    for name in order:
        if isinstance(generated[name], LlmTextColumn) or any(d in per_record for d in inner[name]):
            per_record.add(name)
    return ColumnGraph(dependencies=dependencies, order=order, per_record=frozenset(per_record))


def find_cycles(config: DatasetConfig) -> list[list[str]]:
    """Reference cycles between columns, none sharing a member with another; each begins and ends with its first column in
    config order. A column that reads itself is not among them."""
    reads = {column.name: {*references_of(column)} - {column.name} for column in config.columns}
    cycles: list[list[str]] = []
    while True:
        try:
            TopologicalSorter({name: sorted(deps & {*reads}) for name, deps in reads.items()}).prepare()
        except CycleError as error:
            members = [str(name) for name in reversed(error.args[1][1:])]
            first = members.index(next(name for name in reads if name in members))
            cycles.append([*members[first:], *members[: first + 1]])
            reads = {name: deps for name, deps in reads.items() if name not in members}
        else:
            return cycles


def _stable_order(inner: Mapping[str, list[str]]) -> tuple[str, ...]:
    position = {name: place for place, name in enumerate(inner)}
    sorter = TopologicalSorter(inner)
    sorter.prepare()
    order: list[str] = []
    ready = list(sorter.get_ready())
    while ready:
        ready.sort(key=position.__getitem__)
        name = ready.pop(0)
        order.append(name)
        sorter.done(name)
        ready.extend(sorter.get_ready())
    return tuple(order)
