"""Versions: which directory a run generates into, decided by fingerprint and resume mode.

A version belongs to one fingerprint for good; a changed config gets another directory and the old one stays. Nothing is
written until every rule that protects existing data has been checked.

    mode          no data yet   same fingerprint          another fingerprint       metadata.json unreadable
    if_possible   starts        resumes                   new version               error
    always        starts        resumes                   ConfigDriftError          error
    never         starts        new version, numbered     new version               new version
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from sdg_core.config.document import parse_document
from sdg_core.config.run import ResumeMode
from sdg_core.errors import (
    ConfigDriftError,
    MetadataError,
    MetadataFieldError,
    RowGroupSizeError,
    SealedError,
    ShrinkError,
)
from sdg_core.plan.compile import DatasetPlan
from sdg_core.store.atomic import exclusive_lock, sync_directory, write_atomic
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.metadata import (
    Metadata,
    add_usage,
    new_metadata,
    read_current,
    read_metadata,
    write_current,
    write_metadata,
)
from sdg_core.store.state import RowGroupState, RowGroupStatus, scan_row_groups


@dataclass(frozen=True)
class Version:
    """A version of a dataset: its paths, its metadata (None if it is still to be made), what led to it."""

    layout: VersionLayout
    metadata: Metadata | None
    notice: str | None = None


def find_version(layout: DatasetLayout, plan: DatasetPlan) -> Version | None:
    """The version that this plan's data lies in, or None. Raises a MetadataError if its metadata cannot be trusted."""
    name = _find_name(layout, plan)
    return _read_version(layout.version(name), plan) if name is not None else None


def choose_version(layout: DatasetLayout, plan: DatasetPlan, *, mode: ResumeMode) -> Version:
    """The version to generate into, by the table above; writes nothing.

    Raises ConfigDriftError, a MetadataError, SealedError, RowGroupSizeError or ShrinkError.
    """
    if mode == "never":
        return _forced_version(layout, plan)
    current = read_current(layout.current)
    found = find_version(layout, plan)
    if found is not None:
        check_generation_allowed(found, plan)
        return found
    if current is None or current not in layout.versions():
        return Version(layout.version(plan.fingerprint.version), None, "no data yet: starting")
    if mode == "always":
        raise ConfigDriftError(
            f"{layout.directory}: the config differs from version {current}, and resume is `always`\n"
            + "\n".join(f"  {change}" for change in _drift(layout.version(current), plan)),
            remedy="undo the change, or use --resume if_possible to start a new version beside the old one",
        )
    notice = (
        f"the config changed since version {current}: starting version {plan.fingerprint.version}; the old one is kept"
    )
    return Version(layout.version(plan.fingerprint.version), None, notice)


def check_generation_allowed(version: Version, plan: DatasetPlan) -> None:
    """Refuse to generate into a sealed version, with another row-group size, or below what exists."""
    metadata = version.metadata
    if metadata is None:
        return
    if metadata.sealed:
        raise SealedError(
            f"{version.layout.directory} is sealed: post-generation processing "
            + ("has been applied" if metadata.post_generation_state == "complete" else "has begun"),
            remedy="`sdg reopen FILE` removes the seal and the processed output; `--resume never` starts a new version",
        )
    if metadata.buffer_size != plan.config.row_group_size:
        raise RowGroupSizeError(
            f"row_group_size is {plan.config.row_group_size}, but {version.layout.directory} was begun with "
            f"{metadata.buffer_size}",
            remedy=f"set row_group_size back to {metadata.buffer_size}, or use --resume never to start a new version",
        )
    _check_not_shrunk(version.layout, plan)


def _check_not_shrunk(version: VersionLayout, plan: DatasetPlan) -> None:
    existing = version.existing_row_groups()
    statuses = scan_row_groups(version, plan) if existing else []
    reach = max((s.footer.start + s.footer.size for s in statuses if s.footer is not None), default=0)
    if existing and existing[-1] >= len(plan.row_groups):
        reach = max(reach, existing[-1] * plan.config.row_group_size + 1)
    if reach > plan.num_records:
        raise ShrinkError(
            f"num_records is {plan.num_records}, but {version.directory} already holds records up to {reach - 1}",
            remedy=f"set num_records to {reach} or more, or use --resume never to start a new version",
        )


