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
from sdg_core.seeds.text_options import TextOptions

CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=8
).map(lambda t: "x" + t)


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


@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=6)
)
def test_json_lines_come_back(texts: list[str]) -> None:
    for ascii_only in (True, False):
        lines = "\n".join(
            json.dumps({"t": text}, ensure_ascii=ascii_only) for text in texts
        )
        assert read(lines, ".jsonl")["t"].to_list() == texts


def test_half_a_surrogate_pair_is_the_replacement_character() -> None:
    content = rb'{"t": "a\ud83d"}' + b"\n" + rb'{"t": "\ud83d\udc4d \\ud83d"}'
    assert read(content, ".jsonl")["t"].to_list() == ["a\ufffd", "\U0001f44d \\ud83d"]


def test_a_repeated_name_gets_a_number_and_is_announced() -> None:
    table = read_text_table(b"a,b,a,a,a_2\n1,2,3,4,5\n", ".csv", source="seeds")
    assert table.frame.rows(named=True) == [
        {"a": 1, "b": 2, "a_3": 3, "a_4": 4, "a_2": 5}
    ]
    assert table.notices == (
        "seeds: column 3 repeats the name 'a' and is read as 'a_3'",
        "seeds: column 4 repeats the name 'a' and is read as 'a_4'",
    )


def test_prices_stay_numbers_and_postcodes_text() -> None:
    frame = read("zip,price,phone\n02144,1.50,+4930\n10115,2.00,+4989\n")
    assert dict(frame.schema) == {
        "zip": pl.String,
        "price": pl.Float64,
        "phone": pl.String,
    }


def test_semicolons_separate_where_every_line_has_them() -> None:
    table = read_text_table(b"name;age\nAnn;3\nBo;4\n", ".csv", source="seeds")
    assert table.frame.columns == ["name", "age"] and table.rules
    assert read("note\na; b\nc\n").columns == ["note"]


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        ('{"a": 1, "a": 2}', ".jsonl", "an object has the key 'a' twice"),
        ('{"n": 123456789012345678901234567890}', ".jsonl", "does not fit in 64 bits"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(
    content: str, suffix: str, message: str
) -> None:
    with pytest.raises(SeedError, match=message):
        read(content, suffix)


def test_a_byte_order_mark_and_a_pandas_index_are_no_trouble() -> None:
    assert read(b"\xef\xbb\xbf" + b'{"a": 1}', ".jsonl").columns == ["a"]
    assert read(",a\n0,x\n1,y\n").columns == ["column_0", "a"]


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
NUMBERS = st.from_regex(
    r"[-+]?[0-9]{0,18}\.?[0-9]{0,4}(?:e[0-9])?|nan|inf|true|False", fullmatch=True
)
JSON_COLUMNS = st.one_of(
    *(
        st.lists(st.none() | values, min_size=3, max_size=3)
        for values in (
            TEXTS,
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.booleans(),
            st.lists(TEXTS),
        )
    )
)


@given(
    st.lists(st.tuples(NUMBERS | TEXTS, NUMBERS), min_size=1, max_size=5),
    st.sampled_from([",", ";", "\t"]),
)
def test_every_csv_column_prints_back_or_is_the_same_number(
    rows: list[tuple[str, str]], separator: str
) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([("a", "b"), *rows])
    options = TextOptions(separator=separator)
    frame = read_text_table(
        out.getvalue().encode(), ".csv", source="seeds", options=options
    ).frame
    for column, texts in zip(frame, zip(*rows, strict=True), strict=True):
        expected: list[object] = [text or None for text in texts]
        if column.dtype == pl.Float64:
            expected = [None if text == "" else float(text) for text in texts]
            assert not any(
                text[:1] == "+" or "e" in text or "n" in text for text in texts
            )
        elif column.dtype == pl.Boolean:
            expected = [
                None if text == "" else text.lower() == "true" for text in texts
            ]
        elif column.dtype == pl.Int64:
            column = column.cast(pl.String)
        assert column.to_list() == expected


@given(st.tuples(JSON_COLUMNS, JSON_COLUMNS), st.sampled_from([".json", ".jsonl"]))
def test_json_values_come_back(
    columns: tuple[list[object], list[object]], suffix: str
) -> None:
    records = [{"a": a, "b": b} for a, b in zip(*columns, strict=True)]
    lines = (
        json.dumps(records)
        if suffix == ".json"
        else "\n\n".join(map(json.dumps, records))
    )
    assert read(lines, suffix).to_dicts() == records


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1.9", "1.10"], pl.String),
        (["1.50", "2.00"], pl.Float64),
        (["1", "2.5"], pl.Float64),
        (["0.1", "1.0"], pl.Float64),
        (["1e5", "2"], pl.String),
        (["nan", "1.5"], pl.String),
        (["-0", "1"], pl.String),
        (["9007199254740993.5"], pl.String),
        (["18446744073709551616"], pl.String),
        (["true", "True"], pl.String),
    ],
)
def test_numbers_are_what_one_notation_prints_back(
    texts: list[str], kind: type[pl.DataType]
) -> None:
    frame = read("v,x\n" + "".join(f"{text},y\n" for text in texts))
    assert frame.schema["v"] == kind


