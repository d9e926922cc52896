"""The code location of a checkout: every dataset and pipeline below `defs/`, the sensors over them, and the store they use.

The wheel has neither this nor the demos below `defs/`; `sdg init` makes a project with definitions of its own.
"""

import dagster as dg

import sdg_assets.defs
from sdg_assets.loading import load_defs
from sdg_assets.operations import with_operations


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions; loading them reads no data."""
    return with_operations(load_defs(sdg_assets.defs))
