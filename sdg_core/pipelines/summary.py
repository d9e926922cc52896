"""What a run of a pipeline comes to, once it is through."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sdg_core.dataset.spending import DatasetSpending
from sdg_core.errors import LedgerError, StoreError
from sdg_core.pipelines.events import PipelineSummary
from sdg_core.pipelines.handle import OpenPipeline, PartitionStatus
from sdg_core.pipelines.spending import spending_of_pipeline
from sdg_core.pipelines.store import PartitionFooter, SourceEntry, SourcesLayout
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.store.versions import update_metadata

_LOG = logging.getLogger(__name__)


def summarize(
    pipeline: OpenPipeline,
    layout: SourcesLayout,
    statuses: Sequence[PartitionStatus],
    *,
    wanted: frozenset[int],
    run_id: str,
    counts: Mapping[str, Any],
) -> PipelineSummary:
    """The counts of the run, and the states of its partitions (`wanted`) after it. Brings the version's metadata up to date,
    which is of all partitions. statuses: of all partitions, after the run."""
    footers: list[PartitionFooter] = []
    entries: list[SourceEntry] = []
    for status in statuses:
        if status.footer is not None:
            footers.append(status.footer)
            if status.partition.index in wanted:
                entries += status.footer.sources
    states: dict[str, int] = {}
    filtered: dict[str, int] = {}
    failures = []
    for entry in entries:
        states[entry.state] = states.get(entry.state, 0) + 1
        for reason, count in entry.filtered.items():
            filtered[reason] = filtered.get(reason, 0) + count
        failures += [(entry.locator, failure) for failure in entry.failed]
    usage: UsageByModel = {}
    for footer in footers:
        usage = add_usage(usage, footer.usage)
    rows = sum(footer.num_rows for footer in footers)
    settled = sum(status.is_settled for status in statuses)
    changes: dict[str, Any] = {}
    try:
        spending = spending_of_pipeline(pipeline, layout, footers)
        earlier = {name: spent.to_dict() for name, spent in spending.earlier.items()}
        changes["earlier_versions"] = earlier
    except (LedgerError, StoreError) as error:
        # no failure of a run whose data is there
        _LOG.warning("the cost of the pipeline could not be determined: %s", error)
        spending = DatasetSpending()
    update_metadata(
        layout,
        actual_num_records=rows,
        num_completed_batches=settled,
        usage=usage,
        **changes,
    )
    return PipelineSummary(
        version=layout,
        run_id=run_id,
        rows=rows,
        states=states,
        filtered=filtered,
        failures=tuple(failures),
        spending=spending,
        simulated=pipeline.plan.shell.simulated,
        **counts,
    )
