"""The rows of a source that is larger than memory go into files, each row once, and come back in order."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from sdg_core.pipelines import row_buffer
from sdg_core.pipelines.row_buffer import RowBuffer


def _to_table(rows: Sequence[int]) -> pa.Table:
    return pa.table({"n": pa.array(rows, pa.int64())})


def test_rows_are_spilled_once_and_come_back_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spilled: list[int] = []
    on_disk = row_buffer._on_disk

    def counted(table: pa.Table) -> pa.Table:
        spilled.append(table.num_rows)
        return on_disk(table)

    monkeypatch.setattr(row_buffer, "_on_disk", counted)
    rows: RowBuffer[int] = RowBuffer(_to_table, spill_bytes=1000)
    for start in range(0, 2000, 100):
        rows.add(range(start, start + 100))
    assert rows.table().column("n").to_pylist() == [*range(2000)]
    assert len(spilled) == 10 and sum(spilled) == 2000


def test_a_source_without_rows_has_columns() -> None:
    rows: RowBuffer[int] = RowBuffer(_to_table, spill_bytes=0)
    rows.add([])
    rows.add([])
    assert rows.table().column_names == ["n"]
