"""Dagster's private names: one module imports them, and the code location loads without them and says what that costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from sdg_assets import dagster_private
from tests.support.requirements import PATIENCE

ROOT = Path(__file__).parents[2]
LOAD = """
import logging, sys
from importlib import import_module
import dagster
logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(message)s")
for seam in sys.argv[1:]:
    module, name = seam.split(":")
    delattr(import_module(module), name)
from sdg_assets.definitions import defs
print("loaded", len(list(defs().resolve_all_asset_specs())))
"""


def load(*removed: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *removed],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_one_module_imports_what_dagster_does_not_promise() -> None:
    importing = set()
    for path in (ROOT / "sdg_assets").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            if any(
                part.startswith("_")
                for module in modules
                if module.startswith("dagster")
                for part in module.split(".")
            ):
                importing.add(path.name)
    assert importing == {"dagster_private.py"}


def test_the_code_location_loads_without_any_of_them_and_says_what_is_slower() -> None:
    names = dagster_private.NAMES
    output = load(*(f"{module}:{name}" for name, (module, _) in names.items()))
    assert "loaded" in output
    for name, (_, consequence) in names.items():
        assert f"no longer has {name}: {consequence}" in output


def test_nothing_is_said_while_dagster_has_them() -> None:
    assert "no longer has" not in load()
    assert dagster_private.missing() == {}


@pytest.mark.parametrize("name", dagster_private.STORAGE_NAMES)
def test_dagster_still_has_what_the_storages_build_on(name: str) -> None:
    assert dagster_private.available(name)
