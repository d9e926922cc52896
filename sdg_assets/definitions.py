"""The code location: every dataset and pipeline below `defs/`, the sensors over them, and the store they use."""

from pathlib import Path

import dagster as dg

from sdg_assets.resources import StoreResource
from sdg_assets.sensors import reject_post_processed


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions; loading them reads no data."""
    loaded = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    common = dg.Definitions(sensors=[reject_post_processed], resources={"store": StoreResource()})
    return dg.Definitions.merge(loaded, common)
