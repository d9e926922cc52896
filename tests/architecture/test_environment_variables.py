"""Environment variables are declared once, and the docs page says what the table says."""

import re

from sdg_core.system.environment_variables import ENVIRONMENT_VARIABLES, markdown_table
from tests.support.sdg import PROJECT

DECLARED = PROJECT / "sdg_core" / "system" / "environment_variables.py"
QUOTED = re.compile(r"""["'](SDG_[A-Z_]+)["']""")


def test_the_docs_page_is_the_table() -> None:
    page = (PROJECT / "docs" / "guide" / "environment.md").read_text(encoding="utf-8")
    assert page.endswith(f"\n{markdown_table()}\n")


def test_no_variable_is_read_that_is_not_in_the_table() -> None:
    names = {variable.name for variable in ENVIRONMENT_VARIABLES}
    assert len(names) == len(ENVIRONMENT_VARIABLES)
    found: dict[str, set[str]] = {}
    for package in ("sdg_core", "sdg_assets"):
        for path in (PROJECT / package).rglob("*.py"):
            for name in QUOTED.findall(path.read_text(encoding="utf-8")):
                found.setdefault(name, set()).add(path.relative_to(PROJECT).as_posix())
    assert set(found) == names, "each is declared, and each is read"
    elsewhere = {
        name: files - {DECLARED.relative_to(PROJECT).as_posix()}
        for name, files in found.items()
    }
    # the worker of Celery imports nothing of the engine
    assert {
        name: files
        for name, files in elsewhere.items()
        if files - {"sdg_assets/celery_worker.py"}
    } == {}
