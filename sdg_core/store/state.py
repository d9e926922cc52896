"""The state of a row group: a pure function of the plan and what was found of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sdg_core.errors import CorruptFileError, ForeignFileError
from sdg_core.plan.compile import DatasetPlan
from sdg_core.plan.row_groups import RowGroup
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_groups import Footer, read_footer


class RowGroupState(StrEnum):
    """What materializing a row group will do; see `classify`."""

    MISSING = "missing"
    PARTIAL = "partial"
    COMPLETE = "complete"
    CORRUPT = "corrupt"
    STALE = "stale"


@dataclass(frozen=True)
class RowGroupStatus:
    """A row group, its state, and what it takes to complete it.

    lacking: record indices without a row. footer: what the file says, if it can be trusted. reason: why it is corrupt.
    foreign: the file is readable but not ours, so it must not be touched.
    """

    group: RowGroup
    state: RowGroupState
    lacking: Sequence[int] = ()
    footer: Footer | None = None
    reason: str | None = None
    foreign: bool = False


Found = Footer | CorruptFileError | ForeignFileError | None


def classify(
    group: RowGroup, found: Found, *, dataset: str, config_hash: str, in_earlier_version: bool
) -> RowGroupStatus:
    """missing: no file. stale: no file here, but an earlier version has one. corrupt: unreadable, not ours, or at odds with
    its place. partial: records of the plan have no row (they failed, or the dataset was extended). complete: all are there."""
    everything = range(group.start, group.stop)
    if found is None:
        state = RowGroupState.STALE if in_earlier_version else RowGroupState.MISSING
        return RowGroupStatus(group, state, everything)
    if isinstance(found, CorruptFileError | ForeignFileError):
        foreign = isinstance(found, ForeignFileError)
        return RowGroupStatus(group, RowGroupState.CORRUPT, everything, reason=found.message, foreign=foreign)
    expected = {"dataset": dataset, "config_hash": config_hash, "row_group": group.index, "start": group.start}
    for field, value in expected.items():
        if getattr(found, field) != value:
            reason = f"its footer says {field} {getattr(found, field)!r}, but its place is that of {value!r}"
            return RowGroupStatus(group, RowGroupState.CORRUPT, everything, reason=reason)
    lacking: Sequence[int] = (*found.missing, *range(found.start + found.size, group.stop))
    if found.resized and lacking:
        lacking = everything  # its rows are not records, so none can be kept
    state = RowGroupState.PARTIAL if lacking else RowGroupState.COMPLETE
    return RowGroupStatus(group, state, lacking, footer=found)


def scan_row_groups(
    version: VersionLayout, plan: DatasetPlan, *, earlier: tuple[VersionLayout, ...] = ()
) -> list[RowGroupStatus]:
    """The status of every planned row group, reading one footer per existing file."""
    found = find_row_groups(version)
    old = {index for layout in earlier for index in layout.existing_row_groups()}
    return [
        classify(
            group,
            found.get(group.index),
            dataset=plan.config.name,
            config_hash=plan.fingerprint.config_hash,
            in_earlier_version=group.index in old,
        )
        for group in plan.row_groups
    ]


def find_row_groups(version: VersionLayout, *, first: int = 0) -> Mapping[int, Found]:
    """The footer, or the fault, of every row-group file there is, from row group `first` on."""
    found: dict[int, Found] = {}
    for index in version.existing_row_groups():
        if index < first:
            continue
        try:
            found[index] = read_footer(version.row_group(index))
        except (CorruptFileError, ForeignFileError) as error:
            found[index] = error
    return found
