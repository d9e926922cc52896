"""The rows of one source on their way to its partition: in memory while they are few, in a file once they are not."""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import pyarrow as pa

from sdg_core.errors import StoreError
from sdg_core.pipelines.readers.base import SourceError
from sdg_core.pipelines.store import UNLIKE, joined

SPILL_BYTES = 64 * 2**20
"""Bytes of rows that a source holds in memory."""


Item = TypeVar("Item")


class RowBuffer(Generic[Item]):
    """Collects finished tasks, or what else becomes rows, as tables. What exceeds `SPILL_BYTES` goes into a temporary file,
    once; it has no name and goes with the process."""

    def __init__(
        self,
        to_table: Callable[[Sequence[Item]], pa.Table],
        *,
        spill_bytes: int = SPILL_BYTES,
    ) -> None:
        self._to_table = to_table
        self._limit = spill_bytes
        self._spilled: list[pa.Table] = []
        self._tables: list[pa.Table] = []
        self._held = 0
        self._schema = pa.schema([])

    def add(self, tasks: Sequence[Item]) -> None:
        """Take the rows of some tasks. Raises SourceError if a column's values, or those of earlier rows, have no type in
        common."""
        try:
            table = self._to_table(tasks)
            self._schema = pa.unify_schemas(
                [self._schema, table.schema], promote_options="permissive"
            )
        except StoreError as error:
            raise SourceError(
                f"cannot be written: {error.message}; {error.remedy}", kind="output"
            ) from error
        except pa.ArrowException as error:
            message = f"cannot be written: a column has values of different types ({error}); {UNLIKE}"
            raise SourceError(message, kind="output") from error
        self._tables.append(table)
        self._held += table.nbytes
        if self._held > self._limit:
            self._spilled.append(_on_disk(_concatenated(self._tables)))
            self._tables = []
            self._held = 0

    def table(self) -> pa.Table:
        """All rows so far."""
        return _concatenated([*self._spilled, *self._tables])


def _concatenated(tables: Sequence[pa.Table]) -> pa.Table:
    filled = [table for table in tables if table.num_rows]
    return joined(filled or tables[:1], where="a source")


def _on_disk(table: pa.Table) -> pa.Table:
    """The same table, read from a mapped file."""
    descriptor, path = tempfile.mkstemp(prefix="sdg-rows-", suffix=".arrow")
    os.close(descriptor)
    try:
        with (
            pa.OSFile(path, "wb") as file,
            pa.ipc.new_file(file, table.schema) as writer,
        ):
            writer.write_table(table)
        return pa.ipc.open_file(pa.memory_map(path)).read_all()
    finally:
        os.unlink(path)
