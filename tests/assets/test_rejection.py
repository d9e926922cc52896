"""A sealed dataset is not generated into, whichever way a run is started."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sdg_assets.assets.sealed_guard import REJECTED_TAG
from sdg_assets.automation.sensors import why_rejected
from sdg_assets.definitions import defs
from sdg_assets.resources import StoreResource
from sdg_core.errors import SdgError
from tests.support.dagster_process import (
    ASSET_JOB,
    DAGSTER_WARNINGS,
    MODULE,
    DagsterHome,
    Server,
    dagster_server,
)
from tests.support.requirements import require_module

ASSET = "support_tickets/row_groups"
ALL = {"00000", "00001", "00002", "00003"}
HOLD = {"test/hold": "yes"}
REASON = "Run rejected: dataset 'support_tickets'"
NEVER = "ops: {support_tickets__row_groups: {config: {resume: never}}}\n"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("rejection"), *DAGSTER_WARNINGS]


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    """Content and modification time of every file of the dataset."""
    files = sorted(
        path for path in (root / "support_tickets").rglob("*") if path.is_file()
    )
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in files
    }


def assert_rejected(home: DagsterHome, run_id: str, *, before_start: bool) -> None:
    """The run is CANCELED, says why in its events and tags, and recorded no materialization."""
    with home.instance() as instance:
        run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELED
    assert run.tags[REJECTED_TAG] == "post-processed"
    events = home.messages(run_id)
    assert any(
        REASON in message and "sdg reopen" in message
        for kind, message in events
        if kind == "PIPELINE_CANCELING"
    )
    assert home.materializations(ASSET, run_id=run_id) == []
    kinds = {kind for kind, _ in events}
    if before_start:
        assert not kinds & {
            "STEP_START",
            "STEP_WORKER_STARTING",
            "PIPELINE_START",
            "PIPELINE_STARTING",
        }, events


@pytest.fixture(scope="module")
def sealed(module_home: DagsterHome) -> DagsterHome:
    """support_tickets generated, post-processed, sealed. Its queue never starts a run with the tag test/hold.

    The sensor and the queue race for a queued run; the tag decides the race, so that the sensor is what is tested.
    """
    settings = module_home.directory / "dagster.yaml"
    limits = "    max_concurrent_runs: 2\n    tag_concurrency_limits: [{key: test/hold, limit: 0}]\n"
    text = settings.read_text(encoding="utf-8")
    assert "    max_concurrent_runs: 2\n" in text
    settings.write_text(
        text.replace("    max_concurrent_runs: 2\n", limits), encoding="utf-8"
    )
    for result in (
        module_home.materialize(ASSET, "--partition-range", "00000...00003"),
        module_home.materialize("support_tickets/dataset"),
    ):
        assert result.returncode == 0, result.stderr
    return module_home


def test_command_line_run_is_cancelled_by_the_guard(sealed: DagsterHome) -> None:
    before = snapshot(sealed.root)
    result = sealed.materialize(ASSET, "--partition-range", "00000...00003")
    assert result.returncode != 0
    assert REASON in result.stderr
    run = sealed.runs()[0]
    assert_rejected(sealed, run.run_id, before_start=False)
    assert snapshot(sealed.root) == before
    assert sealed.materialized_partitions(ASSET) == ALL
    with sealed.instance() as instance:
        status = instance.get_status_by_partition(
            dg.AssetKey(ASSET.split("/")),
            sorted(ALL),
            dg.StaticPartitionsDefinition(sorted(ALL)),
        )
    assert status is not None and {str(value) for value in status.values()} == {
        "AssetPartitionStatus.MATERIALIZED"
    }


@pytest.fixture(scope="module")
def server(sealed: DagsterHome) -> Iterator[Server]:
    with dagster_server(sealed) as running:
        yield running


@pytest.mark.daemon
def test_queued_run_and_backfill_are_cancelled_by_the_sensor_before_they_start(
    server: Server,
) -> None:
    before = snapshot(server.home.root)
    backfill = server.launch_backfill(ASSET, ["00001", "00002"], tags=HOLD)
    run = server.launch_range(ASSET, "00000", "00003", tags=HOLD)
    assert server.finished(run) == "CANCELED"
    assert_rejected(server.home, run, before_start=True)

    run = server.run_of_backfill(backfill)
    assert server.finished(run) == "CANCELED"
    assert_rejected(server.home, run, before_start=True)
    assert snapshot(server.home.root) == before
    assert server.home.materialized_partitions(ASSET) == ALL


@pytest.mark.daemon
def test_a_burst_of_queued_runs_is_cancelled_as_a_whole(server: Server) -> None:
    before = snapshot(server.home.root)
    runs = [server.launch_range(ASSET, key, key, tags=HOLD) for key in sorted(ALL)]
    for run in runs:
        assert server.finished(run) == "CANCELED"
        assert_rejected(server.home, run, before_start=True)
    assert snapshot(server.home.root) == before


def test_dg_launch_is_cancelled_by_the_guard(sealed: DagsterHome) -> None:
    require_module("dagster_dg_cli")
    before = snapshot(sealed.root)
    program = str(Path(sys.executable).with_name("dg"))
    result = subprocess.run(
        [
            program,
            "launch",
            "-m",
            MODULE,
            "--assets",
            ASSET,
            "--partition-range",
            "00000...00003",
        ],
        cwd=sealed.directory,
        env=sealed.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert REASON in result.stdout + result.stderr
    assert_rejected(sealed, sealed.runs()[0].run_id, before_start=False)
    assert snapshot(sealed.root) == before


def test_the_run_config_decides_which_root_and_which_resume_mode_are_judged(
    sealed: DagsterHome, tmp_path: Path
) -> None:
    """A run with another storage root is not aimed at the dataset that is sealed in this one."""
    repository = defs().get_repository_def()

    def rejected(config: dict[str, Any]) -> bool:
        run = dg.DagsterRun(
            ASSET_JOB,
            asset_selection=frozenset([dg.AssetKey(ASSET.split("/"))]),
            run_config=config,
        )
        return (
            why_rejected(run, repository, store=StoreResource(root=str(sealed.root)))
            is not None
        )

    def store(root: Any) -> dict[str, Any]:
        return {"resources": {"store": {"config": {"root": root}}}}

    assert rejected({})
    assert rejected(store(str(sealed.root)))
    assert not rejected(store(str(tmp_path)))
    assert not rejected(
        {"ops": {"support_tickets__row_groups": {"config": {"resume": "never"}}}}
    )


def test_a_run_over_several_datasets_is_judged_by_each_of_them(
    sealed: DagsterHome,
) -> None:
    """The seed of python_qa is not there, so of that dataset nothing can be told, whichever is looked at first."""
    repository = defs().get_repository_def()

    def why(*assets: str) -> str | None:
        keys = [dg.AssetKey(asset.split("/")) for asset in assets]
        return why_rejected(
            dg.DagsterRun(ASSET_JOB, asset_selection=frozenset(keys)),
            repository,
            store=StoreResource(root=str(sealed.root)),
        )

    for order in range(
        8
    ):  # a set of its own each time, since the order of a set is not ours to choose
        others = [f"nobody/{number}" for number in range(order)]
        assert REASON in (why(ASSET, "python_qa/row_groups", *others) or "")
    with pytest.raises(SdgError, match="seed file"):
        why("python_qa/row_groups")


@pytest.mark.daemon
def test_job_that_names_no_assets_is_cancelled_by_the_sensor(server: Server) -> None:
    before = snapshot(server.home.root)
    tags = '{"test/hold": "yes", "dagster/partition": "00001"}'
    result = server.home.run(
        "job", "launch", "-m", MODULE, "-j", ASSET_JOB, "--tags", tags
    )
    assert result.returncode == 0, result.stderr
    run = server.home.runs()[0]
    assert run.asset_selection is None
    assert server.finished(run.run_id) == "CANCELED"
    assert_rejected(server.home, run.run_id, before_start=True)
    assert snapshot(server.home.root) == before


@pytest.mark.daemon
def test_queued_run_is_cancelled_whichever_side_wins_the_race(server: Server) -> None:
    before = snapshot(server.home.root)
    run = server.launch_range(ASSET, "00000", "00003")
    assert server.finished(run) == "CANCELED"
    assert_rejected(server.home, run, before_start=False)
    assert snapshot(server.home.root) == before
    assert server.home.materialized_partitions(ASSET) == ALL


@pytest.mark.daemon
def test_other_assets_and_new_versions_pass_the_sensor_and_the_guard(
    server: Server,
) -> None:
    """Last in this module: it makes a second version, which is not sealed."""
    before = snapshot(server.home.root)
    config = {"ops": {"support_tickets__row_groups": {"config": {"resume": "never"}}}}
    run = server.launch_range(ASSET, "00001", "00001", config=config)
    assert server.finished(run) == "SUCCESS"
    [sealed_version] = {
        Path(name).parts[1] for name in before if len(Path(name).parts) > 2
    }
    after = snapshot(server.home.root)
    assert {name: after[name] for name in before if "current.json" not in name} == {
        name: before[name] for name in before if "current.json" not in name
    }
    forced = sorted(name for name in after if f"{sealed_version}-2/row_groups" in name)
    assert forced == [
        f"support_tickets/{sealed_version}-2/row_groups/batch_00001.parquet"
    ]
    [event] = server.home.materializations(ASSET, run_id=run)
    assert event.partition == "00001" and event.metadata["adopted"].value is False

    config_file = server.home.directory / "never.yaml"
    config_file.write_text(NEVER)
    result = server.home.materialize(
        ASSET, "--partition", "00002", "-c", str(config_file)
    )
    assert result.returncode == 0, result.stderr
    assert (
        server.home.root
        / f"support_tickets/{sealed_version}-3/row_groups/batch_00002.parquet"
    ).exists()
