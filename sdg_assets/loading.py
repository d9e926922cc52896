"""Loading the components below a `defs` package, under whatever name a code location has and wherever it was started."""

import warnings
from pathlib import Path
from types import ModuleType

import dagster as dg

from sdg_assets.dagster_private import warn_of_missing


def load_defs(defs_module: ModuleType) -> dg.Definitions:
    """The definitions of every component below a package, as `import my_project.defs` gives it; reads no data.

    As `dg.load_from_defs_folder`, but it needs no pyproject.toml to find the folder, and warns neither of a location that is
    loaded under another name nor of beta and deprecated features that Dagster uses itself (from here on: it builds the rest
    later).
    """
    warn_of_missing()
    folder = Path(defs_module.__path__[0])
    package = folder.parents[defs_module.__name__.count(".")]
    root = package
    for parent in folder.parents:
        if (parent / "pyproject.toml").is_file():
            root = parent
            break
    tree = dg.ComponentTree.from_module(defs_module=defs_module, project_root=root)
    for category in (dg.BetaWarning, dg.PreviewWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", category=category, module=r"dagster\.")
    return tree.build_defs()
