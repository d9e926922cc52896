"""Jobs that people start by hand: reopening a sealed dataset, and bringing events in line with files."""

from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from sdg_assets.assets.catalog import Ref, named
from sdg_assets.opened.files import open_unread
from sdg_assets.reconcile.location_job import location_job, refs_at_run
from sdg_assets.reconcile.reconcile import (
    JOB,
    Differences,
    compare,
    mark_missing,
    repair,
)
from sdg_assets.resources import store_of_run
from sdg_core import api
from sdg_core.counts import counted
from sdg_core.errors import SdgError

REOPEN = "reopen_dataset"

OPS = {REOPEN: "reopen", JOB: "reconcile_events", "discover_sources": "discover"}


def op_of(job: str) -> str:
    """The name of a job's only op; no two of a code location may have the same."""
    return OPS.get(job, f"{job}_op")


class ReopenConfig(dg.Config):
    """Which dataset to reopen, said twice."""

    dataset: str = Field(
        description="The dataset or pipeline whose seal and finished output to remove; everything else is kept."
    )
    confirm: str = Field(
        default="",
        description="The dataset's name again, as confirmation. Nothing is removed without it.",
    )


class ReconcileConfig(dg.Config):
    """Which datasets to compare, and whether to repair."""

    datasets: list[str] = Field(
        default_factory=list,
        description="Names of datasets and pipelines. Default: all of the code location.",
    )
    dry_run: bool = Field(
        default=False, description="Only report where events and files disagree."
    )


def build_reopen_job(
    refs: Sequence[Ref], *, name: str = REOPEN, own: bool = False
) -> dg.JobDefinition:
    """The job `reopen_dataset`. own: of these and no others."""

    @dg.op(
        name=op_of(name),
        description="Removes the seal and the finished output of a dataset, so that generation can "
        "continue. Row groups and partitions are kept.",
    )
    def reopen(context: dg.OpExecutionContext, config: ReopenConfig) -> None:
        dataset = _named(refs_at_run(context, refs, own=own), config.dataset)
        if config.confirm != config.dataset:
            raise _refused(
                f"Not reopened: confirm is {config.confirm!r}. Type the dataset's name, {config.dataset!r}, to remove its seal "
                "and its finished output."
            )
        try:
            opened = open_unread(
                dataset.path, root=store_of_run(context).root_of(dataset)
            )
            reopened = api.reopen(opened)
        except SdgError as error:
            raise _refused(str(error)) from None
        if not reopened:
            context.log.info(f"{dataset.name} was not sealed; nothing was changed")
            return
        kept = dataset.PARTITIONS
        reason = (
            f"{dataset.name} was reopened by run {context.run_id}: its finished output is removed, "
            f"its {kept} are kept"
        )
        context.log.info(reason)
        if (
            context.instance.get_latest_materialization_event(dataset.dataset_key)
            is not None
        ):
            mark_missing(context.instance, dataset.dataset_key, [None], reason=reason)

    return location_job(
        reopen,
        name=name,
        description="Removes the seal of a dataset, once a user has confirmed it.",
    )


def build_reconcile_job(
    refs: Sequence[Ref], *, name: str = JOB, own: bool = False
) -> dg.JobDefinition:
    """The job `reconcile`. own: of these and no others."""

    @dg.op(
        name=op_of(name),
        description="Compares Dagster's events with the files of datasets, which are the truth. Files without a current event "
        "are recorded as adopted; partitions that show as materialized without a current file are marked as failed.",
    )
    def reconcile_events(
        context: dg.OpExecutionContext, config: ReconcileConfig
    ) -> None:
        store = store_of_run(context)
        there = refs_at_run(context, refs, own=own)
        chosen = [_named(there, name) for name in config.datasets] or there
        found: list[Differences] = []
        faults: list[str] = []
        for ref in chosen:
            root = store.root_of(ref)
            try:
                found.append(
                    _reconcile(context, ref, root=root, dry_run=config.dry_run)
                )
            except (
                SdgError
            ) as error:  # one that cannot be compared does not keep the others from it
                faults.append(f"{ref.label}: {error}")
                context.log.error(faults[-1])
        unrecorded = 0
        missing = 0
        for one in found:
            unrecorded += len(one.unrecorded) + one.finished_unrecorded
            missing += len(one.missing) + (one.finished_missing is not None)
        context.add_output_metadata(
            {
                "datasets": len(found),
                "files_without_events": unrecorded,
                "events_without_files": missing,
            }
        )
        if faults:
            datasets = counted(len(faults), "dataset")
            raise _refused(f"{datasets} could not be compared: {'; '.join(faults)}")

    described = (
        "Brings Dagster's events in line with the files of all datasets and pipelines."
    )
    return location_job(reconcile_events, name=name, description=described)


def _reconcile(
    context: dg.OpExecutionContext, ref: Ref, *, root: str | None, dry_run: bool
) -> Differences:
    found = compare(context.instance, ref, root=root)
    context.log.info(str(found))
    if found and not dry_run:
        repair(context, found)
    return found


def _named(refs: Sequence[Ref], name: str) -> Ref:
    found = named(refs, name)
    if not found:
        there = ", ".join(ref.label for ref in refs) or "none"
        raise _refused(f"There is no dataset {name!r}; there are {there}.")
    if len(found) > 1:
        labels = " and of ".join(ref.label for ref in found)
        raise _refused(f"{name!r} is the name of {labels}; specify which.")
    return found[0]


def _refused(reason: str) -> dg.Failure:
    return dg.Failure(reason, allow_retries=False)
