"""One row group while it is being made: its columns, its records' cells, and the files they become."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.errors import CellError
from sdg_core.execution.carry import CarriedCells
from sdg_core.execution.counted import CountedCell, counted_cells, counted_in_footer
from sdg_core.generators.base import FailedCellError
from sdg_core.generators.custom import typed_series
from sdg_core.generators.group_stage import Fault, GroupStages
from sdg_core.ledger.journal import JournaledCell
from sdg_core.models.types import Usage
from sdg_core.plan.compile import DatasetPlan
from sdg_core.points import reach
from sdg_core.seeds.readers import Seeds
from sdg_core.store.atomic import Publishing, write_atomic
from sdg_core.store.failures import Failure, dump_failures, read_failures
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import UsageByColumn, UsageByModel, add_usage, add_usage_by_column, utc_now
from sdg_core.store.row_groups import (
    SCHEMA_VERSION,
    Footer,
    merge_rows,
    read_dropped,
    read_rows,
    write_row_group,
)
from sdg_core.store.state import RowGroupState, RowGroupStatus

HEAD_ROWS = 3
"""Rows that a written group hands on, for previews."""


@dataclass(frozen=True)
class Rows:
    """Finished records of a row group: their indices and a table of every column, dropped ones included."""

    records: NDArray[np.int64]
    table: pa.Table


@dataclass(frozen=True)
class WrittenGroup:
    """A row group's file: its footer and its first rows, None where the file was left as it was."""

    footer: Footer
    head: pa.Table | None


