"""Files as other programs write them: read as they are, or refused by name with what to write instead; never bent."""

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.seeds.columns import plain_schema
from sdg_core.seeds.text import read_text_table
from sdg_core.seeds.text_options import TextOptions


def rows(content: str, suffix: str, **options: Any) -> list[dict[str, Any]]:
    made = TextOptions(**options) if options else None
    return read_text_table(
        content.encode(), suffix, source="it", options=made
    ).frame.to_dicts()


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ("sep=;\na;b\n1,5;2\n", ".csv"),
        ('\ufeff"sep=;"\r\na;b\r\n1,5;2\r\n', ".csv"),
        ("SEP=\t\na\tb\n1,5\t2\n", ".csv"),
        ("a\tb\n1,5\t2\n", ".tsv"),
    ],
)
def test_a_file_that_says_its_separator(content: str, suffix: str) -> None:
    assert rows(content, suffix) == [{"a": "1,5", "b": 2}]


def test_what_only_looks_like_it_is_a_header() -> None:
    assert rows("sep=a\n1\n", ".csv") == [{"sep=a": 1}]


@pytest.mark.parametrize("text", ["1e400", "[-1e999]", '{"x": [1e400]}'])
def test_numbers_beyond_64_bits_are_refused_and_not_made_infinite(text: str) -> None:
    with pytest.raises(
        api.SeedError, match="'a' holds a number that does not fit in 64 bits"
    ):
        rows(f'{{"a": {text}}}\n', ".jsonl")
    assert rows('{"a": Infinity}\n', ".jsonl") == [{"a": float("inf")}]


def test_a_number_of_csv_that_is_too_large_is_no_infinity() -> None:
    with pytest.raises(api.SeedError, match="holds '1e400'"):
        rows("a\n1e400\n", ".csv", types={"a": "float"})
    assert rows("a\n-inf\n", ".csv", types={"a": "float"}) == [{"a": float("-inf")}]


@given(st.floats(allow_nan=False))
def test_stated_numbers_are_the_ones_that_are_written(number: float) -> None:
    assert rows(f"a\n{number!r}\n", ".csv", types={"a": "float"}) == [{"a": number}]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(b"a\n1\n", mtime=0), "compressed with gzip, not text"),
        (b"PK\x03\x04\xff", "zip archive or an Excel workbook"),
        (b"PAR1\xff", "is parquet, not text"),
    ],
)
def test_a_file_that_is_something_else_than_its_name_says(
    content: bytes, reason: str
) -> None:
    with pytest.raises(api.SeedError, match=reason):
        read_text_table(content, ".csv", source="it")


def frames() -> pl.DataFrame:
    return pl.DataFrame({"a": [1, 2], "b": ["x", "y"]})


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"0": 1, "1": 2}, "b": {"0": "x", "1": "y"}}',
        '{"columns": ["a"], "index": [0], "data": [[1]]}',
    ],
)
def test_columns_of_pandas_are_refused_with_how_to_write_rows(text: str) -> None:
    with pytest.raises(
        api.SeedError,
        match=r"is column-oriented, not one object per row.*\n?.*orient='records'",
    ):
        rows(text, ".json")


def test_one_record_of_objects_is_a_record() -> None:
    assert rows('{"a": {"x": 1}, "b": {"0": 1, "2": 2}}', ".json") == [
        {"a": {"x": 1}, "b": {"0": 1, "2": 2}}
    ]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (pa.list_view(pa.int64()), "list view"),
        (
            pa.large_list(pa.struct([("a", pa.int64()), ("a", pa.int64())])),
            "duplicate keys",
        ),
        (pa.map_(pa.string(), pa.struct([])), "without keys"),
        (pa.run_end_encoded(pa.int32(), pa.string()), "run-end encoded"),
        (pa.month_day_nano_interval(), "calendar months"),
        (pa.decimal256(50, 2), "decimal with too many digits"),
        (pa.timestamp("ms", "+05:30"), "fixed offset"),
    ],
)
def test_types_that_cannot_be_kept_are_named_at_any_depth(
    kind: pa.DataType, reason: str
) -> None:
    for data_type in (kind, pa.struct([("inner", kind)]), pa.list_(kind)):
        with pytest.raises(api.SeedError, match=f"seed column 'x' has type .*{reason}"):
            plain_schema(pa.schema([("x", data_type)]))


def test_json_of_arrow_is_exported_to_every_format(tmp_path: Path) -> None:
    values = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}', "[]"]))
    pq.write_table(pa.table({"x": values}), tmp_path / "s.parquet")
    column = {"column_type": "expression", "name": "t", "expr": "{{ x }}"}
    content = {
        "num_records": 2,
        "seed_config": {"source": {"path": "s.parquet"}},
        "columns": [column],
    }
    (tmp_path / "d.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    dataset = api.open_dataset(tmp_path / "d.yaml", root=str(tmp_path / "root"))
    api.generate(dataset)
    api.process(dataset)
    api.export(dataset, tmp_path / "out.csv")
    assert pl.read_csv(tmp_path / "out.csv").rows() == [
        ('{"a":1}', '{"a":1}'),
        ("[]", "[]"),
    ]
