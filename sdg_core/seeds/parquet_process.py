"""The process in which the rows of a parquet file are decoded (`sdg_core.seeds.parquet_batches`). It imports little.

It opens files of this machine, and decodes the next batch of one while the last is used; it reads others through the process that
asked for it. Batches are written as Arrow's IPC streams.
"""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sdg_core.system.bounded_process import Answer

_READ_BUFFER = 2**20
_MAX_THREADS = 4
"""Each takes address space of its own, which is what is bounded."""
Next = Callable[[], memoryview | None]


def serve_batches(request: dict[str, Any], ask: Answer) -> dict[str, Any] | memoryview:
    """`{"open": facts}` begins with a file; after that each `{}` gives the next batch, and `{}` after the last one.

    What is wrong with the file is `{"error": reason}`; what takes too much ends the process.
    """
    try:
        if "open" in request:
            _Opened.next = _opened(request["open"], ask)
            return {}
        batch = _Opened.next()
        return {} if batch is None else batch
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        return {"error": str(error) or type(error).__name__}


class _Opened:
    """The file that batches are taken from, one at a time."""

    next: Next = staticmethod(lambda: None)


def _opened(facts: dict[str, Any], ask: Answer) -> Next:
    pa.set_cpu_count(min(_MAX_THREADS, pa.cpu_count()))
    path = facts["path"]
    source = _AskedFile(facts["size"], ask) if path is None else path
    # Without a buffer size pyarrow reads whole column chunks into memory before it decodes the first value.
    batches = pq.ParquetFile(source, buffer_size=_READ_BUFFER).iter_batches(
        batch_size=facts["rows"],
        row_groups=facts["row_groups"],
        columns=facts["columns"],
    )
    tables = map(_written, batches)
    return (lambda: next(tables, None)) if path is None else _Ahead(tables)


class _Ahead:
    """The next of some batches, which is made while nobody waits for it."""

    def __init__(self, tables: Iterator[memoryview]) -> None:
        self._tables = tables
        self._future = self._started()

    def __call__(self) -> memoryview | None:
        found = self._future.result()
        self._future = self._started()
        return found

    def _started(self) -> "Future[memoryview | None]":
        return _worker.submit(next, self._tables, None)


_worker = ThreadPoolExecutor(1)


def _written(batch: pa.RecordBatch) -> memoryview:
    table = pa.Table.from_batches([batch])
    fields = [
        field.with_type(without_dictionaries(field.type)) for field in table.schema
    ]
    plain = pa.schema(fields)
    if plain.types != table.schema.types:
        table = table.cast(plain)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def without_dictionaries(kind: pa.DataType) -> pa.DataType:
    """The type with values in the place of what refers to them: a reader of Arrow would write these out, without a bound."""
    if pa.types.is_dictionary(kind):
        return without_dictionaries(kind.value_type)
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    if pa.types.is_map(kind):
        key = _plain_field(kind.key_field)
        item = _plain_field(kind.item_field)
        return pa.map_(key, item, kind.keys_sorted)
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return field.with_type(without_dictionaries(field.type))


class _AskedFile(io.RawIOBase):
    """The file, as the process that asked reads it."""

    def __init__(self, size: int, ask: Answer) -> None:
        self._size = size
        self._ask = ask
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}
        self._place = starts[whence] + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._place)
        length = left if size is None or size < 0 else min(size, left)
        content = bytes(self._ask({"at": self._place, "length": length}))
        self._place += len(content)
        return content
