"""Processors of a pipeline are checked against the columns that it writes, as early as those are known."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sdg_core.api import pipelines
from sdg_core.errors import ConfigError
from tests.support.pipelines import WORDS, Project, llm_stage

QUALITY = {"quality": [{"rule": "words", "at_least": 1}]}


def project(
    base: Path,
    *processors: dict[str, Any],
    stages: tuple[dict[str, Any], ...] = (WORDS,),
) -> Project:
    made = Project(base, [*stages])
    made.more["processors"] = [{"name": "p", **processor} for processor in processors]
    return made.write(a="one two one", b="two three")


@pytest.mark.parametrize(
    ("processor", "message"),
    [
        (
            {"processor_type": "filter", "keep": "{{ nope }}"},
            r"\.keep: unknown column 'nope'",
        ),
        (
            {"processor_type": "deduplicate", "columns": ["nope"]},
            r"\.columns\[0\]: unknown column 'nope'",
        ),
        (
            {"processor_type": "schema_transform", "template": {"a": "{{ nope }}"}},
            r"\.template\.a: unknown column",
        ),
        (
            {"processor_type": "filter", "column": "content_start", **QUALITY},
            r"\.column: 'content_start' holds int",
        ),
        (
            {"processor_type": "drop_columns", "column_names": ["nope*"]},
            r"\.column_names\[0\]: no column matches",
        ),
        (
            {"processor_type": "filter", "keep": "{{ content }}", "name": "removed"},
            r"\.name: 'removed' is reserved",
        ),
    ],
)
def test_what_no_column_of_the_pipeline_fits_is_refused_when_it_is_opened(
    tmp_path: Path, processor: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"processors\[0\]{message}"):
        project(tmp_path, processor).open()


def test_two_processors_of_one_name_and_columns_that_are_dropped_are_refused(
    tmp_path: Path,
) -> None:
    keep = {"processor_type": "filter", "keep": "{{ content }}"}
    with pytest.raises(ConfigError, match="another processor is named 'p'"):
        project(tmp_path, keep, keep).open()
    drop = {"processor_type": "drop_columns", "name": "d", "column_names": ["content"]}
    with pytest.raises(
        ConfigError, match=r"processors\[1\].keep: unknown column 'content'"
    ):
        project(tmp_path, drop, keep).open()


def test_columns_of_functions_are_looked_up_before_anything_is_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.py").write_text(
        "def more(record):\n    return {**record, 'size': len(record['content'])}\n"
    )
    stages = (WORDS, {"stage": "function", "function": "./own.py:more"})
    for processor, message in (
        (
            {"processor_type": "filter", "keep": "{{ sise > 1 }}"},
            "unknown column 'sise'; did you mean 'size'",
        ),
        ({"processor_type": "filter", "column": "size", **QUALITY}, "'size' holds int"),
    ):
        made = project(tmp_path, processor, stages=stages)
        version = made.generate().version
        with pytest.raises(ConfigError, match=message):
            pipelines.process(made.open())
        assert (
            not version.processed.exists() and not pipelines.status(made.open()).sealed
        )
    made = project(
        tmp_path, {"processor_type": "filter", "keep": "{{ size > 3 }}"}, stages=stages
    )
    assert pipelines.process(made.open()).num_rows == 1


def test_dropped_columns_are_not_written(tmp_path: Path) -> None:
    made = project(
        tmp_path, {"processor_type": "drop_columns", "column_names": ["content_*"]}
    )
    made.generate()
    assert {name for row in made.rows() for name in row} == {
        "content",
        "source",
        "_source",
        "_task",
    }
    version = pipelines.process(made.open()).version
    assert pq.read_table(version.processed_dataset).schema.names == [
        "source",
        "content",
        "_source",
        "_task",
    ]


def test_what_stands_beside_a_dropped_column_is_dropped_with_it(tmp_path: Path) -> None:
    stage = llm_stage("x", "x {{ content }}")
    stage["columns"][0] |= {"with_trace": "all_messages"}
    made = Project(tmp_path, [stage])
    made.more["model_providers"] = [{"name": "p", "provider_type": "simulated"}]
    made.more["model_configs"] = [{"alias": "m", "model": "m", "provider": "p"}]
    written = {}
    for drop, columns in ((False, None), (True, None), (True, ["x__trace"])):
        stage["columns"][0]["drop"] = drop
        made.more["sink"] = {"columns": columns} if columns else {}
        made.write(a="one").generate()
        written[drop, columns is None] = {*made.rows()[0]} - {
            "_source",
            "_task",
            "source",
            "content",
        }
    assert written == {
        (False, True): {"x", "x__trace"},
        (True, True): set(),
        (True, False): {"x__trace"},
    }
