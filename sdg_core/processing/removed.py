"""`processed/removed/`: the records that each processor left out, with the reason, and what was taken for the same.

`<processor>.parquet` has the columns of the dataset, `record_index` and `reason`; where the dataset has a column of that name, an
underscore stands before it. `<processor>.clusters.parquet` has a row for each record of a cluster: `cluster`, `record_index`,
`kept`. The key-value metadata `sdg_method` names the algorithm with the version of what computed it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sdg_core.filters.clusters import Ids
from sdg_core.plan.checks.processors import REMOVED
from sdg_core.plan.names import free_name
from sdg_core.processing.row_processors import Outcome, Reasons
from sdg_core.store.staged_output import StagedOutput

METHOD_KEY = b"sdg_method"


def removals(outcomes: Iterable[Outcome]) -> dict[str, dict[str, Any]]:
    """The fields of `metadata.json` on removed records; without outcomes those of a version that has no finished dataset."""
    kept: dict[str, int] = {}
    removed: dict[str, int] = {}
    marks: dict[str, str] = {}
    methods: dict[str, str] = {}
    examples: dict[str, str] = {}
    for outcome in outcomes:
        kept[outcome.name] = outcome.kept
        removed[outcome.name] = outcome.removed
        marks[outcome.name] = outcome.mark
        methods[outcome.name] = outcome.method
        if outcome.example is not None:
            examples[outcome.name] = outcome.example
    return {
        "kept_by_processor": kept,
        "removed_by_processor": removed,
        "processor_marks": marks,
        "processor_methods": methods,
        "removal_examples": examples,
    }


class RemovedRecords:
    """The file of records that one processor left out; there even if there are none."""

    def __init__(
        self, output: StagedOutput, outcome: Outcome, schema: pa.Schema
    ) -> None:
        index = pa.field(free_name("record_index", schema.names), pa.int64())
        reason = pa.field(free_name("reason", schema.names), pa.string())
        metadata = {METHOD_KEY: outcome.method.encode()}
        self._schema = pa.schema([*schema, index, reason], metadata=metadata)
        self._columns = schema.names
        self._file = output.create(f"{REMOVED}/{outcome.name}.parquet")
        self._writer = pq.ParquetWriter(self._file.file, self._schema)
        self._open = True

    def write(self, ids: Ids, table: pa.Table, reasons: Reasons) -> None:
        """Add records of a batch."""
        if reasons:
            columns = [
                *table.select(self._columns).columns,
                pa.array(ids),
                pa.array(reasons, type=pa.string()),
            ]
            self._writer.write_table(
                pa.table(columns, names=self._schema.names).cast(self._schema)
            )

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()
        self._file.finish()
        self._open = False

    def abandon(self) -> None:
        """Give up a file that cannot be finished."""
        if self._open:
            self._writer.is_open = False
            self._file.abandon()
            self._open = False


def write_clusters(output: StagedOutput, clusters: Mapping[str, pa.Table]) -> None:
    """Write what was taken for the same, by processor."""
    for name, table in clusters.items():
        file = output.create(f"{REMOVED}/{name}.clusters.parquet")
        try:
            pq.write_table(table, file.file)
            file.finish()
        except BaseException:
            file.abandon()
            raise
