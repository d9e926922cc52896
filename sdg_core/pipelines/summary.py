"""What a run of a pipeline comes to, once it is through."""

from collections.abc import Mapping, Sequence

from sdg_core.pipelines.events import PipelineSummary
from sdg_core.pipelines.handle import PartitionStatus
from sdg_core.pipelines.store import SourcesLayout
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.store.versions import update_metadata


def summarize(
    layout: SourcesLayout,
    statuses: Sequence[PartitionStatus],
    *,
    wanted: frozenset[int],
    run_id: str,
    counts: Mapping[str, int],
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
        **counts,
    )
