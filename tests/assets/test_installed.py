"""Without a checkout: the wheel, and the project that `sdg init` makes with it in an empty directory."""

import zipfile
from pathlib import Path

import pytest

from sdg_core import api
from tests.support.wheel import InstalledWheel

DG = "from dagster_dg_cli.cli import main; main()"


@pytest.fixture(scope="module")
def project(installed: InstalledWheel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project made by the installed command."""
    directory = tmp_path_factory.mktemp("empty")
    made = installed.sdg("init", "shop", "--template", "support", cwd=directory)
    assert made.returncode == 0, made.stderr
    assert "cd shop" in made.stdout
    return directory / "shop"


def test_the_wheel_has_templates_and_types_and_no_demos(installed: InstalledWheel) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    assert {"sdg_core/py.typed", "sdg_assets/py.typed", "sdg_core/scaffold/templates/blank/dataset.yaml.tmpl"} <= set(
        names
    )
    assert not [
        name for name in names if name.startswith(("sdg_assets/defs", "sdg_assets/definitions", "tests", "examples"))
    ]


def test_the_command_works_in_the_project(installed: InstalledWheel, project: Path) -> None:
    file = "shop/defs/support_tickets/dataset.yaml"
    generated = installed.sdg("generate", file, "--row-groups", "0-1", cwd=project)
    assert generated.returncode == 0, generated.stderr
    assert (project / "data/support_tickets/current.json").is_file()
    where = installed.run(
        "-c", "import sdg_core, sdg_assets; print(sdg_core.__file__, sdg_assets.__file__)", cwd=project
    )
    assert where.stdout.count(str(installed.python.parents[1])) == 2


def test_dagster_works_in_the_project(installed: InstalledWheel, project: Path) -> None:
    checked = installed.run("-c", DG, "check", "defs", cwd=project)
    assert checked.returncode == 0, checked.stderr
    assert "All definitions loaded successfully" in checked.stdout
    assert "arning" not in checked.stdout + checked.stderr
    select = ("-m", "shop.definitions", "--select", "support_tickets/row_groups", "--partition-range", "00001...00002")
    made = installed.run("-m", "dagster", "asset", "materialize", *select, cwd=project)
    assert made.returncode == 0, made.stderr
    assert "RUN_SUCCESS" in made.stderr
    assert [line for line in made.stderr.splitlines() if "Warning" in line and "Supersession" not in line] == []
    dataset = api.open_dataset(project / "shop/defs/support_tickets/dataset.yaml", root=str(project / "data"))
    states = [status.state.value for status in api.row_group_statuses(dataset)]
    assert states == ["complete", "complete", "complete", "missing"]
    assert (project / ".dagster").is_dir()
