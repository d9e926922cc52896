"""The state of a row group: a pure function of the plan and what was found of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from sdg_core.errors import CorruptFileError, UnrecognizedFileError
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.row_groups import RowGroup
from sdg_core.store.footer_index import (
    FooterOrError,
    FoundFile,
    find_files,
    write_index,
)
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_groups import Footer


class RowGroupState(StrEnum):
    """The state of a row group, which decides what materializing it does; see `classify`."""

    MISSING = "missing"
    PARTIAL = "partial"
    COMPLETE = "complete"
    CORRUPT = "corrupt"
    STALE = "stale"


@dataclass(frozen=True)
class RowGroupStatus:
    """A row group, its state, and its remaining records.

    remaining: record indices without a row. footer: the file's footer, if it can be trusted. reason: why the file is
    corrupt. foreign: the file is readable but not written by sdg, so it must not be touched. file: the file as found,
    so that it is read only once.
    """

    group: RowGroup
    state: RowGroupState
    remaining: Sequence[int] = ()
    footer: Footer | None = None
    reason: str | None = None
    foreign: bool = False
    file: FoundFile | None = None

    @property
    def index(self) -> int:
        """Its number."""
        return self.group.index

    @property
    def key(self) -> str:
        """Its Dagster partition key."""
        return self.group.key

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to do."""
        return self.state is RowGroupState.COMPLETE

    @property
    def is_current(self) -> bool:
        """Whether its file matches the current plan; records may still have failed."""
        if self.state not in (RowGroupState.COMPLETE, RowGroupState.PARTIAL):
            return False
        return self.footer is None or self.footer.size == self.group.size

    @property
    def num_remaining(self) -> int:
        """Records without a row."""
        return len(self.remaining)

    @property
    def num_waiting(self) -> int:
        """Remaining records that waited for deferred replies when the file was written."""
        return self.footer.waiting if self.footer is not None else 0


class StoredPartition(Protocol):
    """What one file is to hold, and what it does hold: a row group of a dataset, or some sources of a pipeline.

    state: see `RowGroupState`; a pipeline's partition may also be `failed`: all that is left in it was given up.
    """

    @property
    def index(self) -> int:
        """Its number."""
        ...

    @property
    def key(self) -> str:
        """Its Dagster partition key, `00000` and up."""
        ...

    @property
    def state(self) -> str:
        """What materializing it will do."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether materializing it makes nothing."""
        ...

    @property
    def is_current(self) -> bool:
        """Whether its file is made of what holds now, apart from what failed."""
        ...

    @property
    def num_remaining(self) -> int:
        """How much there is to make: records, or sources."""
        ...


def classify(
    group: RowGroup,
    found: FooterOrError,
    *,
    dataset: str,
    config_hash: str,
    in_earlier_version: bool,
) -> RowGroupStatus:
    """missing: no file. stale: no file here, but an earlier version has one. corrupt: unreadable, not ours, or at odds with
    its place. partial: records of the plan have no row (they failed, or the dataset was extended). complete: all are there, or
    all their candidates were rejected."""
    if found is None:
        return _without_file(group, in_earlier_version=in_earlier_version)
    everything = range(group.start, group.stop)
    if isinstance(found, CorruptFileError | UnrecognizedFileError):
        foreign = isinstance(found, UnrecognizedFileError)
        return RowGroupStatus(
            group,
            RowGroupState.CORRUPT,
            everything,
            reason=found.message,
            foreign=foreign,
        )
    expected = {
        "dataset": dataset,
        "config_hash": config_hash,
        "row_group": group.index,
        "start": group.start,
    }
    for field, value in expected.items():
        if getattr(found, field) != value:
            reason = f"its footer says {field} {getattr(found, field)!r}, but it is stored as {value!r}"
            return RowGroupStatus(
                group, RowGroupState.CORRUPT, everything, reason=reason
            )
    remaining: Sequence[int] = (
        *found.unfinished,
        *range(found.start + found.size, group.stop),
    )
    if found.resized and remaining:
        remaining = everything  # its rows are not records, so none can be kept
    state = RowGroupState.PARTIAL if remaining else RowGroupState.COMPLETE
    return RowGroupStatus(group, state, remaining, footer=found)


def scan_row_groups(
    version: VersionLayout,
    plan: DatasetPlan,
    *,
    earlier: Sequence[VersionLayout] = (),
    known: Sequence[RowGroupStatus] = (),
) -> list[RowGroupStatus]:
    """The status of every planned row group. `known` is what an earlier look of the same run found: only files that have changed
    since are read again. Raises StoreError."""
    seen = {
        status.group.index: status.file for status in known if status.file is not None
    }
    files = find_files(version, known=seen)
    complete = all(group.index in files for group in plan.row_groups)
    old: set[int] = set()
    if not complete:
        for layout in earlier:
            old.update(layout.row_group_files())
    statuses = []
    for group in plan.row_groups:
        file = files.get(group.index)
        if file is None:
            statuses.append(_without_file(group, in_earlier_version=group.index in old))
            continue
        status = classify(
            group,
            file.found,
            dataset=plan.config.name,
            config_hash=plan.fingerprint.config_hash,
            in_earlier_version=group.index in old,
        )
        statuses.append(replace(status, file=file))
    return statuses


def _without_file(group: RowGroup, *, in_earlier_version: bool) -> RowGroupStatus:
    state = RowGroupState.STALE if in_earlier_version else RowGroupState.MISSING
    return RowGroupStatus(group, state, range(group.start, group.stop))


def keys_by_state(
    statuses: Iterable[RowGroupStatus],
) -> dict[RowGroupState, tuple[str, ...]]:
    """The keys of row groups in each state, in the order of the states; empty where none is."""
    keys: dict[RowGroupState, list[str]] = {state: [] for state in RowGroupState}
    for status in statuses:
        keys[status.state].append(status.group.key)
    return {state: tuple(found) for state, found in keys.items()}


def find_row_groups(
    version: VersionLayout, *, first: int = 0
) -> Mapping[int, FooterOrError]:
    """The footer, or the fault, of every row-group file there is, from row group `first` on."""
    return {
        index: file.found for index, file in find_files(version, first=first).items()
    }


def index_row_groups(
    version: VersionLayout, statuses: Sequence[RowGroupStatus]
) -> None:
    """Write down what a look at the files found, so that the next run need not open each. Raises StoreError."""
    files = {}
    for status in statuses:
        if status.file is not None:
            files[status.group.index] = status.file
    write_index(version, files)
