"""Turns the engine's events into Dagster's, as they happen.

Files can be finished faster than Dagster writes events one at a time (7 to 14 ms each). So a thread of the recorder's own writes
them, in micro-batches: whatever has finished within LINGER of the first, at most MAX_EVENTS. Files are the truth. A batch that
is lost with its process is recorded by the next run, which finds the files and adopts them. Every ending but a killed process
writes what has finished.
"""

import multiprocessing
import os
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import dagster as dg

from sdg_assets import dagster_private

LINGER = 0.2
"""Seconds that a finished file waits at most for others to be recorded with."""
MAX_EVENTS = 200
"""Events of a batch."""
MAX_RETURNED = 1000
"""Events that a run in the caller's own process gives back, as `dg.materialize` shows them in its result."""

Made = TypeVar("Made")
"""What the engine says of a finished file."""
Write = Callable[[Sequence["Finished"]], Sequence[dg.DagsterEvent]]
"""Records a batch; returns events that the step is still to hand on, so that they are in the result of `dg.materialize`."""


@dataclass(frozen=True)
class Finished:
    """A materialization and the time of its file, in seconds since 1970."""

    materialization: dg.AssetMaterialization
    at: float


class RunningCheck(Protocol):
    """The check of a run's files, complete at the end."""

    def result(self) -> dg.AssetCheckResult:
        """The verdict over all files."""
        ...


class Recorder(ABC, Generic[Made]):
    """A context manager: at its end everything that was finished within is recorded.

    A failure to record is raised at the next file or at the end, whichever comes first. keep: what was recorded stays in memory,
    for `repeat`. has_made: whether the run has made anything. check: over all files, complete at the end.
    """

    check: RunningCheck

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        *,
        tags: Mapping[str, str],
        keep: bool = False,
    ) -> None:
        self.has_made = False
        self._context = context
        self._tags = tags
        self._kept: list[Finished] | None = [] if keep else None
        self._write = batch_writer(context) or single_writer(context)
        self._finished: queue.SimpleQueue[tuple[Made, float] | None] = (
            queue.SimpleQueue()
        )
        self._error: Exception | None = None
        self._returned: list[dg.DagsterEvent] = []
        # Not a daemon: a process that is told to end waits for it, even if an interruption breaks the wait in __exit__.
        self._thread = threading.Thread(target=self._record, name="sdg-recorder")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finished.put(None)
        self._thread.join()
        self._ended()
        if error is None:
            self._raise_error()
        elif self._error is not None:
            self._context.log.error(
                f"files that are on disk could not be recorded: {self._error}"
            )

    def nothing_made(self) -> str | None:
        """Why the run fails although it came to its end; None where it does not."""
        return None

    def still_waiting(self) -> str | None:
        """Why the run is canceled although it came to its end: nothing failed, but replies are still to come. None where not."""
        return None

    @abstractmethod
    def _described(self, made: Made) -> dg.AssetMaterialization:
        """The materialization of a file, without its common tags. Called in the recorder's own thread."""

    def _ended(self) -> None:
        """The last file is recorded."""

    def _add(self, made: Made) -> None:
        """A file is durable."""
        self._raise_error()
        self._finished.put((made, time.time()))

    def repeat(self) -> None:
        """Record everything once more, now: pages show the latest event by its time."""
        assert self._kept is not None
        now = time.time()
        repeated = [replace(finished, at=now) for finished in self._kept]
        self._hand_on(self._write(repeated))

    def events(self) -> Iterator[dg.DagsterEvent]:
        """What was recorded since the last call, for the step to yield: it is stored already, and only shown to the caller."""
        yield from self._returned
        self._returned.clear()

    def _hand_on(self, events: Sequence[dg.DagsterEvent]) -> None:
        if (
            multiprocessing.parent_process() is None
        ):  # else it would only be sent to another process, which drops it
            self._returned += events[: MAX_RETURNED - len(self._returned)]

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _record(self) -> None:
        more = True
        while more:
            batch, more = self._next_batch()
            if not batch or self._error is not None:
                continue  # after a failure the rest is only taken off the queue
            try:
                finished = [
                    Finished(self._materialization(made), at) for made, at in batch
                ]
                self._hand_on(self._write(finished))
                if self._kept is not None:
                    self._kept += finished
            except Exception as error:  # noqa: BLE001 - raised in the run's own thread
                self._error = error

    def _next_batch(self) -> tuple[list[tuple[Made, float]], bool]:
        """What has finished within LINGER of the first, and whether more may come."""
        batch: list[tuple[Made, float]] = []
        until: float | None = None
        while len(batch) < MAX_EVENTS:
            timeout = None
            if until is not None:
                timeout = max(0.0, until - time.monotonic())
            try:
                item = self._finished.get(timeout=timeout)
            except queue.Empty:
                break
            if item is None:
                return batch, False
            batch.append(item)
            until = until or time.monotonic() + LINGER
        return batch, True

    def _materialization(self, made: Made) -> dg.AssetMaterialization:
        found = self._described(made)
        return found._replace(tags={**self._tags, **(found.tags or {})})


def single_writer(context: dg.AssetExecutionContext) -> Write:
    """Writes events one by one, by what Dagster promises to keep."""

    def write(batch: Sequence[Finished]) -> Sequence[dg.DagsterEvent]:
        for finished in batch:
            context.log_event(finished.materialization)
        return ()  # Dagster hands on what it has logged

    return write


def batch_writer(context: dg.AssetExecutionContext) -> Write | None:
    """Writes a batch at once, by what Dagster itself uses for its batches but does not promise to keep; None where that is gone.

    Postgres storage writes a batch in two statements; other storage may write its events one by one.
    """
    if not dagster_private.available("StepMaterializationData"):
        return None
    try:
        store: Callable[[Sequence[Any]], None] = (
            context.instance.event_log_storage.store_event_batch
        )
        handle = context.op_execution_context.op_handle
    except AttributeError:
        return None
    run = context.run

    def dagster_event(finished: Finished) -> dg.DagsterEvent:
        return dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name=run.job_name,
            node_handle=handle,
            event_specific_data=dagster_private.StepMaterializationData(
                finished.materialization
            ),
            message=f"Materialized partition {finished.materialization.partition}.",
            step_key=str(handle),
            pid=os.getpid(),
        )

    def entry(event: dg.DagsterEvent, finished: Finished) -> dg.EventLogEntry:
        return dg.EventLogEntry(  # type: ignore[no-untyped-call]
            user_message="",
            level="DEBUG",
            job_name=run.job_name,
            run_id=run.run_id,
            error_info=None,
            timestamp=finished.at,
            step_key=event.step_key,
            dagster_event=event,
        )

    one_by_one = single_writer(context)

    def write(batch: Sequence[Finished]) -> Sequence[dg.DagsterEvent]:
        events = [dagster_event(finished) for finished in batch]
        try:
            entries = map(entry, events, batch)
            store([*entries])
        except Exception as error:  # noqa: BLE001 - as Dagster does when a batch fails; what fails again is raised
            context.log.warning(
                f"{len(batch)} events could not be recorded in a batch, so they are recorded one by one: {error}"
            )
            return one_by_one(batch)
        return events

    return write
