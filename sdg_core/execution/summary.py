"""What a run did, counted from its events."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sdg_core.dataset.events import Event, Observer, RowGroupFinished, RowGroupSaved
from sdg_core.dataset.spending import DatasetSpending
from sdg_core.store.layout import VersionLayout


@dataclass(frozen=True)
class RunSummary:
    """What a run did, in records and row groups.

    generated, failed: records of this run. adopted: row groups that were already complete. written: row groups it
    wrote. remaining: records of the chosen row groups that still have no row. carried: cells reused from earlier
    versions. replayed: model replies reused from the journal of an interrupted run; sampled: those that came from
    previews and estimates.
    dropped: records of this run with no candidate kept; they have no row and do not count as remaining.
    cost: cost of this run, per currency; spending: cost of the dataset over all runs and versions, with its upstream.
    Simulated replies (`simulated`) cost nothing: the sums are hypothetical.
    waiting: remaining records that wait for deferred replies and have not failed.
    """

    version: VersionLayout
    run_id: str
    generated: int
    failed: int
    adopted: int
    written: int
    remaining: int
    first_failure: str | None
    carried: int = 0
    replayed: int = 0
    sampled: int = 0
    dropped: int = 0
    cost: Mapping[str, float] = field(default_factory=dict)
    spending: DatasetSpending = field(default_factory=DatasetSpending)
    simulated: bool = False
    waiting: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `sdg generate --json` prints it."""
        return {
            **vars(self),
            "version": self.version.name,
            "directory": str(self.version.directory),
            "spending": self.spending.to_dict(),
        }


class RunCounter:
    """Passes events on and keeps count of them."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._generated = self._failed = self._adopted = self._written = (
            self._carried
        ) = self._replayed = 0
        self._dropped = self._sampled = self._waiting = 0
        self.first_failure: str | None = None

    def __call__(self, event: Event) -> None:
        """Count an event and pass it on."""
        if isinstance(event, RowGroupFinished | RowGroupSaved):
            self._generated += event.generated
            self._failed += event.failed
            self._carried += event.carried
            self._replayed += event.replayed
            self._sampled += event.sampled
            self._dropped += event.dropped
        if isinstance(event, RowGroupSaved):
            self._written += 1
        if isinstance(event, RowGroupFinished):
            self._adopted += event.adopted
            self._waiting += event.waiting
            self._written += not event.adopted
            self.first_failure = self.first_failure or event.first_failure
        self._observer(event)

    def count(
        self,
        *,
        generated: int = 0,
        replayed: int = 0,
        failed: int = 0,
        adopted: int = 0,
        written: int = 0,
    ) -> None:
        """Count what no event tells of: rows, replies, failures and partitions of a pipeline."""
        self._generated += generated
        self._replayed += replayed
        self._failed += failed
        self._adopted += adopted
        self._written += written

    def summary(
        self, version: VersionLayout, *, run_id: str, remaining: int
    ) -> RunSummary:
        """The counts so far."""
        return RunSummary(
            version=version,
            run_id=run_id,
            generated=self._generated,
            failed=self._failed,
            adopted=self._adopted,
            written=self._written,
            remaining=remaining,
            first_failure=self.first_failure,
            carried=self._carried,
            replayed=self._replayed,
            sampled=self._sampled,
            dropped=self._dropped,
            waiting=self._waiting,
        )

    def counts(self) -> dict[str, int]:
        """The counts so far, as the history of runs keeps them."""
        return {
            "generated": self._generated,
            "replayed": self._replayed,
            "failed": self._failed,
            "adopted": self._adopted,
            "written": self._written,
        }
