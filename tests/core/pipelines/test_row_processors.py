"""Processors of a pipeline leave out the same rows whatever its partitions are."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sdg_core.api import pipelines
from tests.support.pipelines import Project

TEXTS = {"a": "one two x", "b": "two three", "c": "one four leak"}


@pytest.mark.parametrize(
    ("per_partition", "order"), [(1, "abc"), (3, "cba"), (2, "bca")]
)
def test_the_same_rows_stay_whatever_the_partitions(
    tmp_path: Path, per_partition: int, order: str
) -> None:
    (tmp_path / "eval.jsonl").write_text('{"q": "leak"}\n')
    project = Project(
        tmp_path, [{"stage": "split", "column": "content", "unit": "words", "size": 1}]
    )
    project.sources["sources_per_partition"] = per_partition
    evaluation = {"source": {"path": "eval.jsonl"}, "columns": ["q"]}
    leaks = {
        "processor_type": "decontaminate",
        "columns": ["content"],
        "n": 1,
        "evaluation_sets": [evaluation],
    }
    project.more["processors"] = [
        {"processor_type": "filter", "name": "no_x", "keep": "{{ content != 'x' }}"},
        {"processor_type": "deduplicate", "name": "same", "columns": ["content"]},
        {**leaks, "name": "leaks"},
    ]
    for name in order:
        project.write(**{name: TEXTS[name]})
    project.generate()
    result = pipelines.process(project.open())
    assert result.removed_by_processor == {"no_x": 1, "same": 2, "leaks": 1}
    rows = pq.read_table(result.version.processed_dataset).to_pylist()
    assert sorted((row["content"], row["_source"][-5:]) for row in rows) == [
        ("four", "c.txt"),
        ("one", "a.txt"),
        ("three", "b.txt"),
        ("two", "a.txt"),
    ]
    out = pq.read_table(
        result.version.processed / "removed" / "same.parquet"
    ).to_pylist()
    assert sorted((row["content"], row["_source"][-5:]) for row in out) == [
        ("one", "c.txt"),
        ("two", "b.txt"),
    ]
