"""Sensors over all datasets of a code location."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from sdg_assets.assets.catalog import Ref, partitioned_path_of, root_in, selected_keys
from sdg_assets.assets.sealed_guard import rejected_tags, rejection
from sdg_assets.automation.activity import keys_at_work, runs_at_work
from sdg_assets.automation.parts import claim, refs_for
from sdg_assets.opened.files import open_unread
from sdg_assets.reconcile.jobs import op_of
from sdg_assets.reconcile.reconcile import JOB, RECONCILED_TAG, compare
from sdg_assets.resources import (
    FORMER_KEY,
    KEY,
    StoreResource,
    resolve_for,
    store_of_location,
)
from sdg_core.errors import SdgError

REJECT = "reject_post_processed"
RECONCILE_SENSOR = "reconcile_events_with_files"


def build_reject_sensor(name: str = REJECT) -> dg.SensorDefinition:
    """The sensor `reject_post_processed`, over all datasets of the code location."""

    @dg.run_status_sensor(
        name=name,
        run_status=dg.DagsterRunStatus.QUEUED,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Cancels queued runs that would generate into a sealed dataset, before they start.",
    )
    def reject(context: dg.RunStatusSensorContext) -> Iterator[dg.SkipReason]:
        reasons = reject_queued(context)
        if reasons:
            yield dg.SkipReason("\n".join(reasons))

    return reject


reject_post_processed = build_reject_sensor()


def reject_queued(context: dg.RunStatusSensorContext) -> list[str]:
    """Cancel queued runs that are aimed at a sealed dataset: the one that is reported, and all that queue beside it, because
    Dagster reports one at a time and the queue may be faster."""
    repository = context.repository_def
    instance = context.instance
    assert repository is not None
    reported = instance.get_run_by_id(context.dagster_run.run_id)
    queued = instance.get_runs(
        filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED])
    )
    if reported is None:
        return []
    store = store_of_location(repository, instance)
    reasons: list[str] = []
    for run in queued:
        if _location(run) != _location(reported):
            continue
        try:
            reason = why_rejected(run, repository, store=store)
        except SdgError as error:
            context.log.warning(
                f"cannot determine whether run {run.run_id} targets a sealed dataset: {error}"
            )
            continue
        now = instance.get_run_by_id(run.run_id)
        if (
            reason is not None
            and now is not None
            and now.status is dg.DagsterRunStatus.QUEUED
        ):
            instance.add_run_tags(run.run_id, rejected_tags(reason))
            instance.report_run_canceling(run, message=reason)
            instance.report_run_canceled(run, message=reason)
            reasons.append(reason)
    return reasons


def why_rejected(
    run: dg.DagsterRun, repository: dg.RepositoryDefinition, *, store: StoreResource
) -> str | None:
    """Why a run must not start, or None. store: of the code location; the run may have been launched with another.

    One sealed dataset or pipeline is enough. Raises SdgError if none is known to be sealed, but of some that cannot be told.
    """
    unknown: SdgError | None = None
    for key in selected_keys(run, repository):
        definition = repository.assets_defs_by_key.get(key)
        metadata = (
            definition.specs_by_key[key].metadata if definition is not None else {}
        )
        try:
            path = partitioned_path_of(metadata)
            if path is None:
                continue
            root = _root_of(run.run_config) or root_in(metadata) or store.root
            opened = open_unread(path, root=resolve_for(root, path))
            resume = _resume_of(run.run_config, key) or opened.plan.config.run.resume
            reason = rejection(opened, resume=resume)
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
    return (
        run.remote_job_origin.repository_origin
        if run.remote_job_origin is not None
        else None
    )


def build_reconcile_sensor(
    name: str = RECONCILE_SENSOR,
    *,
    job_name: str = JOB,
    keys: Sequence[dg.AssetKey] | None = None,
) -> dg.SensorDefinition:
    """The sensor `reconcile_events_with_files`. keys: as in `build_resume_sensor`."""

    @dg.sensor(
        name=name,
        job_name=job_name,
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.STOPPED,
        metadata=claim(RECONCILE_SENSOR, keys),
        description=f"Starts the job `{job_name}` for datasets and pipelines whose events and files disagree: after "
        "`sdg generate` outside Dagster, or when files were removed.",
    )
    def reconcile_sensor(
        context: dg.SensorEvaluationContext,
    ) -> dg.RunRequest | dg.SkipReason:
        repository = context.repository_def
        assert repository is not None
        return request_reconciliation(
            context, refs_for(RECONCILE_SENSOR, repository, keys), job_name=job_name
        )

    return reconcile_sensor


reconcile_events_with_files = build_reconcile_sensor()


def request_reconciliation(
    context: dg.SensorEvaluationContext, refs: Sequence[Ref], *, job_name: str
) -> dg.RunRequest | dg.SkipReason:
    """Ask for a reconciliation where there is something to reconcile."""
    repository = context.repository_def
    assert repository is not None
    if reconciling := runs_at_work(context.instance, job_name=job_name):
        return dg.SkipReason(f"run {reconciling[0].run_id} is already reconciling")
    busy = keys_at_work(context.instance, repository)
    store = store_of_location(repository, context.instance)
    differing = []
    reasons = []
    for ref in refs:
        if ref.partitioned_key in busy:
            reasons.append(f"{ref.label}: a run is queued or in progress")
            continue
        try:
            found = compare(context.instance, ref, root=store.root_of(ref))
        except SdgError as error:
            reasons.append(f"{ref.label}: {error}")
            continue
        reasons.append(str(found))
        if found:
            differing.append(ref.label)
    if not differing:
        return dg.SkipReason("\n".join(reasons) or "there are no datasets")
    config = {"ops": {op_of(job_name): {"config": {"datasets": differing}}}}
    return dg.RunRequest(run_config=config, tags={RECONCILED_TAG: "requested"})


def _resume_of(run_config: Any, key: dg.AssetKey) -> str | None:
    """The resume mode that a run was launched with."""
    ops = run_config.get("ops", {}) if isinstance(run_config, dict) else {}
    resume = ops.get("__".join(key.path), {}).get("config", {}).get("resume")
    return str(resume) if resume is not None else None


def _root_of(run_config: Any) -> str | None:
    """The storage root that a run was launched with, if it names one."""
    resources = run_config.get("resources") if isinstance(run_config, dict) else None
    found: Any = None
    if isinstance(resources, dict):
        found = resources.get(KEY, resources.get(FORMER_KEY))
    for name in ("config", "root"):
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, dict):
        return os.environ.get(str(found.get("env")))
    return str(found) if found is not None else None
