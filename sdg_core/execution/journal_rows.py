"""Which rows of the journal belong to a row group, and which of them its file already accounts for."""

from collections.abc import Collection

from sdg_core.config.columns import ModelColumn
from sdg_core.generators.whole_group import STRIDE
from sdg_core.plan.candidates import STRIDE as CANDIDATE_STRIDE
from sdg_core.plan.candidates import record_and_candidate
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.kinds import resizes
from sdg_core.plan.row_groups import RowGroup
from sdg_core.store.row_groups import Footer

CountedCell = tuple[str, str, int]
"""A cell of the journal: the run that paid, the column, and the number of its row."""


def counted_cells(footer: Footer | None) -> set[CountedCell]:
    """The cells of the journal that the usage in a row-group file counts already."""
    by_run = footer.counted if footer is not None else {}
    cells: set[CountedCell] = set()
    for run, columns in by_run.items():
        for name, rows in columns.items():
            cells.update((run, name, number) for number in rows)
    return cells


def counted_in_footer(
    cells: Collection[CountedCell], *, leave_out: Collection[int]
) -> dict[str, dict[str, list[int]]]:
    """What `Footer.counted` says. leave_out: records that the file decides, whose cells leave the journal."""
    found: dict[str, dict[str, list[int]]] = {}
    for run, name, number in sorted(cells):
        if record_and_candidate(number)[0] not in leave_out:
            found.setdefault(run, {}).setdefault(name, []).append(number)
    return found


def journal_spans(
    plan: DatasetPlan, group: RowGroup, *, candidate: int = 0
) -> list[tuple[int, int, frozenset[str]]]:
    """The numbers of a row group's rows in the journal, `[start, stop)`, for the columns that are journaled: those of one
    candidate of its records.

    Where a function changes the rows, those of the columns that come after it are counted again.
    """
    late = post_resize_columns(plan)
    journaled = {
        each.name for each in plan.config.columns if isinstance(each, ModelColumn)
    }
    spans = []
    if early := frozenset(journaled - late):
        behind = candidate * CANDIDATE_STRIDE
        spans.append((group.start + behind, group.stop + behind, early))
    if counted_again := frozenset(journaled & late):
        spans.append((group.start * STRIDE, group.stop * STRIDE, counted_again))
    return spans


def post_resize_columns(plan: DatasetPlan) -> frozenset[str]:
    """The columns that come after a function that changes the rows."""
    slots = plan.graph.slots
    resizing = [slots[column.name] for column in plan.config.columns if resizes(column)]
    if not resizing:
        return frozenset()
    first = min(resizing)
    return frozenset(name for name, slot in slots.items() if slot >= first)
