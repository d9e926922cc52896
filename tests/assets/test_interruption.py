"""Runs ended before their time, by a person or by force: what is recorded is true, and the next run only makes the rest.

Starting processes is what takes time here, so one story launches a run for each way to end it, ends them in the middle, and then
starts a single run over all datasets; the tests look at what was seen.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg
import pytest

from tests.support.dagster_process import (
    DagsterHome,
    Server,
    dagster_server,
    make_home,
    wait_for,
)
from tests.support.location import MODULE, write_project
from tests.support.model_datasets import (
    IN_FLIGHT,
    SIZE,
    HeldModel,
    asset,
    held_dataset,
    held_models,
    keys,
    on_disk,
    until_recorded,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.daemon,
    pytest.mark.xdist_group("interruption"),
]

GROUPS = 10
ALL = set(keys(0, GROUPS - 1))
ANSWERED = 3 * SIZE + 2
"""Requests until the model holds its replies back: in the middle of the fourth row group."""
RECORDED = 3
STEP, WORKER = dg.DagsterEventType.STEP_START, dg.DagsterEventType.RUN_START
SIGNALS = {
    "step_term": (STEP, signal.SIGTERM),
    "step_kill": (STEP, signal.SIGKILL),
    "worker_term": (WORKER, signal.SIGTERM),
    "worker_kill": (WORKER, signal.SIGKILL),
}
TERMINATED, RESTARTS = "terminated", "restarts"
NAMES = (TERMINATED, *SIGNALS)
KILLED = [name for name, (_, number) in SIGNALS.items() if number is signal.SIGKILL]
Models = dict[str, HeldModel]


@dataclass
class Story:
    """What was seen of each dataset when its run had ended, and after the run that went on with all of them."""

    home: DagsterHome
    ended: dict[str, str] = field(default_factory=dict)
    after: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    on_disk_after: dict[str, set[str]] = field(default_factory=dict)
    at_end: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    adopted: dict[str, set[str]] = field(default_factory=dict)
    recorded: dict[str, list[str]] = field(default_factory=dict)
    asked: dict[str, Counter[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with held_models(dict.fromkeys((*NAMES, RESTARTS), ANSWERED)) as running:
        yield running


@pytest.fixture(scope="module")
def server(
    models: Models, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = make_home(tmp_path_factory.mktemp("interruption"), module=MODULE, cold=True)
    home.allow_runs(len(models))
    write_project(
        home.directory,
        *(
            held_dataset(name, url=model.url, groups=GROUPS)
            for name, model in models.items()
        ),
    )
    with dagster_server(home) as running:
        yield running


@pytest.fixture(scope="module")
def story(server: Server, models: Models) -> Story:
    told = Story(server.home)
    runs = {
        name: server.launch_range(asset(name), min(ALL), max(ALL)) for name in NAMES
    }
    for name, run_id in runs.items():
        until_recorded(server.home, name, RECORDED)
        end(server, run_id, name)
    for name, run_id in runs.items():
        told.ended[name] = server.finished(run_id)
        step = process_of(server.home, run_id, STEP)
        wait_for(
            lambda pid=step: None if running(pid) else True,
            what=f"the end of process {step}",
        )
        told.after[name] = server.partitions(asset(name))
        told.on_disk_after[name] = on_disk(server.home, name)
    for name in NAMES:
        models[name].let_go()
    select = " or ".join(f'key:"{asset(name)}"' for name in NAMES)
    result = server.home.materialize(
        select, "--partition-range", f"{min(ALL)}...{max(ALL)}"
    )
    assert result.returncode == 0, result.stderr
    latest = server.home.runs()[0]
    for name in NAMES:
        events = server.home.materializations(asset(name), run_id=latest.run_id)
        told.recorded[name] = sorted(str(event.partition) for event in events)
        told.adopted[name] = {
            str(event.partition) for event in events if event.metadata["adopted"].value
        }
        told.at_end[name] = server.partitions(asset(name))
        told.asked[name] = models[name].asked
    return told


def end(server: Server, run_id: str, name: str) -> None:
    if name == TERMINATED:
        server.terminate(run_id)
        return
    target, number = SIGNALS[name]
    os.kill(process_of(server.home, run_id, target), number)


def process_of(home: DagsterHome, run_id: str, event: dg.DagsterEventType) -> int:
    """The process that says of itself that it has started the run, or its step."""
    with home.instance() as instance:
        [record] = instance.get_records_for_run(run_id, of_type=event).records
    found = record.event_log_entry.dagster_event
    assert found is not None and found.pid is not None
    return found.pid


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_run_that_is_terminated_in_the_ui_is_canceled_and_paints_nothing_red(
    story: Story,
) -> None:
    assert story.ended[TERMINATED] == "CANCELED"
    assert story.after[TERMINATED]["failed"] == set()


@pytest.mark.parametrize("name", SIGNALS)
def test_a_run_that_is_signalled_fails(story: Story, name: str) -> None:
    assert story.ended[name] == "FAILURE", story.home.runs()


@pytest.mark.parametrize("name", NAMES)
def test_afterwards_green_is_what_is_on_disk(story: Story, name: str) -> None:
    after = story.after[name]
    assert len(after["materialized"]) >= RECORDED
    assert after["materialized"] < ALL
    assert after["materialized"] <= story.on_disk_after[name]
    if name not in KILLED:
        assert after["materialized"] == story.on_disk_after[name]
    assert after["materializing"] == set()
    assert after["materialized"] | after["failed"] | after["missing"] == ALL


@pytest.mark.parametrize("name", NAMES)
def test_the_next_run_records_everything_and_makes_the_rest(
    story: Story, name: str
) -> None:
    assert story.recorded[name] == sorted(ALL), "each row group once"
    assert story.adopted[name] == story.on_disk_after[name]
    assert story.at_end[name]["materialized"] == ALL
    asked = story.asked[name]
    assert len(asked) == GROUPS * SIZE
    assert asked.total() <= GROUPS * SIZE + IN_FLIGHT, (
        "only what was on its way is asked for again"
    )


def test_daemon_and_webserver_restart_in_the_middle_of_a_backfill(
    server: Server, models: Models
) -> None:
    backfill = server.launch_backfill(asset(RESTARTS), sorted(ALL))
    until_recorded(server.home, RESTARTS, RECORDED)
    server.end("webserver")
    server.end("daemon")
    server.start_webserver()
    server.start_daemon()
    models[RESTARTS].let_go()
    ended = server.backfill_ended(backfill)
    after = server.partitions(asset(RESTARTS))
    assert after["materialized"] == on_disk(server.home, RESTARTS)
    assert after["materializing"] == set()
    assert (ended == "COMPLETED_SUCCESS") == (after["materialized"] == ALL), (
        ended,
        after,
    )
    assert models[RESTARTS].asked.total() <= GROUPS * SIZE + IN_FLIGHT
