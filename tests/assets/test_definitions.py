"""What the code location defines, that its files' faults are named by place, and that Dagster's own tools load it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import sdg_assets
from sdg_assets.assets.spec import load_spec
from sdg_assets.automation.sensors import reject_post_processed
from sdg_assets.components.dataset import Dataset
from sdg_assets.definitions import defs
from sdg_assets.resources import StoreResource
from sdg_core.errors import ConfigError, PlanError
from tests.support.dagster_process import DAGSTER_WARNINGS, MODULE, PROJECT, DagsterHome
from tests.support.requirements import require_module

pytestmark = [pytest.mark.xdist_group("definitions"), *DAGSTER_WARNINGS]

PASSAGES = dg.AssetKey(["python_docs", "passages"])
COLUMNS = (
    "columns: [{column_type: sampler, name: id, sampler_type: uuid, params: {}}]\n"
)
PYPROJECT = """
[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "shop"
"""
LOAD = """
from pathlib import Path
import dagster as dg
dg.load_from_defs_folder(path_within_project=Path("."))
"""
INSTALLED = "import os; from sdg_assets.definitions import defs; print(len(defs().get_repository_def().assets_defs_by_key))"


def key(text: str) -> dg.AssetKey:
    return dg.AssetKey(text.split("/"))


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return defs().get_repository_def()


@pytest.mark.parametrize(
    ("dataset", "groups", "upstream"),
    [("python_qa", 8, [PASSAGES]), ("support_tickets", 4, [])],
)
def test_a_dataset_is_two_assets(
    repository: dg.RepositoryDefinition,
    dataset: str,
    groups: int,
    upstream: list[dg.AssetKey],
) -> None:
    row_groups, finished = key(f"{dataset}/row_groups"), key(f"{dataset}/dataset")
    definition = repository.assets_defs_by_key[row_groups]
    assert isinstance(definition.partitions_def, dg.StaticPartitionsDefinition)
    assert definition.partitions_def.get_partition_keys() == [
        f"{index:05d}" for index in range(groups)
    ]
    assert definition.backfill_policy == dg.BackfillPolicy.single_run()
    assert definition.group_names_by_key == {row_groups: dataset}
    assert (
        definition.op.tags.get("dagster/retry_policy") is None
        and definition.op.retry_policy is None
    )
    spec = definition.specs_by_key[row_groups]
    assert [dep.asset_key for dep in spec.deps] == upstream
    assert spec.skippable, (
        "the output is optional: a required one would claim the whole range"
    )
    assert spec.code_version is not None and spec.code_version.startswith("sha256:")

    after = repository.assets_defs_by_key[finished]
    assert after.partitions_def is None
    assert after.group_names_by_key == {finished: dataset}
    assert [dep.asset_key for dep in after.specs_by_key[finished].deps] == [row_groups]
    assert after.specs_by_key[finished].code_version == spec.code_version


def test_component_attributes_reach_the_assets(
    repository: dg.RepositoryDefinition,
) -> None:
    for name in ("row_groups", "dataset"):
        spec = repository.assets_defs_by_key[key(f"python_qa/{name}")].specs_by_key[
            key(f"python_qa/{name}")
        ]
        assert list(spec.owners) == ["team:data"]


def test_sensor_and_schedule(repository: dg.RepositoryDefinition) -> None:
    sensor = repository.get_sensor_def("reject_post_processed")
    assert sensor is reject_post_processed
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 1
    schedule = repository.get_schedule_def("python_qa_schedule")
    assert schedule.cron_schedule == "0 2 * * *"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert not repository.has_schedule_def("support_tickets_schedule")


def test_code_version_follows_what_changes_the_data_and_nothing_else(
    tmp_path: Path,
) -> None:
    def version(text: str) -> str:
        (tmp_path / "dataset.yaml").write_text(text)
        return load_spec(tmp_path / "dataset.yaml").code_version

    base = version(f"name: d\nnum_records: 10\n{COLUMNS}")
    assert (
        version(
            f"name: d\nnum_records: 20\nrow_group_size: 5\nrun: {{num_retries: 9}}\n{COLUMNS}"
        )
        == base
    )
    assert version(f"name: d\nnum_records: 10\nseed: 1\n{COLUMNS}") != base


def test_partition_keys_keep_their_width_when_a_dataset_grows(tmp_path: Path) -> None:
    def keys(num_records: int) -> list[str]:
        path = tmp_path / "dataset.yaml"
        path.write_text(
            f"name: d\nnum_records: {num_records}\nrow_group_size: 1\n{COLUMNS}"
        )
        return list(load_spec(path).ref.partitions_def.get_partition_keys())

    assert keys(3) == ["00000", "00001", "00002"]
    assert keys(12_000)[:3] == keys(3)
    assert keys(12_000)[-1] == "11999"
    with pytest.raises(ConfigError, match="use row_group_size 2 or more"):
        keys(100_001)


def test_the_component_can_be_built_from_python(tmp_path: Path) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(f"name: d\nnum_records: 30\nrow_group_size: 10\n{COLUMNS}")
    component = Dataset(
        config=str(path), schedule="@daily", pool="gpu", tags={"tier": "gold"}
    )
    built = dg.Definitions.merge(
        component.build_defs(dg.ComponentTree.for_test().load_context),
        dg.Definitions(resources={"store": StoreResource(root=str(tmp_path))}),
    )
    definition = built.resolve_assets_def(key("d/row_groups"))
    assert definition.specs_by_key[key("d/row_groups")].tags["tier"] == "gold"
    assert definition.specs_by_key[key("d/row_groups")].group_name == "d"
    assert definition.op.pool == "gpu"
    assert built.resolve_schedule_def("d_schedule").cron_schedule == "@daily"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"name: d\nnum_records: 5\ncolour: red\n{COLUMNS}",
            ["line 3, colour", "dataset.yaml"],
        ),
        (
            "name: d\nnum_records: 5\ncolumns:\n  - {column_type: expression, name: a, expr: '{{ nobody }}'}\n",
            ["line 4", "nobody", "dataset.yaml"],
        ),
    ],
)
def test_faults_of_a_dataset_file_name_file_and_line(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    path = tmp_path / "dataset.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_spec(path)
    assert all(part in str(caught.value) for part in expected), str(caught.value)


def test_a_dataset_without_num_records_cannot_be_an_asset(tmp_path: Path) -> None:
    (tmp_path / "dataset.yaml").write_text(f"name: d\n{COLUMNS}")
    with pytest.raises(PlanError, match="num_records is not set"):
        load_spec(tmp_path / "dataset.yaml")


@pytest.mark.parametrize(
    ("component", "dataset", "expected"),
    [
        (
            "config: dataset.yaml",
            f"name: d\nnum_records: 5\ncolour: red\n{COLUMNS}",
            ["dataset.yaml: 1 problem", "line 3"],
        ),
        (
            "config: nowhere.yaml",
            f"name: d\nnum_records: 5\n{COLUMNS}",
            ["nowhere.yaml"],
        ),
        (
            "config: dataset.yaml\n  colour: red",
            f"name: d\nnum_records: 5\n{COLUMNS}",
            ["defs.yaml:4", "colour"],
        ),
        (
            "config: dataset.yaml\n  max_row_groups_per_run: 0",
            f"name: d\nnum_records: 5\n{COLUMNS}",
            ["max_row_groups_per_run"],
        ),
    ],
    ids=["bad dataset", "no dataset", "unknown attribute", "bad attribute"],
)
def test_a_bad_project_fails_to_load_and_says_where(
    tmp_path: Path, component: str, dataset: str, expected: list[str]
) -> None:
    folder = tmp_path / "shop" / "defs" / "bad"
    folder.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "shop" / "__init__.py").touch()
    (folder.parent / "__init__.py").touch()
    (folder / "defs.yaml").write_text(
        f"type: sdg_assets.Dataset\nattributes:\n  {component}\n"
    )
    (folder / "dataset.yaml").write_text(dataset)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert all(part in result.stderr for part in expected), result.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "target",
    [["-m", MODULE], ["-w", str(PROJECT / "workspace.yaml")]],
    ids=["module", "workspace"],
)
def test_validate_is_quiet(home: DagsterHome, target: list[str]) -> None:
    result = home.run("definitions", "validate", *target)
    assert result.returncode == 0, result.stderr
    output = result.stdout + result.stderr
    assert f"Validation successful for code location {MODULE}" in output
    assert "WARNING" not in output and "code location name" not in output, output
    warned = [
        line
        for line in output.splitlines()
        if "Warning" in line and "SupersessionWarning" not in line
    ]
    assert warned == []


def test_definitions_load_without_a_project_file(tmp_path: Path) -> None:
    # As an installed package has it: no pyproject.toml above it.
    shutil.copytree(Path(sdg_assets.__file__).parent, tmp_path / "sdg_assets")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", INSTALLED],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout.strip()) == (0, "5"), result.stderr


@pytest.mark.slow
def test_dg_lists_scaffolds_and_checks(tmp_path: Path) -> None:
    require_module("dagster_dg_cli")
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    shutil.copytree(
        PROJECT / "sdg_assets",
        tmp_path / "sdg_assets",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
    program = str(Path(sys.executable).with_name("dg"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    listed = run("list", "components")
    assert listed.returncode == 0, listed.stderr
    assert "sdg_assets.Dataset" in listed.stdout

    scaffolded = run("scaffold", "defs", "sdg_assets.Dataset", "orders")
    assert scaffolded.returncode == 0, scaffolded.stderr
    folder = tmp_path / "sdg_assets" / "defs" / "orders"
    assert "type: sdg_assets.Dataset" in (folder / "defs.yaml").read_text()

    assert (folder / "dataset.yaml").exists()
    checked = run("check", "defs")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    rule = "  checks:\n    mean:\n      - {column: text, at_leest: 3}\n"
    (folder / "defs.yaml").write_text(
        f"type: sdg_assets.Dataset\nattributes:\n  config: dataset.yaml\n{rule}"
    )
    checked = run("check", "defs")
    assert checked.returncode != 0
    said = checked.stdout + checked.stderr
    # Dagster points at the rule (line 6), or at the block it stands in (line 4): pydantic puts a class's name into the place.
    assert re.search(r"defs\.yaml:[46]\b", said) and "at_leest" in said, said
