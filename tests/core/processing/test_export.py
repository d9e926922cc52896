"""A dataset as one file: the same rows in every format, a whole file or none, nothing replaced unasked."""

import base64
import csv
import datetime
import gzip
import io
import math
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sdg_core import api
from sdg_core.errors import IncompleteError, PlanError, RefusedError, StoreError
from sdg_core.processing.export import check_target, export_rows
from tests.support.s3 import S3Server
from tests.support.sdg import (
    category,
    dataset_config,
    expression,
    fill_disk,
    llm,
    open_dataset,
    small_disk,
    uuid,
)

NESTED = pa.struct([pa.field("a", pa.int64()), pa.field("b", pa.list_(pa.string()))])
SCHEMA = pa.schema(
    [
        pa.field("text", pa.string()),
        pa.field("n", pa.int64()),
        pa.field("x", pa.float64()),
        pa.field("yes", pa.bool_()),
        pa.field("at", pa.timestamp("us")),
        pa.field("day", pa.date32()),
        pa.field("raw", pa.binary()),
        pa.field("nested", NESTED),
        pa.field("list", pa.list_(pa.int64())),
    ]
)
AT = datetime.datetime.fromisoformat("2026-03-01T12:30:05.250000")
ROWS: list[dict[str, Any]] = [
    {
        "text": 'é🙂 "quoted", and\nmore',
        "n": 2**63 - 1,
        "x": 0.1,
        "yes": True,
        "at": AT,
        "day": AT.date(),
        "raw": b"\x00\xff",
        "nested": {"a": 1, "b": ["x", None, "ü"]},
        "list": [],
    },
    {
        "text": "",
        "n": -1,
        "x": 1e300,
        "yes": False,
        "nested": {"a": None, "b": None},
        "list": [1, 2],
    },
    {},
]


@pytest.fixture
def part(tmp_path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist(ROWS, schema=SCHEMA), tmp_path / "part.parquet")
    return tmp_path / "part.parquet"


def test_parquet_has_the_same_rows_and_types(part: Path, tmp_path: Path) -> None:
    assert export_rows([part, part], SCHEMA, tmp_path / "out.parquet") == 6
    table = pq.read_table(tmp_path / "out.parquet")
    assert (
        table.schema.equals(SCHEMA)
        and table.to_pylist() == pq.read_table(part).to_pylist() * 2
    )


def test_json_lines_keep_text_as_it_is_and_write_times_in_iso_8601(
    part: Path, tmp_path: Path
) -> None:
    assert export_rows([part], SCHEMA, tmp_path / "out.jsonl") == 3
    content = (tmp_path / "out.jsonl").read_bytes()
    assert "é🙂".encode() in content and content.endswith(b"\n")
    first, second, third = (orjson.loads(line) for line in content.splitlines())
    assert list(first) == SCHEMA.names
    assert first == {
        **ROWS[0],
        "at": "2026-03-01T12:30:05.250000",
        "day": "2026-03-01",
        "raw": base64.b64encode(b"\x00\xff").decode(),
    }
    assert second["nested"] == {"a": None, "b": None} and set(third.values()) == {None}


def test_csv_has_nested_columns_as_json(part: Path, tmp_path: Path) -> None:
    export_rows([part], SCHEMA, tmp_path / "out.csv")
    content = (tmp_path / "out.csv").read_text(encoding="utf-8")
    header, first, second, third = list(csv.reader(io.StringIO(content)))
    assert header == SCHEMA.names
    row = dict(zip(header, first, strict=True))
    assert (row["text"], row["n"], row["yes"]) == (
        ROWS[0]["text"],
        str(2**63 - 1),
        "true",
    )
    assert (
        datetime.datetime.fromisoformat(row["at"]) == AT
        and "T" in row["at"]
        and row["day"] == "2026-03-01"
    )
    assert (
        orjson.loads(row["nested"]) == ROWS[0]["nested"]
        and row["list"] == "[]"
        and float(row["x"]) == 0.1
    )
    assert base64.b64decode(row["raw"]) == b"\x00\xff"
    assert math.isclose(float(second[2]), 1e300) and third == [""] * len(header)
    assert '\n"",-1,' in content, "an empty text differs from none"


@pytest.mark.parametrize("ending", [".jsonl.gz", ".csv.gz", ".jsonl.zst", ".csv.zst"])
def test_lines_may_be_compressed(part: Path, tmp_path: Path, ending: str) -> None:
    plain = tmp_path / f"plain{Path(ending).stem}"
    export_rows([part], SCHEMA, plain)
    export_rows([part], SCHEMA, tmp_path / f"out{ending}")
    packed = (tmp_path / f"out{ending}").read_bytes()
    if ending.endswith(".gz"):
        assert gzip.decompress(packed) == plain.read_bytes()
    else:
        stream = pa.CompressedInputStream(pa.BufferReader(packed), "zstd")
        assert stream.read() == plain.read_bytes()


