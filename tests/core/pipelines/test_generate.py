"""Runs of pipelines: what is made, what is kept, what is tried again; and the account of every task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdg_core.api import Event, SourcesProgress, pipelines
from sdg_core.errors import ConfigDriftError, FunctionError, SealedError, SeedError
from sdg_core.pipelines.generate import agenerate_pipeline
from sdg_core.testing import ModelServer, answer_to, status
from tests.support.pipelines import Project, check_accounts, llm_stage, served_by

SPLIT = {"stage": "split", "column": "content", "unit": "words", "size": 2}
FUNCTIONS = """
from pathlib import Path
from sdg_core.custom import Failed, Filtered

HERE = Path(__file__).parent

def flaky(record):
    with (HERE / "calls").open("a") as log:
        log.write(record["content"] + "\\n")
    if "bad" in record["content"] and not (HERE / "fixed").exists():
        raise ValueError("cannot do " + record["content"])
    return {**record, "upper": record["content"].upper()}

def kinds(record):
    match record["content"]:
        case "fan out": return [{**record, "n": 1}, {**record, "n": 2}]
        case "left out": return Filtered("too dull")
        case "gives up": return Failed("no way", retryable=False)
        case "is nothing": return []
        case _: return {**record, "n": 0}

def batch(records, params):
    return [{**record, "size": len(records), "by": params["by"]} for record in records]

def short(records):
    return records[1:]

async def late(record):
    return {**record, "late": True}
