"""`sdg init`: projects that generate as they are, in folders that hold nothing else."""

import re
from pathlib import Path

import jsonschema_rs
import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.errors import RefusedError, StoreError
from sdg_core.scaffold.project import DATASETS, TEMPLATES, name_of_folder
from tests.support.sdg import PROJECT, sdg


@pytest.mark.parametrize("template", DATASETS)
def test_each_template_generates_as_it_is(tmp_path: Path, template: str) -> None:
    project = api.make_project(tmp_path / "Corner Shop", template=template)
    assert project.package == "corner_shop"
    assert project.file.is_relative_to(project.folder / "corner_shop" / "defs")
    root = str(tmp_path / "data")
    if template == "pipeline":
        assert (
            pipelines.generate(pipelines.open_pipeline(project.file, root=root)).made
            == 2
        )
        assert (
            pipelines.process(pipelines.open_pipeline(project.file, root=root)).num_rows
            > 0
        )
    else:
        made = api.generate(api.open_dataset(project.file, root=root), row_groups=[0])
        assert made.generated > 0
        assert made.failed == 0
        assert all(
            column.description
            for column in api.load_dataset(project.file).config.columns
        )


@pytest.mark.parametrize("template", DATASETS)
def test_nothing_is_left_to_fill_in_and_editors_find_the_schema(
    tmp_path: Path, template: str
) -> None:
    project = api.make_project(tmp_path / "shop", template=template)
    for path in (path for path in project.folder.rglob("*") if path.is_file()):
        assert path.suffix != ".tmpl"
        assert (
            re.findall(r"__[A-Z_]+__", f"{path} {path.read_text(encoding='utf-8')}")
            == []
        )
    first = project.file.read_text(encoding="utf-8").splitlines()[0]
    schema = project.file.parent / first.removeprefix(
        "# yaml-language-server: $schema="
    )
    data = yaml.safe_load(project.file.read_text(encoding="utf-8"))
    jsonschema_rs.validate(
        orjson.loads(schema.read_bytes()),
        orjson.loads(orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS)),
    )


def test_the_instance_is_that_of_the_checkout() -> None:
    template = (TEMPLATES / "project" / "dagster.yaml.tmpl").read_text(encoding="utf-8")
    assert yaml.safe_load(template) == yaml.safe_load(
        (PROJECT / "dagster.yaml").read_text(encoding="utf-8")
    )


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "notes.txt").write_text("mine")
    with pytest.raises(RefusedError, match=r"shop is not empty: it holds notes\.txt"):
        api.make_project(tmp_path / "shop")
    assert [path.name for path in (tmp_path / "shop").iterdir()] == ["notes.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusedError, match="is a file"):
        api.make_project(tmp_path / "file")


def test_an_empty_folder_may_be_there_with_what_one_needs_first(tmp_path: Path) -> None:
    for name in (".git", ".venv"):
        (tmp_path / "shop" / name).mkdir(parents=True)
    assert api.make_project(tmp_path / "shop").file.is_file()


@pytest.mark.parametrize(
    "name", ["json", "dagster", "sdg_core", "tests", "class", "NumPy"]
)
def test_a_name_that_python_has_a_use_for_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RefusedError, match="choose another name"):
        api.make_project(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_template_and_a_folder_that_cannot_be_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(RefusedError, match="use one of support, qa, pipeline, blank"):
        api.make_project(tmp_path / "shop", template="suport")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write the project"):
        api.make_project(tmp_path / "file" / "shop")


@given(st.text(max_size=20))
def test_every_folder_names_a_package(folder: str) -> None:
    name = name_of_folder(folder, otherwise="project")
    assert name.isidentifier()
    assert name == name.lower()


def test_the_command_says_what_comes_next(tmp_path: Path) -> None:
    made = sdg("init", "shop", "--template", "qa", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "sdg generate shop/defs/product_qa/dataset.yaml" in made.stdout
    again = sdg("init", "shop", cwd=tmp_path)
    assert again.returncode == 2
    assert "is not empty" in again.stderr
    assert "Traceback" not in again.stderr
    assert sdg("init", "other", "--template", "suport", cwd=tmp_path).returncode == 2
