"""What files look like: separators, maps, tables in tables, pages that say their encoding. Read as they are, or refused."""

import io
from pathlib import Path
from typing import Any

import docx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdg_core.errors import ConfigError
from tests.support.documents import web_page
from tests.support.pipelines import Project

SENTENCE = "The harbour was quiet that morning, and the boats lay still upon the water until noon."


def made_of(
    tmp_path: Path, sources: dict[str, Any], name: str, content: bytes
) -> Project:
    (tmp_path / "docs").mkdir(exist_ok=True)
    (tmp_path / "docs" / name).write_bytes(content)
    project = Project(tmp_path, [], {"path": "docs/*", **sources}).write()
    project.generate()
    return project


def failures(project: Project) -> list[str]:
    return [
        failed.message
        for footer in project.footers()
        for entry in footer.sources
        for failed in entry.failed
    ]


@pytest.mark.parametrize(
    ("name", "content", "more"),
    [
        ("a.csv", "n,t\n1,x y\n", {}),
        ("a.tsv", "n\tt\n1\tx y\n", {}),
        ("a.csv", "sep=;\r\nn;t\r\n1;x y\r\n", {}),
        ("a.csv", '"sep=|"\nn|t\n1|x y\n', {}),
        ("a.csv", "\ufeffsep=;\nn;t\n1;x y\n", {}),
        ("a.csv", "n;t\n1;x y\n", {"separator": ";"}),
        ("a.tsv", "n,t\n1,x y\n", {"separator": ","}),
        ("a.csv", "\n\nn,t\n1,x y\n", {}),
    ],
)
def test_csv_is_separated_by_what_says_so(
    tmp_path: Path, name: str, content: str, more: dict[str, Any]
) -> None:
    project = made_of(tmp_path, {"reader": "csv", **more}, name, content.encode())
    assert [(row["n"], row["t"]) for row in project.rows()] == [("1", "x y")]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_a_header_of_one_name_that_looks_like_several_is_refused(
    tmp_path: Path, mark: str
) -> None:
    content = f"n{mark}t\n1{mark}2\n".encode()
    project = made_of(tmp_path, {"reader": "csv"}, "a.csv", content)
    (message,) = failures(project)
    assert (
        message.startswith("docs/a.csv has a header with a single name, ")
        and f"set sources.separator: {mark!r}" in message
    )
    project = made_of(tmp_path, {"reader": "csv", "separator": ","}, "a.csv", content)
    assert [row[f"n{mark}t"] for row in project.rows()] == [f"1{mark}2"]


def test_the_line_of_a_row_with_too_many_values_counts_the_line_of_the_separator(
    tmp_path: Path,
) -> None:
    project = made_of(tmp_path, {"reader": "csv"}, "a.csv", b"sep=;\nn;t\n1;2;3\n")
    assert failures(project) == ["docs/a.csv, line 3 has 1 value more than the header"]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (
            {"reader": "jsonl", "separator": ";"},
            "separator is valid only with reader: csv, not jsonl",
        ),
        ({"reader": "csv", "separator": ";;"}, r"sources\.separator"),
        ({"reader": "csv", "separator": '"'}, r"sources\.separator"),
        ({"reader": "csv", "separator": "\n"}, r"sources\.separator"),
    ],
)
def test_separators_that_are_none(
    tmp_path: Path, sources: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        Project(tmp_path, [], {"path": "docs/*", **sources}).write(a="x").open()


def test_maps_of_parquet_are_lists_of_keys_and_values(tmp_path: Path) -> None:
    plain = pa.map_(pa.string(), pa.int64())
    table = pa.table(
        {
            "n": [1, 2],
            "m": pa.array([[("a", 1), ("a", 2)], None], plain),
            "deep": pa.array(
                [[{"of": [("b", 3)]}], []], pa.list_(pa.struct([("of", plain)]))
            ),
        }
    )
    target = io.BytesIO()
    pq.write_table(table, target)
    project = made_of(tmp_path, {"reader": "parquet"}, "a.parquet", target.getvalue())
    first, second = (
        {name: row[name] for name in ("n", "m", "deep")} for row in project.rows()
    )
    pairs = [{"key": "a", "value": 1}, {"key": "a", "value": 2}]
    assert first == {"n": 1, "m": pairs, "deep": [{"of": [{"key": "b", "value": 3}]}]}
    assert second == {"n": 2, "m": None, "deep": []}


def test_tables_in_a_table_of_a_word_document(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Before")
    table = document.add_table(1, 2)
    table.cell(0, 0).text = "left"
    inner = table.cell(0, 1).add_table(1, 2)
    inner.cell(0, 0).text = "one"
    inner.cell(0, 1).text = "two\nthree"
    target = io.BytesIO()
    document.save(target)
    project = made_of(tmp_path, {"reader": "docx"}, "a.docx", target.getvalue())
    assert [row["content"] for row in project.rows()] == [
        "Before\n\n| left | one two three |"
    ]


@pytest.mark.parametrize(
    ("declared", "encoding", "word"),
    [
        ("windows-1250", "cp1250", "čšž"),
        ("windows-1251", "cp1251", "щука"),
        ("ISO-8859-2", "iso-8859-2", "č"),
        ("iso-8859-1", "cp1252", "it’s €5"),
        ("shift_jis", "shift_jis", "港"),
        ("utf-8", "utf-8", "čš港"),
    ],
)
@pytest.mark.parametrize(
    "form",
    ['<meta charset="{}">', "<meta http-equiv=x content='text/html; charset={}'>"],
)
def test_a_page_is_in_the_encoding_that_it_says(
    tmp_path: Path, declared: str, encoding: str, word: str, form: str
) -> None:
    page = web_page(f"{SENTENCE} {word} {SENTENCE}")
    before, _, after = page.partition("<head>")
    content = f"{before}<head>{form.format(declared)}{after.replace('utf-8', declared)}".encode(
        encoding
    )
    project = made_of(tmp_path, {"reader": "html"}, "a.html", content)
    assert [word in row["content"] for row in project.rows()] == [True]


@pytest.mark.parametrize(
    "declared", ["punycode", "unicode_escape", "utf-7", "klingon", "hex", "utf-8"]
)
def test_a_page_that_says_what_it_is_not_is_guessed_at(
    tmp_path: Path, declared: str
) -> None:
    content = (
        web_page(f"{SENTENCE} Caf\u00e9.").replace("utf-8", declared).encode("latin-1")
    )
    project = made_of(tmp_path, {"reader": "html"}, "a.html", content)
    assert [SENTENCE in row["content"] for row in project.rows()] == [True]