@pytest.mark.parametrize(
    "name", ["out", "out.json", "out.parquet.gz", "out.gz", ".csv.bz2"]
)
def test_a_name_that_says_no_format_is_refused_with_those_that_do(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        PlanError, match=r"use \.parquet, \.jsonl, \.csv, or \.jsonl\.gz"
    ):
        check_target(tmp_path / name, overwrite=True)


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    big = pa.Table.from_pylist([{"text": str(n) * 100} for n in range(20_000)])
    pq.write_table(big, tmp_path / "part.parquet")
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        fill_disk(disk, leave=200_000)
        with pytest.raises(StoreError, match="the disk is full"):
            export_rows([tmp_path / "part.parquet"], big.schema, disk / "out.jsonl")
        assert [path.name for path in disk.iterdir()] == ["filler"]


def tickets(tmp_path: Path, root: object = None) -> api.Dataset:
    columns = (
        uuid(),
        category("plan", "free", "pro"),
        llm("secret", "x", drop=True),
        expression("title", "{{ plan }}"),
    )
    return open_dataset(
        tmp_path / "tickets.yaml",
        dataset_config(*columns),
        root=root or tmp_path / "root",
    )  # type: ignore[arg-type]


def test_the_finished_dataset_is_exported(tmp_path: Path) -> None:
    dataset = tickets(tmp_path)
    api.generate(dataset)
    version = api.process(dataset).version
    exported = api.export(dataset, tmp_path / "new" / "out.jsonl")
    assert (exported.num_rows, exported.finished, exported.path) == (
        25,
        True,
        tmp_path / "new" / "out.jsonl",
    )
    rows = [orjson.loads(line) for line in exported.path.read_bytes().splitlines()]
    assert rows == pq.read_table(version.processed_dataset).to_pylist() and list(
        rows[0]
    ) == [
        "id",
        "plan",
        "title",
    ]


def test_what_is_not_finished_is_exported_by_word_only(tmp_path: Path) -> None:
    dataset = tickets(tmp_path)
    with pytest.raises(IncompleteError, match="holds no data of this config"):
        api.export(dataset, tmp_path / "out.csv", partial=True)
    api.generate(dataset, row_groups=[])
    with pytest.raises(IncompleteError, match="has no records yet"):
        api.export(dataset, tmp_path / "out.csv", partial=True)
    version = api.generate(dataset, row_groups=[0, 2]).version
    with pytest.raises(
        IncompleteError,
        match=r"is not finished\n  -> `sdg process` it first, or .* --partial",
    ):
        api.export(dataset, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    exported = api.export(dataset, tmp_path / "out.parquet", partial=True)
    assert (exported.num_rows, exported.finished) == (15, False)
    table = pq.read_table(exported.path)
    assert (
        table.to_pylist()
        == pa.concat_tables(
            [pq.read_table(version.row_group(index)) for index in (0, 2)]
        ).to_pylist()
    )
    assert table.schema.equals(dataset.plan.kept_schema), (
        "without the footers of row groups"
    )


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    dataset, out = tickets(tmp_path), tmp_path / "out.csv"
    api.generate(dataset)
    api.process(dataset)
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(RefusedError, match=r"out\.csv exists\n.*--force"):
        api.export(dataset, out)
    assert out.read_text(encoding="utf-8") == "mine"
    assert api.export(dataset, out, overwrite=True).num_rows == 25
    assert out.read_text(encoding="utf-8").startswith("id,plan,title\n")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(RefusedError, match="is a directory"):
        api.export(dataset, tmp_path / "folder.csv", overwrite=True)


def test_from_an_object_store(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    dataset = tickets(tmp_path, root=s3.new_root())
    api.generate(dataset)
    assert api.export(dataset, tmp_path / "partial.csv", partial=True).num_rows == 25
    api.process(dataset)
    assert api.export(dataset, tmp_path / "out.csv").num_rows == 25
    assert (tmp_path / "out.csv").read_bytes() == (
        tmp_path / "partial.csv"
    ).read_bytes()


def test_times_finer_than_python_knows_and_spans_are_written(tmp_path: Path) -> None:
    moment = pa.scalar(1_700_000_000_000_000_123, pa.timestamp("ns"))
    span = pa.scalar(1_500_000_001, pa.duration("ns"))
    table = pa.table(
        {
            "at": pa.array([moment]),
            "span": pa.array([span]),
            "both": pa.array([{"at": moment, "span": span}]),
        }
    )
    pq.write_table(table, tmp_path / "part.parquet")
    lines, rows = tmp_path / "out.jsonl", tmp_path / "out.csv"
    for target in (lines, rows):
        assert export_rows([tmp_path / "part.parquet"], table.schema, target) == 1
    at = "2023-11-14T22:13:20"
    expected = {"at": at, "span": 1.5, "both": {"at": at, "span": 1.5}}
    assert orjson.loads(lines.read_bytes()) == expected
    [row] = csv.DictReader(io.StringIO(rows.read_text(encoding="utf-8")))
    assert row["at"].startswith(f"{at}.000000123") and row["span"] == "1.5"
    assert orjson.loads(row["both"]) == expected["both"]


def test_a_null_in_the_only_column_is_a_row_of_csv(tmp_path: Path) -> None:
    table = pa.table({"t": ["a", None, "b"]})
    pq.write_table(table, tmp_path / "part.parquet")
    export_rows([tmp_path / "part.parquet"], table.schema, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [row["t"] for row in csv.DictReader(file)] == ["a", "", "b"]
