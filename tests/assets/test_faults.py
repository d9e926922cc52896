"""Every fault that a user's project met has a test: the table of `docs/design/dagster-projects.md` is true.

Here are also the tests that belong to no other file.
"""

import ast
import re
from pathlib import Path

import dagster as dg
import pytest

from sdg_assets.event_storage import BatchingSqliteEventLogStorage
from sdg_assets.recording import row_group_recorder
from sdg_core import api
from sdg_core.errors import SdgError
from tests.support.code_location import CodeLocation
from tests.support.dagster_process import DAGSTER_WARNINGS
from tests.support.sdg import PROJECT, category, dataset_config, uuid, write_config

pytestmark = DAGSTER_WARNINGS

PAGE = PROJECT / "docs" / "design" / "dagster-projects.md"
FAULTS = [
    f"{letter}{number}"
    for letter, last in (("A", 5), ("B", 8), ("C", 13))
    for number in range(1, last + 1)
]


def rows() -> list[tuple[str, list[str]]]:
    """What each row of a table is about, and the tests that it names."""
    lines = [
        line.split("|")
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    return [
        (cells[1].strip(), re.findall(r"`(test_\w+\.py::\w+)`", cells[-2]))
        for cells in lines
    ]


def test_every_fault_has_a_test_that_is_there() -> None:
    found = [row for row in rows() if row[0] not in ("fault", "page", "promise")]
    assert [about for about, _ in found if re.fullmatch(r"[ABC]\d+", about)] == FAULTS
    assert [about for about, tests in found if not tests] == []
    known = {
        f"{path.name}::{node.name}"
        for path in (PROJECT / "tests" / "assets").glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name for _, tests in found for name in tests} <= known


def test_c3_the_log_of_a_run_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_group_recorder, "PROGRESS_EVERY", 0.0)
    location = CodeLocation(tmp_path)
    location.write(dataset_config(uuid(), num_records=20, row_group_size=10))
    tags = {
        "dagster/asset_partition_range_start": "00000",
        "dagster/asset_partition_range_end": "00001",
    }
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = location.materialize(instance, "tickets/row_groups", tags=tags).run_id
        said = [entry.user_message for entry in instance.all_logs(run_id)]
    assert any(
        "20 records to generate in 2 row groups; complete already: 0" in line
        for line in said
    )
    assert any(
        line.startswith("20 of 20 records generated, 0 failed; 2 of 2 row groups")
        for line in said
    )


def test_c4_the_instance_of_a_project_frees_places_and_writes_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = api.make_project(tmp_path / "shop", template="blank")
    monkeypatch.chdir(project.folder)
    with dg.DagsterInstance.from_config(str(project.folder)) as instance:
        assert isinstance(instance.event_log_storage, BatchingSqliteEventLogStorage)
        assert (
            instance.get_concurrency_config().pool_config.pool_granularity is not None
        )
        assert (
            instance.get_concurrency_config().pool_config.pool_granularity.value
            == "run"
        )
        assert instance.run_monitoring_enabled


def test_b7_the_history_of_a_project_is_the_same_from_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its paths are relative in `dagster.yaml`, so that the folder can be moved and shared."""
    project = api.make_project(tmp_path / "shop", template="blank")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(project.folder)
    with dg.DagsterInstance.from_config(str(project.folder)) as instance:
        run = instance.add_run(dg.DagsterRun("reviews"))
        assert dg.AssetKey("reviews") not in instance.all_asset_keys()
        instance.report_runless_asset_event(dg.AssetMaterialization("reviews"))
    monkeypatch.setenv("DAGSTER_HOME", str(project.folder))
    monkeypatch.chdir(tmp_path / "elsewhere")
    with dg.DagsterInstance.get() as instance:
        assert instance.has_run(run.run_id)
        assert dg.AssetKey("reviews") in instance.all_asset_keys()
        places = (
            instance.storage_directory(),
            instance.compute_log_manager.get_log_metadata(["x"]),
        )
        assert places[0] == str(project.folder / ".dagster" / "storage")
        assert str(places[1].stdout_location).startswith(
            str(project.folder / ".dagster")
        )
        with dg.DagsterInstance.from_ref(instance.get_ref()) as worker:
            assert worker.has_run(run.run_id), "the processes of a run find it, too"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_c4_the_guide_says_it_for_instances_of_ones_own() -> None:
    said = (
        (PROJECT / "docs" / "guide" / "dagster.md")
        .read_text(encoding="utf-8")
        .partition("## Concurrency")[2]
    )
    assert "granularity: run" in said
    assert "BatchingSqliteEventLogStorage" in said


@pytest.mark.parametrize(
    ("wrong", "answer"),
    [
        ("input", ("did you mean 'prompt_tokens'",)),
        ("price_per_token", ("prompt_tokens", "completion_tokens")),
    ],
)
def test_c13_an_unknown_key_is_answered_with_those_there_are(
    tmp_path: Path, wrong: str, answer: tuple[str, ...]
) -> None:
    config = dataset_config(category("n", 1, 2))
    config["model_providers"] = [{"name": "p", "provider_type": "simulated"}]
    config["model_configs"] = [
        {"alias": "m", "model": "m", "provider": "p", "prices": {wrong: 1.0}}
    ]
    with pytest.raises(SdgError) as refused:
        api.open_dataset(write_config(tmp_path / "dataset.yaml", config))
    said = str(refused.value)
    assert f"model_configs[0].prices.{wrong}: unknown key" in said
    assert all(words in said for words in answer)
