"""Row-group files explain themselves, and damage is told from what was never ours."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.errors import CorruptFileError, StoreError, UnrecognizedFileError
from sdg_core.store.row_groups import (
    FOOTER_KEY,
    Footer,
    merge_rows,
    read_dropped,
    read_footer,
    read_rows,
    write_row_group,
)


def footer(**changes: Any) -> Footer:
    values: dict[str, Any] = {
        "schema_version": 1,
        "dataset": "tickets",
        "config_hash": "sha256:00",
        "column_hashes": {"text": "sha256:11"},
        "row_group": 3,
        "start": 30,
        "size": 10,
        "missing": [],
        "resized": False,
        "usage": {"writer": {"requests": 12}},
        "simulated": False,
        "created_at": "2026-01-01T00:00:00+00:00",
        "run_id": "run",
    }
    return Footer(**{**values, **changes})


def table_of(records: list[int]) -> pa.Table:
    return pa.table(
        {
            "text": [f"record {record}" for record in records],
            "n": pa.array(records, pa.int64()),
        }
    )


def written(path: Path, **changes: Any) -> Path:
    about = footer(**changes)
    write_row_group(path, table_of(about.records().tolist()), about)
    return path


def test_round_trip(tmp_path: Path) -> None:
    path = written(tmp_path / "batch_00003.parquet", missing=[31, 39])
    found = read_footer(path)
    assert found == footer(missing=[31, 39])
    assert found.num_rows == 8
    assert found.records().tolist() == [30, 32, 33, 34, 35, 36, 37, 38]
    assert read_rows(path)["n"].to_pylist() == found.records().tolist()
    assert read_rows(path, columns=["n"]).column_names == ["n"]


def test_other_tools_can_read_the_file_and_its_footer(tmp_path: Path) -> None:
    path = written(tmp_path / "batch_00003.parquet")
    assert pl.read_parquet(path).shape == (10, 2)
    assert set(orjson.loads(pq.read_schema(path).metadata[b"sdg"])) == set(
        Footer.model_fields
    )


def test_a_row_group_without_rows_is_a_file_too(tmp_path: Path) -> None:
    path = written(tmp_path / "batch_00003.parquet", missing=list(range(30, 40)))
    assert read_footer(path).num_rows == 0
    assert read_rows(path).schema.names == ["text", "n"]


def test_truncated_anywhere_is_corrupt(tmp_path: Path) -> None:
    path = written(tmp_path / "batch_00003.parquet")
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(
            CorruptFileError,
            match=r"batch_00003\.parquet is not a complete parquet file",
        ):
            read_footer(path)


def test_random_damage_never_ends_in_another_exception(tmp_path: Path) -> None:
    path = written(tmp_path / "batch_00003.parquet")
    whole = path.read_bytes()
    draw = random.Random(3)
    for _ in range(200):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            read_footer(path)
            read_rows(path)
        except (CorruptFileError, UnrecognizedFileError) as error:
            assert str(path) in str(error)


@pytest.mark.parametrize(
    "content", [b"not parquet", b"PAR1", b"PAR1PAR1", b"\0" * 4096]
)
def test_what_is_not_parquet_is_corrupt(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CorruptFileError):
        read_footer(tmp_path / "file")


def test_whole_parquet_of_somebody_else_is_foreign(tmp_path: Path) -> None:
    for metadata in (None, {b"pandas": b"{}"}):
        pq.write_table(
            table_of([1]).replace_schema_metadata(metadata), tmp_path / "file"
        )
        with pytest.raises(UnrecognizedFileError, match="not written by sdg") as raised:
            read_footer(tmp_path / "file")
        assert "move it out of this directory" in str(raised.value.remedy)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"schema_version": "1"}', b"\xff"]
)
def test_a_footer_that_cannot_be_understood_is_corrupt(
    tmp_path: Path, content: bytes
) -> None:
    pq.write_table(
        table_of([1]).replace_schema_metadata({FOOTER_KEY: content}), tmp_path / "file"
    )
    with pytest.raises(CorruptFileError, match="footer that cannot be read"):
        read_footer(tmp_path / "file")


@pytest.mark.parametrize(
    "field",
    [name for name, field in Footer.model_fields.items() if field.is_required()],
)
def test_every_field_of_the_footer_is_required(tmp_path: Path, field: str) -> None:
    content = {
        key: value for key, value in footer().model_dump().items() if key != field
    }
    metadata = {FOOTER_KEY: orjson.dumps(content)}
    pq.write_table(
        table_of(list(range(30, 40))).replace_schema_metadata(metadata),
        tmp_path / "file",
    )
    with pytest.raises(CorruptFileError):
        read_footer(tmp_path / "file")


def test_a_footer_at_odds_with_its_rows_is_corrupt(tmp_path: Path) -> None:
    write_row_group(tmp_path / "file", table_of([30, 31]), footer())
    with pytest.raises(CorruptFileError, match="has 2 rows, but its footer says 10"):
        read_footer(tmp_path / "file")


def test_a_file_that_cannot_be_opened_is_not_called_corrupt(tmp_path: Path) -> None:
    for read in (read_footer, read_rows):
        with pytest.raises(StoreError, match="cannot read") as raised:
            read(tmp_path / "absent")
        assert not isinstance(raised.value, CorruptFileError | UnrecognizedFileError)
    (tmp_path / "directory.parquet").mkdir()
    with pytest.raises(UnrecognizedFileError, match="is a directory"):
        read_footer(tmp_path / "directory.parquet")


def test_dropped_columns_follow_their_row_group(tmp_path: Path) -> None:
    path = written(tmp_path / "dropped", missing=[31])
    assert (
        read_dropped(path, footer(missing=[31]).records())["n"].to_pylist()
        == footer(missing=[31]).records().tolist()
    )
    behind = footer(missing=[30, 31, 35]).records()
    assert read_dropped(path, behind, columns=["n"])["n"].to_pylist() == behind.tolist()
    with pytest.raises(
        CorruptFileError, match="is missing records that its row group has"
    ):
        read_dropped(path, footer().records())
    with pytest.raises(CorruptFileError, match="is missing") as raised:
        read_dropped(tmp_path / "absent", behind)
    assert "move the row group's file" in str(raised.value.remedy)


records = st.sets(st.integers(0, 30)).map(sorted)


@given(records, records)
def test_merging_is_a_union_in_record_order_in_which_old_rows_stay(
    old: list[int], new: list[int]
) -> None:
    def rows(indices: list[int], origin: str) -> pa.Table:
        return pa.table(
            {
                "record": pa.array(indices, pa.int64()),
                "origin": pa.array([origin] * len(indices), pa.string()),
            }
        )

    arrays = [np.array(indices, dtype=np.int64) for indices in (old, new)]
    table, indices = merge_rows(
        rows(old, "old"), arrays[0], rows(new, "new"), arrays[1]
    )
    expected = {**dict.fromkeys(new, "new"), **dict.fromkeys(old, "old")}
    assert indices.tolist() == table["record"].to_pylist() == sorted(expected)
    assert table["origin"].to_pylist() == [
        expected[record] for record in sorted(expected)
    ]
