"""What goes wrong in NeMo Curator's resumable pipelines does not go wrong here: one test per defect that was found there.

`docs/design/curator-counterparts.md` has the list, and the counterparts of Curator's own tests.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from sdg_core.api import pipelines
from sdg_core.custom import Stage
from sdg_core.errors import ClaimLostError, ConfigError, FunctionError
from sdg_core.pipelines.generate import agenerate_pipeline
from tests.support.pipelines import Project, check_accounts

WORDS: dict[str, Any] = {
    "stage": "split",
    "column": "content",
    "unit": "words",
    "size": 1,
}
FUNCTIONS = """
import asyncio
import random
from pathlib import Path
from sdg_core.custom import Failed, Filtered

HERE = Path(__file__).parent
SOURCES = HERE / "data" / "notes"

def noted(record):
    with (HERE / "calls").open("a") as log:
        log.write(record["source"] + "\\n")
    return record

def by_source(records):
    return [[] if "empty" in r["source"] else [{**r, "n": 0}, {**r, "n": 1}] for r in records]

async def in_any_order(record):
    for _ in range(random.randrange(20)):
        await asyncio.sleep(0)
    return [{**record, "n": n} for n in range(random.Random(record["content"]).randrange(4))]

async def after_the_others(record):
    if record["source"] == "docs/z.txt":
        while len([*SOURCES.glob("*/sources/[0-9]*.parquet")]) < 3:
            await asyncio.sleep(0.01)
        return "not a record"
    return record

async def after_a(record):
    while record["source"] != "docs/a.txt" and not [*SOURCES.glob("*/sources/00000.parquet")]:
        await asyncio.sleep(0.01)
    return record

def once_only(record):
    if (HERE / "again").exists():
        raise ValueError("not this time")
    return record

def fails(record):
    if "bad" in record["content"]:
        return Failed("no way", retryable=False)
    if "dull" in record["content"]:
        return Filtered("dull")
    return record
