"""deploy/celery: a backfill in slices over two Celery workers, a broker that is restarted, and a worker that is killed.

One story, because a cluster takes its time to start: the daemon makes four runs of a backfill, two at once; the broker is
restarted while both workers are at work; one worker is killed with its run; what it left is made by the next backfill.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg
import pytest

from tests.support.celery_workers import Redis, Workers, redis_server
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
    IN_FLIGHT,
    SIZE,
    HeldModel,
    asset,
    held_dataset,
    held_models,
    keys,
    on_disk,
)
from tests.support.postgres import dagster_and_ledger

pytestmark = [pytest.mark.slow, pytest.mark.daemon, pytest.mark.xdist_group("celery")]

DEPLOY = PROJECT / "deploy" / "celery"
NAME, GROUPS, PER_RUN = "sliced", 8, 2
ALL = set(keys(0, GROUPS - 1))
ANSWERED = PER_RUN * SIZE - 1
"""Requests answered before the model holds back: one too few for any run to end."""
WORKING = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING)


@dataclass
class Story:
    """What was seen."""

    tasks: dict[str, int]
    slices: int
    first: str
    after: dict[str, set[str]]
    second: str
    at_end: dict[str, set[str]]
    on_disk: set[str]
    asked: Counter[str]
    statuses: Counter[str] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def model() -> Iterator[HeldModel]:
    with held_models({NAME: ANSWERED}) as running:
        yield running[NAME]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def home(
    redis: Redis, model: HeldModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DagsterHome]:
    with dagster_and_ledger() as (dagster_url, ledger_url):
        env = {
            "SDG_POSTGRES_URL": dagster_url,
            "SDG_LEDGER_URL": ledger_url,
            **redis.env,
        }
        made = make_home(
            tmp_path_factory.mktemp("celery"),
            module=MODULE,
            instance=DEPLOY / "dagster.yaml",
            env=env,
            cold=True,
        )
        write_project(made.directory)
        dataset = held_dataset(NAME, url=model.url, groups=GROUPS)
        write_dataset(made.directory, dataset, max_row_groups_per_run=PER_RUN)
        yield made


@pytest.fixture(scope="module")
def workers(home: DagsterHome) -> Iterator[Workers]:
    env = {**home.env, "PYTHONPATH": f"{PROJECT}{os.pathsep}{home.directory}"}
    running = Workers(home.directory, env)
    try:
        running.start("a", "b")
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def story(
    workers: Workers, home: DagsterHome, model: HeldModel, redis: Redis
) -> Iterator[Story]:
    with dagster_server(home) as server:
        yield told(server, workers, model, redis)


def told(server: Server, workers: Workers, model: HeldModel, redis: Redis) -> Story:
    home = server.home
    first = server.launch_backfill(asset(NAME), sorted(ALL))
    wait_for(
        lambda: workers.tasks("a") and workers.tasks("b") or None,
        what="both workers have a run",
    )
    wait_for(
        lambda: model.asked.total() > ANSWERED or None,
        what="the model holds a reply back",
    )
    tasks = {name: workers.tasks(name) for name in ("a", "b")}
    redis.stop()
    redis.start()
    workers.kill("a")
    model.let_go()
    wait_for(
        lambda: one_left(home), what="the other worker has done all the other runs"
    )
    with home.instance() as instance:
        (lost,) = instance.get_runs(dg.RunsFilter(statuses=[*WORKING]))
        instance.report_run_failed(
            lost, "its worker was killed"
        )  # as a person does, or the monitor after its time
    ended = server.backfill_ended(first)
    after = server.partitions(asset(NAME))
    assert after["materialized"] < ALL, "the killed worker had work left"
    slices = len(server.runs_of_backfill(first))
    workers.start("a")
    second = server.backfill_ended(
        server.launch_backfill(asset(NAME), sorted(ALL - after["materialized"]))
    )
    return Story(
        tasks=tasks,
        slices=slices,
        first=ended,
        after=after,
        second=second,
        at_end=server.partitions(asset(NAME)),
        on_disk=on_disk(home, NAME),
        asked=model.asked,
        statuses=Counter(run.status.value for run in home.runs()),
    )


def one_left(home: DagsterHome) -> bool | None:
    """Whether the run of the killed worker is the only one that has not ended."""
    runs = home.runs()
    ended = [run for run in runs if run.is_finished]
    return (
        True if len(runs) == GROUPS // PER_RUN and len(ended) == len(runs) - 1 else None
    )


def test_a_backfill_is_sliced_over_both_workers(story: Story) -> None:
    assert story.slices == GROUPS // PER_RUN
    assert min(story.tasks.values()) >= 1, story.tasks


def test_a_killed_worker_costs_its_slice_alone(story: Story) -> None:
    assert story.first == "COMPLETED_FAILED"
    assert len(story.after["materialized"]) >= GROUPS - PER_RUN, (
        "the broker's restart has cost nothing"
    )
    assert story.statuses == {"SUCCESS": GROUPS // PER_RUN, "FAILURE": 1}


def test_the_next_backfill_makes_the_rest(story: Story) -> None:
    assert story.second == "COMPLETED_SUCCESS"
    assert story.at_end["materialized"] == story.on_disk == ALL
    assert story.asked.total() <= GROUPS * SIZE + IN_FLIGHT, (
        "what was on its way at the kill, no more"
    )
    assert len(story.asked) == GROUPS * SIZE
