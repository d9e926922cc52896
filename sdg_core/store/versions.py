"""Versions: which directory a run generates into, decided by fingerprint and resume mode.

A version belongs to one fingerprint for good; a changed config gets another directory and the old one stays. Nothing is
written until every rule that protects existing data has been checked.

    mode          no data yet   same fingerprint          another fingerprint       metadata.json unreadable
    if_possible   starts        resumes                   new version               error
    always        starts        resumes                   ConfigDriftError          error
    never         starts        new version, numbered     new version               new version
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from sdg_core.config.run import ResumeMode
from sdg_core.errors import (
    ConfigDriftError,
    CorruptFileError,
    MetadataError,
    MetadataFieldError,
    RowGroupSizeError,
    SealedError,
    ShrinkError,
)
from sdg_core.plan.compile import DatasetPlan
from sdg_core.store.atomic import store_errors, sync_directory, write_atomic
from sdg_core.store.drift import describe_drift
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.metadata import (
    Metadata,
    change_metadata,
    create_metadata,
    new_metadata,
    read_current,
    read_metadata,
    write_current,
)
from sdg_core.store.row_groups import Footer, total_usage
from sdg_core.store.seed_content import write_seed_content
from sdg_core.store.state import RowGroupState, RowGroupStatus, find_row_groups


@dataclass(frozen=True)
class Version:
    """A version of a dataset: its paths, its metadata (None if it is still to be made), what led to it.

    forced: begun beside existing data by `never`, so that everything in it is made anew. begun_by: whose alone it is, if `never`
    chose it: a run's, or all runs' of a backfill."""

    layout: VersionLayout
    metadata: Metadata | None
    notice: str | None = None
    forced: bool = False
    begun_by: str | None = None


def notices(version: Version, plan: DatasetPlan) -> list[str]:
    """What people should know before a run goes on in a version."""
    found = [version.notice] if version.notice is not None else []
    if plan.simulated:
        found.append("replies are simulated: a rehearsal, marked so in the files and their metadata")
    return found


def find_version(layout: DatasetLayout, plan: DatasetPlan) -> Version | None:
    """The version that this plan's data lies in, or None. Raises a MetadataError if its metadata cannot be trusted."""
    name = matching_name(layout, plan)
    return _read_version(layout.version(name), plan) if name is not None else None


def choose_version(
    layout: DatasetLayout, plan: DatasetPlan, *, mode: ResumeMode, begun_by: str | None = None
) -> Version:
    """The version to generate into, by the table above; writes nothing.

    begun_by: a run or a backfill; with `never` it goes on in the version that it began itself.

    Raises ConfigDriftError, a MetadataError, SealedError, RowGroupSizeError or ShrinkError.
    """
    if mode == "never":
        return _forced_version(layout, plan, begun_by=begun_by)
    current = read_current(layout.current)
    found = find_version(layout, plan)
    if found is not None:
        check_generation_allowed(found, plan)
        return found
    previous = previous_version(layout, current)
    if previous is None:
        return Version(layout.version(plan.fingerprint.version), None, "no data yet: starting")
    if mode == "always":
        raise ConfigDriftError(
            f"{layout.directory}: the config differs from version {previous.name}, and resume is `always`\n"
            + "\n".join(f"  {change}" for change in describe_drift(previous, plan)),
            remedy="undo the change, or use --resume if_possible to start a new version beside the old one",
        )
    new = plan.fingerprint.version
    notice = f"the config changed since version {previous.name}: starting version {new}; the old one is kept"
    return Version(layout.version(new), None, notice)


def check_generation_allowed(version: Version, plan: DatasetPlan) -> None:
    """Refuse to generate into a sealed version, with another row-group size, or below what exists."""
    metadata = version.metadata
    if metadata is None:
        return
    if metadata.sealed:
        raise SealedError(
            f"{version.layout.directory} is sealed: post-generation processing "
            + (
                "has been applied"
                if metadata.post_generation_state == "complete"
                else "has begun; `sdg process FILE` finishes it"
            ),
            remedy="`sdg reopen FILE` removes the seal and the processed output; `--resume never` starts a new version",
        )
    check_row_group_size(version, plan)
    check_not_shrunk(version.layout, plan)