"""


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"stage": "function", "function": f"./own.py:{name}", **more}


def project_of(directory: Path, *stages: dict[str, Any], **texts: str) -> Project:
    directory.mkdir(exist_ok=True)
    (directory / "own.py").write_text(FUNCTIONS, encoding="utf-8")
    return Project(directory, [*stages], more={"run": {"max_failure_rate": 1.0}}).write(
        **texts
    )


def calls(project: Project) -> list[str]:
    path = project.directory / "calls"
    return sorted(path.read_text().split()) if path.exists() else []


def test_d1_sources_with_the_same_last_part_are_all_made(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    for folder in ("shard_1", "shard_2", "shard_1/part_0"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "part_0.txt").write_text(folder)
    project.sources["path"] = "**/part_0.txt"
    assert project.write().generate().made == 3
    assert sorted(row["content"] for row in project.rows()) == [
        "shard_1",
        "shard_1/part_0",
        "shard_2",
    ]


def test_d2_slots_belong_to_their_records_whatever_their_number(tmp_path: Path) -> None:
    sources = {"reader": "jsonl", "path": "docs/*.jsonl"}
    project = Project(tmp_path, [function("by_source", batch_size=2)], sources)
    (tmp_path / "own.py").write_text(FUNCTIONS.replace('r["source"]', 'r["name"]'))
    project.write(a='{"name": "empty"}\n{"name": "full"}\n')
    project.generate()
    assert [(row["_task"], row["name"], row["n"]) for row in project.rows()] == [
        ("1/0", "full", 0),
        ("1/1", "full", 1),
    ]
    check_accounts(project.footers())


def test_d3_tasks_may_end_in_any_order(tmp_path: Path) -> None:
    texts = {name: f"{name}1 {name}2 {name}3" for name in "abcdef"}
    stages = (WORDS, function("in_any_order"), function("in_any_order"))
    first = project_of(tmp_path / "first", *stages, **texts)
    second = project_of(tmp_path / "second", *stages, **texts)
    assert first.generate().states == second.generate().states == {"complete": 6}
    assert first.rows() == second.rows()
    check_accounts(first.footers())


def test_d3b_nothing_open_for_a_moment_is_not_the_end(tmp_path: Path) -> None:
    # the first batch leaves nothing over
    lines = "".join(f'{{"n": {n}}}\n' for n in range(1003))
    keep = {"stage": "filter", "keep": "{{ n >= 1001 }}", "reason": "early"}
    project = Project(
        tmp_path, [keep], {"reader": "jsonl", "path": "docs/*.jsonl"}
    ).write(a=lines)
    assert project.generate().filtered == {"early": 1001}
    assert [row["n"] for row in project.rows()] == [1001, 1002]


def test_d4_sources_that_were_done_stay_done_when_the_run_fails(tmp_path: Path) -> None:
    project = project_of(
        tmp_path, function("after_the_others"), a="a", b="b", c="c", z="z"
    )
    with pytest.raises(FunctionError, match="returned 'not a record'"):
        project.generate()
    states = pipelines.status(project.open()).source_states()
    assert states["complete"] == ["docs/a.txt", "docs/b.txt", "docs/c.txt"]
    assert states["missing"] == ["docs/z.txt"]


def test_d5_pipelines_of_one_root_know_nothing_of_each_other(tmp_path: Path) -> None:
    first = project_of(tmp_path, function("noted"), a="a", b="b")
    first.generate()
    second = project_of(tmp_path, function("noted"))
    second.more["name"] = "other"
    second.write()
    assert second.generate().made == 2
    elsewhere = pipelines.open_pipeline(second.file, root=str(tmp_path / "elsewhere"))
    assert pipelines.generate(elsewhere).made == 2
    assert calls(first) == sorted(["docs/a.txt", "docs/b.txt"] * 3)


def test_d6_the_sink_is_last_by_the_shape_of_the_file(tmp_path: Path) -> None:
    for wrong in (
        {"stage": "sink", "columns": ["content"]},
        {**WORDS, "is_sink_stage": True},
    ):
        with pytest.raises(ConfigError, match=r"stages\[0\]"):
            project_of(tmp_path, wrong, WORDS).open()


def test_d7_a_relaunch_leaves_what_is_finished_untouched(tmp_path: Path) -> None:
    project = project_of(tmp_path, WORDS, a="one two", b="three")
    project.generate()
    before = {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in project.files()
    }
    assert project.write(c="four").generate().adopted == 2
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before
    } == before


def test_d8_names_of_any_length_are_names(tmp_path: Path) -> None:
    deep = Path(*["d" * 200] * 4)
    project = project_of(tmp_path)
    (tmp_path / "docs" / deep).mkdir(parents=True)
    (tmp_path / "docs" / deep / "a.txt").write_text("deep")
    project.sources["path"] = "docs/**/*.txt"
    assert project.write().generate().made == 1
    ((key,),) = [
        [entry.key for entry in footer.sources] for footer in project.footers()
    ]
    assert len(key) > 511
    assert project.generate().adopted == 1


def test_d9_what_is_complete_is_not_undone(tmp_path: Path) -> None:
    project = project_of(tmp_path, function("once_only"), a="a", b="b")
    project.generate()
    rows = project.rows()
    (tmp_path / "again").touch()
    assert project.generate(retry=True).states == {"complete": 2}
    assert project.write(c="c").generate().states == {"complete": 2, "partial": 1}
    assert project.rows() == rows


def test_d10_another_pipeline_or_another_content_is_never_skipped(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path, WORDS, a="one two")
    project.generate()
    path = tmp_path / "docs" / "a.txt"
    before = path.stat()
    path.write_text("two one")  # as long, and with the old time stamp
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert project.generate().made == 1
    assert [row["content"] for row in project.rows()] == ["two", "one"]
    project.stages = [{**WORDS, "size": 2}]
    assert project.write().generate().made == 1
    assert [row["content"] for row in project.rows()] == ["two one"]


@pytest.mark.parametrize("stages", [[], [WORDS], [function("by_source", batch_size=9)]])
def test_d11_few_stages_and_empty_lists_complete(
    tmp_path: Path, stages: list[dict[str, Any]]
) -> None:
    project = project_of(tmp_path, *stages, empty="a b", full="c")
    assert project.generate().states == {"complete": 2}
    assert project.generate().made == 0
    check_accounts(project.footers())


class Twice(Stage):
    """Doubles a text."""

    def process(self, record: Any) -> Any:
        return {**record, "content": record["content"] * 2}


def test_d12_a_pipeline_of_one_stage_is_what_was_written(tmp_path: Path) -> None:
    project = project_of(tmp_path, a="x")
    made = pipelines.Pipeline("one", project.sources, [Twice()], base=tmp_path)
    opened = pipelines.open_pipeline(made, root=project.root)
    assert [plan.stage.stage for plan in opened.plan.stages] == ["function"]
    assert pipelines.generate(opened).states == {"complete": 1}


def test_d13_stages_are_not_changed_by_the_pipelines_they_are_in(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path, a="x")
    stage = Twice()
    before = dict(vars(stage))
    first = pipelines.Pipeline("first", project.sources, [stage], base=tmp_path)
    assert (
        pipelines.generate(pipelines.open_pipeline(first, root=project.root)).rows == 1
    )
    first.add_stage(stage)
    second = pipelines.Pipeline(
        "second", project.sources, [WORDS, stage, WORDS], base=tmp_path
    )
    for pipeline in (first, second):
        opened = pipelines.open_pipeline(pipeline, root=project.root)
        assert pipelines.generate(opened).states == {"complete": 1}
    assert vars(stage) == before


FORGETFUL = """
import sqlite3
from pathlib import Path

