"""What killed processes left half written."""

from sdg_core.store.atomic import clean_temporaries
from sdg_core.store.layout import DatasetLayout, VersionLayout, is_remote


def clean_leftovers(layout: DatasetLayout, version: VersionLayout) -> None:
    """Remove temporaries of processes that are gone. Raises StoreError.

    On an object store the only temporary is the probe of `ensure_writable`, in the dataset's own directory.
    """
    if is_remote(layout.root):
        clean_temporaries(layout.directory)
        return
    places = (version.row_groups, version.dropped_columns, version.failures, *version.image_directories())
    for directory in (layout.directory, version.directory, *places):
        clean_temporaries(directory)
