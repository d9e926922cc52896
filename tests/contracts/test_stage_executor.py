"""What every executor of stages promises, and what Ray's promises beyond it when workers and nodes die.

Functions are called in other processes, so what they have seen is in files.
"""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sdg_core.api import pipelines
from sdg_core.custom import Stage
from sdg_core.dataset.events import Event, Notice
from sdg_core.errors import (
    ConfigError,
    FunctionError,
    ModelError,
    PlanError,
    RunAbortedError,
)
from sdg_core.testing import answer_to
from tests.support.pipelines import WORDS, Project, check_accounts, llm_stage
from tests.support.ray_cluster import RayCluster, connected, ray_cluster
from tests.support.sdg import PROJECT, started_sdg, wait_until
from tests.support.serving import is_running

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FUNCTIONS = """
import asyncio
import os
import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from sdg_core.custom import Failed, Filtered, Resources, Stage

HERE = Path(__file__).parent

def note(name, line):
    with (HERE / name).open("a") as file:
        file.write(f"{line}\\n")

def kinds(record):
    match record["content"]:
        case "fan out": return [{**record, "n": 1}, {**record, "n": 2}]
        case "left out": return Filtered("too dull")
        case "gives up": return Failed("no way", retryable=False)
        case "is nothing": return []
        case "raises": raise ValueError("cannot do it")
        case _: return {**record, "n": 0}

def sizes(records, params):
    note("sizes", len(records))
    return [{**record, "by": params["by"]} for record in records]

async def late(record):
    await asyncio.sleep(0)
    return {**record, "late": True}

def typed(record):
    return {**record, "day": date(2026, 1, 2), "price": Decimal("1.50"), "raw": b"\\x00\\xff", "deep": {"a": [1, None]}}

def seen(record):
    note("seen", repr((record["day"], record["price"], record["raw"], record["deep"])))
    return {name: record[name] for name in ("content", "n", "made_by", "source")}

def odd(record):
    return {**record, "lock": __import__("threading").Lock()} if record["content"] == "odd" else record

def dies_once(record):
    note("calls", record["content"])
    if record["content"] == "w5" and not (HERE / "died").exists():
        (HERE / "died").touch()
        os._exit(1)
    return record

def dies(record):
    if record["content"] == "w5":
        os._exit(1)
    return record

def waits_on_its_node(record):
    import ray
    note("nodes", ray.get_runtime_context().get_node_id())
    while not (HERE / "go on").exists():
        time.sleep(0.01)
    return {**record, "again": record["content"]}

class Counted(Stage):
    def __init__(self, name):
        self.name = name

    def setup(self):
        note("log", f"{self.name} up")

    def process(self, record):
        note("log", f"{self.name} does")
        return {**record, self.name: True}

    def teardown(self):
        note("log", f"{self.name} down")

class Broken(Stage):
    def __init__(self, where):
        self.where = where

    def setup(self):
        if self.where == "setup":
            raise OSError("no model")

    def process(self, record):
        return 5 if self.where == "slot" else record

    def teardown(self):
        if self.where == "teardown":
            raise OSError("still open")
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster(nodes=2) as running, connected(running):
        yield running


@pytest.fixture(params=["local", "ray"])
def executor(request: pytest.FixtureRequest) -> str:
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return str(request.param)


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"stage": "function", "function": f"./own.py:{name}", **more}


def project_of(
    directory: Path, executor: str, *stages: dict[str, Any], **run: Any
) -> Project:
    (directory / "own.py").write_text(FUNCTIONS, encoding="utf-8")
    settings = {"executor": executor, "max_failure_rate": 1.0, **run}
    return Project(directory, [*stages], more={"run": settings})


def lines(project: Project, name: str) -> list[str]:
    path = project.directory / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def contents(project: Project) -> list[str]:
    return [row["content"] for row in project.rows()]


def test_every_outcome_is_that_of_its_task(executor: str, tmp_path: Path) -> None:
    rules = {"stage": "filter", "quality": [{"rule": "words", "at_least": 2}]}
    stages = (
        function("kinds", concurrency=1),
        function("sizes", concurrency=1, batch_size=3, params={"by": "us"}),
        rules,
        function("typed", concurrency=1, checkpoint=True),
        {"stage": "rename", "columns": {"by": "made_by"}},
        function("seen", concurrency=1),
    )
    project = project_of(tmp_path, executor, *stages)
    project.sources = {"reader": "jsonl", "path": "docs/*.jsonl"}
    texts = (
        "fan out",
        "left out",
        "gives up",
        "plain text",
        "is nothing",
        "raises",
        "short",
        "and more",
    )
    summary = project.write(
        a="\n".join(f'{{"content": "{text}"}}' for text in texts)
    ).generate()
    assert [
        (row["_task"], row["content"], row["n"], row["made_by"])
        for row in project.rows()
    ] == [
        ("0/0", "fan out", 1, "us"),
        ("0/1", "fan out", 2, "us"),
        ("3", "plain text", 0, "us"),
        ("7", "and more", 0, "us"),
    ]
    assert summary.filtered == {
        "too dull": 1,
        "stages[0]: ./own.py:kinds returned no record": 1,
        "words": 1,
    }
    assert {failure.message for _, failure in summary.failures} == {
        "no way",
        "ValueError: cannot do it",
    }
    assert sorted(lines(project, "sizes")) == ["2", "3"], "of five that came through"
    assert {*lines(project, "seen")} == {
        repr((date(2026, 1, 2), Decimal("1.50"), b"\x00\xff", {"a": [1, None]}))
    }
    check_accounts(project.footers())


def test_a_class_is_set_up_before_its_first_record_and_torn_down_at_the_end(
    executor: str, tmp_path: Path
) -> None:
    stage = function("Counted", params={"name": "x"})
    project = project_of(tmp_path, executor, WORDS, stage).write(a="w1 w2 w3")
    project.generate()
    log = lines(project, "log")
    assert log == ["x up", *["x does"] * 3, "x down"]
    project.generate()
    assert lines(project, "log") == log, "nothing to do, nothing to set up"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("setup", r"stages\[0\]: setup of Broken raised OSError: no model"),
        ("slot", r"stages\[0\]: Broken returned 5"),
        ("teardown", r"stages\[0\]: teardown of Broken raised OSError: still open"),
    ],
)
def test_what_stops_a_run_names_the_stage(
    executor: str, tmp_path: Path, where: str, message: str
) -> None:
    project = project_of(
        tmp_path, executor, function("Broken", params={"where": where})
    ).write(a="one")
    with pytest.raises(FunctionError, match=message):
        project.generate()


def test_the_executor_changes_nothing_that_is_made(
    cluster: RayCluster, tmp_path: Path
) -> None:
    stage = function("late", concurrency=1)
    project = project_of(tmp_path, "ray", WORDS, stage).write(a="one two", b="three")
    assert project.generate().made == 2
    project.more["run"]["executor"] = "local"
    project.stages = [WORDS, {**stage, "concurrency": 2, "resources": {"cpus": 0.5}}]
    assert project.write().generate().adopted == 2


def test_a_worker_that_dies_costs_its_chunk(
    cluster: RayCluster, tmp_path: Path
) -> None:
    project = project_of(tmp_path, "ray", WORDS, function("dies_once", concurrency=2))
    project.write(a=" ".join(f"w{number}" for number in range(40)), b="v1 v2")
    assert project.generate().states == {"complete": 2}
    assert contents(project) == [*(f"w{number}" for number in range(40)), "v1", "v2"]
    assert 42 < len(lines(project, "calls")) <= 42 + 5, (
        "40 records, two workers, four chunks for each"
    )
    check_accounts(project.footers())


def test_a_record_that_kills_its_workers_fails_alone(
    cluster: RayCluster, tmp_path: Path
) -> None:
    project = project_of(
        tmp_path, "ray", WORDS, function("dies", concurrency=1), max_attempts=9
    )
    project.write(a=" ".join(f"w{number}" for number in range(8)))
    summary = project.generate()
    assert contents(project) == [f"w{number}" for number in range(8) if number != 5]
    ((_, failure),) = summary.failures
    assert (failure.task, failure.kind) == (
        "0/5",
        "worker",
    ) and "3 workers died over it" in failure.message
    assert summary.states == {"partial": 1}


def test_what_cannot_be_sent_fails_its_task(
    cluster: RayCluster, tmp_path: Path
) -> None:
    project = project_of(tmp_path, "ray", WORDS, function("odd", concurrency=1)).write(
        a="fine odd well"
    )
    summary = project.generate()
    assert contents(project) == ["fine", "well"]
    assert [
        "cannot be sent to another process" in failure.message
        for _, failure in summary.failures
    ] == [True]


class Locked(Stage):
    version = "1"

    def __init__(self) -> None:
        self._lock = __import__("threading").Lock()


def test_a_stage_that_cannot_be_sent_is_refused(
    cluster: RayCluster, tmp_path: Path
) -> None:
    Project(tmp_path, []).write(a="one")
    files = {"reader": "files", "path": "docs/*.txt"}
    pipeline = pipelines.Pipeline(
        "notes", files, [Locked()], base=tmp_path, run={"executor": "ray"}
    )
    with pytest.raises(
        FunctionError,
        match=r"stages\[0\] cannot be sent to workers.*lock(.|\n)*`setup`",
    ):
        pipelines.generate(
            pipelines.open_pipeline(pipeline, root=str(tmp_path / "data"))
        )


def test_stages_without_a_place_end_the_run_and_say_what_is_missing(
    cluster: RayCluster, tmp_path: Path
) -> None:
    stage = function("Counted", params={"name": "x"}, resources={"gpus": 1})
    project = project_of(tmp_path, "ray", stage, stall_timeout=1.0).write(a="one")
    wanted = r"stages\[0\]: no worker slot within 1 s: a worker needs 1 CPU and 1 GPU; the cluster's nodes have"
    with pytest.raises(RunAbortedError, match=wanted):
        project.generate()


def test_without_ray_the_pipeline_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    project = project_of(tmp_path, "ray", function("late")).write(a="one")
    with pytest.raises(
        ConfigError, match=r"run\.executor: .*pip install 'sdg-dagster\[ray\]'"
    ):
        project.open()
    project.more["run"]["executor"] = "local"
    chosen = pipelines.with_settings(project.write().open(), executor="ray")
    with pytest.raises(PlanError, match=r"pip install 'sdg-dagster\[ray\]'"):
        pipelines.generate(chosen)
    assert not (tmp_path / "data").exists()


SERVER = """
import asyncio
import os
import sys
import time
from pathlib import Path

