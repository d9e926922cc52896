"""Files are the truth: Dagster's events brought in line with them.

Files without a current event (made by `sdg generate`, or by a run that was killed before it recorded them) are recorded as
adopted. Partitions that show green without a current file are made to show as failed: Dagster's open-source storage cannot
forget a partition's events, so a run that was to make them, and failed, stands for what happened to the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import dagster as dg

from sdg_assets import dagster_private
from sdg_assets.assets.catalog import PipelineRef, Ref
from sdg_assets.assets.finished import log_notice
from sdg_assets.opened.base import Opened
from sdg_assets.opened.files import open_file
from sdg_assets.recording.metadata import finished_data_version, upstream_tags
from sdg_core import api

if TYPE_CHECKING:
    from sdg_core.api import StoredPartition

RECONCILED_TAG = "sdg/reconciled"
JOB = "reconcile"


@dataclass(frozen=True)
class Differences:
    """Where events and files of a dataset or pipeline disagree.

    unrecorded: partitions with a file and no current event. missing: partitions that show green without a current file.
    unknown: keys of partitions that have a file, and that Dagster does not know yet.
    finished_unrecorded, finished_missing: the same for the finished dataset; the latter says why.
    """

    ref: Ref
    opened: Opened
    unrecorded: "Sequence[StoredPartition]" = ()
    missing: "Sequence[StoredPartition]" = ()
    unknown: Sequence[str] = ()
    finished_unrecorded: bool = False
    finished_missing: str | None = None

    def __bool__(self) -> bool:
        if self.unrecorded or self.missing:
            return True
        return bool(self.finished_unrecorded or self.finished_missing)

    def __str__(self) -> str:
        return "; ".join(self._parts()) or f"{self.ref.label}: events agree with files"

    def _parts(self) -> Iterator[str]:
        name = self.ref.label
        kind = self.ref.PARTITIONS
        if self.unrecorded:
            yield f"{name}: {kind} {_keys(self.unrecorded)} have files without a current event"
        if self.missing:
            yield f"{name}: {kind} {_keys(self.missing)} show as materialized, but {missing_reason(self.missing)}"
        if self.finished_unrecorded:
            yield f"{name}: the finished dataset has no current event"
        if self.finished_missing is not None:
            yield f"{name}: the finished dataset shows as materialized, but {self.finished_missing}"


def compare(instance: dg.DagsterInstance, ref: Ref, *, root: str | None) -> Differences:
    """Compare the events of a dataset or pipeline with its files, but for what a run works on. Raises SdgError."""
    opened = open_file(ref.path, root=root)
    known = set(ref.known_partitions(instance))
    shown = _shown(instance, ref)
    recorded = recorded_versions(instance, ref.partitioned_key)
    unrecorded = []
    missing = []
    unknown = []
    for one in opened.partitions:
        version = opened.data_version(one)
        if one.key not in known:
            if version is None or not ref.ADDS_PARTITIONS:
                continue
            unknown.append(one.key)
        if shown.get(one.key) == "IN_PROGRESS":
            continue
        if version is not None:
            red = shown.get(one.key) == "FAILED" and one.is_settled
            if red or recorded.get(one.key) != version:
                unrecorded.append(one)
        elif shown.get(one.key) == "MATERIALIZED" and not one.is_settled:
            missing.append(one)
    finished_unrecorded, finished_missing = _compare_finished(instance, ref, opened)
    return Differences(
        ref, opened, unrecorded, missing, unknown, finished_unrecorded, finished_missing
    )


def repair(context: dg.OpExecutionContext, found: Differences) -> None:
    """Bring the events in line with the files; nothing is written to the files."""
    ref = found.ref
    opened = found.opened
    tags = {"dagster/code_version": opened.code_version}
    read = upstream_tags(context.instance, ref.upstream) if found.unrecorded else {}
    lineage = opened.lineage(ref.upstream)
    if found.unknown and isinstance(ref, PipelineRef):
        context.instance.add_dynamic_partitions(
            ref.partitions_name, list(found.unknown)
        )
    for one in found.unrecorded:
        data_version = str(opened.data_version(one))
        materialization = dg.AssetMaterialization(
            ref.partitioned_key,
            partition=one.key,
            metadata={**opened.file_metadata(one), **lineage, "adopted": True},
            tags={**tags, **read, "dagster/data_version": data_version},
        )
        context.log_event(materialization)
    if found.missing:
        reason = f"{ref.label}: {_keys(found.missing)}: {missing_reason(found.missing)}"
        keys = [one.key for one in found.missing]
        mark_missing(context.instance, ref.partitioned_key, keys, reason=reason)
    if found.finished_unrecorded:
        result = opened.process(on_event=lambda event: log_notice(context.log, event))
        metadata = opened.finished_metadata(result, partitioned=ref.partitioned_key)
        tags["dagster/data_version"] = finished_data_version(result.version)
        context.log_event(
            dg.AssetMaterialization(ref.dataset_key, metadata=metadata, tags=tags)
        )
    if found.finished_missing is not None:
        reason = f"{ref.label}: {found.finished_missing}"
        mark_missing(context.instance, ref.dataset_key, [None], reason=reason)


def mark_missing(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    partitions: Sequence[str | None],
    *,
    reason: str,
) -> dg.DagsterRun:
    """Make an asset, or partitions of it, show as failed, by a run of which `reason` is the failure."""
    step = "__".join(key.path)
    run = dg.DagsterRun(
        JOB,
        run_id=str(uuid4()),
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=frozenset([key]),
        tags={RECONCILED_TAG: "lost", "dagster/max_retries": "0"},
    )
    run = instance.add_run(run)
    planable = dagster_private.available("AssetMaterializationPlannedData")
    for partition in partitions:
        if not planable:
            break
        planned = dagster_private.AssetMaterializationPlannedData(
            key, partition=partition
        )
        event = dg.DagsterEvent.build_asset_materialization_planned_event(
            JOB, step, planned
        )
        instance.report_dagster_event(event, run.run_id)
    instance.report_run_failed(run, message=reason)
    return run


def recorded_versions(
    instance: dg.DagsterInstance, key: dg.AssetKey
) -> dict[str, str | None]:
    """The data version of each partition's latest materialization, by one query."""
    tag = "dagster/data_version"
    found = instance.event_log_storage.get_latest_tags_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, [tag]
    )
    return {partition: tags.get(tag) for partition, tags in found.items()}


