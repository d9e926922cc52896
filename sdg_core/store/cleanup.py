"""What killed processes left half written."""

from sdg_core.store.layout import DatasetLayout, VersionLayout, is_remote
from sdg_core.store.objects import StorePath
from sdg_core.store.temporaries import clean_temporaries


def remove_stale_temp_files(
    layout: DatasetLayout, version: VersionLayout, *more: StorePath
) -> None:
    """Remove temporaries of processes that are gone, in these directories (and `more` of them). Raises StoreError.

    On an object store the only temporary is the probe of `ensure_writable`, in the dataset's own directory.
    """
    if is_remote(layout.root):
        clean_temporaries(layout.directory)
        return
    places = (
        version.row_groups,
        version.dropped_columns,
        version.failures,
        version.rejected,
        *version.image_directories(),
        *more,
    )
    for directory in (layout.directory, version.directory, *places):
        clean_temporaries(directory)
