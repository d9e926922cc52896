"""Both datasets through `dagster asset materialize`: what is written, and what the instance records of it."""

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from sdg_assets.definitions import defs
from sdg_assets.recording.metadata import data_version
from sdg_core.store.row_groups import read_footer
from tests.support.dagster_process import DAGSTER_WARNINGS, MODULE, DagsterHome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("materialize"),
    *DAGSTER_WARNINGS,
]

METADATA = {
    "dagster/partition_row_count",
    "dagster/uri",
    "dagster/column_schema",
    "config_fingerprint",
    "row_group",
    "start",
    "records_missing",
    "adopted",
    "simulated",
    "preview",
    "usage/requests",
    "usage/prompt_tokens",
    "usage/completion_tokens",
}
LOAD = f"""
from {MODULE} import defs
repository = defs().get_repository_def()
print(sorted(key.to_user_string() for key in repository.assets_defs_by_key))
"""


@functools.cache
def code_version(asset: str) -> str | None:
    key = dg.AssetKey(asset.split("/"))
    return defs().get_repository_def().assets_defs_by_key[key].code_versions_by_key[key]


def files_below(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def row_group_files(home: DagsterHome, dataset: str) -> list[Path]:
    return sorted(home.root.glob(f"{dataset}/*/row_groups/*.parquet"))


def check_event(
    event: dg.AssetMaterialization, *, asset: str, partition: str, adopted: bool
) -> None:
    """One row group's event says what DESIGN section 8 promises, and says the truth about the file."""
    assert event.partition == partition
    metadata: dict[str, Any] = {
        name: value.value for name, value in event.metadata.items()
    }
    assert metadata.keys() >= METADATA
    index = int(partition)
    path = Path(str(metadata["dagster/uri"]).removeprefix("file://"))
    assert path.name == f"batch_{partition}.parquet"
    table = pq.read_table(path)
    assert metadata["dagster/partition_row_count"] == table.num_rows == 250
    schema = event.metadata["dagster/column_schema"]
    assert isinstance(schema, dg.TableSchemaMetadataValue)
    assert [column.name for column in schema.schema.columns] == table.schema.names
    assert (metadata["row_group"], metadata["start"], metadata["records_missing"]) == (
        str(index),
        str(index * 250),
        0,
    )
    assert metadata["adopted"] is adopted
    assert metadata["simulated"] is True
    fingerprint = metadata["config_fingerprint"]
    assert path.parts[-3] == fingerprint.removeprefix("sha256:")[:12]
    assert isinstance(event.metadata["preview"], dg.MarkdownMetadataValue)
    names = table.schema.names
    forms = (
        f"| {' | '.join(names)} |",
        f"**Record 1**\n\n- **{names[0]}**: ",
    )  # a table if it is narrow, else blocks
    assert str(metadata["preview"]).startswith(forms)
    tags = event.tags or {}
    assert tags["dagster/code_version"] == code_version(asset)
    footer = read_footer(path)
    assert tags["dagster/data_version"] == data_version(footer, version=path.parts[-3])


@pytest.fixture(scope="module")
def python_qa(module_home: DagsterHome) -> DagsterHome:
    """Passages, then all row groups of python_qa in one ranged run, then the finished dataset."""
    for select, options in (
        ("python_docs/passages", []),
        ("python_qa/row_groups", ["--partition-range", "00000...00007"]),
        ("python_qa/dataset", []),
    ):
        result = module_home.materialize(select, *options)
        assert result.returncode == 0, result.stderr
    return module_home


def test_a_range_records_one_event_per_row_group(python_qa: DagsterHome) -> None:
    events = python_qa.materializations("python_qa/row_groups")
    assert [event.partition for event in events] == [
        f"{index:05d}" for index in range(8)
    ]
    for index, event in enumerate(events):
        check_event(
            event, asset="python_qa/row_groups", partition=f"{index:05d}", adopted=False
        )
        assert event.metadata["usage/requests"].value == 500, (
            "question and answer, 250 records"
        )
    assert [path.name for path in row_group_files(python_qa, "python_qa")] == [
        f"batch_{i:05d}.parquet" for i in range(8)
    ]
    dropped = sorted(python_qa.root.glob("python_qa/*/dropped_columns/*.parquet"))
    assert len(dropped) == 8
    assert (
        "review_note"
        not in pq.read_schema(row_group_files(python_qa, "python_qa")[0]).names
    )


def test_a_fresh_partition_is_in_sync_with_its_upstream_asset(
    python_qa: DagsterHome,
) -> None:
    [upstream] = python_qa.materializations("python_docs/passages")
    for event in python_qa.materializations("python_qa/row_groups"):
        tags = event.tags or {}
        version = (upstream.tags or {})["dagster/data_version"]
        assert tags["dagster/input_data_version/python_docs/passages"] == version
        assert tags["dagster/input_event_pointer/python_docs/passages"].isdecimal()


def test_the_finished_dataset_is_recorded_and_written(python_qa: DagsterHome) -> None:
    [event] = python_qa.materializations("python_qa/dataset")
    metadata: dict[str, Any] = {
        name: value.value for name, value in event.metadata.items()
    }
    assert metadata["dagster/row_count"] == 2000
    assert metadata["records_missing"] == 0
    directory = Path(str(metadata["dagster/uri"]).removeprefix("file://"))
    table = pq.read_table(directory)
    assert table.num_rows == 2000
    messages = pq.read_table(directory.parent / "chat_messages")
    assert messages.num_rows == 2000
    first = messages.slice(0, 1).to_pylist()[0]
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]
    assert (event.tags or {})["dagster/code_version"] == code_version(
        "python_qa/dataset"
    )


