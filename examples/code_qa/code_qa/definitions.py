"""A code location with one pipeline: `dagster dev -m code_qa.definitions` in the folder above."""

import dagster as dg

import code_qa.defs
from sdg_assets import load_defs, with_operations


@dg.definitions
def defs() -> dg.Definitions:
    """The pipeline, and the sensors and jobs over it."""
    return with_operations(load_defs(code_qa.defs))
