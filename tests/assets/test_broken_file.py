"""One file that cannot be used leaves the rest of its code location loaded."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from sdg_assets import load_defs, with_operations
from sdg_assets.components.broken import VALIDATING
from sdg_core.errors import ConfigError
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import dataset_config, uuid, write_config

pytestmark = DAGSTER_WARNINGS

Load = Callable[..., dg.Definitions]
GOOD = dataset_config(uuid(), num_records=20, row_group_size=10)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Loads a project with one folder for each component: its type, and the text of its file, None for no file at all."""
    package = f"shop_{tmp_path.name.replace('-', '_').lower()}"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SDG_ROOT", str(tmp_path / "data"))

    def loaded(**components: tuple[str, str | None]) -> dg.Definitions:
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        for name, (kind, text) in components.items():
            (folder / name).mkdir()
            attributes = "config: config.yaml\n  owners: ['team:data']"
            (folder / name / "defs.yaml").write_text(
                f"type: sdg_assets.{kind}\nattributes:\n  {attributes}\n"
            )
            if text is not None:
                (folder / name / "config.yaml").write_text(text)
        return load_defs(importlib.import_module(package))

    yield loaded
    for module in [
        module for module in sys.modules if module.partition(".")[0] == package
    ]:
        del sys.modules[module]


def good(tmp_path: Path, name: str = "tickets") -> str:
    return write_config(tmp_path / f"{name}.yaml", {**GOOD, "name": name}).read_text()


FAULTS = {
    "an unknown key": (
        "Dataset",
        "name: reviews\nnum_records: 5\ncolour: red\n",
        "reviews",
        "line 3, colour",
    ),
    "no YAML": ("Dataset", "name: [reviews\n", "bad", "config.yaml"),
    "no file": ("Dataset", None, "bad", "config.yaml"),
    "no number of records": (
        "Dataset",
        "name: reviews\ncolumns: []\n",
        "reviews",
        "columns",
    ),
    "a pipeline": (
        "SourcePipeline",
        "kind: pipeline\nname: reviews\nstages: 3\n",
        "reviews",
        "stages",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_shows_as_one_asset_that_says_why(
    load: Load, tmp_path: Path, fault: str
) -> None:
    kind, text, name, said = FAULTS[fault]
    definitions = with_operations(
        load(bad=(kind, text), fine=("Dataset", good(tmp_path)))
    )
    repository = definitions.get_repository_def()
    repository.load_all_definitions()
    broken = dg.AssetKey([name, "dataset"])
    found = {key.to_user_string() for key in repository.assets_defs_by_key}
    assert found == {"tickets/row_groups", "tickets/dataset", f"{name}/dataset"}
    described = repository.assets_defs_by_key[broken].descriptions_by_key[broken] or ""
    block = described.partition("```\n")[2]  # its lines stay lines on the page
    assert said in block and block.endswith("\n```")
    job = repository.get_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        tickets = dg.AssetKey(["tickets", "row_groups"])
        assert job.execute_in_process(
            instance=instance, asset_selection=[tickets], partition_key="00000"
        ).success
        result = job.execute_in_process(
            instance=instance, asset_selection=[broken], raise_on_error=False
        )
        [failure] = [event for event in result.all_events if event.is_step_failure]
        assert said in str(failure.step_failure_data.user_failure_data.description)  # type: ignore[union-attr]


def test_of_two_files_with_one_name_the_second_is_broken(
    load: Load, tmp_path: Path
) -> None:
    pipeline = (
        "kind: pipeline\nname: tickets\nsources: {reader: files, path: '*.txt'}\n"
    )
    components = {
        "one": ("Dataset", good(tmp_path)),
        "other": ("Dataset", good(tmp_path)),
        "third": ("SourcePipeline", pipeline),
        "fine": ("Dataset", good(tmp_path, "reviews")),
    }
    repository = with_operations(load(**components)).get_repository_def()
    repository.load_all_definitions()
    found = {key.to_user_string() for key in repository.assets_defs_by_key}
    broken = {"tickets_of_other/dataset", "tickets_of_third/dataset"}
    assert (
        found
        == {
            "tickets/row_groups",
            "tickets/dataset",
            "reviews/row_groups",
            "reviews/dataset",
        }
        | broken
    )
    key = dg.AssetKey(["tickets_of_other", "dataset"])
    said = repository.assets_defs_by_key[key].descriptions_by_key[key] or ""
    assert (
        "is named 'tickets', and so is" in said
        and "one/config.yaml" in said
        and "another name" in said
    )


def names(definitions: dg.Definitions) -> set[str]:
    repository = with_operations(definitions).get_repository_def()
    repository.load_all_definitions()
    return {key.to_user_string() for key in repository.assets_defs_by_key}


UNREADABLE = "name: [reviews\n"
FINE = {"tickets/row_groups", "tickets/dataset"}


def test_a_file_whose_name_cannot_be_read_takes_nobodys(
    load: Load, tmp_path: Path
) -> None:
    """Its folder is named as another dataset is."""
    found = names(load(fine=("Dataset", good(tmp_path)), tickets=("Dataset", None)))
    assert found == FINE | {"tickets_2/dataset"}


def test_what_is_wrong_with_a_file_is_said_before_whose_name_it_has(
    load: Load, tmp_path: Path
) -> None:
    repository = load(
        fine=("Dataset", good(tmp_path)), tickets=("Dataset", UNREADABLE)
    ).get_repository_def()
    key = dg.AssetKey(["tickets_of_tickets", "dataset"])
    assert "check the indentation" in (
        repository.assets_defs_by_key[key].descriptions_by_key[key] or ""
    )


def test_folders_of_one_name_and_one_file_of_two_components(
    load: Load, tmp_path: Path
) -> None:
    def add(folder: str, config: str, text: str | None = None) -> None:
        place = next(tmp_path.glob("shop_*")) / folder
        place.mkdir(parents=True)
        (place / "defs.yaml").write_text(
            f"type: sdg_assets.Dataset\nattributes: {{config: {config}}}\n"
        )
        if text is not None:
            (place / "config.yaml").write_text(text)

    load(fine=("Dataset", good(tmp_path)))
    add("a/reviews", "config.yaml")
    add("b/reviews", "config.yaml", None)
    add("y/again", "../../fine/config.yaml")
    add("z/again", "../../fine/config.yaml")
    package = next(tmp_path.glob("shop_*")).name
    found = names(load_defs(importlib.import_module(package)))
    stand_ins = {
        "reviews/dataset",
        "reviews_2/dataset",
        "tickets_of_again/dataset",
        "tickets_of_again_2/dataset",
    }
    assert found == FINE | stand_ins


def test_alone_or_when_definitions_are_checked_it_is_an_error(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text, _, said = FAULTS["an unknown key"]
    monkeypatch.setenv(VALIDATING, "1")
    with pytest.raises(Exception, match="building definitions") as raised:
        load(bad=("Dataset", text), fine=("Dataset", good(tmp_path)))
    causes = [raised.value]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)  # type: ignore[arg-type]
    assert any(
        isinstance(cause, ConfigError) and said in str(cause) for cause in causes
    )
