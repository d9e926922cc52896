"""Pipeline files that are wrong: every problem at once, with its place, before anything runs."""

from pathlib import Path
from typing import Any

import pytest

from sdg_core.api import pipelines
from sdg_core.errors import ConfigError
from sdg_core.pipelines.compile import load_pipeline
from tests.support.pipelines import Project, llm_stage
from tests.support.sdg import sdg

SPLIT = {"stage": "split", "column": "content", "unit": "words", "size": 2}
WRONG: list[tuple[list[Any], dict[str, Any], str]] = [
    ([{**SPLIT, "column": "contents"}], {}, r"stages\[0\]\.column: no stage before makes a column 'contents'"),
    ([{**SPLIT, "overlap": 2}], {}, r"stages\[0\]\.overlap: 2 is not smaller than the size, 2"),
    ([{"stage": "filter", "keep": "{{ nope }}"}], {}, r"stages\[0\]\.keep: no stage before makes a column 'nope'"),
    ([{"stage": "filter", "keep": "{{ content"}], {}, r"stages\[0\]\.keep: "),
    ([{"stage": "filter"}], {}, r"stages\[0\]: give either keep"),
    (
        [{"stage": "filter", "quality": [{"rule": "words"}]}],
        {},
        r"stages\[0\]\.quality\[0\].*give at_least, at_most or both",
    ),
    (
        [{"stage": "filter", "quality": [{"rule": "words", "at_least": 2}], "column": "nope"}],
        {},
        r"stages\[0\]\.column: .*nope",
    ),
    ([{"stage": "function", "function": "./none.py:f"}], {}, r"stages\[0\]\.function: ./none.py does not exist"),
    ([{"stage": "splt", "column": "content"}], {}, r"stages\[0\]: unknown stage 'splt'"),
    ([{**SPLIT, "sise": 3}], {}, r"stages\[0\]\.sise: unknown key 'sise'; did you mean 'size'"),
    ([{"stage": "split"}], {}, r"stages\[0\]\.column: required"),
    ([llm_stage("x", "{{ content }}")], {}, r"stages\[0\]\.columns\[0\]\.model_alias: no model has the alias 'm'"),
    ([{"stage": "rename", "columns": {"content": "source"}}], {}, r"there is a column 'source' already"),
    (
        [{"stage": "select", "columns": ["content"]}, {"stage": "filter", "keep": "{{ source }}"}],
        {},
        r"stages\[1\]\.keep",
    ),
    ([SPLIT], {"sink": {"columns": ["answer"]}}, r"sink\.columns\[0\]: no stage before makes a column 'answer'"),
    ([SPLIT], {"num_records": 3}, r"num_records: unknown key"),
]


@pytest.mark.parametrize(("stages", "more", "message"), WRONG)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, stages: list[Any], more: Any, message: str) -> None:
    project = Project(tmp_path, stages, more=more).write(a="one")
    with pytest.raises(ConfigError, match=message):
        project.open()


def test_where_and_how_many_is_not_in_the_fingerprint(tmp_path: Path) -> None:
    project = Project(tmp_path, [SPLIT]).write(a="one")
    before = load_pipeline(project.file).fingerprint.config_hash
    project.sources = {"reader": "files", "path": "*/*.txt", "sources_per_partition": 7, "allow_empty": True}
    project.more = {"run": {"max_attempts": 9}, "description": "other"}
    project.write()
    assert load_pipeline(project.file).fingerprint.config_hash == before
    project.stages = [{**SPLIT, "size": 3}]
    project.write()
    assert load_pipeline(project.file).fingerprint.config_hash != before


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
