"""A code location with one pipeline: `dagster dev -m handbook_qa.definitions` in the folder above."""

import dagster as dg

import handbook_qa.defs
from sdg_assets import load_defs, with_operations


@dg.definitions
def defs() -> dg.Definitions:
    """The pipeline, and the sensors and jobs over it."""
    return with_operations(load_defs(handbook_qa.defs))
