"""Files are the truth: Dagster's events brought in line with them.

Files without a current event (made by `sdg generate`, or by a run that was killed before it recorded them) are recorded as
adopted. Partitions that show green without a current file are made to show as failed: Dagster's open-source storage cannot
forget a partition's events, so a run that was to make them, and failed, stands for what happened to the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

import dagster as dg

from sdg_assets import dagster_private
from sdg_assets.assets.catalog import DatasetRef
from sdg_assets.assets.dataset import dataset_metadata, log_notice
from sdg_assets.recording.columns import lineage_metadata
from sdg_assets.recording.metadata import (
    PREVIEW_ROWS,
    data_version,
    file_metadata,
    finished_data_version,
    upstream_tags,
)
from sdg_assets.recording.recorder import is_made
from sdg_core import api
from sdg_core.api import RowGroupState, RowGroupStatus, format_ranges, part_files, read_head

RECONCILED_TAG = "sdg/reconciled"
JOB = "reconcile"


@dataclass(frozen=True)
class Differences:
    """Where events and files of a dataset disagree.

    unrecorded: row groups with a file and no current event. lost: row groups that show green without a current file.
    finished_unrecorded, finished_lost: the same for the finished dataset; the latter says why.
    """

    dataset: DatasetRef
    opened: api.Dataset
    unrecorded: Sequence[RowGroupStatus] = ()
    lost: Sequence[RowGroupStatus] = ()
    finished_unrecorded: bool = False
    finished_lost: str | None = None

    def __bool__(self) -> bool:
        return bool(self.unrecorded or self.lost or self.finished_unrecorded or self.finished_lost)

    def __str__(self) -> str:
        return "; ".join(self._parts()) or f"{self.dataset.name}: events agree with files"

    def _parts(self) -> Iterator[str]:
        name = self.dataset.name
        if self.unrecorded:
            yield f"{name}: row groups {_keys(self.unrecorded)} have files without a current event"
        if self.lost:
            yield f"{name}: row groups {_keys(self.lost)} show as made, but {lost_reason(self.lost)}"
        if self.finished_unrecorded:
            yield f"{name}: the finished dataset has no current event"
        if self.finished_lost is not None:
            yield f"{name}: the finished dataset shows as made, but {self.finished_lost}"


def compare(instance: dg.DagsterInstance, dataset: DatasetRef, *, root: str | None) -> Differences:
    """Compare the events of a dataset with its files. Row groups that a run works on are left out. Raises SdgError."""
    opened = api.open_dataset(dataset.path, root=root, offline=True)
    statuses = api.row_group_statuses(opened)[: dataset.num_row_groups]
    version, _ = api.measured_version(opened)
    shown = _shown(instance, dataset)
    recorded = recorded_versions(instance, dataset.row_groups_key)
    unrecorded = []
    lost = []
    for status in statuses:
        key = status.group.key
        if shown.get(key) == "IN_PROGRESS":
            continue
        if status.footer is not None and is_made(status.footer, opened.plan):
            red = shown.get(key) == "FAILED" and status.state is RowGroupState.COMPLETE
            if red or recorded.get(key) != data_version(status.footer, version=version.name):
                unrecorded.append(status)
        elif shown.get(key) == "MATERIALIZED":
            lost.append(status)
    finished_unrecorded, finished_lost = _compare_finished(instance, dataset, opened)
    return Differences(dataset, opened, unrecorded, lost, finished_unrecorded, finished_lost)


def repair(context: dg.OpExecutionContext, found: Differences) -> None:
    """Bring the events in line with the files; nothing is written to the files."""
    dataset = found.dataset
    plan = found.opened.plan
    tags = {"dagster/code_version": plan.fingerprint.config_part}
    seeded = upstream_tags(context.instance, dataset.upstream) if found.unrecorded else {}
    lineage = lineage_metadata(plan, dataset.upstream)
    layout, _ = api.measured_version(found.opened)
    for status in found.unrecorded:
        assert status.footer is not None
        path = layout.row_group(status.group.index)
        context.log_event(
            dg.AssetMaterialization(
                dataset.row_groups_key,
                partition=status.group.key,
                metadata={
                    **file_metadata(status.footer, read_head(path, PREVIEW_ROWS), plan, uri=path.as_uri()),
                    **lineage,
                    "adopted": True,
                },
                tags={**tags, **seeded, "dagster/data_version": data_version(status.footer, version=layout.name)},
            )
        )
    if found.lost:
        reason = f"{dataset.name}: {_keys(found.lost)}: {lost_reason(found.lost)}"
        mark_missing(context.instance, dataset.row_groups_key, [s.group.key for s in found.lost], reason=reason)
    if found.finished_unrecorded:
        result = api.process(found.opened, on_event=lambda event: log_notice(context.log, event))
        metadata = dataset_metadata(found.opened, result, row_groups=dataset.row_groups_key)
        tags["dagster/data_version"] = finished_data_version(result.version)
        context.log_event(dg.AssetMaterialization(dataset.dataset_key, metadata=metadata, tags=tags))
    if found.finished_lost is not None:
        reason = f"{dataset.name}: {found.finished_lost}"
        mark_missing(context.instance, dataset.dataset_key, [None], reason=reason)


def mark_missing(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str | None], *, reason: str
) -> dg.DagsterRun:
    """Make an asset, or partitions of it, show as failed, by a run of which `reason` is the failure."""
    step = "__".join(key.path)
    run = instance.add_run(
        dg.DagsterRun(
            JOB,
            run_id=str(uuid4()),
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset([key]),
            tags={RECONCILED_TAG: "lost", "dagster/max_retries": "0"},
        )
    )
    planable = dagster_private.available("AssetMaterializationPlannedData")
    for partition in partitions if planable else ():
        planned = dagster_private.AssetMaterializationPlannedData(key, partition=partition)
        event = dg.DagsterEvent.build_asset_materialization_planned_event(JOB, step, planned)
        instance.report_dagster_event(event, run.run_id)
    instance.report_run_failed(run, message=reason)
    return run


def recorded_versions(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, str | None]:
    """The data version of each partition's latest materialization, by one query."""
    tag = "dagster/data_version"
    found = instance.event_log_storage.get_latest_tags_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, [tag]
    )
    return {partition: tags.get(tag) for partition, tags in found.items()}