"""


def functions(directory: Path) -> None:
    (directory / "own.py").write_text(FUNCTIONS, encoding="utf-8")


def test_rows_have_their_lineage_and_the_sums_hold(tmp_path: Path) -> None:
    keep = {
        "stage": "filter",
        "keep": "{{ 'skip' not in content }}",
        "reason": "skipped",
    }
    project = Project(tmp_path, [SPLIT, keep]).write(
        a="one two three four", b="skip this five", c="   "
    )
    summary = project.generate()
    assert (summary.made, summary.rows, summary.remaining) == (3, 3, 0)
    assert summary.filtered == {"skipped": 1, "content is empty": 1}
    assert [
        (row["_source"], row["_task"], row["content"], row["content_start"])
        for row in project.rows()
    ] == [
        ("files:docs/a.txt", "0/0", "one two", 0),
        ("files:docs/a.txt", "0/1", "three four", 8),
        ("files:docs/b.txt", "0/1", "five", 10),
    ]
    check_accounts(project.footers())
    again = project.generate()
    assert (again.made, again.adopted) == (0, 3)


def test_only_new_changed_and_removed_sources_are_touched(tmp_path: Path) -> None:
    functions(tmp_path)
    stages = [{"stage": "function", "function": "./own.py:flaky"}]
    sources = {"reader": "files", "path": "docs/*.txt", "sources_per_partition": 2}
    project = Project(tmp_path, stages, sources).write(a="a", b="b")
    project.generate()
    project.write(b="b2", c="c")
    assert project.generate().made == 2
    assert sorted((tmp_path / "calls").read_text().split()) == ["a", "b", "b2", "c"]
    project.write(a=None)
    assert [s.state for s in pipelines.partition_statuses(project.open())] == [
        "partial",
        "complete",
    ]
    assert project.generate().removed == 1
    assert [row["content"] for row in project.rows()] == ["b2", "c"]
    first, second = project.footers()
    assert [entry["locator"] for entry in first.removed] == ["docs/a.txt"]
    assert [entry.locator for entry in first.sources] == ["docs/b.txt"]
    assert [entry.locator for entry in second.sources] == ["docs/c.txt"]
    project.write(a="a is back")
    project.generate()
    assert [row["content"] for row in project.rows()] == ["a is back", "b2", "c"]
    assert project.footers()[0].removed == ()


def test_failed_subtrees_alone_are_tried_again_then_given_up_then_retried(
    tmp_path: Path,
) -> None:
    functions(tmp_path)
    stages = [SPLIT, {"stage": "function", "function": "./own.py:flaky"}]
    project = Project(
        tmp_path, stages, more={"run": {"max_attempts": 2, "max_failure_rate": 1.0}}
    )
    project.write(a="one two bad thing five six")
    first = project.generate()
    assert (first.states, first.rows) == ({"partial": 1}, 2)
    check_accounts(project.footers())
    second = project.generate()
    assert second.states == {"failed": 1}
    (entry,) = project.footers()[0].sources
    assert [(f.task, f.stage, f.kind, f.attempts) for f in entry.failed] == [
        ("0/1", 1, "function", 2)
    ]
    assert project.generate().made == 0
    assert (tmp_path / "calls").read_text().splitlines() == [
        "one two",
        "bad thing",
        "five six",
        "bad thing",
    ]
    (tmp_path / "fixed").touch()
    third = project.generate(retry=True)
    assert (third.states, third.remaining) == ({"complete": 1}, 0)
    assert [row["_task"] for row in project.rows()] == ["0/0", "0/1", "0/2"]
    check_accounts(project.footers())


def test_a_changed_source_that_was_given_up_is_tried_again(tmp_path: Path) -> None:
    functions(tmp_path)
    project = Project(
        tmp_path,
        [{"stage": "function", "function": "./own.py:flaky"}],
        more={"run": {"max_attempts": 1}},
    ).write(a="bad")
    assert project.generate().states == {"failed": 1}
    assert [s.state for s in pipelines.partition_statuses(project.open())] == ["failed"]
    project.write(a="good")
    assert project.generate().states == {"complete": 1}


def test_what_a_function_may_return(tmp_path: Path) -> None:
    functions(tmp_path)
    stages = [
        {"stage": "function", "function": "./own.py:kinds"},
        {
            "stage": "function",
            "function": "./own.py:batch",
            "batch_size": 3,
            "params": {"by": "us"},
        },
        {"stage": "function", "function": "./own.py:late"},
    ]
    project = Project(tmp_path, stages).write(
        a="fan out", b="left out", c="gives up", d="is nothing", e="plain"
    )
    summary = project.generate()
    assert [
        (row["_task"], row["n"], row["size"], row["by"], row["late"])
        for row in project.rows()
    ] == [
        ("0/0", 1, 2, "us", True),
        ("0/1", 2, 2, "us", True),
        ("0", 0, 1, "us", True),
    ]
    assert summary.filtered == {
        "too dull": 1,
        "stages[0]: ./own.py:kinds returned no record": 1,
    }
    assert summary.states == {"complete": 4, "failed": 1}
    check_accounts(project.footers())


def test_a_batch_with_too_few_slots_names_its_stage(tmp_path: Path) -> None:
    functions(tmp_path)
    stages = [
        SPLIT,
        {"stage": "function", "function": "./own.py:short", "batch_size": 9},
    ]
    project = Project(tmp_path, stages).write(a="one two three")
    with pytest.raises(FunctionError, match=r"stages\[1\].*1 slot for 2 records"):
        project.generate()


def test_explode_of_lists_and_of_what_is_none(tmp_path: Path) -> None:
    lines = '{"tags": ["x", "y"], "n": 1}\n{"tags": [], "n": 2}\n{"tags": "z", "n": 3}\nnot json\n{"n": 4}\n'
    project = Project(
        tmp_path,
        [{"stage": "explode", "column": "tags"}],
        {"reader": "jsonl", "path": "docs/*.jsonl"},
    ).write(a=lines)
    summary = project.generate()
    assert [(row["tags"], row["n"], row["_task"]) for row in project.rows()] == [
        ("x", 1, "0/0"),
        ("y", 1, "0/1"),
    ]
    messages = sorted(failure.message for _, failure in summary.failures)
    assert messages[0].startswith("docs/a.jsonl, line 4 is not JSON")
    assert messages[1] == "tags is 'z', not a list; convert it in an earlier stage"
    check_accounts(project.footers())


async def test_only_the_failed_cell_is_asked_again(tmp_path: Path) -> None:
    stages = [
        SPLIT,
        llm_stage("x", "x {{ content }}"),
        {"stage": "rename", "columns": {"content": "text"}},
        llm_stage("y", "y {{ text }} {{ x }}"),
    ]
    async with ModelServer(faults=[None, None, status(400)]) as server:
        more = {**served_by(server.url), "run": {"max_failure_rate": 1.0}}
        project = Project(tmp_path, stages, more=more).write(a="one two three four")
        first = await agenerate_pipeline(project.open())
        assert (first.states, first.rows) == ({"partial": 1}, 1)
        second = await agenerate_pipeline(project.open())
        assert (second.states, second.rows, second.replayed) == ({"complete": 1}, 2, 1)
        assert len(server.prompts) == 5 and len(set(server.prompts)) == 4
        assert [row["x"] for row in project.rows()] == [
            answer_to("x one two"),
            answer_to("x three four"),
        ]
        await agenerate_pipeline(project.open())
        assert len(server.prompts) == 5
        (footer,) = project.footers()
        assert footer.usage["m"]["requests"] == 5
        check_accounts([footer])


def test_an_edited_stage_starts_a_new_version_or_is_refused(tmp_path: Path) -> None:
    project = Project(tmp_path, [SPLIT]).write(a="one two three")
    before = project.generate().version
    project.stages = [{**SPLIT, "size": 1}]
    project.write()
    with pytest.raises(ConfigDriftError):
        project.generate(resume="always")
    after = project.generate().version
    assert after.name != before.name and before.directory.exists()
    assert [s.state for s in pipelines.partition_statuses(project.open())] == [
        "complete"
    ]


def test_the_seal_and_what_comes_of_it(tmp_path: Path) -> None:
    project = Project(tmp_path, [SPLIT]).write(a="one two three", b="four five")
    project.generate()
    result = pipelines.process(project.open())
    table = pq.read_table(str(result.version.processed_dataset))
    assert table.num_rows == result.num_rows == 3
    with pytest.raises(SealedError):
        project.generate()
    assert pipelines.process(project.open()).already_done
    exported = pipelines.export(project.open(), tmp_path / "out.jsonl")
    assert exported.num_rows == 3 and exported.finished
    assert pipelines.reopen(project.open()) and not pipelines.reopen(project.open())
    assert project.generate().adopted == 2


def test_no_source_is_an_error_unless_they_come_later(tmp_path: Path) -> None:
    project = Project(tmp_path, [SPLIT]).write()
    with pytest.raises(SeedError, match="matches no file"):
        project.open()
    project.sources["allow_empty"] = True
    project.write()
    assert project.generate().rows == 0
    project.write(a="one two")
    assert project.generate().rows == 1


def test_text_in_another_encoding_fails_its_source_with_place_and_remedy(
    tmp_path: Path,
) -> None:
    project = Project(tmp_path, [SPLIT]).write(a="fine")
    (tmp_path / "docs" / "b.txt").write_bytes(b"caf\xe9")
    summary = project.generate()
    assert summary.states == {"complete": 1, "partial": 1}
    ((locator, failure),) = summary.failures
    assert (
        locator == "docs/b.txt"
        and "byte 0xe9 at offset 3; set sources.encoding" in failure.message
    )
    project.sources["encoding"] = "latin-1"
    project.write()
    assert project.generate().states == {"complete": 2}


@pytest.mark.parametrize(
    "name", ["a b|c.txt", "new\nline.txt", "ü.txt", "[x]*.txt", "\udcff.txt"]
)
def test_any_file_name(tmp_path: Path, name: str) -> None:
    project = Project(tmp_path, [SPLIT]).write()
    (tmp_path / "docs" / name).write_text("one", encoding="utf-8")
    assert project.generate().rows == 1
    assert project.generate().adopted == 1


TEXTS = st.sampled_from(["one two three", "bad one", "skip", "x y", "bad bad bad four"])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["a", "b", "c"]), st.one_of(TEXTS, st.none())),
        st.sampled_from(["run", "retry", "one partition"]),
    ),
    max_size=8,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=ACTIONS, per_partition=st.sampled_from([1, 2]))
def test_any_history_ends_like_one_run_over_the_final_state(
    tmp_path_factory: pytest.TempPathFactory, actions: list[Any], per_partition: int
) -> None:
    directory = tmp_path_factory.mktemp("history")
    functions(directory)
    stages = [
        SPLIT,
        {"stage": "filter", "keep": "{{ 'skip' not in content }}", "reason": "skipped"},
        {"stage": "function", "function": "./own.py:flaky"},
    ]
    sources = {
        "reader": "files",
        "path": "docs/*.txt",
        "allow_empty": True,
        "sources_per_partition": per_partition,
    }
    project = Project(
        directory,
        stages,
        sources,
        {"run": {"max_attempts": 2, "max_failure_rate": 1.0}},
    ).write()
    there: dict[str, str] = {}
    for action in actions:
        if isinstance(action, tuple):
            _apply(project, there, *action)
        elif action == "one partition":
            known = pipelines.discover(project.open())
            project.generate(partitions=[partition.key for partition in known[:1]])
        else:
            project.generate(retry=action == "retry")
        check_accounts(project.footers())
    (directory / "fixed").touch()
    final = project.generate(retry=True)
    assert final.remaining == 0
    check_accounts(project.footers())
    once = Project(directory / "once", stages, sources, project.more)
    once.directory.mkdir()
    functions(once.directory)
    (once.directory / "fixed").touch()
    once.write(**there).generate()
    assert _plain(project.rows()) == _plain(once.rows())


def _apply(
    project: Project, there: dict[str, str], name: str, text: str | None
) -> None:
    if text is None:
        if name in there:
            del there[name]
            project.write(**{name: None})
    else:
        there[name] = text
        project.write(**{name: text})


def _plain(rows: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]


def test_a_run_tells_how_far_it_is(tmp_path: Path) -> None:
    rehearsal = {
        "model_providers": [{"name": "r", "provider_type": "simulated"}],
        "model_configs": [{"alias": "m", "model": "m", "provider": "r"}],
    }
    stages = [SPLIT, llm_stage("x", "x {{ content }}")]
    project = Project(tmp_path, stages, more=rehearsal).write(
        a="one two three", b="four"
    )
    told: list[Event] = []
    project.generate(on_event=told.append)
    first, *_, last = [event for event in told if isinstance(event, SourcesProgress)]
    assert (first.sources, first.settled, first.tasks) == (2, 0, 0)
    assert last == SourcesProgress(sources=2, settled=2, tasks=3, failed=0)
    project.write(c="five")
    told.clear()
    project.generate(on_event=told.append)
    last = [event for event in told if isinstance(event, SourcesProgress)][-1]
    assert (last.sources, last.settled, last.tasks) == (1, 1, 1), (
        "what is complete is not counted"
    )
    told.clear()
    project.generate(on_event=told.append)
    assert not [event for event in told if isinstance(event, SourcesProgress)]
