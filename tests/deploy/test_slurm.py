"""deploy/slurm: an array of slices under Slurm's own daemons, one task requeued, one cancelled and submitted again, one at the
end of its time. Afterwards the dataset is that of one run, and nothing that was paid for was paid for twice."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sdg_core import api
from tests.support.model_datasets import (
    IN_FLIGHT,
    PARALLEL,
    SIZE,
    HeldModel,
    held_dataset,
    held_models,
)
from tests.support.postgres import postgres
from tests.support.sdg import (
    PROJECT,
    only_version,
    stored_records,
    wait_until,
    write_config,
)
from tests.support.serving import of_slices, served, slice_servers
from tests.support.slurm import Slurm, slurm_cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]

SCRIPT = PROJECT / "deploy" / "slurm" / "generate.sbatch"
NAME, GROUPS, TASKS = "arrayed", 9, 3


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with slurm_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def model() -> Iterator[HeldModel]:
    with held_models({NAME: 2 * SIZE}) as running:
        yield running[NAME]


@pytest.fixture(scope="module")
def ledger() -> Iterator[str]:
    with postgres() as url:
        yield url


def test_an_array_whose_tasks_are_requeued_and_cancelled_ends_as_one_run(
    slurm: Slurm, model: HeldModel, ledger: str, tmp_path: Path
) -> None:
    file = write_config(
        tmp_path / f"{NAME}.yaml", held_dataset(NAME, url=model.url, groups=GROUPS)
    )
    env = {
        "SDG_ROOT": str(tmp_path / "root"),
        "SDG_LEDGER_URL": ledger,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def submit(array: str, **more: str) -> str:
        return slurm.run(
            "sbatch",
            "--parsable",
            f"--array={array}",
            SCRIPT,
            file,
            env={**env, **more},
            cwd=tmp_path,
        )

    def log(job: str, task: int) -> str:
        path = tmp_path / f"sdg-{job}_{task}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    job = submit(f"0-{TASKS - 1}")
    wait_until(
        lambda: model.asked.total() >= 2 * SIZE + TASKS * PARALLEL,
        "every task waits for its replies",
    )
    slurm.run("scontrol", "requeue", f"{job}_0")
    slurm.run("scancel", f"{job}_1")
    slurm.run(
        "scancel", "--batch", "--signal=USR1", f"{job}_2"
    )  # as two minutes before its time limit
    saved = "finished records are saved, rerun the same command to resume"
    wait_until(
        lambda: all(saved in log(job, task) for task in range(TASKS)),
        "every task has saved what it had",
    )
    model.let_go()
    wait_until(
        lambda: slurm.states(job).get("0") == slurm.states(job).get("2") == "COMPLETED",
        "the two are through",
    )
    wait_until(
        lambda: slurm.states(job).get("1") == "CANCELLED", "the cancelled one is"
    )
    for task in (0, 2):
        assert (
            slurm.run("scontrol", "show", "job", f"{job}_{task}").count("Restarts=1")
            == 1
        )

    dataset = api.open_dataset(file, root=env["SDG_ROOT"])
    assert 0 < api.status(dataset).remaining <= GROUPS // TASKS * SIZE, (
        "the cancelled slice"
    )
    rest = submit("1", SDG_SHARDS=str(TASKS))
    wait_until(
        lambda: slurm.states(rest).get("1") == "COMPLETED",
        "the cancelled slice is made",
    )
    assert api.status(dataset).remaining == 0
    assert len(stored_records(only_version(tmp_path / "root", NAME))) == GROUPS * SIZE
    assert model.asked.total() <= GROUPS * SIZE + TASKS * IN_FLIGHT, (
        "what was on its way, no more"
    )


def test_slices_on_one_node_have_model_servers_of_their_own_that_end_with_them(
    slurm: Slurm, tmp_path: Path
) -> None:
    """Two slices are made, though the controller is away; the third is killed while it waits for its server."""
    file = write_config(
        tmp_path / "tickets.yaml", served(*of_slices("SLURM_ARRAY_TASK_ID", hangs=2))
    )
    env = {
        "SDG_ROOT": str(tmp_path / "root"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
    }
    job = slurm.run(
        "sbatch", "--parsable", "--array=0-2", SCRIPT, file, env=env, cwd=tmp_path
    )
    wait_until(
        lambda: len(slice_servers(tmp_path)) == 3, "each slice has started a server"
    )
    slurm.stop_controller()
    servers = slice_servers(tmp_path)
    assert [server.slice for server in servers] == [0, 1, 2] and len(
        {server.port for server in servers}
    ) == 3
    wait_until(
        lambda: not servers[0].is_running and not servers[1].is_running,
        "those of the slices that are made ended",
    )
    slurm.start_controller()
    wait_until(
        lambda: slurm.states(job).get("0") == slurm.states(job).get("1") == "COMPLETED",
        "Slurm knows of it",
    )
    assert servers[2].is_running
    slurm.run("scancel", "--signal=KILL", "--full", f"{job}_2")
    wait_until(lambda: not servers[2].is_running, "the third ended with its slice")
    version = only_version(tmp_path / "root")
    assert [index for index in version.existing_row_groups() if index % 3 != 2] == [
        0,
        1,
        3,
    ]


@pytest.mark.parametrize(
    ("array", "tasks"),
    [
        pytest.param((1, 4), 4, id="1-4"),
        pytest.param((0, 6), 4, id="0-6:2"),
        pytest.param((3, 5), 2, id="3,5"),
        pytest.param((3, 3), 1, id="3"),
    ],
)
def test_an_array_that_would_leave_slices_out_is_refused(
    array: tuple[int, int], tasks: int
) -> None:
    first, last = array
    numbers = {
        "TASK_ID": first,
        "TASK_MIN": first,
        "TASK_MAX": last,
        "TASK_COUNT": tasks,
        "JOB_ID": 7,
    }
    env = {
        **os.environ,
        **{f"SLURM_ARRAY_{name}": str(number) for name, number in numbers.items()},
    }
    env.pop("SDG_SHARDS", None)
    refused = subprocess.run(
        ["bash", SCRIPT, "tickets.yaml"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert f"{tasks} tasks, up to number {last}" in refused.stderr
    assert f"--array=0-{tasks - 1} ...; for some of N: SDG_SHARDS=N" in refused.stderr
