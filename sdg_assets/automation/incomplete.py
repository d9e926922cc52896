"""What a dataset lacks, and the run requests that ask for it: shared by schedules, the resume sensor and automation."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from sdg_assets.assets.catalog import DatasetRef
from sdg_core import api
from sdg_core.api import RowGroupState, contiguous_ranges, row_group_key
from sdg_core.errors import SdgError, SeedNotReadError

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
DATASET_TAG = "sdg/dataset"
Range = tuple[int, int]


@dataclass(frozen=True)
class IncompleteRowGroups:
    """Row groups that are not complete.

    records: the number of remaining records of each such row group. total: how many row groups the dataset has.
    """

    fingerprint: str
    records: Mapping[int, int]
    total: int


def find_incomplete(dataset: DatasetRef, *, root: str | None) -> IncompleteRowGroups | str:
    """What a dataset lacks by its files, or why nothing may be asked for: it is complete, sealed, or at fault."""
    try:
        opened = api.open_dataset(dataset.path, root=root, offline=True)
        if (sealed := api.seal_of(opened)) is not None:
            return f"{dataset.name} is sealed: version {sealed.layout.name} has been post-processed"
        if (other := opened.layout.other_place()) is not None and not opened.layout.root_given:
            return (
                f"{dataset.name} holds no data in {opened.layout.directory}, but {other} does: set SDG_ROOT, or move it"
            )
        statuses = api.row_group_statuses(opened)
    except SeedNotReadError as error:
        return _all_of_it(dataset, root=root) or f"{dataset.name}: {error}"
    except SdgError as error:
        return str(error)
    if opened.name != dataset.name:
        return f"{dataset.path} now describes {opened.name!r} instead of {dataset.name!r}: reload the code location"
    records = {s.group.index: len(s.remaining) for s in statuses if s.state is not RowGroupState.COMPLETE}
    if not records:
        return f"all {len(statuses)} row groups of {dataset.name} are complete"
    known = {index: count for index, count in records.items() if index < dataset.num_row_groups}
    if not known:
        added = len(statuses) - dataset.num_row_groups
        return f"{dataset.name} has {added} row groups that this code location does not know yet: reload it"
    return IncompleteRowGroups(opened.plan.fingerprint.config_hash, known, len(statuses))


def _all_of_it(dataset: DatasetRef, *, root: str | None) -> IncompleteRowGroups | None:
    """Every row group, where nothing was ever made: the run reads the seed data, which no sensor does if that runs code or
    opens a connection."""
    layout = api.stored_layout(dataset.name, root=root, folder=dataset.path.parent)
    if layout.versions():
        return None
    groups = range(dataset.num_row_groups)
    return IncompleteRowGroups("", dict.fromkeys(groups, 1), len(groups))


def ranges_of(dataset: DatasetRef, indices: Iterable[int]) -> list[Range]:
    """Contiguous ranges, none longer than one run of this dataset may be."""
    return contiguous_ranges(indices, at_most=dataset.max_row_groups_per_run)


def range_requests(
    dataset: DatasetRef, ranges: Iterable[Range], *, tick: str, tags: Mapping[str, str] | None = None
) -> Iterator[dg.RunRequest]:
    """One run request per range. `tick` tells the requests of one evaluation from those of the next."""
    for first, last in ranges:
        yield dg.RunRequest(
            run_key=f"{dataset.name}:{tick}:{first}-{last}",
            asset_selection=[dataset.row_groups_key],
            tags={
                RANGE_START: row_group_key(first),
                RANGE_END: row_group_key(last),
                DATASET_TAG: dataset.name,
                **(tags or {}),
            },
        )
