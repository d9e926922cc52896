"""The data root of a file: the same wherever one stands, and never a second beginning without a word."""

from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.cli import main
from sdg_core.errors import IncompleteError, RefusedError, SeedError
from sdg_core.store.roots import PROJECT_MARKS, choose_root, project_of_data
from tests.support.pipelines import Project
from tests.support.sdg import category, dataset_config, expression, uuid, write_config

CONFIG = dataset_config(uuid(), category("plan", "free", "pro"))


@pytest.fixture(autouse=True)
def other_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that has nothing to do with the files."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def mark(folder: Path, name: str = "pyproject.toml") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).touch()


@pytest.mark.parametrize("name", PROJECT_MARKS)
def test_the_nearest_folder_with_a_mark_is_the_project(
    tmp_path: Path, name: str
) -> None:
    deep = tmp_path / "outer" / "inner" / "defs" / "reviews"
    mark(tmp_path / "outer", name)
    deep.mkdir(parents=True)
    assert project_of_data(deep) == tmp_path / "outer"
    mark(tmp_path / "outer" / "inner", name)
    assert project_of_data(deep) == tmp_path / "outer" / "inner"


def test_without_a_mark_it_is_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project_of_data(tmp_path) == tmp_path
    mark(tmp_path, ".git")
    monkeypatch.setenv("HOME", str(tmp_path))
    below = tmp_path / "below"
    assert project_of_data(below) == below  # a home directory is nobody's project


@pytest.mark.parametrize("project", [True, False])
@pytest.mark.parametrize("variable", [None, "sets", "./sets", "/absolute"])
def test_the_root_is_the_same_from_every_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: bool, variable: str | None
) -> None:
    folder = tmp_path / "project" / "defs"
    file = write_config(folder / "tickets.yaml", CONFIG)
    if project:
        mark(tmp_path / "project")
    home = tmp_path / "project" if project else folder
    expected = home / (variable if variable is not None else "data")
    env = {"SDG_ROOT": variable} if variable is not None else {}
    for place in (tmp_path, tmp_path / "project", folder, Path("/")):
        monkeypatch.chdir(place)
        assert api.open_dataset(file, env=env).layout.root == expected
        assert (
            api.open_dataset(file, root="mine", env=env).layout.root == place / "mine"
        )


def test_pipelines_and_linked_files_have_the_root_of_their_project(
    tmp_path: Path,
) -> None:
    notes = Project(
        tmp_path / "project" / "notes",
        [{"stage": "rename", "columns": {"content": "note"}}],
    ).write(a="one")
    mark(tmp_path / "project")
    assert (
        pipelines.open_pipeline(notes.file).layout.root == tmp_path / "project" / "data"
    )
    link = tmp_path / "link.yaml"
    link.symlink_to(
        write_config(tmp_path / "project" / "defs" / "tickets.yaml", CONFIG)
    )
    assert api.open_dataset(link).layout.root == tmp_path / "project" / "data"


def test_a_dataset_finds_its_upstream_from_every_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark(tmp_path / "project")
    first = write_config(
        tmp_path / "project" / "first" / "first.yaml", {**CONFIG, "name": "first"}
    )
    seeded = dataset_config(
        expression("again", "{{ plan }}"),
        name="second",
        seed_config={"source": {"seed_type": "dataset", "dataset": "first"}},
    )
    second = write_config(tmp_path / "project" / "second" / "second.yaml", seeded)
    opened = api.open_dataset(first)
    api.generate(opened)
    api.process(opened)
    monkeypatch.chdir(tmp_path)
    assert api.generate(api.open_dataset(second)).remaining == 0


def test_an_upstream_below_another_root_is_named(
    tmp_path: Path, other_directory: Path
) -> None:
    first = write_config(tmp_path / "first" / "first.yaml", {**CONFIG, "name": "first"})
    opened = api.open_dataset(first, root=str(other_directory / "data"))
    api.generate(opened)
    api.process(opened)
    seeded = dataset_config(
        expression("again", "{{ plan }}"),
        seed_config={"source": {"seed_type": "dataset", "dataset": "first"}},
    )
    second = write_config(tmp_path / "second" / "second.yaml", seeded)
    with pytest.raises(SeedError, match=f"{other_directory}/data/first has its data"):
        api.open_dataset(second)


