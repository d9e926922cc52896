"""Pipelines written in Python: the words that users of NeMo Curator know, and the same checks and runs as for a file."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.api import pipelines
from sdg_core.api.pipelines import (
    Failed,
    Filtered,
    Pipeline,
    Resources,
    SourceReader,
    Stage,
    open_pipeline,
)
from sdg_core.errors import ConfigError, FunctionError, PlanError
from tests.support.pipelines import Project

FILES = {"reader": "files", "path": "docs/*.txt"}


@dataclass
class Chunk(Stage):
    """Cuts a text into words, a few at a time."""

    size: int = 2

    def process(self, record: dict[str, Any]) -> list[dict[str, Any]]:
        words = record["content"].split()
        return [
            {**record, "content": " ".join(words[at : at + self.size])}
            for at in range(0, len(words), self.size)
        ]


class Score(Stage):
    """Looks at batches, with something that is loaded once."""

    batch_size = 3
    resources = Resources(cpus=2, gpus=0.5)

    def __init__(self, log: list[Any] | None = None) -> None:
        self._log = log if log is not None else []

    def setup(self) -> None:
        self._log.append("setup")
        self._lock = threading.Lock()

    def process_batch(self, records: list[dict[str, Any]]) -> list[Any]:
        assert self._lock.acquire(blocking=False)  # one batch at a time
        self._log.append(len(records))
        slots = [self._one(record) for record in records]
        self._lock.release()
        return slots

    def _one(self, record: dict[str, Any]) -> Any:
        match record["content"]:
            case "skip this":
                return Filtered("dull")
            case "bad one":
                return Failed("no way", retryable=False)
            case text:
                return {**record, "score": len(text)}

    async def teardown(self) -> None:
        self._log.append("teardown")


def shout(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "content": record["content"].upper()}


def made(
    directory: Path, pipeline: Pipeline
) -> tuple[pipelines.PipelineSummary, list[dict[str, Any]]]:
    opened = open_pipeline(pipeline, root=str(directory / "data"))
    summary = pipelines.generate(opened)
    files = sorted(Path(str(summary.version.row_groups)).glob("*.parquet"))
    return summary, [row for path in files for row in api.read_rows(path).to_pylist()]


def test_stages_that_are_objects(tmp_path: Path) -> None:
    Project(tmp_path, []).write(a="one two skip this bad one", b="three four five")
    log: list[Any] = []
    pipeline = Pipeline(
        "notes", FILES, [Chunk(), Score(log)], base=tmp_path, seed=3
    ).add_stage(shout)
    pipeline.add_stage({"stage": "rename", "columns": {"content": "text"}})
    summary, rows = made(tmp_path, pipeline)
    assert [(row["text"], row["score"], row["_task"]) for row in rows] == [
        ("ONE TWO", 7, "0/0"),
        ("THREE FOUR", 10, "0/0"),
        ("FIVE", 4, "0/1"),
    ]
    assert (summary.filtered, summary.states) == (
        {"dull": 1},
        {"complete": 1, "failed": 1},
    )
    assert log[0] == "setup" and log[-1] == "teardown" and sorted(log[1:-1]) == [2, 3]
    again, _ = made(tmp_path, pipeline)
    assert (again.made, again.adopted) == (0, 2) and log.count(
        "setup"
    ) == 1  # nothing to do, nothing to load
    assert (
        pipelines.preview(
            pipeline, num_records=1, root=str(tmp_path / "data")
        ).table.num_rows
        == 1
    )


def test_describe(tmp_path: Path) -> None:
    split = {"stage": "split", "column": "content"}
    pipeline = Pipeline(
        "notes",
        FILES,
        [Chunk(size=3), split, Score().with_(batch_size=7)],
        sink={"columns": ["content"]},
    )
    assert pipeline.describe().splitlines() == [
        "Pipeline: notes",
        "  reader: reader: files, path: docs/*.txt",
        "  stage 0: Chunk (batches of 1, 1 CPU, 0 GPU)",
        "  stage 1: stage: split, column: content",
        "  stage 2: Score (batches of 7, 2 CPU, 0.5 GPU)",
        "  sink: columns: ['content']",
    ]
    with pytest.raises(TypeError, match="not size"):
        Chunk().with_(size=3)


def test_the_fingerprint_sees_what_a_stage_is_made_with(tmp_path: Path) -> None:
    Project(tmp_path, []).write(a="one")

    def version(*stages: Any) -> str:
        return open_pipeline(
            Pipeline("notes", FILES, [*stages], base=tmp_path)
        ).plan.fingerprint.version

    assert (
        version(Chunk())
        == version(Chunk(size=2))
        == version(Chunk().with_(batch_size=5, concurrency=2))
    )
    assert version(Chunk()) != version(Chunk(size=3)) != version(shout)
    with pytest.raises(
        PlanError,
        match=r"stage Chunk: its attribute size cannot be part of the fingerprint.*\n.*`version`",
    ):
        version(Chunk(size=object()))  # type: ignore[arg-type]
    one, two = (Chunk(size=object()).with_(version=name) for name in ("one", "two"))  # type: ignore[arg-type]
    assert version(one) != version(two)


class Broken(Stage):
    def __init__(self, where: str) -> None:
        self.where = where

    def setup(self) -> None:
        if self.where == "setup":
            raise OSError("no model")

    def process(self, record: dict[str, Any]) -> Any:
        if self.where == "process":
            raise ValueError(f"cannot do {record['content']}")
        return 5 if self.where == "slot" else record

    def teardown(self) -> None:
        if self.where == "teardown":
            raise OSError("still open")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("setup", r"stages\[0\]: setup of Broken raised OSError: no model"),
        ("slot", r"stages\[0\]: Broken returned 5"),
        ("teardown", r"stages\[0\]: teardown of Broken raised OSError: still open"),
    ],
)
def test_what_stops_a_run_names_the_stage(
    tmp_path: Path, where: str, message: str
) -> None:
    Project(tmp_path, []).write(a="one")
    with pytest.raises(FunctionError, match=message):
        made(tmp_path, Pipeline("notes", FILES, [Broken(where)], base=tmp_path))


def test_an_iterator_that_ends_early_is_an_error_like_any_other(tmp_path: Path) -> None:
    def first_of_none(record: dict[str, Any]) -> Any:
        return next(iter(()))

    Project(tmp_path, []).write(a="one")
    summary, _ = made(
        tmp_path, Pipeline("notes", FILES, [first_of_none], base=tmp_path)
    )
    assert [failure.message for _, failure in summary.failures] == [
        "RuntimeError: StopIteration: an iterator ended early"
    ]


def test_what_process_raises_fails_its_record_alone(tmp_path: Path) -> None:
    Project(tmp_path, []).write(a="one two three four")
    summary, rows = made(
        tmp_path, Pipeline("notes", FILES, [Chunk(), Broken("process")], base=tmp_path)
    )
    assert (summary.states, rows) == ({"partial": 1}, [])
    assert [failure.message for _, failure in summary.failures] == [
        "ValueError: cannot do one two",
        "ValueError: cannot do three four",
    ]


def test_a_class_in_a_file(tmp_path: Path) -> None:
    code = "from sdg_core.custom import Stage\n\nclass Times(Stage):\n    def __init__(self, by):\n        self.by = by\n"
    code += "    def process(self, record):\n        return {**record, 'content': record['content'] * self.by}\n"
    (tmp_path / "own.py").write_text(code)
    stage = {"stage": "function", "function": "./own.py:Times", "params": {"by": 2}}
    project = Project(tmp_path, [stage]).write(a="ab")
    project.generate()
    assert [row["content"] for row in project.rows()] == ["abab"]
    project.stages = [{**stage, "params": {"times": 2}}]
    with pytest.raises(ConfigError, match=r"stages\[0\]\.params: .*Times takes by"):
        project.write().open()


class Tickets(SourceReader):
    def __init__(self, tickets: dict[str, str]) -> None:
        self.tickets = tickets

    def items(self) -> Iterable[str]:
        return self.tickets

    def expand(self, item: str) -> Iterable[dict[str, Any]]:
        yield {"content": self.tickets[item]}


def test_a_reader_that_is_an_object(tmp_path: Path) -> None:
    tickets = {"T-1": "it broke", "T-2": "thanks"}
    pipeline = Pipeline("tickets", Tickets(tickets), [shout], base=tmp_path)
    assert [row["content"] for row in made(tmp_path, pipeline)[1]] == [
        "IT BROKE",
        "THANKS",
    ]
    tickets["T-2"] = "no thanks"
    summary, rows = made(tmp_path, pipeline)
    assert (summary.made, [row["content"] for row in rows]) == (
        1,
        ["IT BROKE", "NO THANKS"],
    )


def test_what_is_wrong_is_told_as_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"pipeline 'notes'.*(\n.*)*stages\[1\]\.column: required(.*\n)*.*",
    ):
        open_pipeline(
            Pipeline("notes", FILES, [shout, {"stage": "split"}], base=tmp_path)
        )
    with pytest.raises(ConfigError, match=r"name: not a valid name"):
        open_pipeline(Pipeline("Not a name", FILES, base=tmp_path))
