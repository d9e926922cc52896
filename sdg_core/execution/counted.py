"""Which replies in the journal a row-group file counts in its usage, so that none is counted twice.

A reply leaves the journal when its row is in a durable file. Until then it may have been counted in a file that lacks its row:
such a file names it in its footer. Which of the two is ahead after a crash does not matter.
"""

from collections.abc import Collection

from sdg_core.store.row_groups import Footer

CountedCell = tuple[str, str, int]
"""A cell of the journal: the run that paid, the column, and the number of its row."""


def counted_cells(footer: Footer | None) -> set[CountedCell]:
    """The cells of the journal that the usage in a row-group file counts already."""
    by_run = footer.counted if footer is not None else {}
    return {(run, name, number) for run, columns in by_run.items() for name, rows in columns.items() for number in rows}


def counted_in_footer(cells: Collection[CountedCell], *, leave_out: Collection[int]) -> dict[str, dict[str, list[int]]]:
    """What `Footer.counted` says. leave_out: rows that are in the file, whose cells leave the journal."""
    found: dict[str, dict[str, list[int]]] = {}
    for run, name, number in sorted(cells):
        if number not in leave_out:
            found.setdefault(run, {}).setdefault(name, []).append(number)
    return found
