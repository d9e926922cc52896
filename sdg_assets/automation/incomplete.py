"""What a dataset or a pipeline still has to make, and the run requests that ask for it: shared by schedules and sensors."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from sdg_assets.assets.catalog import Ref
from sdg_assets.opened.base import Opened
from sdg_assets.opened.files import open_file
from sdg_core import api
from sdg_core.counts import counted
from sdg_core.errors import SdgError, SeedNotReadError

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
DATASET_TAG = "sdg/dataset"
Range = tuple[int, int]


@dataclass(frozen=True)
class Incomplete:
    """Partitions that are not complete.

    remaining: how much of each such partition there is to make: records, or sources. total: how many partitions there are.
    """

    fingerprint: str
    remaining: Mapping[int, int]
    total: int


def find_incomplete(
    ref: Ref, *, root: str | None, known: Collection[str], opened: Opened | None = None
) -> Incomplete | str:
    """What there is to make by the files, or why nothing may be asked for: it is complete, sealed, or at fault.

    known: the partitions that Dagster knows; others are not asked for. opened: what the caller has opened already; without it,
    no code of the file is run.
    """
    try:
        opened = opened or open_file(ref.path, root=root)
        if (sealed := opened.seal) is not None:
            return f"{ref.label} is sealed: version {sealed.layout.name} has been post-processed"
        layout = opened.dataset.layout
        if (other := layout.other_place()) is not None and not layout.root_given:
            return f"{ref.label} holds no data in {layout.directory}, but {other} does: set SDG_ROOT, or move it"
        partitions = opened.partitions
    except SeedNotReadError as error:
        return _all_of_it(ref, root=root, known=known) or f"{ref.label}: {error}"
    except SdgError as error:
        return f"{ref.label}: {error}"
    if opened.name != ref.name:
        return f"{ref.path} now describes {opened.name!r} instead of {ref.name!r}: reload the code location"
    left = [one for one in partitions if not one.is_settled]
    if not left and len(partitions) == 1:
        return f"the only {ref.PARTITION} of {ref.label} is complete"
    if not left:
        return f"all {len(partitions)} {ref.PARTITIONS} of {ref.label} are complete"
    found = {one.index: one.num_remaining for one in left if one.key in known}
    if not found:
        return (
            f"{ref.label} has {counted(len(left), ref.PARTITION)} that this code location does not "
            f"know yet: {ref.LEARNS}"
        )
    return Incomplete(opened.config_hash, found, len(partitions))


def _all_of_it(
    ref: Ref, *, root: str | None, known: Collection[str]
) -> Incomplete | None:
    """Every partition, where nothing was ever made: the run reads the seed data, which no sensor does if that runs code or
    opens a connection."""
    layout = api.stored_layout(ref.name, root=root, folder=ref.path.parent)
    if layout.versions():
        return None
    indices = [int(key) for key in known]
    return Incomplete("", dict.fromkeys(indices, 1), len(known))


def ranges_of(ref: Ref, indices: Iterable[int]) -> list[Range]:
    """Contiguous ranges, none longer than one run may be."""
    return api.contiguous_ranges(indices, at_most=ref.max_per_run)


def range_requests(
    ref: Ref,
    ranges: Iterable[Range],
    *,
    tick: str,
    tags: Mapping[str, str] | None = None,
) -> Iterator[dg.RunRequest]:
    """One run request per range. `tick` tells the requests of one evaluation from those of the next."""
    for first, last in ranges:
        yield dg.RunRequest(
            run_key=f"{ref.label}:{tick}:{first}-{last}",
            asset_selection=[ref.partitioned_key],
            tags={
                RANGE_START: api.row_group_key(first),
                RANGE_END: api.row_group_key(last),
                DATASET_TAG: ref.name,
                **(tags or {}),
            },
        )
