"""Where a column is made: in which stage of its row group, and there for all records at once or record by record.

A stage has two halves. First come columns that are computed for all records together, then those that are made record by
record, each record at its own pace. One stage is enough, unless a whole-column function reads what is made record by record:
it has to wait for the last record, and begins the next stage.
"""

from collections.abc import Iterable, Mapping

from sdg_core.config.columns import Column, CustomColumn, ModelColumn, ValidationColumn
from sdg_core.config.validators import RemoteParams
from sdg_core.plan.types.replies import side_columns

Place = tuple[int, int]
"""Stage, and its half: 0 for all records together, 1 record by record."""


def producers_of(columns: Iterable[Column]) -> dict[str, str]:
    """Side-effect columns by name, each with the column whose function or model makes it."""
    return {name: column.name for column in columns for name in side_effects_of(column)}


def side_effects_of(column: Column) -> tuple[str, ...]:
    """The further columns that a column's function or model makes."""
    if isinstance(column, CustomColumn):
        return column.side_effect_columns or ()
    return tuple(side_columns(column))


def resizes(column: Column) -> bool:
    """Whether the column's function may change the number of rows."""
    return isinstance(column, CustomColumn) and column.allow_resize


def is_whole_column(column: Column) -> bool:
    """Whether the column is made by a function of the whole row group."""
    return isinstance(column, CustomColumn) and column.generation_strategy == "full_column"


def always_per_record(column: Column) -> bool:
    """Whether each cell is worth waiting for on its own: a model, a function or an endpoint answers it."""
    match column:
        case ModelColumn():
            return True
        case CustomColumn():
            return column.generation_strategy == "cell_by_cell"
        case ValidationColumn():
            return isinstance(column.validator_params, RemoteParams)
        case _:
            return False


def with_resize_edges(reads: Mapping[str, list[str]], columns: Mapping[str, Column]) -> dict[str, list[str]]:
    """What each column comes after: what it reads; and a column that changes the rows comes after all that do not read it,
    because it carries their values along."""
    after = {name: list(others) for name, others in reads.items()}
    for name in reversed([name for name, column in columns.items() if resizes(column)]):
        readers = _descendants(name, after)
        after[name] += [other for other in columns if other not in readers and other not in after[name]]
    return after


def places(order: Iterable[str], after: Mapping[str, list[str]], columns: Mapping[str, Column]) -> dict[str, Place]:
    """The place of each column. `order` has what a column comes after before it."""
    found: dict[str, Place] = {}
    for name in order:
        stage, half = max((found[other] for other in after[name]), default=(0, 0))
        if always_per_record(columns[name]):
            half = 1
        elif is_whole_column(columns[name]) and half == 1:
            stage, half = stage + 1, 0
        found[name] = (stage, half)
    return found


def _descendants(name: str, after: Mapping[str, list[str]]) -> set[str]:
    """The column itself and everything that comes after it."""
    found = {name}
    grew = True
    while grew:
        more = {other for other, before in after.items() if other not in found and not found.isdisjoint(before)}
        found |= more
        grew = bool(more)
    return found