def test_blank_lines_are_no_rows_and_quotes_are_read() -> None:
    frame = read('"say ""hi""",b\n\n5" pipe,""\n\n,x\n')
    assert frame.rows() == [('5" pipe', ""), (None, "x")] and frame.columns == [
        'say "hi"',
        "b",
    ]


def test_json_lines_and_one_record_in_a_json_file() -> None:
    assert read('{"a": 1}\n{"a": 2}\n', ".json")["a"].to_list() == [1, 2]
    assert read('{\n"a": 1\n}', ".json")["a"].to_list() == [1]


def test_what_the_source_says_is_followed() -> None:
    options = TextOptions(
        separator=";",
        encoding="latin-1",
        null_values=frozenset({"NA"}),
        types={"n": "float"},
    )
    table = read_text_table(
        "café;n\nNA;007\nx;NA\n".encode("latin-1"),
        ".csv",
        source="seeds",
        options=options,
    )
    assert table.frame.rows() == [(None, 7.0), ("x", None)] and table.frame.columns == [
        "café",
        "n",
    ]
    big = read_text_table(
        b'{"n": 18446744073709551616}',
        ".jsonl",
        source="s",
        options=TextOptions(types={"n": "str"}),
    )
    assert big.frame.rows() == [("18446744073709551616",)]


def test_another_reading_than_before_is_another_digest() -> None:
    assert not read_text_table(b"a,b\n1,x\n2,y\n", ".csv", source="s").rules
    assert not read_text_table(b'{"a": 1, "b": ["x"]}', ".jsonl", source="s").rules
    for content in (b"a\n007\n", b"a\n1\n\n2\n", b"a;b\n1;2\n"):
        assert read_text_table(content, ".csv", source="s").rules


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        (b"a\n\xff\n", ".csv", "not utf-8 text: .* line 2\n  -> set encoding"),
        (b"\xff\xfea\x00", ".csv", "utf-16 text\n  -> set encoding: utf-16"),
        (b"a;b\n1;2;3\n", ".csv", "set separator"),
        (b"a,b\n1\n", ".csv", "Expected 2 columns, got 1"),
        (b'{"a": 1}\n{"a": "x"}', ".jsonl", "column 'a' holds values of several types"),
        (
            b'{"a": 1, "a": 2}',
            ".jsonl",
            "line 1: an object has the key 'a' twice",
        ),
        (b'{"a": 1}\n[1]', ".jsonl", "line 2 is not an object"),
        (b'{"a": 1}\n{"a": }', ".jsonl", "line 2, cannot be read"),
    ],
)
def test_unreadable_text_is_refused_with_its_place(
    content: bytes, suffix: str, message: str
) -> None:
    with pytest.raises(SeedError, match=message):
        read(content, suffix)
