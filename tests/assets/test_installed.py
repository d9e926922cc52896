"""Without a checkout: the wheel in an empty directory, as the tutorial has it."""

import zipfile
from pathlib import Path

import pytest

from sdg_core import api
from tests.support.guide import script_of
from tests.support.wheel import InstalledWheel


@pytest.fixture(scope="module")
def shop(
    installed: InstalledWheel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The project at the end of the tutorial, and what its commands wrote to stderr."""
    directory = tmp_path_factory.mktemp("empty")
    followed = installed.shell(script_of("first-dataset.md"), cwd=directory)
    assert followed.returncode == 0, followed.stderr
    return directory / "shop", followed.stderr


def test_the_wheel_has_templates_and_types_and_no_demos(
    installed: InstalledWheel,
) -> None:
    names = zipfile.ZipFile(installed.wheel).namelist()
    needed = {
        "sdg_core/py.typed",
        "sdg_assets/py.typed",
        "sdg_core/scaffold/templates/blank/dataset.yaml.tmpl",
    }
    assert needed <= set(names)
    left_out = ("sdg_assets/defs", "sdg_assets/definitions", "tests", "examples")
    assert not [name for name in names if name.startswith(left_out)]


def test_the_tutorial_ends_with_a_sealed_dataset(shop: tuple[Path, str]) -> None:
    project, _ = shop
    dataset = api.open_dataset(project / "shop/defs/reviews/dataset.yaml")
    assert dataset.layout.root == project / "data"
    assert api.status(dataset).sealed
    assert (
        len((project / "reviews.jsonl").read_text(encoding="utf-8").splitlines()) == 200
    )
    assert (project / ".dagster").is_dir()


def test_dagster_warns_of_nothing_of_ours(shop: tuple[Path, str]) -> None:
    _, written = shop
    assert "RUN_SUCCESS" in written
    assert [
        line
        for line in written.splitlines()
        if "Warning" in line and "Supersession" not in line
    ] == []


def test_the_project_imports_the_wheel(
    installed: InstalledWheel, shop: tuple[Path, str]
) -> None:
    where = "import sdg_core, sdg_assets; print(sdg_core.__file__, sdg_assets.__file__)"
    found = installed.shell(f"python -c '{where}'", cwd=shop[0])
    assert found.stdout.count(str(installed.python.parents[1])) == 2


def test_the_page_on_dagster_adds_a_dataset_to_a_project(
    installed: InstalledWheel, tmp_path: Path
) -> None:
    followed = installed.shell(script_of("dagster.md"), cwd=tmp_path)
    assert followed.returncode == 0, followed.stderr
    assert "All definitions loaded successfully" in followed.stdout
    assert "arning" not in followed.stdout + followed.stderr
    assert (tmp_path / "shop" / "shop" / "defs" / "reviews" / "dataset.yaml").is_file()
