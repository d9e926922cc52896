"""Records that are not what a stage, or the table, expects fail by themselves: value, place and remedy, and the rest is made."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.pipelines import Project, check_accounts

JSONL = {"reader": "jsonl", "path": "docs/*.jsonl"}


def made_of(
    tmp_path: Path, stages: list[dict[str, Any]], *records: Any, **others: str
) -> Project:
    """A pipeline over `a.jsonl`, which holds these records, that has run once."""
    text = "\n".join(json.dumps(record) for record in records)
    project = Project(tmp_path, stages, sources=JSONL).write(a=text, **others)
    project.generate()
    check_accounts(project.footers())
    return project


def failures(project: Project) -> dict[str, str]:
    return {
        f.task: f.message
        for footer in project.footers()
        for entry in footer.sources
        for f in entry.failed
    }


@pytest.mark.parametrize(
    "values",
    [[1, "x"], [[1], {"b": 1}], [*[1] * 1500, "x"]],
    ids=["scalars", "shapes", "of two batches"],
)
def test_values_without_a_common_type_fail_their_source_alone(
    tmp_path: Path, values: list[Any]
) -> None:
    project = made_of(
        tmp_path, [], *({"v": value} for value in values), b='{"v": 1}\n{"v": 2}'
    )
    assert [row["v"] for row in project.rows()] == [1, 2]
    (message,) = failures(project).values()
    assert (
        message.startswith("docs/a.jsonl cannot be written: ")
        and "sink.columns" in message
    )
    assert [
        entry.state for footer in project.footers() for entry in footer.sources
    ] == [
        "failed",
        "complete",
    ]
    assert project.generate().made == 0  # the same rows would come of it again


def test_explode_of_what_is_not_a_list(tmp_path: Path) -> None:
    deep = [
        {"b": {"c": [1, 2]}},
        {"b": [1]},
        "text",
        {"b": {"c": 5}},
        {"b": {}},
        None,
        {"b": {"c": []}},
    ]
    project = made_of(
        tmp_path,
        [{"stage": "explode", "column": "a.b.c"}],
        *({"a": value} for value in deep),
    )
    assert [row["c"] for row in project.rows()] == [1, 2]
    assert failures(project) == {
        "1": "a.b is [1], not a mapping, so there is no a.b.c",
        "2": "a is 'text', not a mapping, so there is no a.b.c",
        "3": "a.b.c is 5, not a list; convert it in an earlier stage",
    }
    (entry,) = project.footers()[0].sources
    assert entry.filtered == {"a.b.c is empty": 3}


def test_rename_never_loses_a_value(tmp_path: Path) -> None:
    stages = [{"stage": "rename", "columns": {"a": "b", "c": "a"}}]
    project = made_of(tmp_path, stages, {"a": 1, "c": 2}, {"a": 1, "b": 2}, {"d": 1})
    assert [(row["b"], row["a"], row["d"]) for row in project.rows()] == [
        (1, 2, None),
        (None, None, 1),
    ]
    assert "already has a column 'b'" in failures(project)["1"]


def test_one_list_of_what_there_is(tmp_path: Path) -> None:
    project = Project(tmp_path, [{"stage": "filter", "keep": "{{ nope }}"}]).write(
        a="x"
    )
    with pytest.raises(Exception, match="column 'nope'; there is 'content', 'source'$"):
        project.open()