class OpenGroup:
    """The records a row group lacks, being made, stage by stage (`sdg_core.plan.stages`).

    Positions count the rows: the lacking records in order, until a function changes the rows. A row is settled in a stage when it
    has all its cells of that stage or has failed. Records that are not settled when the group is written are simply
    lacking still.
    """

    def __init__(
        self,
        status: RowGroupStatus,
        *,
        plan: DatasetPlan,
        seeds: Seeds | None,
        stages: GroupStages,
        needed: Sequence[frozenset[str]],
        paid: Iterable[JournaledCell] = (),
        carried: CarriedCells = MappingProxyType({}),
    ) -> None:
        """`needed` names, for each stage, the columns that `values` has to hand out; `paid` are cells of an earlier run,
        `carried` those of earlier versions."""
        self.status, self._plan, self._stages, self._needed = status, plan, stages, needed
        self.indices = np.array(status.lacking, dtype=np.int64)
        self.paid = {(cell.record, cell.column): cell for cell in paid}
        self.carried, self.carried_over = carried, 0
        self.replayed = 0
        self.counted: set[CountedCell] = set()
        self.failures: dict[int, Failure] = {}
        self.usage: UsageByModel = {}
        self.usage_by_column: UsageByColumn = {}
        self.stage = -1
        self._rows = stages.begin(self.indices, seeds.read(self.indices).to_dict() if seeds is not None else {})
        self._cells: dict[str, list[Any]] = {}
        self.advance()

    def advance(self) -> None:
        """Begin the next stage with its columns that are computed for all records at once. Called in a thread."""
        self._keep_cells()
        self.stage += 1
        rows, graph = self._rows, self._plan.graph
        self._stages.compute(self.stage, rows)
        for position, fault in rows.faults.items():
            if position not in self.failures:
                self.failures[position] = self._failure(position, fault)
        for (column, alias), usage in rows.usages.items():
            self.add_usage(alias, usage, column=column)
        rows.usages = {}
        names = graph.columns_of(self.stage, per_record=True)
        made = [*names, *(other for other, producer in graph.producers.items() if producer in names)]
        self._cells = {name: [None] * len(rows.indices) for name in made}
        self._skips: dict[str, NDArray[np.bool_]] = {}
        self._done = np.zeros(len(rows.indices), dtype=bool)
        if not names and self.last_stage:
            self._done = rows.alive()
        needed = self._needed[self.stage]
        self._values = {name: series.to_list() for name, series in rows.frame.items() if name in needed}

    def _keep_cells(self) -> None:
        """Make columns of the cells of the stage that ends."""
        for name, cells in self._cells.items():
            self._rows.frame[name] = typed_series(name, cells, self._plan.schema.field(name).type)
        self._rows.skipped.update(self._skips if self._cells else {})

    def _failure(self, position: int, fault: Fault) -> Failure:
        message = f"row {position} of the resized row group: {fault.message}" if self._rows.resized else fault.message
        return Failure(self.record_of(position), fault.column, fault.kind, message, fault.attempts)

    def record_of(self, position: int) -> int:
        """The record of a row. Rows of a resized group belong to no record; their failures are listed with the one there."""
        group = self.status.group
        return min(group.start + position, group.stop - 1) if self._rows.resized else int(self.indices[position])

    def index_of(self, position: int) -> int:
        """What the random words of a row are counted by."""
        return int(self._rows.indices[position])

    @property
    def last_stage(self) -> bool:
        """Whether the rows are whole after this stage."""
        return self.stage == self._plan.graph.stages - 1 or self.void

    @property
    def void(self) -> bool:
        """Whether there will be no rows, because the group is all or nothing and a row of it has failed."""
        return self._plan.resizes and bool(self.failures)

    def open_positions(self) -> list[int]:
        """Positions whose cells of this stage are still to be made, in order."""
        if not self._cells or self.void:
            return []
        return [position for position in range(len(self._done)) if position not in self.failures]

    def values(self, position: int) -> dict[str, Any]:
        """A fresh mapping of a row's values in the needed columns that were made before."""
        return {name: values[position] for name, values in self._values.items()}

    def skipped(self, position: int) -> set[str]:
        """The columns that are skipped in a row."""
        return self._rows.skipped_in(position)

    def settle(self, position: int, cells: Mapping[str, Any], skipped: Collection[str] = ()) -> None:
        """A row has all its cells of this stage."""
        for name, value in cells.items():
            self._cells[name][position] = value
        for name in skipped:
            if name in self._cells:
                self._skips.setdefault(name, np.zeros(len(self._done), dtype=bool))[position] = True
        self._done[position] = True

    def fail(self, position: int, column: str, error: CellError) -> Failure:
        """A row has failed for good."""
        fault = Fault(column, "expression", error.message)
        if isinstance(error, FailedCellError):
            fault = Fault(column, error.kind, error.message, error.attempts)
        self._rows.fail(position, fault)
        self.failures[position] = self._failure(position, fault)
        return self.failures[position]

    def add_usage(self, alias: str, usage: Usage, *, column: str | None = None) -> None:
        """Count what a cell used, failed or not."""
        self.usage = add_usage(self.usage, {alias: vars(usage)})
        if column is not None:
            of_column = self.usage_by_column.get(column, {})
            self.usage_by_column[column] = add_usage(of_column, {alias: vars(usage)})

    @property
    def resized(self) -> bool:
        """Whether rows are no longer records."""
        return self._plan.resizes

    @property
    def made(self) -> int:
        """How many of the lacking records are finished."""
        if not self.last_stage or self.void:
            return 0
        if self.resized:
            return len(self.indices) if self._done.all() else 0
        return int(self._done.sum())

    @property
    def failed(self) -> int:
        """How many of the lacking records have failed: all of them where the group is all or nothing."""
        return len(self.indices) if self.void else len(self.failures)

    def rows(self) -> Rows:
        """The finished records; of a resized group, every row or none."""
        if not self.made:
            return Rows(np.empty(0, dtype=np.int64), self._plan.schema.empty_table())
        mask = pl.Series(self._done)
        arrays = []
        for field in self._plan.schema:
            if field.name in self._cells:
                values = [v for v, done in zip(self._cells[field.name], self._done, strict=True) if done]
                arrays.append(pa.array(values, type=field.type))
            else:
                series = self._rows.frame[field.name]
                kept = series if self._done.all() else series.filter(mask)
                arrays.append(kept.to_arrow().cast(field.type))
        return Rows(self._rows.indices[self._done], pa.table(arrays, schema=self._plan.schema))


