"""Versions: which directory a run generates into, decided by fingerprint and resume mode.

A version belongs to one fingerprint for good; a changed config gets another directory and the old one stays. Nothing is
written until every rule that protects existing data has been checked.

    mode          no data yet   same fingerprint          another fingerprint       metadata.json unreadable
    if_possible   starts        resumes                   new version               error
    always        starts        resumes                   ConfigDriftError          error
    never         starts        new version, numbered     new version               new version
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sdg_core.config.yaml_document import dump_document
from sdg_core.errors import (
    MetadataError,
    MetadataFieldError,
)
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.fingerprint import split_version
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.metadata import (
    Metadata,
    change_metadata,
    read_current,
    read_metadata,
)
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus
from sdg_core.store.row_groups import total_usage
from sdg_core.store.spending import earlier_spending
from sdg_core.system.former_names import has_former_names


@has_former_names(begun_by="created_by_run")
@dataclass(frozen=True)
class Version:
    """A version of a dataset: its paths, its metadata (None if it does not exist yet), and why it was chosen.

    forced: started next to existing data by `never`, so everything in it is regenerated. created_by_run: the owner of a
    version that `never` chose: a run, or all runs of a backfill."""

    layout: VersionLayout
    metadata: Metadata | None
    notice: str | None = None
    forced: bool = False
    created_by_run: str | None = None

    @property
    def is_forced(self) -> bool:
        """Whether nothing is reused from other versions, because everything is to be regenerated."""
        if self.metadata is not None and self.metadata.forced:
            return True
        return self.forced


def find_version(layout: DatasetLayout, plan: DatasetPlan) -> Version | None:
    """The version that this plan's data lies in, or None. Raises a MetadataError if its metadata cannot be trusted."""
    name = matching_name(layout, plan)
    return _read_version(layout.version(name), plan) if name is not None else None


def update_metadata(paths: VersionLayout, **changes: Any) -> Metadata:
    """Read, change and replace `metadata.json` with no other process in between."""
    return change_metadata(paths.metadata, **changes)


def record_progress(
    paths: VersionLayout, plan: DatasetPlan, statuses: Sequence[RowGroupStatus]
) -> Metadata:
    """Bring the counts of `metadata.json` up to what the files say."""
    footers = [status.footer for status in statuses if status.footer is not None]
    complete = [status for status in statuses if status.state is RowGroupState.COMPLETE]
    usage, _ = total_usage(footers)
    earlier = earlier_spending(paths, footers, plan.config.model_configs, replies={})
    return update_metadata(
        paths,
        target_num_records=plan.num_records,
        total_num_batches=len(plan.row_groups),
        actual_num_records=sum(footer.num_rows for footer in footers),
        num_completed_batches=len(complete),
        usage=usage,
        earlier_versions={name: spent.to_dict() for name, spent in earlier.items()},
    )


def earlier_versions(
    layout: DatasetLayout, version: VersionLayout
) -> tuple[VersionLayout, ...]:
    """Every other version, the one last generated into first."""
    current = read_current_or_none(layout)
    names = [name for name in layout.versions() if name != version.name]
    names.sort(key=lambda name: name != current)
    return tuple(layout.version(name) for name in names)


def read_current_or_none(layout: DatasetLayout) -> str | None:
    """The current version, or None where `current.json` is absent or cannot be trusted."""
    try:
        return read_current(layout.current)
    except MetadataError:
        return None


def resolved_config(plan: DatasetPlan) -> str:
    """The config as YAML with every default filled in."""
    data = plan.config.model_dump(mode="json", exclude_none=True)
    return dump_document(data)


def previous_version(
    layout: DatasetLayout, current: str | None
) -> VersionLayout | None:
    """The version that a changed config is compared with: the current one, else any that holds something."""
    latest = None
    for name in layout.versions():
        version = layout.version(name)
        is_started = version.config.exists() or version.existing_row_groups()
        if is_started:
            latest = version
            if name == current:
                break
    return latest


def matching_name(layout: DatasetLayout, plan: DatasetPlan) -> str | None:
    """The name of the version that a plan goes on with, None if there is none. Raises a MetadataError."""
    names = [
        name
        for name in layout.versions()
        if split_version(name)[0] == plan.fingerprint.version
    ]
    current = read_current(layout.current)
    if current in names:
        return current
    return names[-1] if names else None


def _read_version(paths: VersionLayout, plan: DatasetPlan) -> Version:
    with store_errors("read", paths.metadata):
        started = paths.metadata.exists()
    if not started and not paths.existing_row_groups():
        return Version(paths, None)
    metadata = read_metadata(paths.metadata)
    for field, expected in (
        ("dataset_name", plan.config.name),
        ("config_hash", plan.fingerprint.config_hash),
    ):
        if getattr(metadata, field) != expected:
            raise MetadataFieldError(
                f"{paths.metadata}: {field} is {getattr(metadata, field)!r}, but this directory belongs to {expected!r}",
                remedy="restore the file, or generate with --resume never to start a new version; nothing was changed",
            )
    return Version(paths, metadata)
