"""kill -9 of the real command, at any moment: a rerun ends in the same rows and asks nothing again that was saved."""

import random
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sdg_core import api
from sdg_core.errors import SealedError
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import read_metadata
from sdg_core.store.row_groups import read_footer
from sdg_core.system.failpoints import FAILPOINTS, VARIABLE
from tests.support.sdg import (
    ServerProcess,
    category,
    dataset_config,
    llm,
    only_version,
    sdg,
    snapshot,
    started_sdg,
    stored_records,
    uuid,
    wait_until,
    write_config,
)

RECORDS = 60
IN_FLIGHT = 8
"""Cells that may be on their way at a kill: asked for, or not yet in the journal (4 requests, twice as many records)."""
COLUMNS = (
    uuid(),
    category("plan", "free", "pro"),
    llm("question", "ask about {{ id }} on {{ plan }}", drop=True),
    llm("answer", "answer {{ question }} of {{ id }}"),
)


def check_files(version: VersionLayout) -> None:
    """Whatever the moment of death: what is there under its name is whole."""
    for index in version.existing_row_groups():
        footer = read_footer(version.row_group(index))
        assert (footer.row_group, footer.num_rows) == (index, 10 - len(footer.missing))
    assert read_metadata(version.metadata).dataset_name == "tickets"


def seeds(short: int, *, long: int) -> list[object]:
    """Seeds of the random moments; the long form has more."""
    return [
        *range(1, short + 1),
        *(
            pytest.param(seed, marks=pytest.mark.long)
            for seed in range(short + 1, long + 1)
        ),
    ]


