"""The guard of a sealed dataset: a run that would generate into it is cancelled before it writes anything.

Cancelled, not failed: a failed run would paint good partitions red. The guard stands in the asset, because a run started
with `dagster asset materialize` passes no queue that a sensor could watch.
"""

import dagster as dg

from sdg_core import api
from sdg_core.api import Version, to_the_second

REJECTED_TAG, REASON_TAG = "sdg/rejected", "sdg/reason"


def rejected_tags(reason: str) -> dict[str, str]:
    """Tags of a rejected run: the page of a backfill lists its runs with them, and has no other place for a reason."""
    return {REJECTED_TAG: "post-processed", REASON_TAG: reason}


def rejection(dataset: api.Dataset, *, resume: str | None) -> str | None:
    """Why a run of this dataset must not start, or None. A run that starts a new version harms no sealed one."""
    sealed = api.seal_of(dataset)
    if sealed is None or resume == "never":
        return None
    return _reason(dataset, sealed)


def refuse_sealed(context: dg.AssetExecutionContext, dataset: api.Dataset, *, resume: str | None) -> None:
    """Cancel the run if the dataset is sealed. Raises DagsterExecutionInterruptedError."""
    reason = rejection(dataset, resume=resume or dataset.plan.config.run.resume)
    if reason is None:
        return
    context.log.error(reason)
    context.instance.add_run_tags(context.run.run_id, rejected_tags(reason))
    context.instance.report_run_canceling(context.run, message=reason)
    raise dg.DagsterExecutionInterruptedError(reason)


def _reason(dataset: api.Dataset, sealed: Version) -> str:
    assert sealed.metadata is not None
    what = "was post-processed" if sealed.metadata.post_generation_processed else "is being post-processed"
    at = to_the_second(sealed.metadata.updated_at)
    return (
        f"Run rejected: dataset '{dataset.name}', version {sealed.layout.name}, {what} ({at}); "
        "nothing was generated. The job `reopen_dataset` (or `sdg reopen FILE`) removes the seal; resume: never starts a new "
        "version."
    )
