"""When a column is computed: in which phase of its row group, and there for all records at once or record by record.

A phase has two halves. First come columns that are computed for all records together, then those that are made record by
record, each record at its own pace. One phase is enough, unless a whole-column function reads what is made record by record:
it has to wait for the last record, and starts the next phase.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sdg_core.config.columns import Column
from sdg_core.plan.kinds import always_per_record, is_whole_column, resizes


class Slot(NamedTuple):
    """The phase in which a column is computed, from 0, and whether record by record. Slots compare in order of work."""

    phase: int
    per_record: bool


def with_resize_edges(
    reads: Mapping[str, list[str]], columns: Mapping[str, Column]
) -> dict[str, list[str]]:
    """What each column comes after: what it reads; and a column that changes the rows comes after all that do not read it,
    because it carries their values along."""
    after = {name: list(others) for name, others in reads.items()}
    resizing = [name for name, column in columns.items() if resizes(column)]
    for name in reversed(resizing):
        readers = _descendants(name, after)
        for other in columns:
            if other not in readers and other not in after[name]:
                after[name].append(other)
    return after


def assign_slots(
    order: Iterable[str], after: Mapping[str, list[str]], columns: Mapping[str, Column]
) -> dict[str, Slot]:
    """The slot of each column. `order` names a column after everything that it comes after."""
    slots: dict[str, Slot] = {}
    for name in order:
        earlier = [slots[other] for other in after[name]]
        earliest = max(earlier, default=Slot(0, False))
        if always_per_record(columns[name]):
            slots[name] = Slot(earliest.phase, True)
        elif is_whole_column(columns[name]) and earliest.per_record:
            slots[name] = Slot(earliest.phase + 1, False)
        else:
            slots[name] = earliest
    return slots


def _descendants(name: str, after: Mapping[str, list[str]]) -> set[str]:
    """The column itself and everything that comes after it."""
    found = {name}
    grew = True
    while grew:
        more = {
            other
            for other, before in after.items()
            if other not in found and not found.isdisjoint(before)
        }
        found |= more
        grew = bool(more)
    return found