def check_row_group_size(version: Version, plan: DatasetPlan) -> None:
    """Raise RowGroupSizeError if the plan cuts records differently: no file would be where it is looked for."""
    metadata = version.metadata
    if metadata is not None and metadata.buffer_size != plan.config.row_group_size:
        raise RowGroupSizeError(
            f"row_group_size is {plan.config.row_group_size}, but {version.layout.directory} was begun with "
            f"{metadata.buffer_size}",
            remedy=f"set row_group_size back to {metadata.buffer_size}, or use --resume never to start a new version",
        )


def check_not_shrunk(version: VersionLayout, plan: DatasetPlan) -> None:
    """Raise ShrinkError if a file of ours holds records beyond the plan."""
    reach = 0
    for index, found in find_row_groups(version, first=len(plan.row_groups) - 1).items():
        if isinstance(found, Footer):
            reach = max(reach, found.start + found.size)
        elif isinstance(found, CorruptFileError):
            reach = max(reach, index * plan.config.row_group_size + 1)
    if reach > plan.num_records:
        raise ShrinkError(
            f"num_records is {plan.num_records}, but {version.directory} already holds records up to {reach - 1}",
            remedy=f"set num_records to {reach} or more, or use --resume never to start a new version",
        )


def create_or_resume(layout: DatasetLayout, version: Version, plan: DatasetPlan) -> Version:
    """Make the version's directory and metadata if they are not there, and record it as the current one.

    `metadata.json` is written last: a version that has one is whole. Of two runs that start at once, one makes it; what `never`
    chose and somebody else has begun meanwhile is left to them.
    """
    metadata = _begin(layout, version, plan)
    while version.begun_by is not None and metadata.begun_by != version.begun_by:
        version = _forced_version(layout, plan, begun_by=version.begun_by)
        metadata = _begin(layout, version, plan)
    paths = version.layout
    if metadata.target_num_records != plan.num_records:
        metadata = update_metadata(paths, target_num_records=plan.num_records, total_num_batches=len(plan.row_groups))
        write_atomic(paths.config, resolved_config(plan).encode())
    if read_current_or_none(layout) != paths.name:
        write_current(layout.current, paths.name)
    return replace(version, metadata=metadata)


def _begin(layout: DatasetLayout, version: Version, plan: DatasetPlan) -> Metadata:
    """The metadata of a version, which is made if there is none."""
    paths = version.layout

    def begin() -> Metadata:
        write_atomic(paths.config, resolved_config(plan).encode())
        if plan.seed_content is not None:
            write_seed_content(paths.seed_content, plan.seed_content)
        return new_metadata(plan, forced=version.forced, begun_by=version.begun_by)

    with store_errors("write", paths.metadata):
        create_metadata(paths.metadata, begin)
        sync_directory(layout.directory)
    return read_metadata(paths.metadata)


def update_metadata(paths: VersionLayout, **changes: Any) -> Metadata:
    """Read, change and replace `metadata.json` with no other process in between."""
    return change_metadata(paths.metadata, **changes)


def record_progress(paths: VersionLayout, plan: DatasetPlan, statuses: Sequence[RowGroupStatus]) -> Metadata:
    """Bring the counts of `metadata.json` up to what the files say."""
    footers = [status.footer for status in statuses if status.footer is not None]
    return update_metadata(
        paths,
        target_num_records=plan.num_records,
        total_num_batches=len(plan.row_groups),
        actual_num_records=sum(footer.num_rows for footer in footers),
        num_completed_batches=sum(status.state is RowGroupState.COMPLETE for status in statuses),
        usage=total_usage(footers)[0],
    )


