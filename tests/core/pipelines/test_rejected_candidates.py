"""`rejected/` of a pipeline lists every candidate that was not kept, with its reason and its cost, whatever is interrupted."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdg_core.api import pipelines
from sdg_core.cli import show_pipeline
from sdg_core.pipelines.rejected import write_rejected
from sdg_core.testing import Fault, ModelServer, status
from tests.support.pipelines import WORDS, Project, llm_stage, served_by

TEXT = " ".join(f"word{number}" for number in range(30))
GRADE = {
    "column_type": "sampler",
    "name": "grade",
    "sampler_type": "category",
    "params": {"values": [1, 2, 3]},
}
ANSWER = llm_stage("answer", "answer {{ content }} {{ grade }}")["columns"]
KEEP = "{{ [answer, grade][1] == 3 }}"
"""A condition that is not decided before the answer is there."""


def project(
    base: Path,
    url: str,
    *after: dict[str, Any],
    checkpoint: bool = False,
    **select: Any,
) -> Project:
    chosen = {"keep": KEEP, "candidates": 2, **select}
    stage = {
        "stage": "columns",
        "columns": [GRADE, *ANSWER],
        "select": chosen,
        "checkpoint": checkpoint,
    }
    made = Project(base, [WORDS, stage, *after], more=served_by(url))
    made.more["run"] = {"max_failure_rate": 1.0, "max_attempts": 9}
    made.more["model_configs"][0]["prices"] = {
        "prompt_tokens": 1000,
        "completion_tokens": 1000,
        "currency": "EUR",
    }
    return made.write(first=TEXT, second="alone")


def rejected(made: Project) -> list[dict[str, Any]]:
    version = made.open().layout.version(pipelines.status(made.open()).version)
    if not version.rejected.is_dir():
        return []
    tables = [pq.read_table(str(path)) for path in sorted(version.rejected.iterdir())]
    return [row for table in tables for row in table.to_pylist()]


def selected(made: Project) -> Any:
    return pipelines.status(made.open()).to_dict()["selection"]


async def generated(made: Project) -> Project:
    while (await pipelines.agenerate_pipeline(made.open())).remaining:
        pass
    return made


async def test_what_was_rejected_is_listed_counted_and_has_its_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with ModelServer() as server:
        made = await generated(project(tmp_path, server.url))
        listed = rejected(made)
        assert {(row["stage"], row["reason"]) for row in listed} == {
            ("stages[1]", f"not true: {KEEP}")
        }
        assert len(
            {(row["_source"], row["_task"], row["candidate"]) for row in listed}
        ) == len(listed)
        assert all(
            row["grade"] != 3
            and row["answer"]
            and row["content"].startswith(("word", "alone"))
            for row in listed
        )
        dropped = 31 - len(made.rows())
        assert (
            len(server.prompts) == len(made.rows()) + len(listed)
            and len(listed) > dropped > 0
        )
        kept = {(row["_source"], row["_task"]) for row in made.rows()}
        twice = {
            (row["_source"], row["_task"]) for row in listed if row["candidate"] == 1
        }
        assert len(twice) == dropped and not twice & kept
        found = selected(made)
        assert (found["rejected"], found["dropped"], found["fallback"]) == (
            len(listed),
            dropped,
            0,
        )
        assert (
            found["usage"]["m"]["requests"] == len(listed)
            and found["cost"]["m"]["amount"] > 0
        )
        show_pipeline.status(pipelines.status(made.open()), as_json=False)
        shown = " ".join(capsys.readouterr().out.split())
        assert (
            f"{len(listed)} candidates rejected; {dropped} tasks without a row" in shown
        )
        assert f"of that for rejected candidates: m: {len(listed)} requests" in shown
        pipelines.process(made.open())
        version = pipelines.status(made.open()).version
        report = json.loads(
            (made.open().layout.version(version).directory / "report.json").read_bytes()
        )
        assert report["selection"]["rejected"] == len(listed)


async def test_retries_interruptions_and_checkpoints_list_the_same(
    tmp_path: Path,
) -> None:
    """Faults fail tasks in the middle of their candidates and after; what is done again is not listed or counted twice."""
    more = llm_stage("more", "more {{ content }} {{ answer }}")
    async with ModelServer() as server:
        whole = await generated(project(tmp_path / "whole", server.url, more))
    expected = rejected(whole)
    for name in ("cut", "checkpoint"):
        faults: list[Fault | None] = [
            status(400) if place % 4 == 1 else None for place in range(60)
        ]
        async with ModelServer(faults=faults) as server:
            made = await generated(
                project(
                    tmp_path / name, server.url, more, checkpoint=name == "checkpoint"
                )
            )
        assert rejected(made) == expected
        found, other = selected(made), selected(whole)
        assert [found[key] for key in ("rejected", "dropped")] == [
            other[key] for key in ("rejected", "dropped")
        ]


async def test_a_batch_from_a_checkpoint_brings_its_rejected_candidates(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        made = await generated(project(tmp_path, server.url, checkpoint=True))
        expected = (rejected(made), selected(made)["rejected"])
        asked = len(server.prompts)
        made.stages.append({"stage": "rename", "columns": {"answer": "reply"}})
        await generated(made.write())
        assert len(server.prompts) == asked
    assert (rejected(made), selected(made)["rejected"]) == expected


async def test_sources_that_change_or_go_take_their_rejected_candidates_along(
    tmp_path: Path,
) -> None:
    async with ModelServer() as server:
        made = project(tmp_path, server.url)
        made.sources["sources_per_partition"] = 5
        await generated(made.write(third=TEXT.replace("word", "other")))
        before = rejected(made)
        assert {row["_source"][-9:-4] for row in before} >= {"first", "third"}
        await generated(made.write(first=None, third="one"))
    after = rejected(made)
    assert not any(row["_source"].endswith("first.txt") for row in after)
    assert all(
        row["content"] == "one" for row in after if row["_source"].endswith("third.txt")
    )
    assert [row for row in after if "second" in row["_source"]] == [
        row for row in before if "second" in row["_source"]
    ]


async def test_the_best_stands_in_and_fail_lists_what_failed(tmp_path: Path) -> None:
    async with ModelServer() as server:
        best = await generated(
            project(tmp_path / "best", server.url, otherwise="best", best="grade")
        )
        assert selected(best)["fallback"] > 0 == selected(best)["dropped"]
        assert (
            len(rejected(best))
            == selected(best)["rejected"]
            == len(server.prompts) - 31
        )
        fail = project(tmp_path / "fail", server.url, otherwise="fail")
        await pipelines.agenerate_pipeline(fail.open())
        once = rejected(fail)
        await pipelines.agenerate_pipeline(fail.open())
    assert rejected(fail) == once
    failed = {
        failure.task
        for footer in fail.footers()
        for source in footer.sources
        for failure in source.failed
    }
    assert failed and failed <= {row["_task"] for row in once}


async def test_a_pipeline_without_select_lists_nothing(tmp_path: Path) -> None:
    made = Project(tmp_path, [WORDS]).write(first="one two")
    await pipelines.agenerate_pipeline(made.open())
    assert rejected(made) == [] and selected(made) is None


def test_an_empty_listing_replaces_one_that_had_rows(tmp_path: Path) -> None:
    texts = [(name, pa.string()) for name in ("_source", "_task", "stage")]
    schema = pa.schema([*texts, ("candidate", pa.int64())])
    rows = pa.table([["a", "b"], ["0", "0"], ["stages[0]"] * 2, [0, 0]], schema=schema)
    path: Any = tmp_path / "rejected" / "00000.parquet"
    write_rejected(
        path,
        {"a": rows.slice(0, 1), "b": rows.slice(1)},
        sources=["a", "b"],
        extended=frozenset(),
    )
    assert pq.read_table(path).equals(rows)
    write_rejected(
        path, {"a": schema.empty_table()}, sources=["a", "b"], extended=frozenset()
    )
    assert pq.read_table(path).equals(rows.slice(1))
