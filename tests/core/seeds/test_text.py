"""Text formats keep what is written, or refuse it."""

import csv
import io
import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.errors import SeedError
from sdg_core.seeds.text import read_text_table

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=8).map(
    lambda t: "x" + t
)


def read(content: str | bytes, suffix: str = ".csv") -> pl.DataFrame:
    data = content.encode() if isinstance(content, str) else content
    return read_text_table(data, suffix, source="seeds").frame


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6))
def test_csv_texts_come_back(rows: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([("a", "b"), *rows])
    assert read(out.getvalue()).rows() == rows


@given(st.lists(st.from_regex(r"[0-9]{1,20}", fullmatch=True), min_size=1, max_size=6))
def test_digits_in_csv_print_back(texts: list[str]) -> None:
    found = read("id,x\n" + "".join(f"{text},y\n" for text in texts))["id"]
    assert found.cast(pl.String).to_list() == texts


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=6))
def test_json_lines_come_back(texts: list[str]) -> None:
    for ascii_only in (True, False):
        lines = "\n".join(json.dumps({"t": text}, ensure_ascii=ascii_only) for text in texts)
        assert read(lines, ".jsonl")["t"].to_list() == texts


def test_half_a_surrogate_pair_is_refused_by_name() -> None:
    with pytest.raises(SeedError, match=r"column 't' holds \\ud83d in row 2"):
        read(b'{"t": "a"}\n' + rb'{"t": "a\ud83d"}', ".jsonl")
    assert read(rb'{"t": "\ud83d\udc4d \\ud83d"}', ".jsonl")["t"].to_list() == ["\U0001f44d \\ud83d"]


def test_prices_stay_numbers_and_postcodes_text() -> None:
    frame = read("zip,price,phone\n02144,1.50,+4930\n10115,2.00,+4989\n")
    assert dict(frame.schema) == {"zip": pl.String, "price": pl.Float64, "phone": pl.String}


def test_semicolons_separate_where_every_line_has_them() -> None:
    table = read_text_table(b"name;age\nAnn;3\nBo;4\n", ".csv", source="seeds")
    assert table.frame.columns == ["name", "age"] and table.rules
    assert read("note\na; b\nc\n").columns == ["note"]


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        ("a,b,a\n1,2,3\n", ".csv", "two columns are named 'a'"),
        ('{"n": 123456789012345678901234567890}', ".jsonl", "beyond 64 bits"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(content: str, suffix: str, message: str) -> None:
    with pytest.raises(SeedError, match=message):
        read(content, suffix)


def test_a_byte_order_mark_and_a_pandas_index_are_no_trouble() -> None:
    assert read(b"\xef\xbb\xbf" + b'{"a": 1}', ".jsonl").columns == ["a"]
    assert read(",a\n0,x\n1,y\n").columns == ["column_0", "a"]
