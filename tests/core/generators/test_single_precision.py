"""Numbers of 32 bits are shown by their own digits."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.config.columns import ExpressionColumn
from sdg_core.generators.expressions import evaluate_group
from sdg_core.generators.single_precision import python_values
from sdg_core.processing.export import export_rows


@given(st.lists(st.none() | st.floats(width=32), max_size=6))
def test_the_digits_read_back_and_are_those_of_numpy(
    numbers: list[float | None],
) -> None:
    values = python_values(pl.Series(numbers, dtype=pl.Float32))
    for number, value in zip(numbers, values, strict=True):
        if number is None or math.isnan(number):
            assert value is None or math.isnan(value)
        else:
            assert np.float32(value) == np.float32(number) and value == float(
                str(np.float32(number))
            )


def test_numbers_in_lists_and_structs_are_treated_alike() -> None:
    dtype = pl.Struct({"a": pl.List(pl.Float32), "b": pl.String})
    rows = [{"a": [0.1, None], "b": "x"}, None, {"a": None, "b": None}]
    assert python_values(pl.Series(rows, dtype=dtype)) == rows


def test_templates_see_them() -> None:
    column = ExpressionColumn(name="line", expr="{{ v }} {{ w[0] }}")
    frame = {
        "v": pl.Series([0.1], dtype=pl.Float32),
        "w": pl.Series([[0.7]], dtype=pl.List(pl.Float32)),
    }
    assert evaluate_group(column, frame=frame, length=1).values.to_list() == ["0.1 0.7"]


def test_exports_show_them(tmp_path: Path) -> None:
    schema = pa.schema([("v", pa.float32()), ("w", pa.list_(pa.float32()))])
    pq.write_table(
        pa.table({"v": [0.1, None], "w": [[0.7], None]}, schema=schema),
        tmp_path / "x.parquet",
    )
    for name, expected in {
        "x.jsonl": '{"v":0.1,"w":[0.7]}\n{"v":null,"w":null}\n',
        "x.csv": "v,w\n0.1,[0.7]\n,\n",
    }.items():
        export_rows([tmp_path / "x.parquet"], schema, tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8") == expected
