"""Whether a run works on an asset, or was stopped on purpose: what sensors and conditions look at before they ask for more.

A run that a person terminated is not started again by anything that runs by itself, except a schedule, whose hours a person
chose. Nor is one that was refused, until the file that it was refused for has changed. Any later run of the asset ends both.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from sdg_assets.assets.catalog import selected_keys
from sdg_assets.assets.sealed_guard import FILE_TAG, REFUSED, REJECTED_TAG, file_mark
from sdg_assets.dagster_private import unfinished_backfills

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
LEFT_BEHIND = timedelta(minutes=10)
"""A run that nobody has launched for so long was left behind by a process that is gone: only run monitoring would end it."""


def keys_at_work(
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    *,
    now: datetime | None = None,
) -> frozenset[dg.AssetKey]:
    """Assets that a queued or running run, or a backfill that still makes runs, aims at."""
    at_work: set[dg.AssetKey] = set()
    for run in runs_at_work(instance, now=now):
        at_work.update(selected_keys(run, repository))
    for backfill in unfinished_backfills(instance):
        at_work.update(backfill.asset_selection or ())
    return frozenset(at_work)


def runs_at_work(
    instance: dg.DagsterInstance,
    *,
    job_name: str | None = None,
    now: datetime | None = None,
) -> list[dg.DagsterRun]:
    """Queued and running runs but for those that were left behind. job_name: of this job only."""
    oldest = (now or datetime.now(UTC)) - LEFT_BEHIND
    records = instance.get_run_records(
        filters=dg.RunsFilter(job_name=job_name, statuses=UNFINISHED)
    )
    runs = []
    for record in records:
        is_started = record.dagster_run.status is not dg.DagsterRunStatus.NOT_STARTED
        if is_started or _utc(record.update_timestamp) > oldest:
            runs.append(record.dagster_run)
    return runs


def stopped(
    instance: dg.DagsterInstance, files: Mapping[dg.AssetKey, Path | None]
) -> dict[dg.AssetKey, str]:
    """Those of the assets whose last run a person terminated, or that was refused for their file as it is; and why."""
    found = {}
    for key, run in _last_runs(instance, list(files)):
        if run.status is not dg.DagsterRunStatus.CANCELED:
            continue
        name = key.to_user_string()
        short = run.run_id[:8]
        rejected = run.tags.get(REJECTED_TAG)
        if rejected is None:
            found[key] = (
                f"{name}: run {short} was terminated; launch a run yourself to continue"
            )
        elif rejected in REFUSED and run.tags.get(FILE_TAG) == file_mark(files[key]):
            found[key] = (
                f"{name}: run {short} was refused ({rejected}), and {files[key]} has not changed since"
            )
    return found


def _last_runs(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]
) -> Iterator[tuple[dg.AssetKey, dg.DagsterRun]]:
    """The last run that was to make each asset."""
    entries = [record.asset_entry for record in instance.get_asset_records(keys)]
    ids = sorted({entry.last_run_id for entry in entries if entry.last_run_id})
    if not ids:
        return
    found = instance.get_runs(filters=dg.RunsFilter(run_ids=ids))
    runs = {run.run_id: run for run in found}
    for entry in entries:
        if entry.last_run_id in runs:
            yield entry.asset_key, runs[entry.last_run_id]


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
