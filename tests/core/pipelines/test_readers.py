"""Readers: what each makes of its sources, what it says of sources that are not what they should be, and what it never does:
hold a source in memory, miss a change, take one source for another."""

import gzip
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdg_core.api import pipelines
from sdg_core.errors import ConfigError, SeedError
from sdg_core.pipelines.readers import text
from tests.support.documents import docx, pdf, web_page
from tests.support.hub_server import TOKEN, serving
from tests.support.pipelines import Project, check_accounts
from tests.support.s3 import S3Server

SENTENCE = "The harbour was quiet that morning, and the boats lay still upon the water until noon."


def project_of(directory: Path, sources: dict[str, Any], **files: bytes) -> Project:
    """A pipeline without stages over files of these names (`__` stands for a dot)."""
    folder = directory / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return Project(directory, [], sources).write()


def messages(summary: pipelines.PipelineSummary) -> list[str]:
    return sorted(failure.message for _, failure in summary.failures)


def values(project: Project, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in project.rows()]


def test_html_is_its_main_text(tmp_path: Path) -> None:
    page = web_page(SENTENCE, "Ein Café.", title="Harbour")
    empty = b"<html><head><title>Nothing</title></head><body></body></html>"
    latin = (
        web_page(SENTENCE + " Caf\xe9.")
        .replace("utf-8", "iso-8859-1")
        .encode("latin-1")
    )
    project = project_of(
        tmp_path,
        {"reader": "html", "path": "docs/*.html"},
        a__html=page.encode(),
        b__html=empty,
        c__html=pdf([["no"]]),
        d__html=latin,
    )
    summary = project.generate()
    (first, title, source), (second, *_) = values(project, "content", "title", "source")
    assert (first, title, source) == (
        f"# Harbour\n\n{SENTENCE}\n\nEin Café.",
        "Harbour",
        "docs/a.html",
    )
    assert "Café" in second
    assert summary.filtered == {"no main text": 1}
    assert messages(summary) == [
        "docs/c.html is a PDF, not a web page; correct sources.path"
    ]
    check_accounts(project.footers())


def test_pdf_is_its_text(tmp_path: Path) -> None:
    project = project_of(
        tmp_path,
        {"reader": "pdf", "path": "docs/*.pdf"},
        a__pdf=pdf([["First line", "second line"], [], ["page three"]]),
        b__pdf=b"hello, I am text",
        c__pdf=pdf([[]]),
        d__pdf=pdf([["cut"]])[:200],
        e__pdf=b"",
    )
    summary = project.generate()
    assert values(project, "content", "pages", "title") == [
        ("First line\nsecond line\n\npage three", 3, None)
    ]
    assert summary.filtered == {"no text (scanned pages need OCR first)": 1}
    bad = messages(summary)
    assert (
        bad[0]
        == "docs/b.pdf is not a PDF: it begins with b'hello, I'; correct sources.path, or exclude it"
    )
    assert bad[1].startswith("docs/d.pdf is a damaged PDF: ") and bad[2].startswith(
        "docs/e.pdf is not a PDF"
    )
    check_accounts(project.footers())


def test_docx_is_its_text(tmp_path: Path) -> None:
    content = docx(
        heading="Rules",
        paragraphs=["Be kind.", "  "],
        table=[["a", "b"], ["1", "2"]],
        title="House",
    )
    project = project_of(
        tmp_path,
        {"reader": "docx", "path": "docs/*"},
        a__docx=content,
        b__docx=b"\xd0\xcf\x11\xe0old",
        c__docx=content[:99],
    )
    summary = project.generate()
    assert values(project, "content", "title") == [
        ("## Rules\n\nBe kind.\n\n| a | b |\n| 1 | 2 |", "House")
    ]
    assert [message.split(": ")[0] for message in messages(summary)] == [
        "docs/b.docx is not a Word document (.docx)",
        "docs/c.docx is not a Word document (.docx)",
    ]


def test_front_matter_becomes_a_column_where_that_is_asked_for(tmp_path: Path) -> None:
    block = b"---\ntitle: Boats\ndate: 2024-01-02\n---\n\n# Boats\n"
    files = {
        "a__md": block,
        "b__md": b"no block",
        "c__md": b"---\n- a\n---\nx",
        "d__md": b"---\na: [\n---\nx",
    }
    project = project_of(
        tmp_path,
        {"reader": "files", "path": "docs/*.md", "front_matter": True},
        **files,
    )
    project.stages = [
        {
            "stage": "columns",
            "columns": [
                _expression("t", "{{ front_matter.title | default('none', true) }}")
            ],
        }
    ]
    summary = project.write().generate()
    assert values(project, "content", "t") == [
        ("# Boats\n", "Boats"),
        ("no block", "none"),
    ]
    assert [message.split(":")[0] for message in messages(summary)] == [
        "docs/c.md, line 2 has front matter that is a list, not a mapping",
        "docs/d.md, line 3 is in the front matter, which is not YAML",
    ]
    project.sources = {"reader": "files", "path": "docs/a.md"}
    project.stages = []
    project.write().generate()
    assert values(project, "content") == [(block.decode(),)]


