"""`rejected/batch_00000.parquet`: candidates of a row group's records that were not kept, whole, each with the reason.

The columns of the dataset, dropped ones included, stand behind `record_index`, `candidate` and `reason`; where the dataset has a
column of that name, an underscore stands before it. The file is written before its row group, so it may be ahead of it: rows of
records that the row group does not know as decided count for nothing.
"""

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sdg_core.plan.names import free_name
from sdg_core.plan.types.arrow_values import integers_of, mask_of
from sdg_core.store.atomic import atomic_file
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_groups import read_rows
from sdg_core.system.commit_guard import CommitGuard

_OWN = {"record_index": pa.int64(), "candidate": pa.int64(), "reason": pa.string()}


@dataclass(frozen=True)
class RejectedRows:
    """Rejected candidates, a row each. records: whose they are. candidates: which of the record's. reasons: why not kept."""

    records: NDArray[np.int64]
    candidates: NDArray[np.int64]
    reasons: Sequence[str]
    table: pa.Table

    def of(self, records: Collection[int]) -> "RejectedRows":
        """Those of some records."""
        mask = np.isin(self.records, [*records])
        reasons = [
            reason for reason, chosen in zip(self.reasons, mask, strict=True) if chosen
        ]
        table = self.table.filter(mask_of(mask))
        return RejectedRows(self.records[mask], self.candidates[mask], reasons, table)

    def __add__(self, other: "RejectedRows") -> "RejectedRows":
        """Both, by record and candidate."""
        records = np.concatenate([self.records, other.records])
        candidates = np.concatenate([self.candidates, other.candidates])
        reasons = [*self.reasons, *other.reasons]
        order = np.lexsort((candidates, records))
        ordered_reasons = [reasons[place] for place in order]
        both = pa.concat_tables([self.table, other.table.cast(self.table.schema)])
        table = both.take(integers_of(order))
        return RejectedRows(records[order], candidates[order], ordered_reasons, table)


def write_rejected(
    path: StorePath, rows: RejectedRows, *, commit_guard: CommitGuard = nullcontext
) -> None:
    """Write the file atomically. Raises StoreError, and what the guard raises."""
    of_dataset = rows.table.schema.names
    own_values = (rows.records, rows.candidates, list(rows.reasons))
    names = []
    arrays = []
    for (name, kind), values in zip(_OWN.items(), own_values, strict=True):
        names.append(free_name(name, of_dataset))
        arrays.append(pa.array(values, type=kind))
    table = pa.table([*arrays, *rows.table.columns], names=[*names, *of_dataset])
    with atomic_file(path, commit_guard=commit_guard) as file:
        pq.write_table(table, file, compression="zstd")


def read_rejected(path: StorePath, schema: pa.Schema) -> RejectedRows:
    """The rows of a file, with the columns of the dataset that it has; none if there is no file. Raises CorruptFileError,
    StoreError."""
    with store_errors("read", path):
        there = path.is_file()
    if not there:
        nothing = np.empty(0, dtype=np.int64)
        return RejectedRows(nothing, nothing, [], schema.empty_table())
    table = read_rows(path).replace_schema_metadata(None)
    own = table.schema.names[: len(_OWN)]
    records, candidates, reasons = (table.column(name) for name in own)
    return RejectedRows(
        records.to_numpy(),
        candidates.to_numpy(),
        reasons.to_pylist(),
        table.drop_columns(own),
    )