def lose_the_claim(record):
    connection = sqlite3.connect(Path(__file__).parent / "data" / ".sdg" / "ledger.db")
    with connection:
        connection.execute("DELETE FROM claims")
    connection.close()
    return record
"""


def test_d14_a_worker_that_lost_its_claim_publishes_nothing(tmp_path: Path) -> None:
    (tmp_path / "lost.py").write_text(FORGETFUL)
    project = project_of(
        tmp_path, {"stage": "function", "function": "./lost.py:lose_the_claim"}, a="a"
    )
    with pytest.raises(ClaimLostError, match="^partition 0: taken over"):
        project.generate()
    assert project.files() == []


def test_d15_what_is_durable_is_written_per_source_not_per_task(tmp_path: Path) -> None:
    few, many = (
        project_of(tmp_path / name, WORDS, WORDS, WORDS) for name in ("few", "many")
    )
    few.write(a="w").generate()
    many.write(a="w " * 3000).generate()
    written = [
        sorted(p.name for p in Path(project.root).rglob("*") if p.is_file())
        for project in (few, many)
    ]
    assert written[0] == written[1]


async def test_d16_two_runs_at_once_make_every_source_once(tmp_path: Path) -> None:
    project = project_of(
        tmp_path, function("noted"), **{name: name for name in "abcdef"}
    )
    first, second = await asyncio.gather(
        agenerate_pipeline(project.open()), agenerate_pipeline(project.open())
    )
    assert first.made + second.made == 6
    assert calls(project) == [f"docs/{name}.txt" for name in "abcdef"]


def test_d17_a_source_is_complete_before_another_has_begun_its_last_stage(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path, WORDS, function("after_a"), WORDS, a="a", b="b")
    assert project.generate().states == {"complete": 2}


def test_d18_a_shorter_source_leaves_nothing_of_its_former_self(tmp_path: Path) -> None:
    project = project_of(tmp_path, WORDS, a="one two three", b="four")
    project.generate()
    project.write(a="one").generate()
    assert [row["content"] for row in project.rows()] == ["one", "four"]
    everything = [path.name for path in Path(project.root).rglob("*") if path.is_file()]
    assert [name for name in everything if "tmp" in name or name.startswith(".t")] == []


def test_d19_failures_are_counted_with_their_reasons_and_leave_siblings_alone(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path, WORDS, function("fails"), a="one bad dull two")
    summary = project.generate()
    assert (summary.rows, summary.filtered, summary.states, summary.remaining) == (
        2,
        {"dull": 1},
        {"failed": 1},
        1,
    )
    ((locator, failure),) = summary.failures
    assert (locator, failure.task, failure.stage, failure.message) == (
        "docs/a.txt",
        "0/1",
        1,
        "no way",
    )
    assert pipelines.status(project.open()).to_dict()["failures"]["count"] == 1


def test_d20_equal_contents_are_two_sources(tmp_path: Path) -> None:
    project = project_of(tmp_path, a="same", b="same")
    assert project.generate().made == 2
    assert [row["_source"] for row in project.rows()] == [
        "files:docs/a.txt",
        "files:docs/b.txt",
    ]


def test_d21_pending_failed_and_finished_sources_can_be_listed_and_one_retried(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path, function("fails"), a="fine", b="bad", c="bad")
    project.generate()
    project.write(d="new")
    states = pipelines.status(project.open()).source_states()
    assert (states["complete"], states["failed"], states["missing"]) == (
        ["docs/a.txt"],
        ["docs/b.txt", "docs/c.txt"],
        ["docs/d.txt"],
    )
    # it, and what is new
    assert project.generate(retry=True, sources=["docs/b.txt"]).made == 2


def test_d22_a_bar_in_a_name_separates_nothing(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    for name in ("a|b.txt", "a.txt", "b.txt"):
        (tmp_path / "docs" / name).write_text(name)
    assert project.generate().made == 3
    assert {row["_source"] for row in project.rows()} == {
        f"files:docs/{n}.txt" for n in ("a", "a|b", "b")
    }
