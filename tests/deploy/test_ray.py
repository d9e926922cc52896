"""deploy/ray: runs of a dataset and of a pipeline as jobs of a cluster of two nodes, one of which is killed in the middle.

One story, because a cluster takes its time to start. The dataset's run is on the node that dies: it fails, and the next run makes
what it left. The pipeline's run is on the head, with workers on both nodes: it loses a worker and goes on.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_core.api import pipelines, read_rows
from sdg_core.pipelines.store import read_footer
from tests.support.dagster_process import (
    PROJECT,
    DagsterHome,
    Server,
    dagster_server,
    make_home,
    wait_for,
)
from tests.support.location import MODULE, write_dataset, write_project
from tests.support.model_datasets import (
    EVERYTHING,
    IN_FLIGHT,
    SIZE,
    HeldModel,
    asset,
    held_dataset,
    held_models,
    keys,
)
from tests.support.pipelines import WORDS, check_accounts, llm_stage, served_by
from tests.support.postgres import dagster_and_ledger
from tests.support.ray_cluster import RayCluster, ray_cluster
from tests.support.sdg import only_version, sdg, started_sdg, wait_until, write_config
from tests.support.serving import of_slices, served, slice_servers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.daemon,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore"),
]

DEPLOY = PROJECT / "deploy" / "ray"
DATASET, GROUPS = "tickets", 3
SOURCES = {name: f"{name}1 {name}2" for name in "abcd"}
ANSWERED = SIZE + 1
"""Requests of the dataset that are answered before its node dies: one row group, and a record of the next."""
FUNCTION = """
import time
from pathlib import Path

HERE = Path(__file__).parent

def node():
    import ray
    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else "none"

def slowly(record):
    with (HERE / "nodes").open("a") as file:
        file.write(node() + "\\n")
    while not (HERE / "go on").exists():
        time.sleep(0.01)
    return {**record, "loud": record["question"].upper()}
