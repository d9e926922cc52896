"""A code location with one pipeline: `dagster dev -m handbook_qa.definitions` in the folder above."""

from pathlib import Path

import dagster as dg

import handbook_qa.defs
from sdg_assets import with_operations


@dg.definitions
def defs() -> dg.Definitions:
    """The pipeline, and the sensors and jobs over it."""
    tree = dg.ComponentTree.from_module(defs_module=handbook_qa.defs, project_root=Path(__file__).parent.parent)
    return with_operations(tree.build_defs())