def test_single_partition_then_a_range_over_it_adopts_what_is_there(
    home: DagsterHome,
) -> None:
    asset = "support_tickets/row_groups"
    first = home.materialize(asset, "--partition", "00001")
    assert first.returncode == 0, first.stderr
    [event] = home.materializations(asset)
    check_event(event, asset=asset, partition="00001", adopted=False)
    [path] = row_group_files(home, "support_tickets")
    before = (path.read_bytes(), path.stat().st_mtime_ns)

    second = home.materialize(asset, "--partition-range", "00000...00002")
    assert second.returncode == 0, second.stderr
    events = home.materializations(asset, run_id=home.runs()[0].run_id)
    by_partition = {event.partition: event for event in events}
    assert len(events) == 3 and sorted(map(str, by_partition)) == [
        "00000",
        "00001",
        "00002",
    ]
    for partition in ("00000", "00001", "00002"):
        check_event(
            by_partition[partition],
            asset=asset,
            partition=partition,
            adopted=partition == "00001",
        )
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert (by_partition["00001"].tags or {})["dagster/data_version"] == (
        event.tags or {}
    )["dagster/data_version"]
    assert home.materialized_partitions(asset) == {"00000", "00001", "00002"}


def test_run_config_sets_retries_and_failure_rate(home: DagsterHome) -> None:
    # One command that Dagster itself must accept; what the settings do is the engine's to test.
    config = home.directory / "run.yaml"
    config.write_text(
        "ops: {support_tickets__row_groups: {config: {resume: always, num_retries: 1, max_failure_rate: 0.1}}}\n"
    )
    result = home.materialize(
        "support_tickets/row_groups", "--partition", "00000", "-c", str(config)
    )
    assert result.returncode == 0, result.stderr
    assert home.materialized_partitions("support_tickets/row_groups") == {"00000"}


def test_wrong_partition_key_is_refused_by_name(home: DagsterHome) -> None:
    result = home.materialize("support_tickets/row_groups", "--partition", "00099")
    assert result.returncode != 0
    assert "partition key `00099`" in result.stderr
    assert not home.root.exists()
    assert home.runs() == []


def test_missing_upstream_asset_is_named_and_nothing_is_written(
    home: DagsterHome,
) -> None:
    result = home.materialize("python_qa/row_groups", "--partition", "00000")
    assert result.returncode != 0
    assert "materialize its upstream asset python_docs/passages first" in result.stderr
    assert (
        'dagster asset materialize -m sdg_assets.definitions --select "python_docs/passages"'
        in result.stderr
    )
    assert files_below(home.root) == {}
    assert not (home.root / "python_qa").exists()
    [run] = home.runs()
    assert run.status is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("kind", ["nowhere", "a file", "a url"])
def test_loading_definitions_reads_no_data(home: DagsterHome, kind: str) -> None:
    root = home.directory / "root"
    if kind == "a file":
        root.write_text("not a directory")
    env = {
        **home.env,
        "SDG_ROOT": "s3://nobody/there" if kind == "a url" else str(root),
    }
    result = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=home.directory,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert (
        "python_qa/row_groups" in result.stdout
        and "support_tickets/dataset" in result.stdout
    )
    assert kind == "a file" or not root.exists()
