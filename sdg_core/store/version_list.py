"""The versions of a dataset, as people choose among them: how large, how old, what state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sdg_core.errors import MetadataError
from sdg_core.store.access import storage_of
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.metadata import Metadata, read_metadata, to_the_second
from sdg_core.store.os_errors import store_errors
from sdg_core.store.versions import read_current_or_none


@dataclass(frozen=True)
class VersionInfo:
    """One version. `created` and `updated` are ISO 8601 in UTC.

    records: rows at the end of its last run. row_groups: number of files. size: total bytes of its directory.
    current: whether it was generated into last. matches: whether the current config resumes it. fault: why its
    metadata cannot be read; times and records are then unknown.
    """

    name: str
    directory: str
    created: str | None
    updated: str | None
    records: int | None
    row_groups: int
    size: int
    sealed: bool
    simulated: bool
    forced: bool
    current: bool
    matches: bool
    fault: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `--json` prints it."""
        return dict(vars(self))


def list_versions(
    layout: DatasetLayout, *, matching: str | None, names: Sequence[str] | None = None
) -> tuple[VersionInfo, ...]:
    """The versions that exist (or those of `names`), the one changed last first. `matching`: the one of today's config."""
    current = read_current_or_none(layout)
    found = []
    if names is None:
        names = layout.versions()
    for name in names:
        version = layout.version(name)
        found.append(
            _describe(version, current=name == current, matches=name == matching)
        )
    found.reverse()
    found.sort(key=lambda info: info.updated or "", reverse=True)
    return tuple(found)


def _describe(version: VersionLayout, *, current: bool, matches: bool) -> VersionInfo:
    metadata: Metadata | None = None
    fault: str | None = None
    try:
        metadata = read_metadata(version.metadata)
    except MetadataError as error:
        fault = error.message
    return VersionInfo(
        name=version.name,
        directory=str(version.directory),
        created=metadata.created_at if metadata else None,
        updated=to_the_second(metadata.updated_at) if metadata else None,
        records=metadata.actual_num_records if metadata else None,
        row_groups=len(version.existing_row_groups()),
        size=_size(version),
        sealed=metadata is not None and metadata.sealed,
        simulated=metadata is not None and metadata.simulated,
        forced=metadata is not None and metadata.forced,
        current=current,
        matches=matches,
        fault=fault,
    )


def _size(version: VersionLayout) -> int:
    """Bytes of all files of a version, also while some of them come and go."""
    directory = version.directory
    with store_errors("measure", directory):
        return storage_of(directory).total_size()