from sdg_core.testing import ModelServer

def note(name):
    line = (os.environ["RAY_RAYLET_PID"], str(os.getpid()), os.environ.get("CUDA_VISIBLE_DEVICES", "-"))
    with Path(name).open("a") as file:
        file.write(" ".join(line) + "\\n")

def message(body):
    note("asked")
    if is_broken():
        Path("go on").touch()
        os._exit(9)
    while not Path("go on").exists():
        time.sleep(0.01)

def is_broken():
    return Path("broken").exists() and os.environ["RAY_RAYLET_PID"] == Path("broken").read_text()

async def main():
    note("servers")
    if is_broken() and Path("go on").exists():
        sys.exit(3)
    async with ModelServer(port=int(sys.argv[1]), api_key=os.environ["THEIR_KEY"], message=message):
        await asyncio.Event().wait()

asyncio.run(main())
"""


@dataclass(frozen=True)
class NodeServer:
    """A model server on a node, which the node's raylet stands for. devices: what it may use."""

    raylet: int
    pid: int
    devices: str


@dataclass
class Notices:
    """What a run says."""

    messages: list[str] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.messages.append(event.message)

    def found(self, words: str) -> list[str]:
        """Those that have these words in them."""
        return [message for message in self.messages if words in message]


def noted(project: Project, name: str) -> list[NodeServer]:
    """The servers that wrote down that they began, or were asked."""
    found = [line.split() for line in lines(project, name)]
    return [
        NodeServer(int(raylet), int(pid), devices) for raylet, pid, devices in found
    ]


