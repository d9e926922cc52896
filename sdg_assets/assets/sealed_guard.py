"""The guard of a sealed dataset, and every other refusal before anything was touched: such a run is cancelled, not failed.

A failed run would paint good partitions red. The guard stands in the asset, because a run started with
`dagster asset materialize` passes no queue that a sensor could watch.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import dagster as dg

from sdg_assets.wording import in_dagster
from sdg_core import api
from sdg_core.errors import (
    ClaimedError,
    ConfigDriftError,
    PlanError,
    RefusedError,
    RowGroupSizeError,
    SdgError,
    ShrinkError,
)

if TYPE_CHECKING:
    from sdg_core.api import Version

REJECTED_TAG = "sdg/rejected"
REASON_TAG = "sdg/reason"
FILE_TAG = "sdg/rejected_file"
"""Tags of a rejected run: the kind of its reason, the reason, and what the dataset file said."""
SEALED = "post-processed"
RUN_CONFIG = "run config"
CLAIMED = "claimed"
WAITING = "waiting"
"""Of a run that came to its end with nothing to record for some row groups, because every reply is still to come."""
REFUSED = ("config drift", "shrunk", "row group size", "refused")
"""Reasons that stay until the dataset file changes."""


def rejected_tags(
    reason: str, *, kind: str = SEALED, file: Path | None = None
) -> dict[str, str]:
    """Tags of a rejected run: the page of a backfill lists its runs with them, and has no other place for a reason."""
    mark = file_mark(file)
    tags = {REJECTED_TAG: kind, REASON_TAG: reason}
    if mark is not None:
        tags[FILE_TAG] = mark
    return tags


def rejection(dataset: "api.Dataset", *, resume: str | None) -> str | None:
    """Why a run of this dataset must not start, or None. A run that starts a new version harms no sealed one."""
    sealed = api.seal_of(dataset)
    if sealed is None or resume == "never":
        return None
    return _reason(dataset, sealed)


def refuse_sealed(
    context: dg.AssetExecutionContext, dataset: "api.Dataset", *, resume: str | None
) -> None:
    """Cancel the run if the dataset is sealed. Raises DagsterExecutionInterruptedError."""
    reason = rejection(dataset, resume=resume or dataset.plan.config.run.resume)
    if reason is not None:
        refuse(context, reason, kind=SEALED, file=None)


def refuse(
    context: dg.AssetExecutionContext, reason: str, *, kind: str, file: Path | None
) -> NoReturn:
    """Cancel the run. Raises DagsterExecutionInterruptedError."""
    context.log.error(reason)
    context.instance.add_run_tags(
        context.run.run_id, rejected_tags(reason, kind=kind, file=file)
    )
    context.instance.report_run_canceling(context.run, message=reason)
    raise dg.DagsterExecutionInterruptedError(reason)


def ending_of(
    context: dg.AssetExecutionContext, error: SdgError, *, file: Path, touched: bool
) -> dg.Failure:
    """What a step raises for an error. A refusal before anything was touched cancels the run instead, so does not return."""
    if not touched and isinstance(error, RefusedError | PlanError):
        refuse(
            context, f"Run rejected: {in_dagster(error)}", kind=_kind(error), file=file
        )
    return dg.Failure(description=in_dagster(error), allow_retries=False)


def file_mark(file: Path | None) -> str | None:
    """Stands for what a file says now; None without one."""
    try:
        return (
            hashlib.sha256(file.read_bytes()).hexdigest()[:16]
            if file is not None
            else None
        )
    except OSError:
        return None


def _kind(error: SdgError) -> str:
    match error:
        case ClaimedError():
            return CLAIMED
        case ConfigDriftError():
            return "config drift"
        case ShrinkError():
            return "shrunk"
        case RowGroupSizeError():
            return "row group size"
        case _:
            return "refused"


def _reason(dataset: "api.Dataset", sealed: "Version") -> str:
    assert sealed.metadata is not None
    what = "is being post-processed"
    if sealed.metadata.post_generation_processed:
        what = "was post-processed"
    at = api.to_the_second(sealed.metadata.updated_at)
    return (
        f"Run rejected: dataset '{dataset.name}', version {sealed.layout.name}, {what} ({at}); "
        "nothing was generated. The job `reopen_dataset` (or `sdg reopen FILE`) removes the seal; resume: never starts a new "
        "version."
    )