def _expression(name: str, text: str) -> dict[str, Any]:
    return {"column_type": "expression", "name": name, "expr": text}


def test_csv_rows_quoted_and_ragged(tmp_path: Path) -> None:
    long = "x" * 200_000  # Python's own limit is 128 kB a field
    content = f'\ufeffa,b\r\n"one\nline",2\r\nshort\r\n1,2,3\r\n{long},z\r\n'.encode()
    project = project_of(
        tmp_path,
        {"reader": "csv", "path": "docs/*.csv"},
        a__csv=content,
        b__csv=b"a,a\n1,2\n",
        c__csv=b"",
    )
    summary = project.generate()
    assert values(project, "a", "b") == [
        ("one\nline", "2"),
        ("short", None),
        (long, "z"),
    ]
    assert messages(summary) == [
        "docs/a.csv, line 5 has 1 value more than the header",
        "docs/b.csv has two columns named 'a'; rename one of them",
    ]


def test_an_endless_line_fails_its_task_and_is_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "MAX_RECORD_BYTES", 2**20)
    project = project_of(
        tmp_path, {"reader": "jsonl", "path": "docs/*.jsonl"}, a__jsonl=b'{"n": 1}\n'
    )
    with (tmp_path / "docs" / "a.jsonl").open("ab") as file:
        file.truncate(file.tell() + 10 * 2**20)  # a hole: zeros
        file.seek(0, 2)
        file.write(b'\n{"n": 2}\n')
    summary = project.generate()
    assert values(project, "n") == [(1,), (2,)]
    assert messages(summary) == [
        "docs/a.jsonl, line 2 has more than 1,048,576 characters; split it, or exclude it"
    ]


def test_wrong_text_names_the_offset_in_the_file(tmp_path: Path) -> None:
    content = b'{"n": 1}\n' * 3000 + b'{"n": "\xe9"}\n'
    project = project_of(
        tmp_path, {"reader": "jsonl", "path": "docs/*.jsonl"}, a__jsonl=content
    )
    summary = project.generate()
    assert messages(summary) == [
        f"docs/a.jsonl is not utf-8 text: byte 0xe9 at offset {len(content) - 4}; set sources.encoding, "
        f"or exclude the file"
    ]
    assert project.rows() == []
    check_accounts(project.footers())
    with pytest.raises(
        ConfigError, match=r"sources\.encoding: unknown encoding 'klingon'"
    ):
        Project(tmp_path, [], {**project.sources, "encoding": "klingon"}).write().open()


def test_compressed_text(tmp_path: Path) -> None:
    lines = gzip.compress(b'{"n": 1}\n') + gzip.compress(b'{"n": 2}\n')
    project = project_of(
        tmp_path,
        {"reader": "jsonl", "path": "docs/*"},
        a__jsonl__gz=lines,
        b__jsonl__gz=b"not gzip",
        c__jsonl__gz=lines[:-9],
    )
    summary = project.generate()
    assert values(project, "n") == [(1,), (2,)]
    assert [message.split(":")[0] for message in messages(summary)] == [
        "docs/b.jsonl.gz is not a complete gzip file",
        "docs/c.jsonl.gz is not a complete gzip file",
    ]


def test_a_source_of_many_batches_is_read_in_order(tmp_path: Path) -> None:
    lines = "".join(f'{{"n": {n}}}\n' for n in range(2501)).encode()
    (tmp_path / "own.py").write_text(
        "def check(rows):\n    assert len(rows) <= 400\n    return rows\n"
    )
    project = project_of(
        tmp_path, {"reader": "jsonl", "path": "docs/*.jsonl"}, a__jsonl=lines
    )
    project.stages = [
        {"stage": "function", "function": "./own.py:check", "batch_size": 400}
    ]
    project.write().generate()
    assert values(project, "n", "_task") == [(n, str(n)) for n in range(2501)]
    (entry,) = project.footers()[0].sources
    assert (entry.read, entry.state, entry.stages[1].handed_on) == (
        2501,
        "complete",
        2501,
    )
    check_accounts(project.footers())


def put(root: str, name: str, content: bytes) -> None:
    from sdg_core.store.objects import object_path

    path = object_path(root)
    path.bucket.put(f"{path.key}/{name}", content)


