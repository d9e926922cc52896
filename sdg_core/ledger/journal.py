"""The journal: replies that have been paid for, kept until the row group they belong to is a durable file.

Cells are written in group commits by one thread: whatever has arrived since the last commit goes into the next, and commits are
at least `INTERVAL` apart, so a thousand replies a second cost some fifty transactions. A cell counts as done when its commit has
returned. After a crash the next run finds every cell that counted, and asks again only for requests that were on their way.

A cell is taken back only if its column's fingerprint is the one it was made with. Cells are never changed: they are removed when
their row is in a durable file, and until then the file's footer says which of them its usage counts already. So a crash between
the file and the removal counts nothing twice.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdg_core.ledger.connection import Connection, Row, one_of
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.tables import cells
from sdg_core.plan.foreign import dump_exactly, load_exactly
from sdg_core.plan.usage import read_usage
from sdg_core.system.failpoints import failpoint

INTERVAL = 0.02
"""Seconds between group commits."""
_MINE = "dataset = :dataset AND version = :version"
_IN_RANGE = "record >= :start AND record < :stop"


@dataclass(frozen=True)
class JournaledCell:
    """A cell that has been paid for. `usage` is per model alias.

    record: what the random words of its row are counted by: the record, unless a function changed the rows. inputs: a digest of
    the values that it was made from, empty if unknown. run_id: the run that paid, empty for what no journal holds.
    counted: the usage in a row-group file counts it already. version: the earlier version that the cell was taken from, empty
    for the journal's own.
    """

    record: int
    column: str
    column_hash: str
    value: Any
    usage: Mapping[str, Mapping[str, int]]
    inputs: str = ""
    run_id: str = ""
    counted: bool = False
    version: str = ""


@dataclass(frozen=True)
class _Pending:
    cell: JournaledCell
    value: bytes
    usage: bytes
    done: asyncio.Future[None]


class Journal:
    """The journal of one version of a dataset. Use as an async context manager; `append` belongs to its event loop."""

    def __init__(
        self, ledger: Ledger, *, dataset: str, version: str, run_id: str = ""
    ) -> None:
        self.run_id = run_id
        self._ledger = ledger
        self._dataset = dataset
        self._version = version
        self._queue: queue.SimpleQueue[_Pending | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._write_batches, name="sdg-journal", daemon=True
        )

    async def __aenter__(self) -> "Journal":
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._queue.put(None)
        await asyncio.shield(asyncio.to_thread(self._thread.join))

    def append(self, cell: JournaledCell) -> "asyncio.Future[None]":
        """Put a cell in line to be written; done once it is durable. Raises ValueError at once for a value that cannot be stored;
        the future raises LedgerError.

        The value is written as bytes here, not in the thread, so that one odd value costs its own cell.
        """
        value = dump_exactly(cell.value)
        usage = dump_exactly(cell.usage)
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_Pending(cell, value, usage, done))
        return done

    def load(
        self,
        *,
        start: int,
        stop: int,
        column_hashes: Mapping[str, str],
        version: str | None = None,
    ) -> list[JournaledCell]:
        """The cells of records `[start, stop)` whose column still has the fingerprint they were made with.

        version: another one of the dataset, whose cells are looked up instead. A cell that cannot be understood counts as absent.
        """
        return self.load_ranges(
            [(start, stop)], column_hashes=column_hashes, version=version
        )[0]

    def load_ranges(
        self,
        ranges: Sequence[tuple[int, int]],
        *,
        column_hashes: Mapping[str, str],
        version: str | None = None,
    ) -> list[list[JournaledCell]]:
        """The same for several ranges of records, one after the other."""
        place = self._mine()
        if version is not None:
            place = {**place, "version": version}
        query = f"SELECT * FROM cells WHERE {_MINE} AND {_IN_RANGE} ORDER BY record"
        found = []
        with self._ledger.reading() as connection:
            for start, stop in ranges:
                rows = connection.execute(
                    query, {**place, "start": start, "stop": stop}
                )
                cells_of_range = []
                for row in rows:
                    if column_hashes.get(row["column_name"]) == row["column_hash"]:
                        cell = _read(row)
                        if cell is not None:
                            cells_of_range.append(cell)
                found.append(cells_of_range)
        return found

    def other_versions(self) -> frozenset[str]:
        """The other versions of the dataset that the journal has cells of."""
        query = "SELECT DISTINCT version FROM cells WHERE dataset = :dataset AND version <> :version"
        with self._ledger.reading() as connection:
            rows = connection.execute(query, self._mine())
            return frozenset(row["version"] for row in rows)

    def discard_committed(
        self,
        *,
        start: int,
        stop: int,
        columns: Collection[str],
        remaining: Collection[int] = (),
    ) -> None:
        """The rows `[start, stop)` are in a durable file, but for those it lacks: their cells of these columns are removed.

        Those of missing rows stay for the next attempt.
        """
        if not columns:
            return
        among, names = one_of("column", sorted(columns))
        where = f"{_MINE} AND {_IN_RANGE} AND column_name IN {among}"
        values = {**self._mine(), "start": start, "stop": stop, **names}
        with self._ledger.transaction("write") as connection:
            if not remaining:
                connection.change(f"DELETE FROM cells WHERE {where}", values)
                return
            query = f"SELECT record, column_name FROM cells WHERE {where}"
            rows = connection.execute(query, values)
            keys = [(row["record"], row["column_name"]) for row in rows]
            done = [
                (record, column) for record, column in keys if record not in remaining
            ]
            self._remove(connection, done, version=self._version)

    def discard_ranges(
        self, ranges: Sequence[tuple[int, int]], *, columns: Collection[str]
    ) -> None:
        """The rows of several ranges are in durable files: their cells of these columns are removed, in one transaction."""
        if not columns or not ranges:
            return
        among, names = one_of("column", sorted(columns))
        where = f"{_MINE} AND {_IN_RANGE} AND column_name IN {among}"
        values = [
            {**self._mine(), "start": start, "stop": stop, **names}
            for start, stop in ranges
        ]
        with self._ledger.transaction("write") as connection:
            connection.change_many(f"DELETE FROM cells WHERE {where}", values)

    def discard_cells(self, done: Collection[tuple[int, str]], *, version: str) -> None:
        """Remove cells of a version, by record and column: what they hold is durable elsewhere."""
        if done:
            with self._ledger.transaction("write") as connection:
                self._remove(connection, done, version=version)

    def prune(self, is_done: Callable[[int, str], bool]) -> None:
        """Remove cells whose row is in a file: left over where a run ended between the file and `settle`.

        is_done: told a cell's `record` and column.
        """
        with self._ledger.reading() as connection:
            held = connection.execute(
                f"SELECT record, column_name FROM cells WHERE {_MINE}", self._mine()
            )
        keys = [(row["record"], row["column_name"]) for row in held]
        done = [(record, column) for record, column in keys if is_done(record, column)]
        self.discard_cells(done, version=self._version)

    def _remove(
        self, connection: Connection, done: Collection[tuple[int, str]], *, version: str
    ) -> None:
        place = {"dataset": self._dataset, "version": version}
        query = f"DELETE FROM cells WHERE {_MINE} AND record = :record AND column_name = :column_name"
        keys = [
            {**place, "record": record, "column_name": column}
            for record, column in done
        ]
        connection.change_many(query, keys)

    def _mine(self) -> dict[str, str]:
        return {"dataset": self._dataset, "version": self._version}

    def _write_batches(self) -> None:
        """The writer thread: commit what has arrived, tell who waits, until the journal is closed."""
        last_commit = float("-inf")
        while (first := self._queue.get()) is not None:
            # let a group gather
            time.sleep(max(0.0, last_commit + INTERVAL - time.monotonic()))
            last_commit = time.monotonic()
            batch = [first]
            closing = False
            while not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    closing = True
                else:
                    batch.append(item)
            error = self._commit(batch)
            self._loop.call_soon_threadsafe(_resolve, batch, error)
            if closing:
                return

    def _commit(self, batch: list[_Pending]) -> Exception | None:
        """Make a batch durable. Whatever goes wrong is an answer to those who wait, so the thread lives on."""
        rows = {
            (item.cell.record, item.cell.column): {
                "dataset": self._dataset,
                "version": self._version,
                "record": item.cell.record,
                "column_name": item.cell.column,
                "column_hash": item.cell.column_hash,
                "value": item.value,
                "usage": item.usage,
                "inputs": item.cell.inputs,
                "run_id": self.run_id,
            }
            for item in batch
        }
        try:
            with self._ledger.transaction("write") as connection:
                connection.upsert(cells, list(rows.values()))
        except Exception as error:  # noqa: BLE001 - handed to everyone whose cell is in the batch
            return error
        failpoint("journal.after_commit")
        return None


def _read(row: Row) -> JournaledCell | None:
    """A row as the cell that it holds; None if it holds none."""
    try:
        return JournaledCell(
            record=row["record"],
            column=row["column_name"],
            column_hash=row["column_hash"],
            value=load_exactly(row["value"]),
            usage=read_usage(row["usage"]),
            inputs=row["inputs"],
            run_id=row["run_id"],
        )
    except (ValueError, TypeError, RecursionError):
        return None


def _resolve(pending: list[_Pending], error: Exception | None) -> None:
    for item in pending:
        if item.done.done():
            continue
        if error is None:
            item.done.set_result(None)
        else:
            item.done.set_exception(error)