def earlier_versions(layout: DatasetLayout, version: VersionLayout) -> tuple[VersionLayout, ...]:
    """Every other version, the one last generated into first."""
    current = read_current_or_none(layout)
    names = sorted((n for n in layout.versions() if n != version.name), key=lambda n: n != current)
    return tuple(layout.version(name) for name in names)


def carry_sources(layout: DatasetLayout, version: Version) -> tuple[VersionLayout, ...]:
    """The versions that unchanged columns may be carried over from into a version, the one changed last first.

    A forced version takes nothing over: whoever asked for it wants everything made anew.
    """
    if version.forced or (version.metadata is not None and version.metadata.forced):
        return ()
    others = [layout.version(name) for name in reversed(layout.versions()) if name != version.layout.name]
    return tuple(sorted(others, key=_changed_at, reverse=True))


def _changed_at(version: VersionLayout) -> str:
    """When a version was changed last; nothing, which is before everything, if its metadata cannot be read."""
    metadata = metadata_or_none(version)
    return metadata.updated_at if metadata is not None else ""


def read_current_or_none(layout: DatasetLayout) -> str | None:
    """The current version, or None where `current.json` is absent or cannot be trusted."""
    try:
        return read_current(layout.current)
    except MetadataError:
        return None


def resolved_config(plan: DatasetPlan) -> str:
    """The config as YAML with every default filled in."""
    data = plan.config.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


def previous_version(layout: DatasetLayout, current: str | None) -> VersionLayout | None:
    """The version that a changed config is compared with: the current one, else any that holds something."""
    versions = [layout.version(name) for name in layout.versions()]
    begun = [version for version in versions if version.config.exists() or version.existing_row_groups()]
    return next((version for version in begun if version.name == current), begun[-1] if begun else None)


def matching_name(layout: DatasetLayout, plan: DatasetPlan) -> str | None:
    """The name of the version that a plan goes on with, None if there is none. Raises a MetadataError."""
    names = [name for name in layout.versions() if name.partition("-")[0] == plan.fingerprint.version]
    current = read_current(layout.current)
    return current if current in names else names[-1] if names else None


def _read_version(paths: VersionLayout, plan: DatasetPlan) -> Version:
    with store_errors("read", paths.metadata):
        begun = paths.metadata.exists()
    if not begun and not paths.existing_row_groups():
        return Version(paths, None)
    metadata = read_metadata(paths.metadata)
    for field, expected in (("dataset_name", plan.config.name), ("config_hash", plan.fingerprint.config_hash)):
        if getattr(metadata, field) != expected:
            raise MetadataFieldError(
                f"{paths.metadata}: {field} is {getattr(metadata, field)!r}, but this directory belongs to {expected!r}",
                remedy="restore the file, or generate with --resume never to start a new version; nothing was changed",
            )
    return Version(paths, metadata)


def _forced_version(layout: DatasetLayout, plan: DatasetPlan, *, begun_by: str | None) -> Version:
    base, existing = plan.fingerprint.version, layout.versions()
    same = [layout.version(name) for name in existing if name.partition("-")[0] == base]
    for paths in same:
        metadata = metadata_or_none(paths)
        if begun_by is not None and metadata is not None and metadata.begun_by == begun_by:
            own = Version(paths, metadata, forced=metadata.forced, begun_by=begun_by)
            check_generation_allowed(own, plan)
            return own
    numbers = [int(paths.name.partition("-")[2] or 1) for paths in same]
    name = f"{base}-{max(numbers) + 1}" if numbers else base
    notice = f"starting version {name}; what exists is kept"
    return Version(layout.version(name), None, notice, forced=bool(existing), begun_by=begun_by)


def metadata_or_none(version: VersionLayout) -> Metadata | None:
    """What `metadata.json` says, or None where it is absent or cannot be trusted."""
    try:
        return read_metadata(version.metadata)
    except MetadataError:
        return None