"""


@dataclass
class Story:
    """What was seen."""

    pipeline: str
    rows: list[dict[str, Any]]
    questions: Counter[str]
    first: str
    second: str
    made_before: set[str]
    at_end: set[str]
    records: Counter[str]


@pytest.fixture(scope="module")
def models() -> Iterator[dict[str, HeldModel]]:
    with held_models({DATASET: ANSWERED, "notes": EVERYTHING}) as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster(nodes=2, dashboard=True) as running:
        yield running


@pytest.fixture(scope="module")
def home(
    cluster: RayCluster,
    models: dict[str, HeldModel],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DagsterHome]:
    with dagster_and_ledger() as (dagster_url, ledger_url):
        env = {
            "SDG_POSTGRES_URL": dagster_url,
            "SDG_LEDGER_URL": ledger_url,
            "SDG_RAY_DASHBOARD": str(cluster.dashboard),
        }
        made = make_home(
            tmp_path_factory.mktemp("ray"),
            module=MODULE,
            instance=DEPLOY / "dagster.yaml",
            env=env,
            cold=True,
        )
        settings = made.directory / "dagster.yaml"
        text = settings.read_text(encoding="utf-8")
        assert "poll_interval_seconds: 30" in text
        path = f"        - PYTHONPATH={made.directory}\n"  # what an image has installed
        text = text.replace("poll_interval_seconds: 30", "poll_interval_seconds: 1")
        settings.write_text(
            text.replace("        - DAGSTER_HOME\n", f"        - DAGSTER_HOME\n{path}"),
            encoding="utf-8",
        )
        write_project(made.directory)
        write_dataset(
            made.directory,
            held_dataset(DATASET, url=models[DATASET].url, groups=GROUPS),
        )
        yield made


def write_pipeline(home: DagsterHome, *, url: str) -> Path:
    folder = home.directory / "synthetic" / "defs" / "notes"
    (folder / "docs").mkdir(parents=True)
    for name, text in SOURCES.items():
        (folder / "docs" / f"{name}.txt").write_text(text)
    (folder / "own.py").write_text(FUNCTION)
    component = {
        "type": "sdg_assets.SourcePipeline",
        "attributes": {"config": "pipeline.yaml"},
    }
    (folder / "defs.yaml").write_text(yaml.safe_dump(component))
    stages = [
        WORDS,
        llm_stage("question", "ask about {{ content }}"),
        {
            "stage": "function",
            "function": "./own.py:slowly",
            "concurrency": 2,
            "resources": {"cpus": 0.5},
        },
        {"stage": "filter", "quality": [{"rule": "words", "at_least": 1}]},
    ]
    config = {
        "kind": "pipeline",
        "name": "notes",
        "sources": {"reader": "files", "path": "docs/*.txt"},
        "stages": stages,
        "run": {"executor": "ray"},
        **served_by(url),
    }
    return write_config(folder / "pipeline.yaml", config)


@pytest.fixture(scope="module")
def story(
    home: DagsterHome, cluster: RayCluster, models: dict[str, HeldModel]
) -> Iterator[Story]:
    file = write_pipeline(home, url=models["notes"].url)
    opened = pipelines.open_pipeline(file, root=str(home.root))
    partitions = [partition.key for partition in pipelines.discover(opened)]
    with home.instance() as instance:
        instance.add_dynamic_partitions("notes_sources", partitions)
    with dagster_server(home) as server:
        yield told(server, cluster, models, file=file, partitions=partitions)


def on(node: str) -> dict[str, str]:
    """The tag of a run that wants a node."""
    return {"dagster-ray/config": json.dumps({"resources": {node: 1}})}


def told(
    server: Server,
    cluster: RayCluster,
    models: dict[str, HeldModel],
    *,
    file: Path,
    partitions: list[str],
) -> Story:
    model = models[DATASET]
    (doomed,) = [node.node_id for node in cluster.others]
    groups = keys(0, GROUPS - 1)
    first = server.launch_range(asset(DATASET), groups[0], groups[-1], tags=on("node1"))
    at_work(
        server,
        lambda: model.asked.total() > ANSWERED,
        what="the dataset's run waits for a reply",
    )
    notes = server.launch_range(
        "notes/sources", partitions[0], partitions[-1], tags=on("head")
    )
    visited = file.parent / "nodes"
    at_work(
        server,
        lambda: visited.exists() and doomed in visited.read_text(),
        what="a worker on the other node",
    )
    cluster.kill_node(doomed)
    (file.parent / "go on").touch()
    pipeline = server.finished(notes)
    failed = server.finished(first)
    made_before = server.partitions(asset(DATASET))["materialized"]
    model.let_go()
    rest = sorted({*groups} - made_before)
    second = server.finished(
        server.launch_range(asset(DATASET), rest[0], rest[-1], tags=on("head"))
    )
    status = pipelines.status(pipelines.open_pipeline(file, root=str(server.home.root)))
    assert status.source_states()["complete"] == [
        f"docs/{name}.txt" for name in SOURCES
    ]
    return Story(
        pipeline=pipeline,
        rows=rows_of(server.home),
        questions=models["notes"].asked,
        first=failed,
        second=second,
        made_before=made_before,
        at_end=server.partitions(asset(DATASET))["materialized"],
        records=model.asked,
    )


def at_work(server: Server, condition: Callable[[], bool], *, what: str) -> None:
    """Wait until a condition holds; a run that has ended before that is shown."""

    def holds() -> bool | None:
        ended = [run for run in server.home.runs() if run.is_finished]
        assert not ended, server.home.messages(ended[0].run_id)
        return condition() or None

    wait_for(holds, what=what)


def rows_of(home: DagsterHome) -> list[dict[str, Any]]:
    files = sorted((home.root / "notes").glob("*/sources/*.parquet"))
    check_accounts([read_footer(path) for path in files])
    return [row for path in files for row in read_rows(path).to_pylist()]


def test_a_pipeline_loses_a_node_and_nothing_else(story: Story) -> None:
    assert story.pipeline == "SUCCESS"
    assert [row["content"] for row in story.rows] == [
        word for text in SOURCES.values() for word in text.split()
    ]
    assert all(row["loud"] == row["question"].upper() for row in story.rows)
    assert story.questions.total() == len(story.questions) == len(story.rows), (
        "no question was paid for twice"
    )


def test_a_run_on_a_lost_node_fails_and_the_next_makes_the_rest(story: Story) -> None:
    assert (story.first, story.second) == ("FAILURE", "SUCCESS")
    assert story.made_before < story.at_end == {*keys(0, GROUPS - 1)}
    assert len(story.records) == GROUPS * SIZE
    assert story.records.total() <= GROUPS * SIZE + IN_FLIGHT, (
        "what was on its way when the node died, no more"
    )


def test_jobs_on_one_node_have_model_servers_of_their_own_that_end_with_them(
    story: Story, cluster: RayCluster, tmp_path: Path
) -> None:
    """One slice is made, the other is stopped while it waits for its server."""
    from ray.job_submission import JobStatus, JobSubmissionClient

    file = write_config(tmp_path / "tickets.yaml", served(*of_slices("SLICE", hangs=1)))
    client = JobSubmissionClient(str(cluster.dashboard))
    made, stopped = (
        client.submit_job(
            entrypoint=f"sdg generate {file} --root {tmp_path}/data --shard {number}/2",
            entrypoint_resources={"head": 0.5},
            runtime_env={
                "env_vars": {"SLICE": str(number), "PYTHONPATH": str(PROJECT)}
            },
        )
        for number in range(2)
    )
    wait_until(lambda: client.get_job_status(made).is_terminal(), "one slice is made")
    assert client.get_job_status(made) == JobStatus.SUCCEEDED, client.get_job_logs(made)
    wait_until(
        lambda: len(slice_servers(tmp_path)) == 2, "each slice has started a server"
    )
    first, second = slice_servers(tmp_path)
    assert first.port != second.port and second.is_running
    client.stop_job(stopped)
    wait_until(
        lambda: not first.is_running and not second.is_running,
        "both ended with their jobs",
    )
    assert only_version(tmp_path / "data").existing_row_groups() == [0, 2]


def test_a_lost_head_ends_runs_and_the_next_goes_on_from_there(
    cluster: RayCluster, models: dict[str, HeldModel], tmp_path: Path
) -> None:
    """The last test of this cluster. Ray ends the run's process, a minute later unless it is told otherwise."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("x1 x2 x3")
    (tmp_path / "own.py").write_text(FUNCTION)
    stages = [
        WORDS,
        llm_stage("question", "after the loss of {{ content }}"),
        {"stage": "function", "function": "./own.py:slowly", "concurrency": 1},
    ]
    sources = {"reader": "files", "path": "docs/*.txt"}
    config = {
        "kind": "pipeline",
        "name": "headless",
        "sources": sources,
        "stages": stages,
    }
    file = write_config(
        tmp_path / "pipeline.yaml", {**config, **served_by(models["notes"].url)}
    )
    command = ("generate", file, "--root", tmp_path / "data")
    env = {
        "RAY_ADDRESS": cluster.address,
        "RAY_gcs_rpc_server_reconnect_timeout_s": "3",
    }
    with started_sdg(*command, "--executor", "ray", env=env) as running:
        wait_until((tmp_path / "nodes").exists, "a worker is at work")
        cluster.kill_head()
        _, words = running.communicate()
    assert running.returncode != 0, words
    (tmp_path / "go on").touch()
    again = sdg(*command, "--executor", "local")
    assert again.returncode == 0, again.stderr
    (made,) = (tmp_path / "data" / "headless").glob("*/sources/*.parquet")
    assert [row["content"] for row in read_rows(made).to_pylist()] == ["x1", "x2", "x3"]
    asked = {
        prompt: count
        for prompt, count in models["notes"].asked.items()
        if "after the loss" in prompt
    }
    assert len(asked) == 3 and max(asked.values()) <= 2, (
        "only a reply that was not saved yet is asked for again"
    )
