"""The column graph: what each column reads, and an order in which columns can be computed."""

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from sdg_core.config.columns import (
    Column,
    SeedColumn,
    SkippableColumn,
)
from sdg_core.config.dataset import DatasetConfig
from sdg_core.plan.kinds import producers_of, references_of, resizes, values_read
from sdg_core.plan.phases import Slot, assign_slots, with_resize_edges
from sdg_core.plan.sampling.constraint_groups import (
    ConstraintGroup,
    find_constraint_groups,
    in_order,
    with_constraint_edges,
)

_MAX_CYCLES = 100


@dataclass(frozen=True)
class ColumnGraph:
    """Columns in computable order, with what each one reads.

    dependencies: for every config column the names it reads (seed columns included).
    order: names of the config columns, dependencies first; ties in config order.
    per_record: columns computed per record, because they, or columns they read, call a model or a user function.
    slots: when each column is computed; see `sdg_core.plan.phases`.
    producers: side-effect columns, each with the column whose function produces it.
    skip_sources: for every column the columns whose skips propagate to it.
    constraint_groups: samplers that constraints tie together.
    """

    dependencies: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]
    per_record: frozenset[str]
    slots: Mapping[str, Slot]
    producers: Mapping[str, str]
    skip_sources: Mapping[str, frozenset[str]]
    constraint_groups: tuple[ConstraintGroup, ...] = ()

    @cached_property
    def phases(self) -> int:
        """How many phases a row group goes through."""
        phases = [slot.phase for slot in self.slots.values()]
        return 1 + max(phases, default=0)

    def columns_of(self, phase: int, *, per_record: bool) -> list[str]:
        """The columns of one half of a phase, in computable order."""
        return [
            name for name in self.order if self.slots[name] == Slot(phase, per_record)
        ]

    def ancestors(self, name: str) -> set[str]:
        """The config columns that a column depends on, directly or through others."""
        found: set[str] = set()
        left = [name]
        while left:
            for other in self.dependencies.get(left.pop(), ()):
                producer = self.producers.get(other, other)
                if producer not in found and producer in self.dependencies:
                    found.add(producer)
                    left.append(producer)
        return found


def build_graph(config: DatasetConfig) -> ColumnGraph:
    """Order the columns of a checked config. Raises graphlib.CycleError, which names the members of the cycle."""
    generated = {
        column.name: column
        for column in config.columns
        if not isinstance(column, SeedColumn)
    }
    producers = producers_of(config.columns)
    dependencies: dict[str, tuple[str, ...]] = {}
    inner: dict[str, list[str]] = {}
    skip_sources: dict[str, frozenset[str]] = {}
    for name, column in generated.items():
        dependencies[name] = tuple(references_of(column))
        inner[name] = _generated_reads(dependencies[name], producers, generated)
        skip_sources[name] = _skip_sources(column)
    constraint_groups = find_constraint_groups(
        config.constraints, generated, dependencies
    )
    after = with_resize_edges(
        with_constraint_edges(inner, constraint_groups, producers), generated
    )
    order = _stable_order(after)
    slots = assign_slots(order, after, generated)
    per_record = frozenset(name for name, slot in slots.items() if slot.per_record)
    return ColumnGraph(
        dependencies=dependencies,
        order=order,
        per_record=per_record,
        slots=slots,
        producers=producers,
        skip_sources=skip_sources,
        constraint_groups=in_order(constraint_groups, order),
    )


def _skip_sources(column: Column) -> frozenset[str]:
    """The columns whose skips propagate to this one. A function that changes the rows finds null instead."""
    if (
        not isinstance(column, SkippableColumn)
        or not column.propagate_skip
        or resizes(column)
    ):
        return frozenset()
    return frozenset(values_read(column))


def _generated_reads(
    reads: Iterable[str], producers: Mapping[str, str], generated: Collection[str]
) -> list[str]:
    """The generated columns that make what a column reads, each once, in the order of reading."""
    found: dict[str, None] = {}
    for name in reads:
        made_by = producers.get(name, name)
        if made_by in generated:
            found[made_by] = None
    return list(found)


def find_cycles(config: DatasetConfig) -> list[list[str]]:
    """Reference cycles between columns, none sharing a member with another; each begins and ends with its first column in
    config order; no more than a person reads. A column that reads itself is not among them."""
    producers = producers_of(config.columns)
    reads: dict[str, set[str]] = {}
    for column in config.columns:
        made_by = {producers.get(name, name) for name in references_of(column)}
        reads[column.name] = made_by - {column.name}
    cycles: list[list[str]] = []
    while len(cycles) < _MAX_CYCLES:
        present = {
            name: sorted(others & reads.keys()) for name, others in reads.items()
        }
        try:
            TopologicalSorter(present).prepare()
        except CycleError as error:
            members = [str(name) for name in reversed(error.args[1][1:])]
            first_member = next(name for name in reads if name in members)
            first = members.index(first_member)
            cycles.append([*members[first:], *members[: first + 1]])
            for name in members:
                del reads[name]
        else:
            break
    return cycles


def _stable_order(inner: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Each column after those that it reads, and otherwise in config order."""
    names = [*inner]
    position = {name: place for place, name in enumerate(names)}
    sorter = TopologicalSorter(inner)
    sorter.prepare()
    order: list[str] = []
    ready: list[int] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, position[name])
        order.append(names[heapq.heappop(ready)])
        sorter.done(order[-1])
    return tuple(order)