@pytest.fixture
def served_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What servers on nodes need: their key, and this project."""
    monkeypatch.setenv("OUR_KEY", "very-secret-4711")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))


def served_on_nodes(directory: Path, *, words: int, **serve: Any) -> Project:
    """A pipeline with a model on nodes: every server holds its first reply back."""
    (directory / "server.py").write_text(SERVER, encoding="utf-8")
    project = project_of(
        directory, "ray", WORDS, llm_stage("answer", "about {{ content }}")
    )
    command = [sys.executable, "server.py", "{port}"]
    serve = {"command": command, "env": {"THEIR_KEY": "OUR_KEY"}, **serve}
    project.more |= {
        "model_providers": [{"name": "home", "api_key": "OUR_KEY", "serve": serve}],
        "model_configs": [{"alias": "m", "model": "test", "provider": "home"}],
    }
    return project.write(a=" ".join(f"w{number}" for number in range(words)))


def test_a_model_is_served_on_every_node_and_asked_on_all_of_them(
    cluster: RayCluster,
    tmp_path: Path,
    served_here: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A node joins and another dies: what that was asked is asked on the others, most of it on the new one."""
    monkeypatch.setattr("sdg_core.models.serving.nodes._PAUSE", 0.1)
    doomed = cluster.add_node()
    project = served_on_nodes(tmp_path, words=12)
    raylets = cluster.raylets()
    notices = Notices()

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(project.generate, on_event=notices)
        wait_until(
            lambda: (
                {server.raylet for server in noted(project, "asked")}
                == {*raylets.values()}
            ),
            "all are asked",
        )
        added = cluster.add_node()
        wait_until(
            lambda: notices.found("has joined: its model server is ready (nodes: 4)"),
            "a node has joined",
        )
        cluster.kill_node(doomed)
        (lost,) = [
            server
            for server in noted(project, "servers")
            if server.raylet == raylets[doomed]
        ]
        wait_until(lambda: not is_running(lost.pid), "its server is gone")
        raylet = cluster.raylets()[added]
        wait_until(
            lambda: raylet in {server.raylet for server in noted(project, "asked")},
            "the new one is asked",
        )
        (tmp_path / "go on").touch()
        summary = running.result()
    assert summary.states == {"complete": 1}
    assert [row["answer"] for row in project.rows()] == [
        answer_to(f"about w{number}") for number in range(12)
    ]
    servers = noted(project, "servers")
    expected = {**raylets, **cluster.raylets()}
    assert len(expected) == 4 and sorted(server.raylet for server in servers) == sorted(
        expected.values()
    )
    assert not any(is_running(server.pid) for server in servers)
    assert len(noted(project, "asked")) > 12, "what the lost node had"
    cluster.kill_node(added)


