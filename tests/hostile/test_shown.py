"""Text of strangers is text wherever it is shown: Dagster's Markdown, terminals, spreadsheets."""

import io
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sdg_assets.recording.columns import markdown_table
from sdg_assets.recording.inert import without_images
from sdg_core.api import Notice
from sdg_core.cli.progress import watching
from sdg_core.processing.export import export_rows

HOSTILE = [
    "![x](http://attacker.example/a.png)",
    "![x][1]",
    "[click](http://attacker.example)",
    "<http://attacker.example>",
    "http://attacker.example",
    "www.attacker.example",
    "mail me@attacker.example",
    "<img src='//attacker.example/x'>",
    "**bold** _em_ `code` ~~gone~~ &amp; \\![x](y)",
    "`` ![x](http://attacker.example) ```",
    "a | b | ![x](//y)",
]
"""What a model may write to be more than text in Dagster's page."""


def rendered(markdown: str) -> str:
    return MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(markdown)


@given(
    st.one_of(
        st.sampled_from(HOSTILE),
        st.lists(st.sampled_from([*HOSTILE, *"![]()<>`\\|_* "]), max_size=8).map(
            "".join
        ),
    )
)
def test_a_cell_shows_the_text_and_nothing_else(text: str) -> None:
    table = markdown_table(("a", "b"), [(text, "end")])
    assert isinstance(table, dg.MarkdownMetadataValue) and table.value is not None
    page = rendered(table.value)
    for tag in ("<img", "<a ", "<strong", "<em", "<del", "<s>"):
        assert tag not in page
    assert page.count("<td>") == 2
    for address in ("://", "www.", "@"):
        for place in range(len(page)):
            if page.startswith(address, place):
                before = page[:place]
                assert before.count("<code>") > before.count(
                    "</code>"
                )  # nothing outside code becomes a link


def test_words_stay_as_people_read_them() -> None:
    table = markdown_table(("plan_name", "n"), [("It's 5 % off! (really)", 3.5)])
    assert (
        table.value
        == "| plan_name | n |\n| --- | --- |\n| It's 5 % off! (really) | 3.5 |"
    )


def test_descriptions_keep_links_and_lose_images() -> None:
    page = rendered(
        without_images(
            "see [docs](https://a.example) ![x](https://b.example/y.png) ![x][1] <img src=z>\n\n[1]: https://c"
        )
    )
    assert '<a href="https://a.example">' in page and "<img" not in page


def test_notices_are_printable(capsys: pytest.CaptureFixture[str]) -> None:
    with watching("tickets") as observer:
        observer(Notice("the server says \x1b]52;c;QQ==\x07"))
    assert (
        capsys.readouterr().err == "tickets: the server says \\u001b]52;c;QQ==\\u0007\n"
    )


@pytest.mark.parametrize("defuse", [False, True])
def test_formulas_in_csv(tmp_path: Path, defuse: bool) -> None:
    texts = [
        "=cmd|' /C calc'!A0",
        "+1+2",
        "-2",
        "-1e3",
        "@SUM(A1)",
        "\t=1",
        " =1",
        "\n=1",
        "\u200b\u202e=1",
        "\uff1dcmd|x",
        " -2",
        "a=b",
        None,
        "",
        "- item",
    ]
    table = pa.table({"=head": texts, "n": range(-5, 10)})
    pq.write_table(table, tmp_path / "part.parquet")
    export_rows(
        [tmp_path / "part.parquet"],
        table.schema,
        tmp_path / "out.csv",
        defuse_formulas=defuse,
    )
    import csv

    head, *rows = csv.reader(
        io.StringIO((tmp_path / "out.csv").read_text(), newline="")
    )
    wanted = [
        "'=cmd|' /C calc'!A0",
        "'+1+2",
        "-2",
        "-1e3",
        "'@SUM(A1)",
        "'\t=1",
        "' =1",
        "'\n=1",
        "'\u200b\u202e=1",
        "'\uff1dcmd|x",
        " -2",
        "a=b",
        "",
        "",
        "'- item",
    ]
    assert [row[0] for row in rows] == (
        wanted if defuse else [text or "" for text in texts]
    )
    assert [row[1] for row in rows] == [str(n) for n in range(-5, 10)]
    assert head[0] == ("'=head" if defuse else "=head")
