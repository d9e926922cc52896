"""Sensors over all datasets of a code location."""

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg

from sdg_assets.assets.catalog import datasets_of, ref_of, selected_keys
from sdg_assets.assets.sealed_guard import rejected_tags, rejection
from sdg_assets.automation.resume_sensor import UNFINISHED, keys_at_work
from sdg_assets.reconcile.reconcile import JOB, RECONCILED_TAG, compare
from sdg_assets.resources import StoreResource, resolve_for
from sdg_core import api
from sdg_core.errors import SdgError


@dg.run_status_sensor(
    name="reject_post_processed",
    run_status=dg.DagsterRunStatus.QUEUED,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Cancels queued runs that would generate into a sealed dataset, before they start.",
)
def reject_post_processed(context: dg.RunStatusSensorContext, store: StoreResource) -> Iterator[dg.SkipReason]:
    """Cancel queued runs that are aimed at a sealed dataset: the one that is reported, and all that queue beside it, because
    Dagster reports one at a time and the queue may be faster."""
    repository = context.repository_def
    assert repository is not None
    reported = context.instance.get_run_by_id(context.dagster_run.run_id)
    queued = context.instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]))
    if reported is None:
        return
    reasons: list[str] = []
    for run in queued:
        if _location(run) != _location(reported):
            continue
        try:
            reason = why_rejected(run, repository, store=store)
        except SdgError as error:
            context.log.warning(f"cannot tell whether run {run.run_id} is aimed at a sealed dataset: {error}")
            continue
        now = context.instance.get_run_by_id(run.run_id)
        if reason is not None and now is not None and now.status is dg.DagsterRunStatus.QUEUED:
            context.instance.add_run_tags(run.run_id, rejected_tags(reason))
            context.instance.report_run_canceling(run, message=reason)
            context.instance.report_run_canceled(run, message=reason)
            reasons.append(reason)
    if reasons:
        yield dg.SkipReason("\n".join(reasons))


def why_rejected(run: dg.DagsterRun, repository: dg.RepositoryDefinition, *, store: StoreResource) -> str | None:
    """Why a run must not start, or None. store: of the code location; the run may have been launched with another.

    One sealed dataset is enough. Raises SdgError if none is known to be sealed, but of some that cannot be told.
    """
    unknown: SdgError | None = None
    for key in selected_keys(run, repository):
        definition = repository.assets_defs_by_key.get(key)
        ref = ref_of(definition, key) if definition is not None else None
        if ref is None:
            continue
        try:
            dataset = api.open_dataset(
                ref.path, root=resolve_for(_root_of(run.run_config) or ref.root or store.root, ref.path)
            )
            resume = _resume_of(run.run_config, key) or dataset.plan.config.run.resume
            reason = rejection(dataset, resume=resume)
        except SdgError as error:
            unknown = error
            continue
        if reason is not None:
            return reason
    if unknown is not None:
        raise unknown
    return None


def _location(run: dg.DagsterRun) -> object:
    """Which repository of which code location a run belongs to."""
    return run.remote_job_origin.repository_origin if run.remote_job_origin is not None else None


@dg.sensor(
    name="reconcile_events_with_files",
    job_name=JOB,
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Starts the job `reconcile` for datasets whose events and files disagree: after `sdg generate` outside Dagster, "
    "or when files were removed.",
)
def reconcile_events_with_files(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a reconciliation where there is something to reconcile."""
    repository = context.repository_def
    assert repository is not None
    unfinished = context.instance.get_runs(filters=dg.RunsFilter(job_name=JOB, statuses=UNFINISHED), limit=1)
    if unfinished:
        return dg.SkipReason(f"run {unfinished[0].run_id} reconciles already")
    busy = keys_at_work(context.instance, repository)
    differing, reasons = [], []
    for dataset in datasets_of(repository):
        if dataset.row_groups_key in busy:
            reasons.append(f"{dataset.name}: a run is queued or in progress")
            continue
        try:
            found = compare(context.instance, dataset, root=store.root_of(dataset))
        except SdgError as error:
            reasons.append(f"{dataset.name}: {error}")
            continue
        reasons.append(str(found))
        if found:
            differing.append(dataset.name)
    if not differing:
        return dg.SkipReason("\n".join(reasons) or "there are no datasets")
    config = {"ops": {"reconcile_events": {"config": {"datasets": differing}}}}
    return dg.RunRequest(run_config=config, tags={RECONCILED_TAG: "requested"})


def _resume_of(run_config: Any, key: dg.AssetKey) -> str | None:
    """The resume mode that a run was launched with."""
    ops = run_config.get("ops", {}) if isinstance(run_config, dict) else {}
    resume = ops.get("__".join(key.path), {}).get("config", {}).get("resume")
    return str(resume) if resume is not None else None


def _root_of(run_config: Any) -> str | None:
    """The storage root that a run was launched with, if it names one."""
    found: Any = run_config
    for name in ("resources", "store", "config", "root"):
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, dict):
        return os.environ.get(str(found.get("env")))
    return str(found) if found is not None else None
