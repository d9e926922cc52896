"""Turns the engine's events into Dagster's, as they happen.

Row groups can finish faster than Dagster writes events one at a time (7 to 14 ms each). So a thread of the recorder's own writes
them, in micro-batches: whatever has finished within LINGER of the first, at most MOST. Files are the truth, so a batch that is
lost with its process is recorded by the next run, which finds the files and adopts them. Every ending but a killed process
writes what has finished.
"""

import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import dagster as dg

from sdg_assets import dagster_private
from sdg_assets.assets.spec import DatasetSpec
from sdg_assets.checks.asset_checks import RowGroupsCheck
from sdg_assets.recording.columns import lineage_metadata
from sdg_assets.recording.metadata import PREVIEW_ROWS, data_version, row_group_metadata, upstream_tags
from sdg_core.api import DatasetPlan, Event, Footer, Notice, RecordsSettled, RowGroupFinished, RunStarted, read_head

LINGER = 0.2
"""Seconds that a finished row group waits at most for others to be recorded with."""
MOST = 200
"""Events of a batch."""
PROGRESS_EVERY = 15.0
"""Seconds between two lines of the run's log that say how far it is."""
MOST_RETURNED = 1000
"""Events that a run in the caller's own process gives back, as `dg.materialize` shows them in its result."""

Write = Callable[[Sequence["Finished"]], Sequence[dg.DagsterEvent]]
"""Records a batch; returns events that the step is still to hand on, so that they are in the result of `dg.materialize`."""


@dataclass(frozen=True)
class Finished:
    """A materialization and the time of its file, in seconds since 1970."""

    materialization: dg.AssetMaterialization
    at: float