def test_sources_and_root_on_an_object_store(tmp_path: Path, s3: S3Server) -> None:
    root = s3.new_root()
    for name in (
        "up/a.txt",
        "up/deep/er/b c.txt",
        "up/c.md",
        "up/.hidden.txt",
        "other/d.txt",
    ):
        put(root, name, f"text of {name}".encode())
    split = {
        "stage": "split",
        "column": "content",
        "unit": "words",
        "size": 2,
        "checkpoint": True,
    }
    project = Project(
        tmp_path, [split], {"reader": "files", "path": "{root}/up/**/*.txt"}
    ).write()
    place = {"root": f"{root}/data"}

    def opened() -> pipelines.OpenPipeline:
        return pipelines.open_pipeline(project.file, **place)

    project.sources = {"reader": "files", "path": f"{root}/up/**/*.txt"}
    project.write()
    first = pipelines.generate(opened())
    assert (first.made, first.rows, first.states) == (2, 4, {"complete": 2})
    assert pipelines.status(opened()).source_states()["complete"] == [
        f"{root}/up/a.txt",
        f"{root}/up/deep/er/b c.txt",
    ]
    assert pipelines.generate(opened()).adopted == 2
    put(root, "up/a.txt", b"other text now")
    put(root, "up/new.txt", b"new")
    again = pipelines.generate(opened())
    assert (again.made, again.rows, again.adopted) == (2, 5, 1)
    assert pipelines.process(opened()).num_rows == 5
    assert pipelines.export(opened(), tmp_path / "out.jsonl").num_rows == 5


def database(directory: Path) -> Path:
    path = directory / "tickets.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE tickets (id INTEGER, line INTEGER, said TEXT)")
        rows = [(1, 1, "hello"), (1, 2, "it broke"), (2, 1, "thanks")]
        connection.executemany("INSERT INTO tickets VALUES (?, ?, ?)", rows)
    connection.close()
    return path


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("asked", "prefix"),
    [
        ({"table": "tickets"}, "tickets"),
        ({"query": "SELECT * FROM tickets ORDER BY id, line"}, "query"),
    ],
)
def test_sql_rows_by_key(tmp_path: Path, asked: dict[str, str], prefix: str) -> None:
    path = database(tmp_path)
    sources = {"reader": "sql", "url": "sqlite:///tickets.db", "key": "id", **asked}
    project = Project(tmp_path, [], sources).write()
    assert project.generate().made == 2
    assert values(project, "_source", "_task", "said", "source")[0] == (
        f"sql:{prefix}/1",
        "0",
        "hello",
        f"{prefix}/1",
    )
    change(path, "UPDATE tickets SET said = 'no thanks' WHERE id = 2")
    change(path, "INSERT INTO tickets VALUES (3, 1, 'me, too')")
    change(path, "DELETE FROM tickets WHERE id = 1")
    again = project.generate()
    assert (again.made, again.removed) == (2, 1)
    assert values(project, "id", "said") == [(2, "no thanks"), (3, "me, too")]


def test_sql_that_cannot_be_asked(tmp_path: Path) -> None:
    database(tmp_path)
    sources: dict[str, Any] = {"reader": "sql", "url": "sqlite:///tickets.db"}

    def refused(error: type[Exception], match: str, **changes: Any) -> None:
        with pytest.raises(error, match=match):
            Project(tmp_path, [], {**sources, **changes}).write().open()

    refused(ConfigError, r"sources: give either table or query")
    refused(
        ConfigError,
        r"sources\.query: the query has no ORDER BY",
        query="SELECT * FROM tickets",
    )
    refused(
        ConfigError,
        r"sources\.url: the URL holds a password",
        table="t",
        url="postgresql://me:secret@host/db",
    )
    refused(SeedError, r"no such table: none", table="none")
    refused(
        SeedError, r"sources\.key: there is no column 'nr'", table="tickets", key="nr"
    )
    refused(
        SeedError,
        r"variable DB is not set\n  -> .*sources\.url_env",
        table="tickets",
        url=None,
        url_env="DB",
    )