def missing_reason(partitions: "Sequence[StoredPartition]") -> str:
    """Why partitions have no current file."""
    reasons = {_REASONS[str(one.state)] for one in partitions}
    return ", ".join(sorted(reasons))


_REASONS = {
    "missing": "there is no file",
    "stale": "the file is from another config",
    "corrupt": "the file is corrupt",
    "partial": "the file has no records",
}


def _compare_finished(
    instance: dg.DagsterInstance, ref: Ref, opened: Opened
) -> tuple[bool, str | None]:
    event = instance.get_latest_materialization_event(ref.dataset_key)
    materialization = event.asset_materialization if event is not None else None
    last = _last_run(instance, ref.dataset_key)
    if last is not None and not last.is_finished:
        return False, None
    shows_failed = last is not None and last.status is dg.DagsterRunStatus.FAILURE
    sealed = opened.seal
    complete = False
    if sealed is not None and sealed.metadata is not None:
        complete = sealed.metadata.post_generation_processed
    if (
        complete
        and sealed is not None
        and api.part_files(sealed.layout.processed_dataset)
    ):
        recorded = None
        if materialization is not None:
            recorded = (materialization.tags or {}).get("dagster/data_version")
        return recorded != finished_data_version(sealed.layout) or shows_failed, None
    if materialization is None or shows_failed:
        return False, None
    return False, "there is no finished dataset of this config"


def _last_run(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.DagsterRun | None:
    """The last run that was to make an asset."""
    for record in instance.get_asset_records([key]):
        run_id = record.asset_entry.last_run_id
        if run_id:
            return instance.get_run_by_id(run_id)
    return None


def _shown(instance: dg.DagsterInstance, ref: Ref) -> dict[str, str | None]:
    """What the asset's page shows of each partition: the name of a status of Dagster's."""
    found = instance.get_status_by_partition(
        ref.partitioned_key, ref.known_partitions(instance), ref.partitions_def
    )
    shown: dict[str, str | None] = {}
    for key, status in (found or {}).items():
        shown[key] = status.name if status is not None else None
    return shown


def _keys(partitions: "Sequence[StoredPartition]") -> str:
    return api.format_ranges([one.index for one in partitions])