def test_a_node_whose_server_does_not_come_back_is_done_without(
    cluster: RayCluster, tmp_path: Path, served_here: None
) -> None:
    project = served_on_nodes(tmp_path, words=12)
    broken, sound = cluster.raylets().values()
    (tmp_path / "broken").write_text(str(broken))
    notices = Notices()
    assert project.generate(on_event=notices).states == {"complete": 1}
    assert [row["answer"] for row in project.rows()] == [
        answer_to(f"about w{number}") for number in range(12)
    ]
    lives = Counter(server.raylet for server in noted(project, "servers"))
    assert lives == {broken: 2, sound: 1}, notices.messages
    (gone,) = notices.found("its model server was lost (nodes left: 1)")
    assert "exited before it was ready (status 3)" in gone


def test_servers_on_nodes_end_with_a_run_that_is_killed(
    cluster: RayCluster, tmp_path: Path, served_here: None
) -> None:
    project = served_on_nodes(tmp_path, words=4)
    command = ("generate", project.file, "--root", project.root)
    with started_sdg(*command, env={"RAY_ADDRESS": cluster.address}) as running:
        wait_until(
            lambda: len({server.pid for server in noted(project, "asked")}) == 2,
            "both servers are asked",
        )
        assert all(is_running(server.pid) for server in noted(project, "servers"))
        running.kill()
        wait_until(
            lambda: (
                not any(is_running(server.pid) for server in noted(project, "servers"))
            ),
            "they ended",
        )


def test_servers_go_where_their_gpus_are(
    cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_KEY", "very-secret-4711")
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    project = served_on_nodes(tmp_path, words=1, gpus=2)
    (tmp_path / "go on").touch()
    with pytest.raises(
        ModelError,
        match="need 2 GPUs on one node; the nodes of the Ray cluster have 0, 0",
    ):
        project.generate()
    node = cluster.add_node(gpus=3)
    try:
        assert project.generate().states == {"complete": 1}
        (server,) = noted(project, "servers")
        assert (server.raylet, server.devices) == (cluster.raylets()[node], "0,1")
    finally:
        cluster.kill_node(node)


def test_a_node_that_dies_costs_what_it_had(
    cluster: RayCluster, tmp_path: Path
) -> None:
    """What comes after it has one node."""
    first, second = (
        function("late", concurrency=2),
        function("waits_on_its_node", concurrency=2),
    )
    project = project_of(tmp_path, "ray", WORDS, first, second)
    project.write(**{name: f"{name}1 {name}2 {name}3" for name in "abcdef"})
    doomed = cluster.others[-1].node_id

    def kill() -> None:
        wait_until(
            lambda: doomed in lines(project, "nodes"), "the node that is lost has work"
        )
        cluster.kill_node(doomed)
        (tmp_path / "go on").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    assert project.generate().states == {"complete": 6}
    killer.join()
    assert contents(project) == [
        f"{name}{number}" for name in "abcdef" for number in (1, 2, 3)
    ]
    check_accounts(project.footers())


def test_more_stages_than_the_cluster_has_places(
    cluster: RayCluster, tmp_path: Path
) -> None:
    """One place, because a node is gone."""
    stages = [
        function(
            "Counted", params={"name": f"s{n}"}, concurrency=1, resources={"cpus": 2}
        )
        for n in range(2)
    ]
    project = project_of(tmp_path, "ray", *stages).write(a="one", b="two")
    assert project.generate().states == {"complete": 2}
    assert all(row["s0"] and row["s1"] for row in project.rows())