def test_another_pipeline_as_the_reader(tmp_path: Path) -> None:
    split = {"stage": "split", "column": "content", "unit": "words", "size": 1}
    first = Project(tmp_path / "first", [split])
    first.directory.mkdir()
    first.write(a="one two", b="three")
    root = str(tmp_path / "data")
    pipelines.generate(pipelines.open_pipeline(first.file, root=root))
    finished = Project(
        tmp_path, [], {"reader": "dataset", "dataset": "notes"}, {"name": "last"}
    ).write()
    with pytest.raises(SeedError, match="is not finished"):
        finished.open()
    committed = {"reader": "dataset", "dataset": "notes", "committed": True}
    project = Project(tmp_path, [], committed, {"name": "more"}).write()
    summary = pipelines.generate(project.open())
    assert (summary.made, summary.rows) == (2, 3)
    first.write(b="three", c="four")
    pipelines.generate(pipelines.open_pipeline(first.file, root=root))
    assert pipelines.generate(project.open()).made == 1
    assert sorted(row["content"] for row in project.rows()) == [
        "four",
        "one",
        "three",
        "two",
    ]
    with pytest.raises(
        ConfigError,
        match=r"sources\.dataset: pipeline 'notes' cannot read its own output",
    ):
        Project(tmp_path, [], committed).write().open()
    pipelines.process(pipelines.open_pipeline(first.file, root=root))
    assert finished.write().generate().rows == 4


CUSTOM = """
from sdg_core.custom import Failed, SourceReader

class Tickets(SourceReader):
    def __init__(self, names):
        self.names = names

    def items(self):
        return self.names

    def expand(self, item):
        if item == "broken":
            raise ConnectionError("no answer")
        yield {"text": item}
        if item == "half":
            yield Failed("the rest is missing")

class Plain:
    def items(self): return [1, 1]
    def expand(self, item): return [{"n": item}]

class NotOne:
    def items(self): return []
"""


def test_a_reader_of_your_own(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(CUSTOM)
    sources = {
        "reader": "custom",
        "reader_class": "./own.py:Tickets",
        "params": {"names": ["a", "half", "broken"]},
    }
    project = Project(tmp_path, [], sources).write()
    summary = project.generate()
    assert values(project, "_source", "text") == [
        ("custom:a", "a"),
        ("custom:half", "half"),
    ]
    assert messages(summary) == [
        "broken cannot be read: ConnectionError: no answer",
        "the rest is missing",
    ]
    before = project.open().plan.fingerprint.version
    (tmp_path / "own.py").write_text(
        CUSTOM.replace('{"text": item}', '{"text": item.upper()}')
    )
    assert project.open().plan.fingerprint.version != before

    def refused(error: type[Exception], match: str, **changes: Any) -> None:
        with pytest.raises(error, match=match):
            Project(tmp_path, [], {**sources, **changes}).write().open()

    refused(
        ConfigError,
        r"sources\.reader_class: ./own.py has no class 'Tikets'",
        reader_class="./own.py:Tikets",
    )
    refused(SeedError, r"sources\.params: .*\n.*takes: names", params={"nmes": []})
    refused(
        SeedError, r"two items called '1'", reader_class="./own.py:Plain", params={}
    )
    refused(
        SeedError, r"does not define expand", reader_class="./own.py:NotOne", params={}
    )
    refused(
        ConfigError,
        r"not defined in the dataset's project",
        reader_class="logging.handlers:SocketHandler",
    )


def test_parquet_in_batches_and_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    pq.write_table(pa.table({"n": range(1500)}), folder / "a.parquet")
    (folder / "b.parquet").write_bytes((folder / "a.parquet").read_bytes()[:-20])
    project = Project(
        tmp_path, [], {"reader": "parquet", "path": "docs/*.parquet"}
    ).write()
    summary = project.generate()
    assert [n for (n,) in values(project, "n")] == [*range(1500)]
    assert messages(summary)[0].startswith(
        "docs/b.parquet is not a complete parquet file"
    )


def test_files_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "hub" / "data"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"n": [1, 2]}), folder / "a.parquet")
    (folder / "b.csv").write_text("n\n3\n")
    monkeypatch.setenv("HUB_TOKEN", TOKEN)
    with serving(tmp_path / "hub") as hub:
        sources = {
            "reader": "hf",
            "path": "datasets/u/d/data/*",
            "token": "HUB_TOKEN",
            "endpoint": hub.url,
        }
        project = Project(
            tmp_path, [], sources, {"sink": {"columns": ["n", "source"]}}
        ).write()
        assert project.generate().states == {"complete": 2}
        assert values(project, "n", "source") == [
            (1, "datasets/u/d/data/a.parquet"),
            (2, "datasets/u/d/data/a.parquet"),
            ("3", "datasets/u/d/data/b.csv"),
        ]
        (folder / "b.csv").write_text("n\n4\n")
        assert project.generate().made == 1
        (folder / "c.txt").write_text("x")
        with pytest.raises(SeedError, match=r"hf://datasets/u/d/data/c.txt is a .txt"):
            project.open()


def test_credentials_are_never_a_source(tmp_path: Path) -> None:
    project = project_of(
        tmp_path, {"reader": "files", "path": "docs/*"}, id_rsa=b"secret"
    )
    assert (
        "holds the system's own files or credentials" in messages(project.generate())[0]
    )
    assert project.rows() == []
