"""The code location of each project that `sdg init` makes loads as it is."""

import importlib
import sys
from pathlib import Path

import dagster as dg
import pytest

from sdg_core import api

ASSETS = {
    "support": "row_groups",
    "qa": "row_groups",
    "blank": "row_groups",
    "pipeline": "sources",
}


@pytest.mark.parametrize("template", ASSETS)
def test_the_definitions_of_each_template_load(
    tmp_path: Path, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = api.make_project(tmp_path / f"loaded-{template}", template=template)
    monkeypatch.syspath_prepend(project.folder)
    loaded = importlib.import_module(f"{project.package}.definitions").defs()
    dg.Definitions.validate_loadable(loaded)
    name = project.file.parent.name
    keys = {
        key.to_user_string()
        for key in loaded.resolve_asset_graph().get_all_asset_keys()
    }
    assert keys == {f"{name}/{ASSETS[template]}", f"{name}/dataset"}
    for module in [
        module for module in sys.modules if module.partition(".")[0] == project.package
    ]:
        del sys.modules[module]
