"""Backfills as the UI launches them, several at once: afterwards green is what is on disk, and nothing was paid for twice.

The daemon looks at backfills every 30 s, so one story launches all of them, does what a person would do in the middle, and
launches what the first ones left; the tests look at what was seen.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg
import pytest

from tests.support.dagster_process import (
    RANGE_END,
    RANGE_START,
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
    on_disk,
    until_recorded,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.daemon,
    pytest.mark.xdist_group("backfills"),
]

FEW, MANY, MORE = 6, 10, 13
GAPS = ["00000", "00002", "00003", "00005"]
SIZES = {
    "all_of_it": FEW,
    "a_range": FEW,
    "gaps": FEW,
    "twice": FEW,
    "killed": MANY,
    "cancelled": MANY,
    "grows": MANY,
    "sliced": FEW,
}
ANSWERED = {
    name: 2 * SIZE + 2 if size == MANY else EVERYTHING for name, size in SIZES.items()
}
"""Requests until the model of a dataset holds its replies back: in the middle of the third row group."""
PER_RUN = 4
"""Row groups that a run of `sliced` makes at most."""
Models = dict[str, HeldModel]


@dataclass
class Story:
    """What was seen of each dataset. after: its partitions when the first backfill had ended; at_end: when all had."""

    home: DagsterHome
    ended: dict[str, list[str]] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    after: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    on_disk_after: dict[str, set[str]] = field(default_factory=dict)
    at_end: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    asked: dict[str, Counter[str]] = field(default_factory=dict)
    slices: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def models() -> Iterator[Models]:
    with held_models(ANSWERED) as running:
        yield running


@pytest.fixture(scope="module")
def server(
    models: Models, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    home = make_home(tmp_path_factory.mktemp("backfills"), module=MODULE)
    home.allow_runs(12)
    write_project(
        home.directory,
        *(
            held_dataset(name, url=models[name].url, groups=size)
            for name, size in SIZES.items()
        ),
    )
    sliced = held_dataset("sliced", url=models["sliced"].url, groups=FEW)
    write_dataset(home.directory, sliced, max_row_groups_per_run=PER_RUN)
    with dagster_server(home) as running:
        yield running


@pytest.fixture(scope="module")
def story(server: Server, models: Models) -> Story:
    told = Story(server.home)
    first = launch_first(server)
    in_the_middle(server, models, first)
    for name, ids in first.items():
        told.ended[name] = [server.backfill_ended(backfill) for backfill in ids]
        told.runs[name] = sum(
            len(server.runs_of_backfill(backfill)) for backfill in ids
        )
        told.after[name] = server.partitions(asset(name))
        told.on_disk_after[name] = on_disk(server.home, name)
    for backfill in first["sliced"]:
        told.slices = sorted(
            slice_of(server.home, run) for run in server.runs_of_backfill(backfill)
        )
    for name in ("killed", "cancelled"):
        models[name].let_go()
    second = {
        "killed": server.launch_backfill(
            asset("killed"), sorted(told.after["killed"]["failed"])
        ),
        "cancelled": server.retry_backfill(first["cancelled"][0]),
        "a_range": server.launch_backfill(
            asset("a_range"), sorted(told.after["a_range"]["missing"])
        ),
    }
    for name, backfill in second.items():
        told.ended[name].append(server.backfill_ended(backfill))
    for name in SIZES:
        told.at_end[name] = server.partitions(asset(name))
        told.asked[name] = models[name].asked
    return told


def slice_of(home: DagsterHome, run_id: str) -> tuple[str, str]:
    """The range of partitions that a run covers."""
    with home.instance() as instance:
        run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.tags[RANGE_START], run.tags[RANGE_END]


def launch_first(server: Server) -> dict[str, list[str]]:
    """Backfills of what a person chooses, the interesting ones first."""
    chosen = {
        "killed": [keys(0, MANY - 1)],
        "cancelled": [keys(0, MANY - 1)],
        "grows": [keys(0, MANY - 1)],
        "twice": [keys(0, FEW - 1), keys(0, FEW - 1)],
        "all_of_it": [keys(0, FEW - 1)],
        "a_range": [keys(1, 3)],
        "gaps": [GAPS],
        "sliced": [keys(0, FEW - 1)],
    }
    return {
        name: [server.launch_backfill(asset(name), partitions) for partitions in each]
        for name, each in chosen.items()
    }


def in_the_middle(server: Server, models: Models, first: dict[str, list[str]]) -> None:
    """Kill one run, cancel one backfill, let one dataset grow while its backfill runs."""
    until_recorded(server.home, "killed", 2)
    [run_id] = server.runs_of_backfill(first["killed"][0])
    with server.home.instance() as instance:
        [record] = instance.get_records_for_run(
            run_id, of_type=dg.DagsterEventType.STEP_START
        ).records
    step = record.event_log_entry.dagster_event
    assert step is not None and step.pid is not None
    os.kill(step.pid, signal.SIGKILL)
    until_recorded(server.home, "cancelled", 2)
    server.cancel_backfill(first["cancelled"][0])
    until_recorded(server.home, "grows", 2)
    write_dataset(
        server.home.directory,
        held_dataset("grows", url=models["grows"].url, groups=MORE),
    )
    server.reload()
    first["grows"].append(
        wait_for(lambda: more(server), what="a daemon that has read the longer dataset")
    )
    models["grows"].let_go()


def more(server: Server) -> str | None:
    """A backfill of the new partitions. The daemon reloads definitions once a minute and fails what it does not know."""
    backfill = server.launch_backfill(asset("grows"), keys(MANY, MORE - 1))
    return backfill if server.backfill_started(backfill) else None


def colours(materialized: list[str], *, of: int) -> dict[str, set[str]]:
    """What a page shows if these are green and no other partition was ever tried."""
    rest = set(keys(0, of - 1)) - set(materialized)
    return {
        "materialized": set(materialized),
        "missing": rest,
        "failed": set(),
        "materializing": set(),
    }


def test_all_of_it_is_one_run(story: Story) -> None:
    assert story.ended["all_of_it"] == ["COMPLETED_SUCCESS"]
    assert story.runs["all_of_it"] == 1
    assert story.after["all_of_it"] == colours(keys(0, FEW - 1), of=FEW)


def test_a_range_and_then_what_is_missing(story: Story) -> None:
    assert story.ended["a_range"] == ["COMPLETED_SUCCESS", "COMPLETED_SUCCESS"]
    assert story.after["a_range"] == colours(keys(1, 3), of=FEW)
    assert story.at_end["a_range"] == colours(keys(0, FEW - 1), of=FEW)


def test_scattered_gaps_are_one_run_each(story: Story) -> None:
    assert story.ended["gaps"] == ["COMPLETED_SUCCESS"]
    assert story.runs["gaps"] == 3, "0, 2 and 3, 5"
    assert story.after["gaps"] == colours(GAPS, of=FEW)


def test_a_backfill_of_more_than_one_run_may_have_is_sliced(story: Story) -> None:
    assert story.ended["sliced"] == ["COMPLETED_SUCCESS"]
    assert story.slices == [("00000", "00003"), ("00004", "00005")]
    assert story.after["sliced"] == colours(keys(0, FEW - 1), of=FEW)
    assert max(story.asked["sliced"].values()) == 1
    refused = story.home.materialize(
        asset("sliced"), "--partition-range", "00000...00001"
    )
    assert refused.returncode != 0 and "single_run" in refused.stderr, (
        "why the guide names `sdg generate` for it"
    )


def test_two_backfills_of_one_dataset_share_the_work(story: Story) -> None:
    assert story.ended["twice"] == ["COMPLETED_SUCCESS", "COMPLETED_SUCCESS"]
    assert story.runs["twice"] == 2
    assert story.after["twice"] == colours(keys(0, FEW - 1), of=FEW)
    events = Counter(
        event.partition for event in story.home.materializations(asset("twice"))
    )
    assert events == dict.fromkeys(keys(0, FEW - 1), 2)
    assert max(story.asked["twice"].values()) == 1


def test_a_killed_run_leaves_failed_partitions_for_the_next_backfill(
    story: Story,
) -> None:
    first, second = story.ended["killed"]
    assert (first, second) == ("COMPLETED_FAILED", "COMPLETED_SUCCESS")
    after = story.after["killed"]
    assert after["materialized"] <= story.on_disk_after["killed"]
    assert after["failed"] == set(keys(0, MANY - 1)) - after["materialized"]
    assert story.at_end["killed"] == colours(keys(0, MANY - 1), of=MANY)
    assert story.asked["killed"].total() <= MANY * SIZE + IN_FLIGHT


def test_a_cancelled_backfill_paints_nothing_red_and_is_resumed(story: Story) -> None:
    first, second = story.ended["cancelled"]
    assert (first, second) == ("CANCELED", "COMPLETED_SUCCESS")
    after = story.after["cancelled"]
    assert after["materialized"] == story.on_disk_after["cancelled"]
    assert after["failed"] == set()
    assert story.at_end["cancelled"] == colours(keys(0, MANY - 1), of=MANY)
    assert story.asked["cancelled"].total() <= MANY * SIZE + IN_FLIGHT


def test_a_dataset_grows_while_its_backfill_runs(story: Story) -> None:
    assert story.ended["grows"] == ["COMPLETED_SUCCESS", "COMPLETED_SUCCESS"]
    assert story.at_end["grows"] == colours(keys(0, MORE - 1), of=MORE)
    assert max(story.asked["grows"].values()) == 1


@pytest.mark.parametrize("name", SIZES)
def test_green_is_what_is_on_disk(story: Story, name: str) -> None:
    assert story.at_end[name]["materialized"] == on_disk(story.home, name)
    assert sum(story.asked[name].values()) >= SIZE * len(
        story.at_end[name]["materialized"]
    )