def lost_reason(statuses: Sequence[RowGroupStatus]) -> str:
    """Why row groups have no current file."""
    reasons = {
        RowGroupState.MISSING: "there is no file",
        RowGroupState.STALE: "the file is of another config",
        RowGroupState.CORRUPT: "the file is corrupt",
        RowGroupState.PARTIAL: "the file has no record",
    }
    return ", ".join(sorted({reasons[status.state] for status in statuses}))


def _compare_finished(
    instance: dg.DagsterInstance, dataset: DatasetRef, opened: api.Dataset
) -> tuple[bool, str | None]:
    event = instance.get_latest_materialization_event(dataset.dataset_key)
    materialization = event.asset_materialization if event is not None else None
    last = _last_run(instance, dataset.dataset_key)
    if last is not None and not last.is_finished:
        return False, None
    shows_failed = last is not None and last.status is dg.DagsterRunStatus.FAILURE
    sealed = api.seal_of(opened)
    complete = sealed is not None and sealed.metadata is not None and sealed.metadata.post_generation_processed
    if complete and sealed is not None and part_files(sealed.layout.processed_dataset):
        recorded = (materialization.tags or {}).get("dagster/data_version") if materialization is not None else None
        return recorded != finished_data_version(sealed.layout) or shows_failed, None
    if materialization is None or shows_failed:
        return False, None
    return False, "there is no finished dataset of this config"


def _last_run(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.DagsterRun | None:
    """The last run that was to make an asset."""
    record = next(iter(instance.get_asset_records([key])), None)
    run_id = record.asset_entry.last_run_id if record is not None else None
    return instance.get_run_by_id(run_id) if run_id else None


def _shown(instance: dg.DagsterInstance, dataset: DatasetRef) -> dict[str, str | None]:
    """What the asset's page shows of each partition: the name of a status of Dagster's."""
    keys = dataset.partition_keys
    found = instance.get_status_by_partition(dataset.row_groups_key, keys, dg.StaticPartitionsDefinition(keys))
    return {key: status.name if status is not None else None for key, status in (found or {}).items()}


def _keys(statuses: Sequence[RowGroupStatus]) -> str:
    return format_ranges([status.group.index for status in statuses])
