"""Dagster components for synthetic datasets: `type: sdg_assets.Dataset` in a `defs.yaml`; and what belongs beside them."""

import gc

_collects = gc.isenabled()
# imports make no garbage, and looking for it among all of Dagster's objects takes a quarter of their time
gc.disable()
try:
    from sdg_assets.assets.row_groups import row_group_partitions
    from sdg_assets.automation.stale_or_missing import stale_or_missing
    from sdg_assets.components.dataset import Dataset
    from sdg_assets.components.pipeline import SourcePipeline
    from sdg_assets.inputs import DatasetIOManager, scan
    from sdg_assets.loading import load_defs
    from sdg_assets.operations import with_operations
finally:
    if _collects:
        gc.enable()

__all__ = [
    "Dataset",
    "DatasetIOManager",
    "SourcePipeline",
    "load_defs",
    "row_group_partitions",
    "scan",
    "stale_or_missing",
    "with_operations",
]
