"""The journal: replies that have been paid for, kept until the row group they belong to is a durable file.

Cells are written in group commits by one thread: whatever has arrived since the last commit goes into the next, and commits are
at least `INTERVAL` apart, so a thousand replies a second cost some fifty transactions. A cell counts as done when its commit has
returned. After a crash the next run finds every cell that counted, and asks again only for requests that were on their way.

A cell is taken back only if its column's fingerprint is the one it was made with.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from sdg_core.errors import LedgerError
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.tables import cells

INTERVAL = 0.02
"""Seconds between group commits."""


@dataclass(frozen=True)
class JournaledCell:
    """A cell that has been paid for. `usage` is per model alias."""

    record: int
    column: str
    column_hash: str
    value: Any
    usage: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class _Pending:
    cell: JournaledCell
    done: asyncio.Future[None]


class Journal:
    """The journal of one version of a dataset. Use as an async context manager; `append` belongs to its event loop."""

    def __init__(self, ledger: Ledger, *, dataset: str, version: str) -> None:
        self._ledger, self._dataset, self._version = ledger, dataset, version
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_batches, name="sdg-journal", daemon=True)

    async def __aenter__(self) -> "Journal":
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._queue.put(None)
        await asyncio.shield(asyncio.to_thread(self._thread.join))

    async def append(self, cell: JournaledCell) -> None:
        """Returns once the cell is durable. Raises LedgerError if it cannot be made so."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Pending(cell, done))
        await done

    def load(self, *, start: int, stop: int, column_hashes: Mapping[str, str]) -> list[JournaledCell]:
        """The cells of records `[start, stop)` whose column still has the fingerprint they were made with."""
        wanted = (
            sa.select(cells)
            .where(*self._mine(), cells.c.record >= start, cells.c.record < stop)
            .order_by(cells.c.record)
        )
        with self._ledger.reading() as connection:
            rows = connection.execute(wanted).all()
        return [
            JournaledCell(
                row.record, row.column_name, row.column_hash, orjson.loads(row.value), orjson.loads(row.usage)
            )
            for row in rows
            if column_hashes.get(row.column_name) == row.column_hash
        ]

    def settle(self, *, start: int, stop: int, lacking: Collection[int]) -> None:
        """The row group of records `[start, stop)` is a durable file, which lacks these records.

        Cells of its rows are removed. Those of lacking records stay for the next attempt, but what they used is counted in the
        file from now on.
        """
        held = sa.select(cells.c.record).where(*self._mine(), cells.c.record >= start, cells.c.record < stop).distinct()
        one = (*self._mine(), cells.c.record == sa.bindparam("one"))
        with self._ledger.transaction("write") as connection:
            records = [int(record) for record in connection.execute(held).scalars()]
            done = [{"one": record} for record in records if record not in lacking]
            kept = [{"one": record} for record in records if record in lacking]
            if done:
                connection.execute(cells.delete().where(*one), done)
            if kept:
                connection.execute(cells.update().where(*one).values(usage=orjson.dumps({})), kept)

    def prune(self, is_lacking: Callable[[int], bool]) -> None:
        """Remove cells of records that have a row: left over where a run ended between a file and `settle`."""
        held = sa.select(cells.c.record).where(*self._mine()).distinct()
        with self._ledger.reading() as connection:
            records = [int(record) for record in connection.execute(held).scalars()]
        done = [{"one": record} for record in records if not is_lacking(record)]
        if done:
            with self._ledger.transaction("write") as connection:
                connection.execute(cells.delete().where(*self._mine(), cells.c.record == sa.bindparam("one")), done)

    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        return cells.c.dataset == self._dataset, cells.c.version == self._version

    def _write_batches(self) -> None:
        """The writer thread: commit what has arrived, tell who waits, until the journal is closed."""
        last_commit = float("-inf")
        while (first := self._queue.get()) is not None:
            time.sleep(max(0.0, last_commit + INTERVAL - time.monotonic()))  # let a group gather
            last_commit = time.monotonic()
            batch = [first]
            closing = False
            while not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    closing = True
                else:
                    batch.append(item)
            error = self._commit([item.cell for item in batch])
            self._loop.call_soon_threadsafe(_resolve, batch, error)
            if closing:
                return

    def _commit(self, batch: list[JournaledCell]) -> LedgerError | None:
        rows = {
            (cell.record, cell.column): {
                "dataset": self._dataset,
                "version": self._version,
                "record": cell.record,
                "column_name": cell.column,
                "column_hash": cell.column_hash,
                "value": orjson.dumps(cell.value),
                "usage": orjson.dumps(cell.usage),
            }
            for cell in batch
        }
        try:
            with self._ledger.transaction("write") as connection:
                _upsert(connection, list(rows.values()))
        except LedgerError as error:
            return error
        return None


def _upsert(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    """Insert cells; one that is there already (made under another fingerprint) is replaced."""
    keys = [cells.c[name] for name in ("dataset", "version", "record", "column_name")]
    match = sa.and_(*(key == sa.bindparam(f"_{key.name}") for key in keys))
    connection.execute(cells.delete().where(match), [{f"_{key.name}": row[key.name] for key in keys} for row in rows])
    connection.execute(cells.insert(), rows)


def _resolve(pending: list[_Pending], error: LedgerError | None) -> None:
    for item in pending:
        if item.done.done():
            continue
        if error is None:
            item.done.set_result(None)
        else:
            item.done.set_exception(error)
