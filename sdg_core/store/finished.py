"""The files of a finished dataset, for those that read it: another dataset's seed data."""

from sdg_core.errors import SeedError
from sdg_core.store.atomic import store_errors
from sdg_core.store.layout import DatasetLayout, part_files
from sdg_core.store.metadata import read_current, read_metadata
from sdg_core.store.objects import StorePath


def finished_parts(layout: DatasetLayout) -> tuple[StorePath, ...]:
    """The files of the version last generated into, in order.

    Raises SeedError if there is none or it is not sealed (what is not sealed may still change), and a MetadataError if that
    cannot be told.
    """
    name = layout.dataset
    current = read_current(layout.current)
    if current is None:
        raise SeedError(
            f"the seed data is dataset {name!r}, but {layout.directory} holds no data",
            remedy=f"`sdg generate` and `sdg process` its file with the same root, or materialize {name}/row_groups and "
            f"then {name}/dataset",
        )
    version = layout.version(current)
    metadata = read_metadata(version.metadata)
    with store_errors("list", version.processed_dataset):
        parts = part_files(version.processed_dataset)
    if metadata.post_generation_state != "complete" or not parts:
        raise SeedError(
            f"the seed data is dataset {name!r}, but its version {current} is not finished: "
            f"{metadata.num_completed_batches} of {metadata.total_num_batches} row groups are complete, and it is not sealed",
            remedy=f"`sdg process` its file, or materialize {name}/dataset",
        )
    return parts