class Recorder:
    """An observer of a run, and a context manager: at its end everything that was observed is recorded.

    A failure to record is raised at the next event or at the end, whichever comes first. keep: what was recorded stays in memory,
    for `repeat`. has_made: whether the run has made any record. verdict: of the check, complete at the end.
    empty: row groups of which no record could be made, unless `run.max_missing_rate` allows for that; they are not recorded, so
    that Dagster counts their partitions as failed.
    """

    def __init__(
        self, context: dg.AssetExecutionContext, *, spec: DatasetSpec, plan: DatasetPlan, keep: bool = False
    ) -> None:
        self.verdict = RowGroupsCheck(plan)
        self.empty: list[RowGroupFinished] = []
        self.has_made = False
        self._context = context
        self._plan = plan
        self._kept: list[Finished] | None = [] if keep else None
        self._tags = {
            "dagster/code_version": spec.code_version,
            **upstream_tags(context.instance, spec.upstream),
        }
        self._lineage = lineage_metadata(plan, spec.upstream)
        self._write = batch_writer(context) or single_writer(context)
        self._finished: queue.SimpleQueue[tuple[RowGroupFinished, float] | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        self._progress = Progress(context)
        self._returned: list[dg.DagsterEvent] = []
        # Not a daemon: a process that is told to end waits for it, even if an interruption breaks the wait in __exit__.
        self._thread = threading.Thread(target=self._record, name="sdg-recorder")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished.put(None)
        self._thread.join()
        for event in self.empty:
            self.verdict.add(event, self._plan.kept_schema)
        if error is None:
            self._raise_error()
        elif self._error is not None:
            self._context.log.error(f"row groups that are on disk could not be recorded: {self._error}")

    def __call__(self, event: Event) -> None:
        """Take note of an event of the engine."""
        match event:
            case RecordsSettled():
                self.has_made = self.has_made or event.made > 0
                self._progress.settled(event)
            case RowGroupFinished() if not is_made(event.footer, self._plan):
                self.empty.append(event)
            case RowGroupFinished():
                self._raise_error()
                self._finished.put((event, time.time()))
                self._progress.finished(event)
            case Notice():
                self._context.log.info(event.message)
            case RunStarted():
                self._context.log.info(
                    f"version {event.version}: {event.records} records to generate in {event.row_groups} row groups; "
                    f"{event.complete} are complete"
                )
                self._progress.started(event)
            case _:
                pass

    def repeat(self) -> None:
        """Record everything once more, now: pages show the latest event by its time."""
        assert self._kept is not None
        now = time.time()
        self._hand_on(self._write([replace(finished, at=now) for finished in self._kept]))

    def events(self) -> Iterator[dg.DagsterEvent]:
        """What was recorded since the last call, for the step to yield: it is stored already, and only shown to the caller."""
        yield from self._returned
        self._returned.clear()

    def _hand_on(self, events: Sequence[dg.DagsterEvent]) -> None:
        if multiprocessing.parent_process() is None:  # else it would only be sent to another process, which drops it
            self._returned += events[: MOST_RETURNED - len(self._returned)]

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
                finished = [Finished(self._materialization(event), at) for event, at in batch]
                self._hand_on(self._write(finished))
                if self._kept is not None:
                    self._kept += finished
            except Exception as error:  # noqa: BLE001 - raised in the run's own thread
                self._error = error

    def _next_batch(self) -> tuple[list[tuple[RowGroupFinished, float]], bool]:
        """What has finished within LINGER of the first, and whether more may come."""
        batch: list[tuple[RowGroupFinished, float]] = []
        until: float | None = None
        while len(batch) < MOST:
            try:
                item = self._finished.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                return batch, False
            batch.append(item)
            until = until or time.monotonic() + LINGER
        return batch, True

    def _materialization(self, event: RowGroupFinished) -> dg.AssetMaterialization:
        rows = event.head if event.head is not None else read_head(event.path, PREVIEW_ROWS)
        self.verdict.add(event, rows.schema)
        return dg.AssetMaterialization(
            self._context.asset_key,
            partition=event.group.key,
            metadata={**row_group_metadata(event, rows, self._plan), **self._lineage},
            tags={
                **self._tags,
                "dagster/data_version": data_version(event.footer, version=event.path.parent.parent.name),
            },
        )


class Progress:
    """How far a run is, as a line of its log now and then."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._log = context.log
        self._next = time.monotonic() + PROGRESS_EVERY
        self._records = self._row_groups = self._made = self._failed = self._files = 0

    def started(self, event: RunStarted) -> None:
        """What lies ahead."""
        self._records = event.records
        self._row_groups = event.row_groups

    def settled(self, event: RecordsSettled) -> None:
        """Some records more are made or have failed."""
        self._made += event.made
        self._failed += event.failed
        self._records -= event.elsewhere
        if time.monotonic() >= self._next:
            self._say()

    def finished(self, event: RowGroupFinished) -> None:
        """A file more is on disk."""
        self._files += not event.adopted
        if time.monotonic() >= self._next:
            self._say()

    def _say(self) -> None:
        self._next = time.monotonic() + PROGRESS_EVERY
        self._log.info(
            f"{self._made:,} of {self._records:,} records generated, {self._failed:,} failed; "
            f"{self._files:,} of {self._row_groups:,} row groups are on disk"
        )


def is_made(footer: Footer, plan: DatasetPlan) -> bool:
    """Whether a file counts as made: it has a record, or there may be none (`run.max_missing_rate`)."""
    return not footer.nothing_made or plan.config.run.max_missing_rate > 0


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
        store: Callable[[Sequence[Any]], None] = context.instance.event_log_storage.store_event_batch
        handle = context.op_execution_context.op_handle
    except AttributeError:
        return None
    run = context.run

    def dagster_event(finished: Finished) -> dg.DagsterEvent:
        return dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name=run.job_name,
            node_handle=handle,
            event_specific_data=dagster_private.StepMaterializationData(finished.materialization),
            message=f"Materialized row group {finished.materialization.partition}.",
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
            store([entry(event, finished) for event, finished in zip(events, batch, strict=True)])
        except Exception as error:  # noqa: BLE001 - as Dagster does when a batch fails; what fails again is raised
            context.log.warning(f"{len(batch)} events could not be recorded at once, so they are one by one: {error}")
            return one_by_one(batch)
        return events

    return write
