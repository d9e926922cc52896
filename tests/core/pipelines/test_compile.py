"""Pipeline files that are wrong: every problem at once, with its place, before anything runs."""

import sys
from pathlib import Path
from typing import Any

import pytest

from sdg_core.api import pipelines
from sdg_core.errors import ConfigError
from sdg_core.pipelines.compile import load_pipeline
from tests.support.pipelines import Project, llm_stage, served_by
from tests.support.sdg import (
    sdg,
    structured,
)

SPLIT = {"stage": "split", "column": "content", "unit": "words", "size": 2}
ITEM = {
    "type": "object",
    "properties": {
        "question": {"type": "string"},
        "answer": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
QA_FORMAT = {
    "type": "object",
    "properties": {
        "pairs": {"type": "array", "items": ITEM},
        "title": {"type": "string"},
    },
}
QA_COLUMN = structured("qa", "?", QA_FORMAT, model_alias="m")
QA: dict[str, Any] = {"stage": "columns", "columns": [QA_COLUMN]}
PAIRS = {"stage": "explode", "column": "qa.pairs"}
MODELS = served_by("http://127.0.0.1:1/v1")
WRONG: list[tuple[list[Any], dict[str, Any], str]] = [
    (
        [{**SPLIT, "column": "contents"}],
        {},
        r"stages\[0\]\.column: no earlier stage creates a column 'contents'",
    ),
    (
        [{**SPLIT, "overlap": 2}],
        {},
        r"stages\[0\]\.overlap: 2 is not smaller than the size, 2",
    ),
    (
        [{"stage": "filter", "keep": "{{ nope }}"}],
        {},
        r"stages\[0\]\.keep: no earlier stage creates a column 'nope'",
    ),
    ([{"stage": "filter", "keep": "{{ content"}], {}, r"stages\[0\]\.keep: "),
    ([{"stage": "filter"}], {}, r"stages\[0\]: give either keep"),
    (
        [{"stage": "filter", "quality": [{"rule": "words"}]}],
        {},
        r"stages\[0\]\.quality\[0\].*give at_least, at_most or both",
    ),
    (
        [
            {
                "stage": "filter",
                "quality": [{"rule": "words", "at_least": 2}],
                "column": "nope",
            }
        ],
        {},
        r"stages\[0\]\.column: .*nope",
    ),
    (
        [{"stage": "function", "function": "./none.py:f"}],
        {},
        r"stages\[0\]\.function: ./none.py does not exist",
    ),
    (
        [{"stage": "splt", "column": "content"}],
        {},
        r"stages\[0\]: unknown stage 'splt'",
    ),
    (
        [{**SPLIT, "sise": 3}],
        {},
        r"stages\[0\]\.sise: unknown key 'sise'; did you mean 'size'",
    ),
    ([{"stage": "split"}], {}, r"stages\[0\]\.column: required"),
    (
        [llm_stage("x", "{{ content }}")],
        {},
        r"stages\[0\]\.columns\[0\]\.model_alias: no model has the alias 'm'",
    ),
    (
        [{"stage": "rename", "columns": {"content": "source"}}],
        {},
        r"the column 'source' already exists",
    ),
    (
        [
            {"stage": "select", "columns": ["content"]},
            {"stage": "filter", "keep": "{{ source }}"},
        ],
        {},
        r"stages\[1\]\.keep",
    ),
    (
        [SPLIT],
        {"sink": {"columns": ["answer"]}},
        r"sink\.columns\[0\]: no earlier stage creates a column 'answer'",
    ),
    ([SPLIT], {"num_records": 3}, r"num_records: unknown key"),
    (
        [{"stage": "explode", "column": "content"}],
        {},
        r"stages\[0\]\.column: content is string, not a list",
    ),
    (
        [{"stage": "explode", "column": "content.x"}],
        {},
        r"content is string, not a mapping, so there is no content\.x",
    ),
    (
        [QA, {"stage": "explode", "column": "qa"}],
        MODELS,
        r"stages\[1\]\.column: qa is struct<.*>, not a list",
    ),
    (
        [QA, {"stage": "explode", "column": "qa.pair"}],
        MODELS,
        r"qa has no 'pair'; did you mean 'pairs'\?",
    ),
    (
        [QA, {"stage": "explode", "column": "qa.title"}],
        MODELS,
        r"qa\.title is string, not a list",
    ),
    (
        [QA, {"stage": "explode", "column": "qa.title.x"}],
        MODELS,
        r"qa\.title is string, not a mapping",
    ),
    (
        [{"stage": "rename", "columns": {"content": "question"}}, QA, PAIRS],
        MODELS,
        r"stages\[2\]\.column: items of qa\.pairs have 'question', which are already columns; rename "
        r"those in an earlier stage",
    ),
    (
        [QA, PAIRS, llm_stage("x", "{{ questoin }}")],
        MODELS,
        r"stages\[2\]\.columns\[0\]\.prompt: unknown column 'questoin'; did you mean 'question'",
    ),
    (
        [QA, PAIRS],
        {**MODELS, "sink": {"columns": ["answr"]}},
        r"sink\.columns\[0\]: no earlier stage creates a column 'answr'",
    ),
    (
        [QA, {**SPLIT, "column": "qa"}],
        MODELS,
        r"stages\[1\]\.column: qa is struct<.*>, not text",
    ),
    (
        [
            SPLIT,
            {
                "stage": "filter",
                "quality": [{"rule": "words", "at_least": 2}],
                "column": "content_start",
            },
        ],
        {},
        r"stages\[1\]\.column: content_start is int64, not text",
    ),
    (
        [{"stage": "rename", "columns": {"content": "_task"}}],
        {},
        r"'_task' is a lineage column; rename yours",
    ),
    (
        [{**QA, "columns": [{**QA["columns"][0], "name": "_source"}]}],
        MODELS,
        r"name: '_source' is a lineage column",
    ),
    (
        [
            {"stage": "function", "function": "json:dumps"},
            {"stage": "rename", "columns": {"a": "c", "b": "c"}},
        ],
        {},
        r"stages\[1\]\.columns\.b: the column 'c' already exists",
    ),
]
RIGHT: list[list[Any]] = [
    [
        QA,
        PAIRS,
        {"stage": "explode", "column": "tags"},
        {"stage": "filter", "keep": "{{ tags and answer and qa }}"},
    ],
    [
        QA,
        {"stage": "rename", "columns": {"qa": "b"}},
        {"stage": "explode", "column": "b.pairs"},
    ],
    [
        QA,
        {"stage": "select", "columns": ["qa"]},
        PAIRS,
        {"stage": "rename", "columns": {"answer": "content"}},
    ],
    [
        QA,
        {"stage": "function", "function": "./own.py:f"},
        {"stage": "explode", "column": "qa.other"},
    ],
    [
        {"stage": "function", "function": "./own.py:f"},
        QA,
        PAIRS,
        {"stage": "explode", "column": "whatever"},
    ],
]
"""Stages that may be right for all that is known before there is a task."""


@pytest.mark.parametrize(("stages", "more", "message"), WRONG)
def test_a_wrong_file_is_refused_with_the_place(
    tmp_path: Path, stages: list[Any], more: Any, message: str
) -> None:
    project = Project(tmp_path, stages, more=more).write(a="one")
    with pytest.raises(ConfigError, match=message):
        project.open()


@pytest.mark.parametrize("stages", RIGHT)
def test_what_may_be_right_is_not_refused(tmp_path: Path, stages: list[Any]) -> None:
    (tmp_path / "own.py").write_text("def f(r): return r\n")
    assert Project(tmp_path, stages, more=MODELS).write(a="one").open()


def test_where_and_how_many_is_not_in_the_fingerprint(tmp_path: Path) -> None:
    project = Project(tmp_path, [SPLIT]).write(a="one")
    before = load_pipeline(project.file).fingerprint.config_hash
    project.sources = {
        "reader": "files",
        "path": "*/*.txt",
        "sources_per_partition": 7,
        "allow_empty": True,
    }
    project.more = {"run": {"max_attempts": 9}, "description": "other"}
    project.write()
    assert load_pipeline(project.file).fingerprint.config_hash == before
    project.stages = [{**SPLIT, "size": 3}]
    project.write()
    assert load_pipeline(project.file).fingerprint.config_hash != before


FINGERPRINTS = [
    ({"reader": "files", "path": "*.md", "encoding": "latin-1"}, "6dd755e47d80"),
    ({"reader": "parquet", "path": "*.md", "encoding": "latin-1"}, "14226feb25d4"),
]


@pytest.mark.parametrize(("sources", "version"), FINGERPRINTS)
def test_fingerprints_of_the_first_release_stay(
    tmp_path: Path, sources: dict[str, Any], version: str
) -> None:
    (tmp_path / "own.py").write_text("def f(r): return r\n")
    stages = [
        {"stage": "split", "column": "content", "size": 10},
        {
            "stage": "function",
            "function": "./own.py:f",
            "batch_size": 3,
            "checkpoint": True,
        },
        {"stage": "filter", "keep": "{{ content }}"},
        {"stage": "select", "columns": ["content"]},
    ]
    assert (
        load_pipeline(
            Project(tmp_path, stages, sources).write().file
        ).fingerprint.version
        == version
    )


SQL: dict[str, Any] = {"reader": "sql", "url": "sqlite:///a.db", "table": "t"}
HUB: dict[str, Any] = {"reader": "hf", "path": "datasets/u/d/*.csv"}
FILES: dict[str, Any] = {"reader": "files", "path": "*.md"}
OWN: dict[str, Any] = {"reader": "custom", "reader_class": "./own.py:R"}
SOURCE_FIELDS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    (FILES, {"path": "*.txt", "sources_per_partition": 2, "allow_empty": True}, False),
    (FILES, {"encoding": "latin-1"}, True),
    (FILES, {"front_matter": True}, True),
    ({"reader": "csv", "path": "*"}, {"separator": ";"}, True),
    (FILES, {"reader": "pdf"}, True),
    ({"reader": "html", "path": "*"}, {"path": "a"}, False),
    ({"reader": "html", "path": "*"}, {"encoding": "latin-1"}, True),
    ({"reader": "docx", "path": "*"}, {"path": "a"}, False),
    (
        SQL,
        {
            "url": None,
            "url_env": "DB",
            "table": None,
            "query": "SELECT 1 ORDER BY 1",
            "key": "id",
        },
        False,
    ),
    (
        HUB,
        {"path": "datasets/u/e/*.csv", "token": "T", "endpoint": "https://hub"},
        False,
    ),
    ({"reader": "dataset", "dataset": "a"}, {"dataset": "b", "committed": True}, False),
    (OWN, {"params": {"a": 1}}, True),
    (OWN, {"version": 2}, True),
    (OWN, {"reader_class": "./own.py:Same"}, False),
]


@pytest.mark.parametrize(("sources", "changes", "counts"), SOURCE_FIELDS)
def test_which_fields_of_a_reader_count(
    tmp_path: Path, sources: dict[str, Any], changes: dict[str, Any], counts: bool
) -> None:
    (tmp_path / "own.py").write_text("class R: ...\nclass Same: ...\n")
    before, after = (
        load_pipeline(Project(tmp_path, [], fields).write().file).fingerprint.version
        for fields in (sources, {**sources, **changes})
    )
    assert (before != after) == counts


@pytest.mark.parametrize(
    ("reader", "module", "extra"),
    [
        ("html", "trafilatura", "documents"),
        ("pdf", "pypdfium2", "documents"),
        ("docx", "docx", "documents"),
        ("hf", "huggingface_hub", "hf"),
    ],
)
def test_a_missing_library_is_named_before_anything_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reader: str,
    module: str,
    extra: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    path = "datasets/u/d/*.csv" if reader == "hf" else "*"
    project = Project(tmp_path, [], {"reader": reader, "path": path}).write()
    with pytest.raises(
        ConfigError, match=rf"sources\.reader: .*pip install 'sdg-dagster\[{extra}\]'"
    ):
        load_pipeline(project.file)


def test_the_commands(tmp_path: Path) -> None:
    project = Project(tmp_path, [SPLIT]).write(a="one two three")
    place = ("--root", project.root)
    assert sdg("validate", project.file, *place).returncode == 0
    assert sdg("preview", project.file, "-n", "1", "--json", *place).returncode == 0
    assert not (tmp_path / "data").exists()
    assert sdg("generate", project.file, "--num-records", "3", *place).returncode == 2
    assert sdg("generate", project.file, *place).returncode == 0
    (tmp_path / "docs" / "b.txt").write_bytes(b"\xff\xfe\xfd")
    failed = sdg("generate", project.file, *place)
    assert failed.returncode == 1 and "docs/b.txt" in failed.stdout
    assert sdg("process", project.file, *place).returncode == 2
    assert sdg("process", project.file, "--allow-missing", *place).returncode == 0
    assert sdg("generate", project.file, *place).returncode == 2
    assert pipelines.status(project.open()).sealed
