"""The column graph: what each column reads, and an order in which columns can be computed."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from sdg_core.config.columns import (
    ChatColumn,
    Column,
    CustomColumn,
    EmbeddingColumn,
    ExpressionColumn,
    ImageColumn,
    SamplerColumn,
    SeedColumn,
    SkippableColumn,
    ValidationColumn,
)
from sdg_core.config.dataset import DatasetConfig
from sdg_core.config.samplers import SamplerParams, SubcategoryParams, TimedeltaParams
from sdg_core.config.yaml_document import Path
from sdg_core.plan.phases import Place, places, producers_of, resizes, with_resize_edges
from sdg_core.plan.sampling.constraint_groups import ConstraintGroup, find_bounds, in_order, with_bound_edges
from sdg_core.plan.templates.engine import condition_template, template_references

SKIP_WHEN: Path = ("skip", "when")


def templates_of(column: Column) -> dict[Path, str]:
    """The templates of a column by their path inside it."""
    texts = _value_templates(column)
    if isinstance(column, SkippableColumn) and column.skip is not None:
        texts[SKIP_WHEN] = column.skip.when
    return texts


def _value_templates(column: Column) -> dict[Path, str]:
    """The templates that make the column's value."""
    match column:
        case ExpressionColumn():
            return {("expr",): column.expr}
        case ChatColumn():
            texts: dict[Path, str] = {("prompt",): column.prompt}
            if column.system_prompt is not None:
                texts["system_prompt",] = column.system_prompt
            return texts
        case ImageColumn():
            return {("prompt",): column.prompt}
        case SamplerColumn():
            return {("conditional_params", text): condition_template(text) for text in column.conditional_params}
        case _:
            return {}


def references_of(column: Column) -> dict[str, Path]:
    """Columns that a column reads, each with the path (inside the column) of the first place that names it."""
    found = values_read(column)
    for name in sorted(template_references(templates_of(column).get(SKIP_WHEN, ""))):
        found.setdefault(name, SKIP_WHEN)
    return found


def values_read(column: Column) -> dict[str, Path]:
    """The same for what goes into the column's value: without what only `skip.when` looks at. Skips spread along these."""
    found: dict[str, Path] = {}
    for path, source in _value_templates(column).items():
        for name in sorted(template_references(source)):
            found.setdefault(name, path)
    for path, name in _named_columns(column):
        found.setdefault(name, path)
    return found


def _named_columns(column: Column) -> list[tuple[Path, str]]:
    match column:
        case SamplerColumn():
            branches: list[tuple[Path, SamplerParams]] = [(("params",), column.params)]
            branches += [(("conditional_params", text), params) for text, params in column.conditional_params.items()]
            return [(path, name) for where, params in branches for path, name in _read_by_params(where, params)]
        case CustomColumn():
            return [(("required_columns", place), name) for place, name in enumerate(column.required_columns or ())]
        case ValidationColumn():
            return [(("target_columns", place), name) for place, name in enumerate(column.target_columns)]
        case EmbeddingColumn():
            return [(("target_column",), column.target_column)]
        case ChatColumn() | ImageColumn():
            contexts = enumerate(column.multi_modal_context or ())
            return [(("multi_modal_context", place, "column_name"), media.column_name) for place, media in contexts]
        case _:
            return []


def _read_by_params(where: Path, params: SamplerParams) -> list[tuple[Path, str]]:
    match params:
        case SubcategoryParams():
            return [((*where, "category"), params.category)]
        case TimedeltaParams():
            return [((*where, "reference_column_name"), params.reference_column_name)]
        case _:
            return []


@dataclass(frozen=True)
class ColumnGraph:
    """Columns in computable order, with what each one reads.

    dependencies: for every config column the names it reads (seed columns included).
    order: names of the config columns, dependencies first; ties in config order.
    per_record: columns computed record by record, because they (or something they read) call a model or the like.
    places: the stage of each column, and the half of the stage; see `sdg_core.plan.phases`.
    producers: side-effect columns, each with the column whose function makes it.
    spreads_skips: for every column the columns whose skips spread to it.
    bounds: samplers that constraints tie together.
    """

    dependencies: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    per_record: frozenset[str]
    places: Mapping[str, Place]
    producers: Mapping[str, str]
    skip_sources: Mapping[str, frozenset[str]]
    bounds: tuple[ConstraintGroup, ...] = ()

    @property
    def stages(self) -> int:
        """How many stages a row group goes through."""
        return 1 + max((stage for stage, _ in self.places.values()), default=0)

    def columns_of(self, stage: int, *, per_record: bool) -> list[str]:
        """The columns of one half of a stage, in computable order."""
        return [name for name in self.order if self.places[name] == (stage, int(per_record))]


def build_graph(config: DatasetConfig) -> ColumnGraph:
    """Order the columns of a checked config. Raises graphlib.CycleError for a cycle, naming its members."""
    generated = {column.name: column for column in config.columns if not isinstance(column, SeedColumn)}
    dependencies = {name: tuple(references_of(column)) for name, column in generated.items()}
    producers = producers_of(config.columns)
    inner = {
        name: list(dict.fromkeys(made for d in reads if (made := producers.get(d, d)) in generated))
        for name, reads in dependencies.items()
    }
    bounds = find_bounds(config.constraints, generated, dependencies)
    after = with_resize_edges(with_bound_edges(inner, bounds, producers), generated)
    order = _stable_order(after)
    found = places(order, after, generated)
    return ColumnGraph(
        dependencies=dependencies,
        order=order,
        per_record=frozenset(name for name, (_, half) in found.items() if half == 1),
        places=found,
        producers=producers,
        skip_sources={name: _spreads_skips(column) for name, column in generated.items()},
        bounds=in_order(bounds, order),
    )


def _spreads_skips(column: Column) -> frozenset[str]:
    """The columns whose skips spread to this one. A function that changes the rows finds null instead."""
    if not isinstance(column, SkippableColumn) or not column.propagate_skip or resizes(column):
        return frozenset()
    return frozenset(values_read(column))


def find_cycles(config: DatasetConfig) -> list[list[str]]:
    """Reference cycles between columns, none sharing a member with another; each begins and ends with its first column in
    config order. A column that reads itself is not among them."""
    producers = producers_of(config.columns)
    reads = {
        column.name: {producers.get(name, name) for name in references_of(column)} - {column.name}
        for column in config.columns
    }
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