def as_a_whole(status: RowGroupStatus, plan: DatasetPlan) -> RowGroupStatus:
    """The status with everything lacking, where a row group that is not complete is made again as a whole."""
    if not plan.whole_groups or status.state is RowGroupState.COMPLETE:
        return status
    return replace(status, lacking=range(status.group.start, status.group.stop))


def write_group(
    group: OpenGroup,
    version: VersionLayout,
    *,
    plan: DatasetPlan,
    run_id: str,
    publishing: Publishing = nullcontext,
    committing: Publishing = nullcontext,
) -> WrittenGroup:
    """Write a row group's files: failures and dropped columns first, the row-group file last, as the commit.

    Rows that an earlier run wrote stay as they are; the files become the union. `committing` is entered around the switch of the
    row-group file, `publishing` around that of the file of dropped columns.
    """
    rows, status = group.rows(), group.status
    old = status.footer
    if old is not None and old.num_rows:
        if not plan.whole_groups:
            rows = _with_existing(rows, old, version=version, plan=plan)
        elif not group.made:
            _write_failures(group, version, missing=frozenset(status.lacking))
            return WrittenGroup(old, head=None)
    everything = range(status.group.start, status.group.stop)
    present = everything if plan.resizes and group.made else {*rows.records.tolist()}
    counted = set() if plan.resizes and group.made else group.counted | counted_cells(old)
    footer = Footer(
        schema_version=SCHEMA_VERSION,
        dataset=plan.config.name,
        config_hash=plan.fingerprint.config_hash,
        column_hashes=dict(plan.fingerprint.column_hashes),
        row_group=status.group.index,
        start=status.group.start,
        size=status.group.size,
        missing=[record for record in everything if record not in present],
        resized=plan.resizes,
        rows=rows.table.num_rows if plan.resizes else None,
        usage=add_usage(old.usage if old is not None else {}, group.usage),
        usage_by_column=add_usage_by_column(old.usage_by_column if old is not None else {}, group.usage_by_column),
        simulated=plan.simulated,
        counted=counted_in_footer(counted, leave_out=() if plan.resizes else present),
        created_at=utc_now(),
        run_id=run_id,
    )
    _write_failures(group, version, missing=frozenset(footer.missing))
    if plan.dropped:
        dropped = rows.table.select(plan.dropped_schema.names)
        write_row_group(version.dropped(status.group.index), dropped, footer, publishing=publishing)
        reach("group.after_dropped")
    kept = rows.table.select(plan.kept_schema.names)
    write_row_group(version.row_group(status.group.index), kept, footer, publishing=committing)
    return WrittenGroup(footer, head=kept.take(np.arange(min(HEAD_ROWS, kept.num_rows))))


def _write_failures(group: OpenGroup, version: VersionLayout, *, missing: frozenset[int]) -> None:
    """List the failures of this run, and those of earlier ones that it has not got round to trying again."""
    path = version.failure_list(group.status.group.index)
    before = read_failures(path)
    failures = {failure.record: failure for failure in (*before, *group.failures.values()) if failure.record in missing}
    if failures or before:
        write_atomic(path, dump_failures(failures.values()))


def _with_existing(rows: Rows, old: Footer, *, version: VersionLayout, plan: DatasetPlan) -> Rows:
    kept = read_rows(version.row_group(old.row_group))
    records = old.records()
    if plan.dropped:
        dropped = read_dropped(version.dropped(old.row_group), records)
        for name in dropped.schema.names:
            kept = kept.append_column(name, dropped.column(name))
    merged, merged_records = merge_rows(kept.select(plan.schema.names), records, rows.table, rows.records)
    return Rows(merged_records, merged)
