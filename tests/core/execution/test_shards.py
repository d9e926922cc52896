"""Slices: whatever set of them runs, in whatever order, at once, overlapping or killed, ends as one run does."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.api import Shard, pipelines
from sdg_core.cli.main import run
from sdg_core.dataset.events import RowGroupFinished
from sdg_core.errors import CallbackError
from sdg_core.system.failpoints import VARIABLE
from tests.support.pipelines import Project, check_accounts, llm_stage, served_by
from tests.support.sdg import (
    ServerProcess,
    category,
    dataset_config,
    llm,
    only_version,
    open_dataset,
    sdg,
    started_sdg,
    stored_records,
    uuid,
    write_config,
)

GROUPS, SIZE = 7, 3
CHAIN = (
    uuid(),
    category("plan", "free", "pro"),
    llm("answer", "answer {{ id }} on {{ plan }}"),
)
Config = dict[str, Any]


def config(**more: Any) -> Config:
    return dataset_config(
        *CHAIN, num_records=GROUPS * SIZE, row_group_size=SIZE, **more
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    """The records of one run."""
    directory = tmp_path_factory.mktemp("whole")
    dataset = open_dataset(directory / "tickets.yaml", config(), root=directory)
    return stored_records(api.generate(dataset).version)


SHARDS = st.integers(1, 9).flatmap(
    lambda count: st.builds(Shard, st.integers(0, count - 1), st.just(count))
)
BATCHES = st.lists(
    st.lists(st.tuples(SHARDS, st.none() | st.integers(1, 3)), min_size=1, max_size=3),
    max_size=3,
)
"""Runs that go on at once, one batch after the other: a slice each, and after how many row groups the run breaks off."""


@settings(max_examples=12)
@given(BATCHES, st.integers(1, 4))
def test_any_slices_interleaved_and_broken_off_end_as_one_run(
    whole: dict[int, dict[str, Any]],
    batches: Sequence[Sequence[tuple[Shard, int | None]]],
    count: int,
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        dataset = open_dataset(
            Path(directory) / "tickets.yaml", config(), root=Path(directory)
        )
        finishing: list[tuple[Shard, int | None]] = [
            (Shard(index, count), None) for index in range(count)
        ]
        made = [
            event
            for batch in (*batches, finishing)
            for event in asyncio.run(run_at_once(dataset, batch))
        ]
        assert sorted(made) == list(range(GROUPS)), "each row group is made by one run"
        assert stored_records(only_version(Path(directory))) == whole
        assert api.generate(dataset).adopted == GROUPS


async def run_at_once(
    dataset: api.Dataset, batch: Sequence[tuple[Shard, int | None]]
) -> list[int]:
    """The row groups that these runs made."""
    made: list[int] = []

    async def run(shard: Shard, at_most: int | None) -> None:
        finished: list[int] = []

        def on_row_group(event: RowGroupFinished) -> None:
            finished.append(event.group.index)
            if not event.adopted:
                made.append(event.group.index)
            if len(finished) == at_most:
                raise RuntimeError("broken off")

        chosen = shard.of(range(len(dataset.plan.row_groups)))
        try:
            summary = await api.agenerate(
                dataset, row_groups=chosen, on_row_group=on_row_group
            )
        except CallbackError:
            assert at_most is not None
        else:
            assert summary.remaining == 0 and sorted(finished) == chosen

    await asyncio.gather(*(run(shard, at_most) for shard, at_most in batch))
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess("--latency", "0.01") as running:
        yield running


KILLED = (
    ("0/3", "file.after_replace:4"),
    ("1/3", "claim.after_take:1"),
    ("2/3", "journal.after_commit:1"),
)
THEN = ("0/2", "1/2", "5/6")
"""Slices whose processes die, then others, which overlap them and each other, all at once."""


@pytest.mark.slow
def test_killed_slices_and_others_that_overlap_them_end_as_one_run(
    tmp_path: Path, server: ServerProcess, whole: dict[int, dict[str, Any]]
) -> None:
    before = len(server.prompts())
    file = write_config(tmp_path / "tickets.yaml", config(endpoint=server.url))
    command = ("generate", file, "--root", tmp_path / "root")
    die_then_finish(command)
    records = stored_records(only_version(tmp_path / "root"))
    for name in ("id", "plan"):
        assert {i: r[name] for i, r in records.items()} == {
            i: r[name] for i, r in whole.items()
        }
    prompts = server.prompts()[before:]
    assert len(set(prompts)) == GROUPS * SIZE
    assert len(prompts) - len(set(prompts)) <= len(KILLED) * 8, (
        "what was on its way at a kill, no more"
    )
    assert "row groups are complete" in sdg(*command).stdout


def die_then_finish(command: Sequence[str | Path]) -> None:
    """Start KILLED at once, each to die at its point, then THEN at once, to the end."""
    for shards in (KILLED, [(shard, None) for shard in THEN]):
        processes = []
        for shard, point in shards:
            env = {VARIABLE: point} if point is not None else {}
            processes.append(started_sdg(*command, "--shard", shard, env=env))
        running = [process.__enter__() for process in processes]
        outcomes = [process.communicate() for process in running]
        for process in processes:
            process.__exit__(None, None, None)
        expected = {-9} if shards is KILLED else {0}
        assert {process.returncode for process in running} == expected, outcomes


STAGES = [
    {"stage": "split", "column": "content", "unit": "words", "size": 2},
    llm_stage("x", "x {{ content }}"),
]
TEXTS = {name: f"{name}1 {name}2 {name}3 {name}4" for name in "abcdefg"}


@pytest.mark.slow
def test_slices_of_a_pipeline_end_as_one_run(
    tmp_path: Path, server: ServerProcess
) -> None:
    more = served_by(server.url)
    (tmp_path / "one").mkdir()
    one = Project(tmp_path / "one", STAGES, more=more).write(**TEXTS)
    one.generate()
    before = len(server.prompts())
    (tmp_path / "many").mkdir()
    many = Project(tmp_path / "many", STAGES, more=more).write(**TEXTS)
    die_then_finish(("generate", many.file, "--root", many.root))
    assert many.rows() == one.rows()
    check_accounts(many.footers())
    prompts = server.prompts()[before:]
    assert len(prompts) - len(set(prompts)) <= len(KILLED) * 8
    assert pipelines.generate(many.open()).made == 0


def test_a_run_killed_while_it_wrote_down_its_partitions_stands_in_nobodys_way(
    tmp_path: Path,
) -> None:
    project = Project(tmp_path, STAGES[:1]).write(**TEXTS)
    command = ("generate", project.file, "--root", project.root)
    assert sdg(*command, env={VARIABLE: "file.after_temporary:3"}).returncode == -9
    directory = Path(str(project.open().layout.partitions))
    assert [
        path.name for path in directory.iterdir() if path.name.startswith(".tmp-")
    ], "the kill left a temporary"
    assert pipelines.status(project.open()).to_dict()["faults"] == []
    assert project.generate(shard=Shard(0, 2)).remaining == 0
    assert not [
        path.name for path in directory.iterdir() if path.name.startswith(".tmp-")
    ]


def test_a_slice_of_a_pipeline_tells_of_its_own_partitions(tmp_path: Path) -> None:
    functions = "def fails(row):\n    if 'bad' in row['content']:\n        raise ValueError('bad')\n    return row\n"
    (tmp_path / "own.py").write_text(functions, encoding="utf-8")
    stages = [{"stage": "function", "function": "./own.py:fails"}]
    project = Project(tmp_path, stages, more={"run": {"max_failure_rate": 1.0}}).write(
        a="good", b="bad", c="good"
    )
    first = project.generate(shard=Shard(0, 2))
    assert (first.made, first.remaining, first.states) == (2, 0, {"complete": 2})
    second = project.generate(shard=Shard(1, 2))
    assert (second.made, second.remaining, second.states, second.rows) == (
        1,
        1,
        {"partial": 1},
        2,
    )
    again = project.generate(shard=Shard(0, 2))
    assert (again.made, again.remaining, len(again.failures)) == (0, 0, 0), (
        "not what another slice has left"
    )
    assert project.generate(
        partitions=["00001", "00002"], shard=Shard(1, 2)
    ).states == {"complete": 1}


def test_a_slice_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_config(tmp_path / "tickets.yaml", config())
    place = (str(file), "--root", str(tmp_path / "root"))

    def command(name: str, *options: str) -> int:
        with pytest.raises(SystemExit) as ended:
            run([name, *place, *options])
        return int(ended.value.code or 0)

    assert command("plan", "--shard", "1/3", "--json") == 0
    assert not (tmp_path / "root").exists()
    assert command("generate", "--shard", "1/3") == 0
    assert only_version(tmp_path / "root").existing_row_groups() == [1, 4]
    assert command("generate", "--row-groups", "0,2,3,6", "--shard", "1/2") == 0
    assert only_version(tmp_path / "root").existing_row_groups() == [1, 2, 4, 6], (
        "of those listed, every second"
    )
    capsys.readouterr()
    assert command("generate", "--shard", "7/8") == 0
    assert "this slice has no row groups" in capsys.readouterr().out
    assert command("generate", "--shard", "/8") == 2
    assert "write INDEX/COUNT" in capsys.readouterr().err
