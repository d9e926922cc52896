"""Bad input of pipelines, by the command: value, place and remedy; before anything is paid for where it can be known."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sdg_core.testing import ModelServer
from tests.support.pipelines import Project, llm_stage, served_by
from tests.support.sdg import sdg

FUNCTIONS = """
def short(records): return records[1:]
def long(records): return [*records, *records]
def nothing(records): return None
def text(record): return "a text"
def number(record): return {**record, "qa": 7}
"""
READERS = """
from sdg_core.custom import SourceReader

class Same(SourceReader):
    def items(self): return [1, 2]
    def expand(self, item): yield {"text": str(item)}
    def locator(self, item): return "same"
"""
ASK = llm_stage("x", "x {{ content }}")
EMPTY_TABLE = {"reader": "sql", "url": "sqlite:///empty.db", "table": "t"}
UNKNOWN_ENCODING = {"reader": "files", "path": "docs/*", "encoding": "utf9"}
EXPLODE = {"stage": "explode", "column": "qa"}


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"stage": "function", "function": f"./own.py:{name}", **more}


def project_of(
    directory: Path,
    *stages: dict[str, Any],
    sources: dict[str, Any] | None = None,
    url: str = "",
) -> Project:
    (directory / "own.py").write_text(FUNCTIONS, encoding="utf-8")
    (directory / "readers.py").write_text(READERS, encoding="utf-8")
    more = served_by(url) if url else {}
    found = sources or {"reader": "files", "path": "docs/*.txt"}
    return Project(directory, [*stages], found, more).write(a="one", b="two")


def said(project: Project, *, status: int, command: str = "generate") -> str:
    done = sdg(command, project.file, "--root", project.root)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("sources", "message", "remedy"),
    [
        ({"reader": "files", "path": "docs/*.md"}, "'docs/*.md' matches no file below", "correct the pattern"),
        ({"reader": "files", "path": "docs"}, "'docs' matches no file "
            "below", "it is a directory: name the files in it, as in"),
        (EMPTY_TABLE, "sources: the table or query has no rows", "set sources.allow_empty"),
        ({"reader": "custom", "reader_class": "./readers.py:Same"}, "has two items called 'same'", "define locator(item)"),
        (UNKNOWN_ENCODING, "sources.encoding: unknown encoding 'utf9'", "such as utf-8"),
    ],
)  # fmt: skip
def test_sources_that_cannot_be_found(
    tmp_path: Path, sources: dict[str, Any], message: str, remedy: str
) -> None:
    connection = sqlite3.connect(tmp_path / "empty.db")
    with connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    project = project_of(tmp_path, sources=sources)
    text = said(project, status=2)
    assert message in text and remedy in text
    assert not Path(project.root).exists()


def test_sources_that_come_later_are_told(tmp_path: Path) -> None:
    sources = {"reader": "files", "path": "docs/*.md", "allow_empty": True}
    project = project_of(tmp_path, sources=sources)
    notice = f"there are no sources yet: sources.path 'docs/*.md' matches no file below {tmp_path}"
    assert "no rows: there are no sources yet" in said(
        project, status=0, command="preview"
    )
    made = said(project, status=0)
    assert notice in made and "nothing to do: there are no sources yet" in made
    for command in ("status", "plan", "validate"):
        assert "there are no sources yet" in said(project, status=0, command=command), (
            command
        )
    assert "error: there are no sources yet" in said(
        project, status=2, command="process"
    )


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([ASK, ASK], "stages[1].columns[0].name: 'x' is also a column of the tasks; rename this one"),
        ([llm_stage("content", "x")], "stages[0].columns[0].name: 'content' is also a column of the tasks"),
        ([llm_stage("x", "{{ contnet }}")], "unknown column 'contnet'; did you mean 'content'?"),
        ([ASK, {"stage": "filter", "keep": "{{ lenght > 3 }}"}], "stages[1].keep: no earlier stage creates a column "
            "'lenght'"),
        ([ASK, {"stage": "explode", "column": "x"}], "stages[1].column: x is string, not a list"),
        ([ASK, EXPLODE], "stages[1].column: no earlier stage creates a column 'qa'"),
    ],
)  # fmt: skip
async def test_what_stages_do_not_fit_together_is_refused_before_a_model_is_asked(
    tmp_path: Path, stages: list[dict[str, Any]], message: str
) -> None:
    async with ModelServer() as server:
        project = project_of(tmp_path, *stages, url=server.url)
        text = said(project, status=2)
        assert message in text and "line " in text
        assert not server.prompts and not Path(project.root).exists()


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (function("short", batch_size=9), "short returned 0 slots for 1 record"),
        (function("long", batch_size=9), "long returned 2 slots for 1 record"),
        (function("nothing", batch_size=9), "nothing returned None for 1 record"),
        (function("text"), "text returned 'a text'"),
    ],
)
def test_what_a_function_must_not_return(
    tmp_path: Path, stage: dict[str, Any], message: str
) -> None:
    project = project_of(tmp_path, {"stage": "select", "columns": ["content"]}, stage)
    text = said(project, status=2)
    assert f"stages[1]: ./own.py:{message}" in text and "-> return a" in text
    assert project.files() == []


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (EXPLODE, "qa is 7, not a list; convert it in an earlier stage"),
        ({"stage": "explode", "column": "qa.pairs"}, "qa is 7, not a mapping, so there is no qa.pairs"),
        ({"stage": "split", "column": "qa"}, "qa is 7, not text; convert it in an earlier stage"),
        ({"stage": "filter", "quality": [{"rule": "words", "at_least": 1}], "column": "qa"}, "qa is 7, not text"),
        ({"stage": "select", "columns": ["nope"]}, "the task has no column 'nope'; it has 'content', 'qa', 'source'"),
    ],
)  # fmt: skip
def test_what_only_the_task_shows_fails_it_with_value_and_place(
    tmp_path: Path, stage: dict[str, Any], message: str
) -> None:
    text = said(project_of(tmp_path, function("number"), stage), status=1)
    assert "docs/a.txt, task 0, stages[1], attempt 1: " in text
    assert message in text


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        ("files", b"caf\xe9", "is not utf-8 text: byte 0xe9 at offset 3; set sources.encoding, or exclude the file"),
        ("pdf", b"hello", "is not a PDF: it begins with b'hello'; correct sources.path, or exclude it"),
        ("docx", b"hello", "is not a Word document (.docx): it begins with b'hello'; save it as .docx, or exclude it"),
        ("parquet", b"hello", "is not a complete parquet file: "),
        ("jsonl", b'{"a": 1}\n[7]\n', "line 2 is [7], not an object"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_it_should_be_fails_alone(
    tmp_path: Path, reader: str, content: bytes, message: str
) -> None:
    project = project_of(tmp_path, sources={"reader": reader, "path": "docs/*.bad"})
    (tmp_path / "docs" / "a.bad").write_bytes(content)
    text = said(project, status=1)
    assert (
        f"docs/a.bad, task {1 if reader == 'jsonl' else 'all'}, sources, attempt 1: "
        in text
    )
    assert message in text and ("exclude" in text or reader == "jsonl")
