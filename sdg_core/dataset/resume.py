"""What happens when a dataset is run again: the resume modes and their rules."""

from collections.abc import Mapping
from dataclasses import replace

from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.drift import describe_drift
from sdg_core.errors import (
    ConfigDriftError,
    CorruptFileError,
    RefusedError,
    RowGroupSizeError,
    SealedError,
    ShrinkError,
)
from sdg_core.plan.checks.prompts import prompt_notices
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.fingerprint import split_version
from sdg_core.store.atomic import read_or_none, sync_directory, write_atomic
from sdg_core.store.footer_index import FooterOrError
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.metadata import (
    Metadata,
    create_metadata,
    metadata_or_none,
    new_metadata,
    read_current,
    read_metadata,
    write_current,
)
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_group_state import find_row_groups
from sdg_core.store.row_groups import Footer
from sdg_core.store.seed_manifest import write_seed_content
from sdg_core.store.versions import (
    Version,
    find_version,
    previous_version,
    read_current_or_none,
    resolved_config,
    update_metadata,
)


def notices(version: Version, plan: DatasetPlan) -> list[str]:
    """What people should know before a run goes on in a version."""
    found = [version.notice] if version.notice is not None else []
    if plan.simulated:
        found.append(
            "replies are simulated: this is a rehearsal, and the files and metadata say so"
        )
    found += plan.seed_notices
    if plan.seed_repeats is not None:
        found.append(plan.seed_repeats)
    found += prompt_notices(plan.config, names=plan.schema.names)
    return found


def choose_version(
    layout: DatasetLayout,
    plan: DatasetPlan,
    *,
    mode: ResumeMode,
    created_by_run: str | None = None,
) -> Version:
    """The version to generate into, by the table above; writes nothing.

    created_by_run: a run or a backfill; with `never` it resumes the version that it created itself.

    Raises ConfigDriftError, a MetadataError, SealedError, RowGroupSizeError or ShrinkError; RefusedError if nobody named the root
    and the dataset was started below another one.
    """
    other = layout.other_place()
    if other is not None and not layout.root_given:
        raise RefusedError(
            f"{layout.directory} holds no data, but {other} holds data of a dataset with this name, "
            f"which a run would pay for again",
            remedy=f"continue there with --root {other.parent} (or SDG_ROOT), or move {other} to {layout.directory}; "
            f"to start over on purpose, pass --root {layout.root}",
        )
    if mode == "never":
        return _forced_version(layout, plan, created_by_run=created_by_run)
    current = read_current(layout.current)
    found = find_version(layout, plan)
    if found is not None:
        check_generation_allowed(found, plan)
        return found
    previous = previous_version(layout, current)
    if previous is None:
        notice = "no data yet: starting"
        if other is not None:
            notice += (
                f"; {other} holds data of a dataset with this name, which is not used; to "
                f"continue there: --root {other.parent}"
            )
        return Version(layout.version(plan.fingerprint.version), None, notice)
    if mode == "always":
        differs = f"{layout.directory}: the config differs from version {previous.name}"
        changes = "\n".join(f"  {change}" for change in describe_drift(previous, plan))
        raise ConfigDriftError(
            f"{differs}, and resume is `always`\n{changes}",
            remedy="undo the change, or use --resume if_possible to start a new version alongside the old one",
        )
    new = plan.fingerprint.version
    notice = f"the config changed since version {previous.name}: starting version {new}; the old one is kept"
    return Version(layout.version(new), None, notice)


def check_generation_allowed(version: Version, plan: DatasetPlan) -> None:
    """Refuse to generate into a sealed version, with another row-group size, or below what exists."""
    if version.metadata is None:
        return
    check_not_sealed(version)
    check_row_group_size(version, plan)
    check_not_shrunk(version.layout, plan)


def check_not_sealed(version: Version) -> None:
    """Raise SealedError if nothing may be generated into a version any more."""
    metadata = version.metadata
    if metadata is not None and metadata.sealed:
        progress = "has started; `sdg process FILE` finishes it"
        if metadata.post_generation_state == "complete":
            progress = "has been applied"
        raise SealedError(
            f"{version.layout.directory} is sealed: post-generation processing {progress}",
            remedy="`sdg reopen FILE` removes the seal and the processed output; `--resume never` starts a new version",
        )


def check_row_group_size(version: Version, plan: DatasetPlan) -> None:
    """Raise RowGroupSizeError if the plan cuts records differently: no file would be where it is looked for."""
    metadata = version.metadata
    if metadata is not None and metadata.buffer_size != plan.config.row_group_size:
        raise RowGroupSizeError(
            f"row_group_size is {plan.config.row_group_size}, but {version.layout.directory} was started with "
            f"{metadata.buffer_size}",
            remedy=f"set row_group_size back to {metadata.buffer_size}, or use --resume never to start a new version",
        )


