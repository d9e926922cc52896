"""Sensors over all datasets of a code location."""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from sdg_assets.guard import REJECTED_TAG, rejection
from sdg_assets.resources import StoreResource
from sdg_assets.row_groups import config_path_of
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
    """Cancel a queued run that is aimed at a sealed dataset."""
    run = context.instance.get_run_by_id(context.dagster_run.run_id)
    if run is None or run.status is not dg.DagsterRunStatus.QUEUED:
        return
    repository = context.repository_def
    assert repository is not None
    for key in _selected(run, repository):
        definition = repository.assets_defs_by_key.get(key)
        path = config_path_of(definition.specs_by_key[key]) if definition is not None else None
        if path is None:
            continue
        try:
            dataset = api.open_dataset(path, root=str(store.root_path()))
            reason = rejection(dataset, resume=_resume_of(run.run_config, key) or dataset.plan.config.run.resume)
        except SdgError as error:
            context.log.warning(f"cannot tell whether {key.to_user_string()} is sealed: {error}")
            continue
        if reason is not None:
            context.instance.add_run_tags(run.run_id, {REJECTED_TAG: "post-processed"})
            context.instance.report_run_canceling(run, message=reason)
            context.instance.report_run_canceled(run, message=reason)
            yield dg.SkipReason(reason)
            return


def _selected(run: dg.DagsterRun, repository: dg.RepositoryDefinition) -> Iterable[dg.AssetKey]:
    """The assets of a run; one that was launched as a job names none, and then they are all of its job's."""
    if run.asset_selection is not None:
        return run.asset_selection
    return repository.get_job(run.job_name).asset_layer.selected_asset_keys if repository.has_job(run.job_name) else ()


def _resume_of(run_config: Any, key: dg.AssetKey) -> str | None:
    """The resume mode that a run was launched with."""
    ops = run_config.get("ops", {}) if isinstance(run_config, dict) else {}
    resume = ops.get("__".join(key.path), {}).get("config", {}).get("resume")
    return str(resume) if resume is not None else None
