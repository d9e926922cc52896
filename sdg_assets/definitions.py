"""The code location: every dataset and pipeline below `defs/`, the sensors over them, and the store they use."""

import warnings
from pathlib import Path

import dagster as dg

import sdg_assets.defs
from sdg_assets.dagster_private import warn_of_missing
from sdg_assets.operations import with_operations


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions; loading them reads no data."""
    warn_of_missing()
    # As `dg.load_from_defs_folder` does, but needs no pyproject.toml to find the folder, and does not warn when the location
    # is loaded under another name than the checkout's directory has.
    tree = dg.ComponentTree.from_module(defs_module=sdg_assets.defs, project_root=Path(__file__).parent.parent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        warnings.simplefilter("ignore", category=dg.PreviewWarning)
        loaded = tree.build_defs()
    return with_operations(loaded)
