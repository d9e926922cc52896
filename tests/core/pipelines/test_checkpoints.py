"""Checkpoints of stages: what they made of a source is not made again, neither after a kill nor when a later stage is edited."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdg_core.api import pipelines
from sdg_core.pipelines.checkpoints import Checkpoint, SourceCheckpoints, storable
from sdg_core.pipelines.tasks import StageAccount, Task
from sdg_core.system.failpoints import VARIABLE
from tests.support.pipelines import Project, check_accounts
from tests.support.sdg import sdg

FUNCTIONS = """
from pathlib import Path
from sdg_core.custom import Filtered

HERE = Path(__file__).parent

def note(name, record):
    with (HERE / name).open("a") as log:
        log.write(record["content"] + "\\n")

def slow(record):
    note("slow", record)
    if record["content"] == "dull":
        return Filtered("dull")
    return [{**record, "content": word} for word in record["content"].split()]

def quick(record):
    note("quick", record)
    if "bad" in record["content"] and not (HERE / "fixed").exists():
        raise ValueError("bad")
    return {**record, "upper": record["content"].upper()}
"""
SLOW: dict[str, Any] = {
    "stage": "function",
    "function": "./own.py:slow",
    "checkpoint": True,
}
QUICK: dict[str, Any] = {"stage": "function", "function": "./own.py:quick"}
RUN = {"run": {"max_failure_rate": 1.0, "max_attempts": 9}}


def project_of(directory: Path, *stages: dict[str, Any], **texts: str) -> Project:
    (directory / "own.py").write_text(FUNCTIONS, encoding="utf-8")
    return Project(directory, [*stages], more=RUN).write(**texts)


def calls(project: Project, name: str) -> list[str]:
    path = project.directory / name
    return sorted(path.read_text().splitlines()) if path.exists() else []


def test_a_later_stage_is_edited_and_the_earlier_one_is_not_done_again(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path, SLOW, QUICK, a="one two", b="dull", c="three")
    project.generate()
    first = project.rows()
    project.stages = [SLOW, QUICK, {"stage": "rename", "columns": {"upper": "shout"}}]
    summary = project.write().generate()
    assert calls(project, "slow") == ["dull", "one two", "three"]
    assert (
        [row["shout"] for row in project.rows()]
        == [row["upper"] for row in first]
        == ["ONE", "TWO", "THREE"]
    )
    assert (summary.filtered, summary.states) == ({"dull": 1}, {"complete": 3})
    check_accounts(project.footers())


def test_a_changed_source_or_an_edited_stage_before_it_is_done_again(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path, SLOW, a="one two", b="three")
    project.generate()
    project.write(a="four").generate()
    assert calls(project, "slow") == ["four", "one two", "three"]
    kept = [*(tmp_path / "data" / "notes" / "checkpoints").rglob("*.zst")]
    assert len(kept) == 2  # that of the former content is gone
    project.stages = [{"stage": "filter", "keep": "{{ content | length > 0 }}"}, SLOW]
    project.write().generate()
    assert calls(project, "slow") == ["four", "four", "one two", "three", "three"]


def test_what_failed_after_a_checkpoint_is_done_again_from_there(
    tmp_path: Path,
) -> None:
    project = project_of(tmp_path, SLOW, QUICK, a="one bad two")
    assert project.generate().states == {"partial": 1}
    (tmp_path / "fixed").touch()
    assert project.generate().states == {"complete": 1}
    assert calls(project, "slow") == ["one bad two"]
    assert calls(project, "quick") == ["bad", "bad", "one", "two"]
    assert [row["_task"] for row in project.rows()] == ["0/0", "0/1", "0/2"]
    check_accounts(project.footers())


def test_nothing_is_kept_of_a_stage_that_failed(tmp_path: Path) -> None:
    kept_quick = {**QUICK, "checkpoint": True}
    project = project_of(tmp_path, SLOW, kept_quick, a="one bad")
    project.generate()
    (tmp_path / "fixed").touch()
    project.stages = [
        SLOW,
        kept_quick,
        {"stage": "rename", "columns": {"upper": "shout"}},
    ]
    project.write().generate()
    assert [row["shout"] for row in project.rows()] == ["ONE", "BAD"]
    assert calls(project, "slow") == ["one bad"]
    project.stages = [
        SLOW,
        kept_quick,
    ]  # back to where a task failed: the newer checkpoint does not hide it
    assert project.write().generate().states == {"complete": 1}
    assert [row["upper"] for row in project.rows()] == ["ONE", "BAD"]
    check_accounts(project.footers())


def test_a_damaged_checkpoint_is_made_again(tmp_path: Path) -> None:
    project = project_of(tmp_path, SLOW, a="one two")
    project.generate()
    for path in (tmp_path / "data" / "notes" / "checkpoints").rglob("*.zst"):
        path.write_bytes(path.read_bytes()[:-4])
    project.stages = [SLOW, QUICK]
    assert project.write().generate().rows == 2
    assert calls(project, "slow") == ["one two", "one two"]


def test_batches_of_a_large_source_are_kept_one_by_one(tmp_path: Path) -> None:
    lines = "".join(f'{{"content": "w{n} x"}}\n' for n in range(2100))
    (tmp_path / "own.py").write_text(FUNCTIONS, encoding="utf-8")
    stages = [
        {
            "stage": "split",
            "column": "content",
            "unit": "words",
            "size": 1,
            "checkpoint": True,
        }
    ]
    sources = {"reader": "jsonl", "path": "docs/*.jsonl"}
    project = Project(tmp_path, stages, sources).write(a=lines)
    project.generate()
    found = sorted((tmp_path / "data" / "notes" / "checkpoints").rglob("*.zst"))
    assert len(found) == 3
    found[1].unlink()  # the reader has to find its place again
    before = project.rows()
    project.stages = [*stages, {"stage": "rename", "columns": {"content": "word"}}]
    project.write().generate()
    assert [row["word"] for row in project.rows()] == [row["content"] for row in before]
    assert len(before) == 4200
    check_accounts(project.footers())


@pytest.mark.slow
def test_killed_after_hours_of_the_first_stage(tmp_path: Path) -> None:
    project = project_of(tmp_path, SLOW, QUICK, a="one two", b="three four", c="five")
    command = ("generate", project.file, "--root", project.root)
    killed = sdg(*command, env={VARIABLE: "checkpoint.after_save:2"})
    assert killed.returncode == -9, killed.stderr
    before = calls(project, "slow")
    assert sdg(*command).returncode == 0
    done = calls(project, "slow")
    assert {*done} == {"one two", "three four", "five"}
    assert len(done) - len({*done}) <= len(before) - 2  # two were kept
    assert [row["upper"] for row in project.rows()] == [
        "ONE",
        "TWO",
        "THREE",
        "FOUR",
        "FIVE",
    ]
    check_accounts(project.footers())


VALUES = {
    "text": "né\x00 \n",
    "number": 2**80,
    "nan": float("inf"),
    "when": datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "day": date(2024, 1, 2),
    "for": timedelta(days=1, microseconds=3),
    "price": Decimal("1.10"),
    "raw": b"\xff\x00",
    "nested": {"list": [1, 1.0, None, {"day": date(1, 1, 1)}], "empty": {}},
}


def test_values_come_back_as_they_were(tmp_path: Path) -> None:
    assert storable(VALUES) == VALUES
    assert storable({"pair": (1, 2)}) == {"pair": [1, 2]}
    kept = SourceCheckpoints(tmp_path, key="files:a", version="sha256:1")
    found = Checkpoint(
        [Task((0, 3), VALUES)], [StageAccount("read", 1, 1, {"x": 2})], 1, True
    )
    kept.save("sha256:abc", 0, found)
    assert kept.load("sha256:abc", 0) == found
    assert kept.load("sha256:abd", 0) is None and kept.load("sha256:abc", 1) is None
    other = SourceCheckpoints(tmp_path, key="files:a", version="sha256:2")
    assert other.load("sha256:abc", 0) is None


def test_a_value_that_cannot_be_kept_fails_its_task(tmp_path: Path) -> None:
    own = "def odd(record):\n    return {**record, 'made': object() if record['content'] == 'odd' else 1}\n"
    project = project_of(tmp_path, {**SLOW, "function": "./more.py:odd"})
    (tmp_path / "more.py").write_text(own)
    summary = project.write(a="odd", b="fine").generate()
    ((_, failure),) = summary.failures
    assert (
        failure.message.startswith(
            "the stage's result cannot be stored in a checkpoint: "
        )
        and failure.stage == 0
    )
    assert summary.rows == 1


def test_dates_of_a_table_go_through_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    table = pa.table(
        {"day": [date(2024, 1, 2), None], "n": pa.array([1, 2], pa.int32())}
    )
    pq.write_table(table, tmp_path / "docs" / "a.parquet")
    stages = [{"stage": "filter", "keep": "{{ n > 0 }}", "checkpoint": True}]
    sources = {"reader": "parquet", "path": "docs/*.parquet"}
    project = Project(tmp_path, stages, sources).write()
    assert pipelines.generate(project.open()).rows == 2
    assert [row["day"] for row in project.rows()] == [date(2024, 1, 2), None]
