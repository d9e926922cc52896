"""Records the row groups of a dataset as they are finished, and says in the run's log how far it is."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from sdg_assets.assets.spec import DatasetSpec
from sdg_assets.checks.run_check import RowGroupsCheck
from sdg_assets.recording.columns import lineage_metadata
from sdg_assets.recording.metadata import (
    data_version,
    is_made,
    row_group_metadata,
    upstream_tags,
)
from sdg_assets.recording.recorder import Recorder
from sdg_core import api
from sdg_core.counts import counted

if TYPE_CHECKING:
    from sdg_core.api import (
        DatasetPlan,
        Event,
        RecordsSettled,
        RowGroupFinished,
        RunStarted,
    )

PROGRESS_EVERY = 15.0
"""Seconds between two lines of the run's log that say how far it is."""


class RowGroupRecorder(Recorder["RowGroupFinished"]):
    """An observer of a run.

    empty: row groups of which no record could be made, unless `run.max_missing_rate` allows for that; they are not recorded, so
    that Dagster counts their partitions as failed, or as missing where their records only wait for replies.
    """

    check: RowGroupsCheck

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        *,
        spec: DatasetSpec,
        plan: "DatasetPlan",
        keep: bool = False,
    ) -> None:
        tags = {
            "dagster/code_version": spec.code_version,
            **upstream_tags(context.instance, spec.upstream),
        }
        super().__init__(context, tags=tags, keep=keep)
        self.check = RowGroupsCheck(plan)
        self.empty: list[api.RowGroupFinished] = []
        self._plan = plan
        self._lineage = lineage_metadata(plan, spec.upstream)
        self._progress = Progress(context)

    def __call__(self, event: "Event") -> None:
        """Take note of an event of the engine."""
        match event:
            case api.RecordsSettled():
                self.has_made = self.has_made or event.made > 0
                self._progress.settled(event)
            case api.RowGroupFinished() if not is_made(event.footer, self._plan):
                self.empty.append(event)
            case api.RowGroupFinished():
                self._add(event)
                self._progress.finished(event)
            case api.Notice():
                self._context.log.info(event.message)
            case api.RunStarted():
                self._context.log.info(
                    f"version {event.version}: {counted(event.records, 'record')} to generate in "
                    f"{counted(event.row_groups, 'row group')}; "
                    f"complete already: {event.complete:,}"
                )
                self._progress.started(event)
            case _:
                pass

    def nothing_made(self) -> str | None:
        """See the base class."""
        return _nothing_made(self.empty) if self.empty and not self._only_wait else None

    def still_waiting(self) -> str | None:
        """See the base class."""
        if not self._only_wait:
            return None
        return (
            f"every record of row groups {_numbers(self.empty)} waits for a deferred reply; they are not recorded\n"
            "  -> materialize them again once the replies have arrived; other row groups are recorded"
        )

    @property
    def _only_wait(self) -> bool:
        if not self.empty:
            return False
        return all(event.waiting and not event.failed for event in self.empty)

    def _ended(self) -> None:
        for event in self.empty:
            self.check.add(event, self._plan.kept_schema)

    def _described(self, made: "RowGroupFinished") -> dg.AssetMaterialization:
        rows = (
            made.head
            if made.head is not None
            else api.read_head(made.path, api.HEAD_ROWS)
        )
        self.check.add(made, rows.schema)
        version = made.path.parent.parent.name
        return dg.AssetMaterialization(
            self._context.asset_key,
            partition=made.group.key,
            metadata={**row_group_metadata(made, rows, self._plan), **self._lineage},
            tags={"dagster/data_version": data_version(made.footer, version=version)},
        )


def _nothing_made(empty: "Sequence[RowGroupFinished]") -> str:
    failures = [
        event.first_failure for event in empty if event.first_failure is not None
    ]
    first = failures[0] if failures else "unknown"
    return (
        f"no record of row groups {_numbers(empty)} could be generated; the first failure: {first}\n"
        "  -> fix the cause and materialize them again; other row groups are recorded"
    )


def _numbers(groups: "Sequence[RowGroupFinished]") -> str:
    indices = sorted(event.group.index for event in groups)
    return api.format_ranges(indices)


class Progress:
    """How far a run is, as a line of its log now and then."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._log = context.log
        self._next = time.monotonic() + PROGRESS_EVERY
        self._records = self._row_groups = self._made = self._failed = self._files = 0

    def started(self, event: "RunStarted") -> None:
        """What lies ahead."""
        self._records = event.records
        self._row_groups = event.row_groups

    def settled(self, event: "RecordsSettled") -> None:
        """Some records more are made or have failed."""
        self._made += event.made
        self._failed += event.failed
        self._records -= event.completed_by_others
        if time.monotonic() >= self._next:
            self._say()

    def finished(self, event: "RowGroupFinished") -> None:
        """A file more is on disk."""
        self._files += not event.adopted
        if time.monotonic() >= self._next:
            self._say()

    def _say(self) -> None:
        self._next = time.monotonic() + PROGRESS_EVERY
        self._log.info(
            f"{self._made:,} of {counted(self._records, 'record')} generated, {self._failed:,} failed; "
            f"{self._files:,} of {counted(self._row_groups, 'row group', 'are')} on disk"
        )
