"""One row group while it is being made: its columns, its records' cells, and the files they become."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.dataset.spending import SAMPLES
from sdg_core.errors import CellError
from sdg_core.execution.cell_store import FoundCell, ReusableCells
from sdg_core.execution.journal_rows import CountedCell
from sdg_core.execution.selection import SELECT, Selection
from sdg_core.generators.base import Cell, CellFailedError
from sdg_core.generators.custom.columns import typed_series
from sdg_core.generators.single_precision import python_values
from sdg_core.generators.whole_group import Fault, GroupPhases
from sdg_core.ledger.journal import JournaledCell
from sdg_core.models.usage import Usage
from sdg_core.plan.candidates import numbers_of
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.types.arrow_values import array_of, narrowed
from sdg_core.plan.usage import UsageByColumn, UsageByModel, add_usage, count_usage
from sdg_core.seeds.readers import Seeds
from sdg_core.store.failures import Failure, kept_reply
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus

if TYPE_CHECKING:
    from sdg_core.execution.carry_over import CarriedCells

HEAD_ROWS = 3
"""Rows that a written group hands on, for previews."""


@dataclass(frozen=True)
class Rows:
    """Finished records of a row group: their indices and a table of every column, dropped ones included."""

    records: NDArray[np.int64]
    table: pa.Table


class OpenGroup:
    """The records a row group lacks, being made, phase by phase (`sdg_core.plan.phases`).

    Positions count the rows: the remaining records in order, until a function changes the rows. A row is settled in a phase when
    it has all its cells of that phase or has failed. Records that are not settled when the group is written are simply
    still missing. Where rows are selected, all phases are gone through once for each candidate (`select`, `draw_again`), and
    positions count the records that are not decided yet. Threads: `lock` is held while the candidate changes and while the group
    is written, because a run that is cancelled writes it while a thread may still be at work on it.
    """

    def __init__(
        self,
        status: RowGroupStatus,
        *,
        plan: DatasetPlan,
        seeds: Seeds | None,
        phases: GroupPhases,
        needed: Sequence[frozenset[str]],
        journaled: Iterable[JournaledCell] = (),
        carried: "CarriedCells" = MappingProxyType({}),
        number: Callable[[NDArray[np.int64], int], NDArray[np.int64]] = numbers_of,
    ) -> None:
        """`needed` names, for each phase, the columns that `values` has to hand out; `journaled` are cells of an earlier run,
        `carried` those of earlier versions. number: the numbers of one candidate of each record."""
        self.status = status
        self._plan = plan
        self._phases = phases
        self._needed = needed
        self._number = number
        self._seeds = seeds
        self.carried_over = 0
        self.carried_from: UsageByModel = {}
        self.replayed = 0
        self.samples: set[tuple[int, str]] = set()
        self.counted: set[CountedCell] = set()
        self.usage: UsageByModel = {}
        self.usage_by_column: UsageByColumn = {}
        select = plan.config.select
        self.selection = Selection(select, plan.schema) if select is not None else None
        self.candidate = 0
        self._again: list[int] = []
        self.lock = RLock()
        self._failed_before: list[Failure] = []
        self.waiting = 0
        self._begin(status.remaining, journaled, carried)

    def _begin(
        self,
        records: Sequence[int],
        journaled: Iterable[JournaledCell],
        carried: "CarriedCells",
    ) -> None:
        """Begin with the present candidate of some records."""
        self.indices = np.array(records, dtype=np.int64)
        self.reusable = ReusableCells.of(journaled, carried)
        self.failures: dict[int, Failure] = {}
        self._used_by: dict[int, UsageByModel] = {}
        self._evaluated = np.zeros(len(records), dtype=bool)
        self._rejected: dict[int, str] = {}
        self.phase = -1
        given = (
            self._seeds.read(self.indices).to_dict() if self._seeds is not None else {}
        )
        self._rows = self._phases.begin(
            self._number(self.indices, self.candidate), given
        )
        self._cells: dict[str, list[Any]] = {}
        self.advance()

    def select(self) -> bool:
        """Decide on the rows that are whole and undecided. Returns whether some record is to be drawn again, once every row of
        this candidate is settled. Does nothing where nothing is selected. A row that waits is not drawn again: what becomes of
        this candidate is not known yet."""
        with self.lock:
            return (
                self._select()
                if self.selection is not None and self.last_phase
                else False
            )

    def _select(self) -> bool:
        assert self.selection is not None
        places = np.flatnonzero(self._done & ~self._evaluated)
        self._evaluated[places] = True
        usage_by_row = [self._used_by.get(int(place), {}) for place in places]
        table = self._whole_rows(places)
        rejected = {}
        for at, place in enumerate(places.tolist()):
            if place in self._rejected:
                rejected[at] = self._rejected[place]
        given = {}
        for name in self.selection.reads:
            if name not in self._plan.schema.names:
                given[name] = python_values(self._rows.frame[name].gather(places))
        verdicts = self.selection.evaluate(
            self.indices[places],
            table,
            candidate=self.candidate,
            usage_by_row=usage_by_row,
            rejected=rejected,
            given=given,
        )
        for place, (message, is_rejected) in verdicts.faults.items():
            position = int(places[place])
            fault = Fault(SELECT, "rejected" if is_rejected else "expression", message)
            self.failures[position] = self._failure(position, fault)
        self._again += verdicts.again
        return bool(self._again)

    def draw_again(
        self,
        *,
        journaled: Iterable[JournaledCell] = (),
        carried: "CarriedCells" = MappingProxyType({}),
    ) -> None:
        """Begin with the next candidate of the records of which none is kept yet. `journaled`, `carried`: of that
        candidate. Called in a thread."""
        with self.lock:
            self._failed_before += self.failures.values()
            self.candidate += 1
            records = sorted(self._again)
            self._again = []
            self._begin(records, journaled, carried)

    def advance(self) -> None:
        """Begin the next phase with its columns that are computed for all records at once. Called in a thread."""
        # functions that ask models wait for the loop, which must then not wait for them
        if self.selection is None:
            self._advance()
            return
        with self.lock:
            self._advance()

    def _advance(self) -> None:
        self._keep_cells()
        self.phase += 1
        rows = self._rows
        graph = self._plan.graph
        self._phases.compute(self.phase, rows)
        for position, fault in rows.faults.items():
            if position not in self.failures:
                self.failures[position] = self._failure(position, fault)
        for (column, alias), usage in rows.usage_by_column.items():
            self.add_usage(alias, usage, column=column)
            self._phases.models.spending.account({alias: usage})
        rows.usage_by_column = {}
        names = graph.columns_of(self.phase, per_record=True)
        beside = [
            other for other, producer in graph.producers.items() if producer in names
        ]
        made = [*names, *beside]
        self._cells = {name: [None] * len(rows.indices) for name in made}
        self._skips: dict[str, NDArray[np.bool_]] = {}
        self._done = np.zeros(len(rows.indices), dtype=bool)
        self._stops_here = False
        if not names and self.last_phase:
            self._done = rows.alive()
        needed = self._needed[self.phase]
        self._values = {}
        for name, series in rows.frame.items():
            if name in needed:
                self._values[name] = python_values(series)

    def _keep_cells(self) -> None:
        """Make columns of the cells of the phase that ends."""
        for name, cells in self._cells.items():
            self._rows.frame[name] = typed_series(
                name, cells, self._plan.schema.field(name).type
            )
        if self._cells:
            self._rows.skipped.update(self._skips)

    def _failure(self, position: int, fault: Fault) -> Failure:
        message = fault.message
        if self._rows.resized:
            message = f"row {position} of the resized row group: {message}"
        reply = kept_reply(fault.reply) if fault.reply is not None else None
        record = self.record_of(position)
        return Failure(
            record,
            fault.column,
            fault.kind,
            message,
            fault.attempts,
            reply,
            fault.finish_reason,
        )

    def record_of(self, position: int) -> int:
        """The record of a row. Rows of a resized group belong to no record; their failures are listed with the one there."""
        if not self._rows.resized:
            return int(self.indices[position])
        group = self.status.group
        return min(group.start + position, group.stop - 1)

    def index_of(self, position: int) -> int:
        """What the random words of a row are counted by."""
        return int(self._rows.indices[position])

    @property
    def last_phase(self) -> bool:
        """Whether the rows are whole after this phase."""
        return self.phase == self._plan.graph.phases - 1 or self.discarded

    @property
    def ends_here(self) -> bool:
        """Whether no phase can follow: the rows are whole, or some of them wait, without which a function must not be called."""
        return self.last_phase or self._stops_here

    @property
    def discarded(self) -> bool:
        """Whether there will be no rows, because the group is all or nothing and a row of it has failed."""
        return self._plan.resizes and bool(self.failures)

    def open_positions(self) -> list[int]:
        """Positions whose cells of this phase are still to be made, in order."""
        if not self._cells or self.discarded:
            return []
        return [
            position
            for position in range(len(self._done))
            if position not in self.failures
        ]

    def values(self, position: int) -> dict[str, Any]:
        """A fresh mapping of a row's values in the needed columns that were made before."""
        return {name: values[position] for name, values in self._values.items()}

    def skipped(self, position: int) -> set[str]:
        """The columns that are skipped in a row."""
        return self._rows.skipped_in(position)

    def settle(
        self,
        position: int,
        cells: Mapping[str, Any],
        skipped: Collection[str] = (),
        *,
        rejected: str | None = None,
    ) -> None:
        """A row has all its cells of this phase. rejected: why it was rejected before it had, and gets no more."""
        if rejected is not None:
            self._rejected[position] = rejected
        for name, value in cells.items():
            self._cells[name][position] = value
        for name in skipped:
            if name in self._cells:
                self._skips.setdefault(name, np.zeros(len(self._done), dtype=bool))[
                    position
                ] = True
        self._done[position] = True

    def wait(self, position: int) -> None:
        """A row waits for a reply that comes later: this run does no more about it."""
        self.waiting += 1
        self._stops_here = True

    def fail(self, position: int, column: str, error: CellError) -> Failure:
        """A row has failed permanently."""
        fault = Fault(column, "expression", error.message)
        if isinstance(error, CellFailedError):
            fault = Fault(
                column,
                error.kind,
                error.message,
                error.attempts,
                error.reply,
                error.finish_reason,
            )
        self._rows.fail(position, fault)
        self.failures[position] = self._failure(position, fault)
        return self.failures[position]

    @property
    def every_failure(self) -> list[Failure]:
        """The failures of all candidates so far."""
        return [*self._failed_before, *self.failures.values()]

    def note_usage(self, position: int, alias: str, usage: Usage) -> None:
        """Note what a row used, for the case that it is rejected."""
        if self.selection is not None:
            self._used_by[position] = add_usage(
                self._used_by.get(position, {}), {alias: vars(usage)}
            )

    def add_usage(self, alias: str, usage: Usage, *, column: str | None = None) -> None:
        """Count what a cell used, failed or not."""
        count_usage(self.usage, alias, vars(usage))
        if column is not None:
            count_usage(self.usage_by_column.setdefault(column, {}), alias, vars(usage))

    def take(self, found: FoundCell, position: int, column: str) -> Cell:
        """Count a cell of a row that was paid for before; the cell, with the usage that no file counts yet."""
        cell = found.cell
        journaled = found.journaled
        version = found.version or (journaled.version if journaled is not None else "")
        if version:
            self.carried_over += 1
            self.carried_from = add_usage(self.carried_from, {version: {column: 1}})
        if journaled is None:
            return cell
        self.replayed += 1
        self.counted.add((journaled.run_id, column, journaled.record))
        if journaled.run_id == SAMPLES:
            self.samples.add((journaled.record, column))
        if not journaled.counted:
            return cell
        for alias, usage in cell.usage_by_alias.items():
            self.note_usage(position, alias, usage)
        return replace(cell, usage_by_alias={})

    @property
    def resized(self) -> bool:
        """Whether rows are no longer records."""
        return self._plan.resizes

    @property
    def made(self) -> int:
        """How many of the remaining records are finished."""
        if self.selection is not None:
            return self.selection.num_kept
        if not self.last_phase or self.discarded:
            return 0
        if self.resized:
            return len(self.indices) if self._done.all() else 0
        return int(self._done.sum())

    @property
    def failed(self) -> int:
        """How many of the remaining records have failed: all of them where the group is all or nothing."""
        return (
            len(self.indices)
            if self.discarded
            else len(self._failed_before) + len(self.failures)
        )

    @property
    def dropped(self) -> int:
        """How many of the remaining records have no row because none of their candidates was kept."""
        return len(self.selection.exhausted) if self.selection is not None else 0

    def rows(self) -> Rows:
        """The finished records; of a resized group, every row or none."""
        if self.selection is not None:
            return Rows(*self.selection.kept())
        if not self.made:
            return Rows(np.empty(0, dtype=np.int64), self._plan.schema.empty_table())
        table = self._whole_rows(np.flatnonzero(self._done))
        return Rows(self._rows.indices[self._done], table)

    def _whole_rows(self, places: NDArray[np.int64]) -> pa.Table:
        """Rows that have all their cells, as a table."""
        everything = len(places) == len(self._done)
        arrays = []
        for field in self._plan.schema:
            if field.name in self._cells:
                cells = self._cells[field.name]
                chosen = (
                    cells if everything else [cells[place] for place in places.tolist()]
                )
                arrays.append(array_of(chosen, field.type))
            else:
                series = self._rows.frame[field.name]
                kept = series if everything else series.gather(places)
                arrays.append(narrowed(kept.to_arrow(), field.type))
        return pa.table(arrays, schema=self._plan.schema)


def expand_to_whole_group(status: RowGroupStatus, plan: DatasetPlan) -> RowGroupStatus:
    """The status with everything missing, where a row group that is not complete is made again as a whole."""
    if not plan.all_or_nothing or status.state is RowGroupState.COMPLETE:
        return status
    return replace(status, remaining=range(status.group.start, status.group.stop))