@pytest.mark.parametrize(
    "old", ["elsewhere/data", "data", "project/data", "project/defs/data"]
)
def test_a_dataset_that_was_started_elsewhere_is_not_silently_started_again(
    tmp_path: Path, old: str
) -> None:
    """`old`: of the working directory, above the project, of a project whose mark is gone, beside the file without one."""
    file = write_config(tmp_path / "project" / "defs" / "tickets.yaml", CONFIG)
    home = tmp_path / "project" / ("defs" if old == "project/data" else "")
    mark(home)
    api.generate(api.open_dataset(file, root=str(tmp_path / old)))
    opened = api.open_dataset(file)
    assert opened.layout.root == home / "data"
    with pytest.raises(RefusedError) as refused:
        api.generate(opened)
    for word in (
        f"{tmp_path / old}/tickets holds data",
        str(home / "data" / "tickets"),
        f"--root {tmp_path / old} ",
    ):
        assert word in str(refused.value)
    refusal = api.plan(opened).refused
    assert refusal is not None and str(tmp_path / old) in refusal.message
    assert api.status(opened).other_place == str(tmp_path / old / "tickets")
    with pytest.raises(IncompleteError, match=f"add --root {tmp_path / old}"):
        api.process(opened)
    assert not (home / "data").exists()

    told: list[Any] = []
    summary = api.generate(
        api.open_dataset(file, root=str(home / "data")), on_event=told.append
    )
    assert summary.remaining == 0
    assert any(str(tmp_path / old) in getattr(event, "message", "") for event in told)
    assert api.plan(api.open_dataset(file)).nothing_to_do


def test_a_pipeline_that_was_started_elsewhere_is_not_silently_started_again(
    tmp_path: Path, other_directory: Path
) -> None:
    notes = Project(
        tmp_path / "notes", [{"stage": "rename", "columns": {"content": "note"}}]
    ).write(a="one")
    pipelines.generate(
        pipelines.open_pipeline(notes.file, root=str(other_directory / "data"))
    )
    opened = pipelines.open_pipeline(notes.file)
    with pytest.raises(RefusedError, match=f"{other_directory}/data/notes holds data"):
        pipelines.generate(opened)
    assert "holds data" in (pipelines.plan(opened).refused or "")
    assert (
        pipelines.status(opened).to_dict()["other_place"]
        == f"{other_directory}/data/notes"
    )


def test_what_a_relative_variable_meant_before_is_not_forgotten(
    tmp_path: Path, other_directory: Path
) -> None:
    file = write_config(tmp_path / "set" / "tickets.yaml", CONFIG)
    api.generate(api.open_dataset(file, root=str(other_directory / "sets")))
    with pytest.raises(
        RefusedError, match=f"{other_directory}/sets/tickets holds data"
    ):
        api.generate(api.open_dataset(file, env={"SDG_ROOT": "sets"}))


def test_another_dataset_elsewhere_is_no_reason_to_refuse(
    tmp_path: Path, other_directory: Path
) -> None:
    other = write_config(tmp_path / "other.yaml", {**CONFIG, "name": "others"})
    api.generate(api.open_dataset(other, root=str(other_directory / "data")))
    (other_directory / "data" / "tickets").mkdir()
    (other_directory / "data" / "tickets" / "notes.txt").touch()
    file = write_config(tmp_path / "set" / "tickets.yaml", CONFIG)
    assert api.generate(api.open_dataset(file)).remaining == 0


def test_a_given_root_knows_the_variable_as_another_place(tmp_path: Path) -> None:
    env = {"SDG_ROOT": str(tmp_path / "shared")}
    assert (
        choose_root(str(tmp_path / "mine"), env=env, folder=tmp_path).others[-1]
        == tmp_path / "shared"
    )
    assert choose_root("s3://bucket/x", env=env, folder=tmp_path).given


def test_the_command_refuses_with_both_places(
    tmp_path: Path, other_directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(tmp_path / "set" / "tickets.yaml", CONFIG)
    api.generate(api.open_dataset(file, root=str(other_directory / "data")))
    with pytest.raises(SystemExit) as ended:
        main.run(["generate", str(file)])
    assert ended.value.code == 2
    assert f"--root {other_directory}/data" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main.run(["status", str(file)])
    assert f"{other_directory}/data/tickets holds data" in " ".join(
        capsys.readouterr().out.split()
    )
