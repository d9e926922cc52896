"""What a run of a pipeline comes to, once it is through."""

from collections.abc import Mapping, Sequence

from sdg_core.dataset.events import Event, Observer
from sdg_core.pipelines.events import PipelineSummary
from sdg_core.pipelines.handle import PartitionStatus
from sdg_core.pipelines.store import SourcesLayout
from sdg_core.pipelines.tasks import SourceResult
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.store.versions import update_metadata


class SourceTally:
    """Passes events on, and counts what a run does, in sources. replayed: replies of models taken from the journal."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.made = self.adopted = self.removed = self.replayed = 0
        self._failed = self._written = 0
        self.first_failure: str | None = None

    def __call__(self, event: Event) -> None:
        """Pass an event on."""
        self._observer(event)

    def published(self, status: PartitionStatus, results: Mapping[str, SourceResult]) -> None:
        """A partition is durable. status: as it was before."""
        self._written += 1
        self.made += len(results)
        self.removed += len(status.removed)
        if status.footer is not None:
            self.adopted += len({entry.key for entry in status.footer.sources} - {*results} - {*status.removed})
        for result in results.values():
            self.replayed += result.replayed
            self._failed += result.state != "complete"
            if result.failed and self.first_failure is None:
                self.first_failure = f"{result.locator}: {result.failed[0].message}"

    def counts(self) -> dict[str, int]:
        """As the history of runs keeps them, sources for records."""
        return {
            "generated": self.made - self._failed,
            "replayed": self.replayed,
            "failed": self._failed,
            "adopted": self.adopted,
            "written": self._written,
        }


def summarize(
    layout: SourcesLayout,
    statuses: Sequence[PartitionStatus],
    *,
    wanted: frozenset[int],
    run_id: str,
    tally: SourceTally,
) -> PipelineSummary:
    """The counts of the run, and the states of its partitions (`wanted`) after it. Brings the version's metadata up to date,
    which is of all partitions. statuses: of all partitions, after the run."""
    written = {status.partition.index: status.footer for status in statuses if status.footer is not None}
    entries = [entry for index, footer in written.items() if index in wanted for entry in footer.sources]
    states: dict[str, int] = {}
    filtered: dict[str, int] = {}
    for entry in entries:
        states[entry.state] = states.get(entry.state, 0) + 1
        for reason, count in entry.filtered.items():
            filtered[reason] = filtered.get(reason, 0) + count
    usage: UsageByModel = {}
    for footer in written.values():
        usage = add_usage(usage, footer.usage)
    rows = sum(footer.num_rows for footer in written.values())
    settled = sum(status.is_settled for status in statuses)
    update_metadata(layout, actual_num_records=rows, num_completed_batches=settled, usage=usage)
    return PipelineSummary(
        version=layout,
        run_id=run_id,
        rows=rows,
        states=states,
        filtered=filtered,
        failures=tuple((entry.locator, failure) for entry in entries for failure in entry.failed),
        made=tally.made,
        adopted=tally.adopted,
        removed=tally.removed,
        replayed=tally.replayed,
    )