def create_or_resume(layout: DatasetLayout, version: Version, plan: DatasetPlan) -> Version:
    """Make the version's directory and metadata if they are not there, and record it as the current one."""
    paths = version.layout
    metadata = version.metadata
    if metadata is None:
        metadata = new_metadata(plan)
        write_metadata(paths.metadata, metadata)
        write_atomic(paths.config, resolved_config(plan).encode())
        sync_directory(layout.directory)
    elif metadata.target_num_records != plan.num_records:
        metadata = update_metadata(paths, target_num_records=plan.num_records, total_num_batches=len(plan.row_groups))
    if read_current_or_none(layout) != paths.name:
        write_current(layout.current, paths.name)
    return replace(version, metadata=metadata)


def update_metadata(paths: VersionLayout, **changes: Any) -> Metadata:
    """Read, change and replace `metadata.json` with no other process of this machine in between."""
    with exclusive_lock(paths.lock):
        metadata = read_metadata(paths.metadata).model_copy(update=changes)
        write_metadata(paths.metadata, metadata)
    return metadata


def record_progress(paths: VersionLayout, plan: DatasetPlan, statuses: list[RowGroupStatus]) -> Metadata:
    """Bring the counts of `metadata.json` up to what the files say."""
    footers = [status.footer for status in statuses if status.footer is not None]
    usage: dict[str, dict[str, int]] = {}
    for footer in footers:
        usage = add_usage(usage, footer.usage)
    return update_metadata(
        paths,
        target_num_records=plan.num_records,
        total_num_batches=len(plan.row_groups),
        actual_num_records=sum(footer.num_rows for footer in footers),
        num_completed_batches=sum(status.state is RowGroupState.COMPLETE for status in statuses),
        usage=usage,
    )


def earlier_versions(layout: DatasetLayout, version: VersionLayout) -> tuple[VersionLayout, ...]:
    """Every other version, the one last generated into first."""
    current = read_current_or_none(layout)
    names = sorted((n for n in layout.versions() if n != version.name), key=lambda n: n != current)
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
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


def _find_name(layout: DatasetLayout, plan: DatasetPlan) -> str | None:
    names = [name for name in layout.versions() if name.partition("-")[0] == plan.fingerprint.version]
    current = read_current(layout.current)
    return current if current in names else names[-1] if names else None


def _read_version(paths: VersionLayout, plan: DatasetPlan) -> Version:
    if not paths.metadata.exists() and not paths.existing_row_groups():
        return Version(paths, None)
    metadata = read_metadata(paths.metadata)
    for field, expected in (("dataset_name", plan.config.name), ("config_hash", plan.fingerprint.config_hash)):
        if getattr(metadata, field) != expected:
            raise MetadataFieldError(
                f"{paths.metadata}: {field} is {getattr(metadata, field)!r}, but this directory belongs to {expected!r}",
                remedy="restore the file, or generate with --resume never to start a new version; nothing was changed",
            )
    return Version(paths, metadata)


def _forced_version(layout: DatasetLayout, plan: DatasetPlan) -> Version:
    base = plan.fingerprint.version
    numbers = [int(name.partition("-")[2] or 1) for name in layout.versions() if name.partition("-")[0] == base]
    name = f"{base}-{max(numbers) + 1}" if numbers else base
    return Version(layout.version(name), None, f"starting version {name}; what exists is kept")


def _drift(old: VersionLayout, plan: DatasetPlan) -> list[str]:
    """What differs between the stored config of a version and the plan's, by path."""
    if not old.config.exists():
        return ["(its config.yaml is gone, so the changes cannot be named)"]
    before = parse_document(old.config.read_text(encoding="utf-8")).data
    after = parse_document(resolved_config(plan)).data
    changes = [
        f"{path}: {a!r} is now {b!r}" for path, a, b in _differences(before, after, "") if not path.startswith("run.")
    ]
    return changes[:20] or ["seed data: its content changed"]


def _differences(before: Any, after: Any, path: str) -> list[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        keys = [*before, *(key for key in after if key not in before)]
        parts = [(f"{path}.{key}" if path else str(key), before.get(key), after.get(key)) for key in keys]
    elif isinstance(before, list) and isinstance(after, list):
        length = max(len(before), len(after))
        padded = [[*values, *[None] * (length - len(values))] for values in (before, after)]
        parts = [(f"{path}[{i}]", a, b) for i, (a, b) in enumerate(zip(*padded, strict=True))]
    else:
        return [] if before == after else [(path, before, after)]
    return [difference for name, a, b in parts for difference in _differences(a, b, name)]