@pytest.mark.parametrize("seed", seeds(2, long=66))
def test_killed_runs_end_in_the_rows_of_an_uninterrupted_one(
    tmp_path: Path, seed: int
) -> None:
    kills = 3
    draw = random.Random(seed)
    root, whole = tmp_path / "root", tmp_path / "whole"
    with ServerProcess("--latency", "0.01") as server:
        file = write_config(
            tmp_path / "tickets.yaml",
            dataset_config(*COLUMNS, endpoint=server.url, num_records=RECORDS),
        )
        for _ in range(kills):
            asked = len(server.prompts())
            after = draw.randint(1, 2 * RECORDS // kills)
            with started_sdg("generate", file, "--root", root) as running:
                goal = asked + after
                wait_until(
                    lambda running=running, goal=goal: (
                        running.poll() is not None or len(server.prompts()) >= goal
                    ),
                    f"{after} more requests",
                )
                running.kill()
                _, errors = running.communicate()
                assert "Traceback" not in errors and "error" not in errors
            check_files(only_version(root))
        saved = stored_records(only_version(root))
        asked = len(server.prompts())
        outcome = sdg("generate", file, "--root", root)
        assert outcome.returncode == 0, outcome.stderr
        again = [
            prompt
            for prompt in server.prompts()[asked:]
            if any(row["id"] in prompt for row in saved.values())
        ]
        assert again == [], "a saved record was asked for again"
        duplicates = len(server.prompts()) - len(set(server.prompts()))
        assert len(set(server.prompts())) == 2 * RECORDS
        assert duplicates <= kills * IN_FLIGHT, (
            "only requests on their way at a kill are sent again"
        )
        api.generate(api.open_dataset(file, root=str(whole)))
        final = stored_records(only_version(root))
        assert final == stored_records(only_version(whole))
        assert {index: final[index] for index in saved} == saved
        assert not list(root.rglob(".tmp*")), (
            "what killed runs left half written is gone"
        )


@pytest.mark.parametrize("seed", seeds(1, long=12))
def test_killed_processing_ends_in_the_output_of_an_uninterrupted_one(
    tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    transform = {
        "user": "{{ plan }} {{ id }}",
        "messages": [{"role": "user", "content": "{{ question }}"}],
    }
    config = dataset_config(
        uuid(),
        category("plan", "free", "pro"),
        llm("question", "{{ id }}", drop=True),
        num_records=6000,
        row_group_size=100,
        processors=[
            {
                "processor_type": "schema_transform",
                "name": "chat",
                "template": transform,
            }
        ],
    )
    file = write_config(tmp_path / "tickets.yaml", config)
    root, whole = tmp_path / "root", tmp_path / "whole"
    dataset, uninterrupted = (
        api.open_dataset(file, root=str(place)) for place in (root, whole)
    )
    version = api.generate(dataset).version
    shutil.copytree(root, whole)
    expected = snapshot(api.process(uninterrupted).version.processed)
    row_groups = snapshot(version.row_groups)

    def started() -> bool:
        return any(version.directory.glob(".tmp*processed/*/part-00000.parquet"))

    def published() -> bool:
        return version.processed.exists()

    for condition in draw.sample([started, published, started], k=3):
        with started_sdg("process", file, "--root", root) as running:
            wait_until(
                lambda running=running, condition=condition: (
                    running.poll() is not None or condition()
                ),
                "processing got there",
            )
            running.kill()
            running.communicate()
        assert snapshot(version.row_groups) == row_groups
        state = read_metadata(version.metadata).post_generation_state
        assert state in ("started", "complete")
        with pytest.raises(SealedError):
            api.generate(dataset)
    outcome = sdg("process", file, "--root", root)
    assert outcome.returncode == 0, outcome.stderr
    assert snapshot(version.processed) == expected
    assert set(expected) == {"dataset/part-00000.parquet", "chat/part-00000.parquet"}
    assert not list(version.directory.glob(".tmp*"))


RUN_POINTS = [
    point
    for point in FAILPOINTS
    if not point.startswith(("processing", "reopen", "journal", "checkpoint"))
]


@pytest.mark.parametrize(
    "point",
    [
        *RUN_POINTS,
        "journal.after_commit:2",
        "file.after_replace:4",
        "claim.after_take:3",
    ],
)
def test_a_run_killed_at_a_named_point_ends_like_an_uninterrupted_one(
    tmp_path: Path, point: str
) -> None:
    root, whole = tmp_path / "root", tmp_path / "whole"
    with ServerProcess() as server:
        config = dataset_config(*COLUMNS, endpoint=server.url, num_records=30)
        file = write_config(tmp_path / "tickets.yaml", config)
        killed = sdg("generate", file, "--root", root, env={VARIABLE: point})
        assert killed.returncode == -9, f"{point} was not reached: {killed.stderr}"
        outcome = sdg("generate", file, "--root", root)
        assert outcome.returncode == 0, outcome.stderr
        asked = server.prompts()
        assert len(set(asked)) == 60 and len(asked) - 60 <= IN_FLIGHT
        dataset = api.open_dataset(file, root=str(root))
        version = only_version(root)
        assert stored_records(version) == stored_records(
            api.generate(api.open_dataset(file, root=str(whole))).version
        )
        usage = sum(
            read_footer(version.row_group(index)).usage["writer"]["requests"]
            for index in range(3)
        )
        assert 60 <= usage <= len(asked), (
            "a reply is counted once, one that never got into the journal not at all"
        )
        assert [run.outcome for run in api.history(dataset)][:1] == ["done"]
        assert not list(root.rglob(".tmp*"))


@pytest.mark.parametrize(
    "point",
    [point for point in FAILPOINTS if point.startswith(("processing", "reopen"))],
)
def test_processing_and_reopening_killed_at_a_named_point_can_be_done_again(
    tmp_path: Path, point: str
) -> None:
    file = write_config(tmp_path / "tickets.yaml", dataset_config(uuid()))
    root = tmp_path / "root"
    dataset = api.open_dataset(file, root=str(root))
    version = api.generate(dataset).version
    row_groups = snapshot(version.row_groups)
    command = point.partition(".")[0].replace("processing", "process")
    if command == "reopen":
        api.process(dataset)
    killed = sdg(command, file, "--root", root, env={VARIABLE: point})
    assert killed.returncode == -9, f"{point} was not reached: {killed.stderr}"
    assert snapshot(version.row_groups) == row_groups
    if command == "process":
        assert sdg("reopen", file, "--root", root).returncode == 0
        assert not version.processed.exists()
    assert api.process(dataset).num_rows == 25
    assert api.status(dataset).post_generation_state == "complete"


@pytest.mark.parametrize("point", ["journal.after_commit:9", "group.before_settle"])
def test_a_run_that_selects_killed_at_a_named_point_ends_like_an_uninterrupted_one(
    tmp_path: Path, point: str
) -> None:
    """In the middle of a record's candidates, and between its file and the journal."""
    root, whole = tmp_path / "root", tmp_path / "whole"
    with ServerProcess() as server:
        select = {"keep": "{{ plan == 'pro' }}", "candidates": 3}
        config = dataset_config(
            *COLUMNS, endpoint=server.url, num_records=30, select=select
        )
        file = write_config(tmp_path / "tickets.yaml", config)
        killed = sdg("generate", file, "--root", root, env={VARIABLE: point})
        assert killed.returncode == -9, f"{point} was not reached: {killed.stderr}"
        assert sdg("generate", file, "--root", root).returncode == 0
        asked = server.prompts()
        assert len(asked) - len(set(asked)) <= IN_FLIGHT, (
            "only requests on their way at the kill are sent again"
        )
        version = only_version(root)
        api.generate(api.open_dataset(file, root=str(whole)))
        other = only_version(whole)
        assert stored_records(version) == stored_records(other)
        for index in range(3):
            footers = [
                read_footer(place.row_group(index)) for place in (version, other)
            ]
            assert footers[0].selection == footers[1].selection
            listed = [
                pq.read_table(str(place.rejected_candidates(index)))
                for place in (version, other)
            ]
            assert listed[0].equals(listed[1])
