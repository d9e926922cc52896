"""One row group while it is being made: its columns, its records' cells, and the files they become."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.generators.dispatch import group_column
from sdg_core.models.types import Usage
from sdg_core.plan.compile import DatasetPlan
from sdg_core.seeds.readers import Seeds
from sdg_core.store.atomic import write_atomic
from sdg_core.store.failures import Failure, dump_failures
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import UsageByModel, add_usage, utc_now
from sdg_core.store.row_groups import SCHEMA_VERSION, Footer, merge_rows, read_footer, read_rows, write_row_group
from sdg_core.store.state import RowGroupStatus


@dataclass(frozen=True)
class Rows:
    """Finished records of a row group: their indices and a table of every column, dropped ones included."""

    records: NDArray[np.int64]
    table: pa.Table


class OpenGroup:
    """The records a row group lacks, being made.

    Positions count the lacking records in order. A record is settled when it has all its cells or has failed; records that
    are not settled when the group is written are simply lacking still.
    """

    def __init__(
        self, status: RowGroupStatus, *, plan: DatasetPlan, seeds: Seeds | None, needed: frozenset[str]
    ) -> None:
        """`needed` names the columns that `values` has to hand out."""
        self.status, self._plan = status, plan
        self.indices = np.array(status.lacking, dtype=np.int64)
        self.failures: dict[int, Failure] = {}
        self.usage: UsageByModel = {}
        self._cells: dict[str, list[Any]] = {name: [None] * len(self.indices) for name in plan.graph.per_record}
        self._done = np.zeros(len(self.indices), dtype=bool)
        self._frame: dict[str, pl.Series] = {}
        self._generate_columns(seeds)
        if not self._cells:
            self._done[:] = True
        for position in self.failures:
            self._done[position] = False
        self._values = {name: series.to_list() for name, series in self._frame.items() if name in needed}

    def _generate_columns(self, seeds: Seeds | None) -> None:
        """Compute seed columns and every column that needs no model, for all lacking records at once."""
        if seeds is not None:
            self._frame.update(seeds.read(self.indices).to_dict())
        for name in self._plan.graph.order:
            if name in self._plan.graph.per_record:
                continue
            column = group_column(self._plan, name, indices=self.indices, frame=self._frame)
            self._frame[name] = column.values
            for position, reason in column.failed.items():
                self._add_failure(position, column=name, reason=reason)

    def _add_failure(self, position: int, *, column: str, reason: str) -> None:
        record = int(self.indices[position])
        self.failures.setdefault(position, Failure(record, column, "expression", reason, 0))

    def open_positions(self) -> list[int]:
        """Positions whose cells are still to be made, in order."""
        return (
            [position for position in range(len(self.indices)) if position not in self.failures] if self._cells else []
        )

    def values(self, position: int) -> dict[str, Any]:
        """A fresh mapping of a record's values in the needed columns that need no model."""
        return {name: values[position] for name, values in self._values.items()}

    def settle(self, position: int, cells: Mapping[str, Any]) -> None:
        """A record has all its cells."""
        for name, value in cells.items():
            self._cells[name][position] = value
        self._done[position] = True

    def fail(self, position: int, failure: Failure) -> None:
        """A record has failed for good."""
        self.failures[position] = failure

    def add_usage(self, alias: str, usage: Usage) -> None:
        """Count what a cell used, failed or not."""
        self.usage = add_usage(self.usage, {alias: vars(usage)})

    @property
    def made(self) -> int:
        """How many of the lacking records are finished."""
        return int(self._done.sum())

    def rows(self) -> Rows:
        """The finished records."""
        mask = pl.Series(self._done)
        arrays = []
        for field in self._plan.schema:
            if field.name in self._cells:
                values = [v for v, done in zip(self._cells[field.name], self._done, strict=True) if done]
                arrays.append(pa.array(values, type=field.type))
            else:
                series = self._frame[field.name]
                kept = series if self._done.all() else series.filter(mask)
                arrays.append(kept.to_arrow().cast(field.type))
        return Rows(self.indices[self._done], pa.table(arrays, schema=self._plan.schema))


def write_group(group: OpenGroup, version: VersionLayout, *, plan: DatasetPlan, run_id: str) -> Footer:
    """Write a row group's files: failures and dropped columns first, the row-group file last, as the commit.

    Rows that an earlier run wrote stay as they are; the files become the union.
    """
    rows, status = group.rows(), group.status
    old = status.footer
    if old is not None:
        rows = _with_existing(rows, old, version=version, plan=plan)
    present = set(rows.records.tolist())
    footer = Footer(
        schema_version=SCHEMA_VERSION,
        dataset=plan.config.name,
        config_hash=plan.fingerprint.config_hash,
        column_hashes=dict(plan.fingerprint.column_hashes),
        row_group=status.group.index,
        start=status.group.start,
        size=status.group.size,
        missing=[record for record in range(status.group.start, status.group.stop) if record not in present],
        resized=False,
        usage=add_usage(old.usage if old is not None else {}, group.usage),
        simulated=plan.simulated,
        created_at=utc_now(),
        run_id=run_id,
    )
    _write_failures(group, version)
    if plan.dropped:
        write_row_group(version.dropped(status.group.index), rows.table.select(plan.dropped_schema.names), footer)
    write_row_group(version.row_group(status.group.index), rows.table.select(plan.kept_schema.names), footer)
    return footer


def _write_failures(group: OpenGroup, version: VersionLayout) -> None:
    path = version.failure_list(group.status.group.index)
    if group.failures or path.exists():
        write_atomic(path, dump_failures(group.failures.values()))


def _with_existing(rows: Rows, old: Footer, *, version: VersionLayout, plan: DatasetPlan) -> Rows:
    kept = read_rows(version.row_group(old.row_group))
    records = old.records()
    if plan.dropped:
        dropped_path = version.dropped(old.row_group)
        dropped, dropped_records = read_rows(dropped_path), read_footer(dropped_path).records()
        # A crash between the two writes leaves the dropped columns ahead of the row group.
        dropped = dropped.filter(pa.array(np.isin(dropped_records, records)))
        for name in dropped.schema.names:
            kept = kept.append_column(name, dropped.column(name))
    merged, merged_records = merge_rows(kept.select(plan.schema.names), records, rows.table, rows.records)
    return Rows(merged_records, merged)
