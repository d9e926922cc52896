"""A project as users have it: a package with `defs/<dataset>/` folders, which Dagster's processes load by its name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.sdg import write_config

MODULE = "synthetic.definitions"
_DEFINITIONS = """
import warnings
from pathlib import Path

import dagster as dg

import synthetic.defs
from sdg_assets.operations import with_operations

warnings.simplefilter("ignore")


@dg.definitions
def defs():
    tree = dg.ComponentTree.from_module(defs_module=synthetic.defs, project_root=Path(__file__).parent.parent)
    return with_operations(tree.build_defs())
"""


def write_project(directory: Path, *configs: Mapping[str, Any]) -> None:
    """A package of these datasets in `directory`, which must be on the path of the processes that load it."""
    package = directory / "synthetic"
    for folder in (package, package / "defs"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").touch()
    (package / "definitions.py").write_text(_DEFINITIONS, encoding="utf-8")
    for config in configs:
        write_dataset(directory, config)


def write_dataset(
    directory: Path, config: Mapping[str, Any], **attributes: Any
) -> Path:
    """Add or change a dataset of the project in `directory`; its file. attributes: of its component."""
    folder = directory / "synthetic" / "defs" / config["name"]
    folder.mkdir(exist_ok=True)
    component = {
        "type": "sdg_assets.Dataset",
        "attributes": {"config": "dataset.yaml", **attributes},
    }
    (folder / "defs.yaml").write_text(yaml.safe_dump(component), encoding="utf-8")
    return write_config(folder / "dataset.yaml", config)