def check_not_shrunk(version: VersionLayout, plan: DatasetPlan) -> None:
    """Raise ShrinkError if a file of ours holds records beyond the plan."""
    reach = records_reached(last_row_groups(version, plan), plan)
    if reach > plan.num_records:
        raise ShrinkError(
            f"num_records is {plan.num_records}, but {version.directory} already holds records up to {reach - 1}",
            remedy=f"set num_records to {reach} or more, or use --resume never to start a new version",
        )


def last_row_groups(
    version: VersionLayout, plan: DatasetPlan
) -> Mapping[int, FooterOrError]:
    """The files of the plan's last row group and of those beyond it, by index."""
    return find_row_groups(version, first=len(plan.row_groups) - 1)


def records_reached(last: Mapping[int, FooterOrError], plan: DatasetPlan) -> int:
    """The smallest num_records that the files of a version fit into, as far as `last_row_groups` show it."""
    reach = 0
    for index, found in last.items():
        if isinstance(found, Footer):
            reach = max(reach, found.start + found.size)
        elif isinstance(found, CorruptFileError):
            reach = max(reach, index * plan.config.row_group_size + 1)
    return reach


def create_or_resume(
    layout: DatasetLayout, version: Version, plan: DatasetPlan
) -> Version:
    """Make the version's directory and metadata if they are not there, and record it as the current one.

    `metadata.json` is written last: a version that has one is whole. Of two runs that start at once, one makes it; what `never`
    chose and somebody else has started meanwhile is left to them.
    """
    config = resolved_config(plan).encode()
    metadata = _begin(layout, version, plan, config)
    while (
        version.created_by_run is not None
        and metadata.created_by_run != version.created_by_run
    ):
        version = _forced_version(layout, plan, created_by_run=version.created_by_run)
        metadata = _begin(layout, version, plan, config)
    paths = version.layout
    if metadata.target_num_records != plan.num_records:
        metadata = update_metadata(
            paths,
            target_num_records=plan.num_records,
            total_num_batches=len(plan.row_groups),
        )
    # other settings or prices, which make no other data
    if read_or_none(paths.config) != config:
        write_atomic(paths.config, config)
    if read_current_or_none(layout) != paths.name:
        write_current(layout.current, paths.name)
    return replace(version, metadata=metadata)


def _begin(
    layout: DatasetLayout, version: Version, plan: DatasetPlan, config: bytes
) -> Metadata:
    """The metadata of a version, which is made if there is none. config: the resolved one."""
    paths = version.layout

    def begin() -> Metadata:
        write_atomic(paths.config, config)
        if plan.seed_content is not None:
            write_seed_content(paths.seed_content, plan.seed_content)
        return new_metadata(
            plan, forced=version.forced, created_by_run=version.created_by_run
        )

    with store_errors("write", paths.metadata):
        create_metadata(paths.metadata, begin)
        sync_directory(layout.directory)
    return read_metadata(paths.metadata)


def carry_sources(layout: DatasetLayout, version: Version) -> tuple[VersionLayout, ...]:
    """The versions that unchanged columns may be carried over from into a version, the one changed last first.

    A forced version takes nothing over: the caller wants everything made again.
    """
    if version.is_forced:
        return ()
    others = [
        layout.version(name)
        for name in reversed(layout.versions())
        if name != version.layout.name
    ]
    return tuple(sorted(others, key=_changed_at, reverse=True))


def _changed_at(version: VersionLayout) -> str:
    """When a version was changed last; nothing, which is before everything, if its metadata cannot be read."""
    metadata = metadata_or_none(version)
    return metadata.updated_at if metadata is not None else ""


def _forced_version(
    layout: DatasetLayout, plan: DatasetPlan, *, created_by_run: str | None
) -> Version:
    base = plan.fingerprint.version
    existing = layout.versions()
    same = [layout.version(name) for name in existing if split_version(name)[0] == base]
    for paths in same:
        metadata = metadata_or_none(paths)
        if (
            created_by_run is not None
            and metadata is not None
            and metadata.created_by_run == created_by_run
        ):
            own = Version(
                paths, metadata, forced=metadata.forced, created_by_run=created_by_run
            )
            check_generation_allowed(own, plan)
            return own
    numbers = [split_version(paths.name)[1] for paths in same]
    name = f"{base}-{max(numbers) + 1}" if numbers else base
    notice = f"starting version {name}; existing data is kept"
    return Version(
        layout.version(name),
        None,
        notice,
        forced=bool(existing),
        created_by_run=created_by_run,
    )
