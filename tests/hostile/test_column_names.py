"""Columns of seed data whose names mean something to polars: `*` is every column there, `^...$` a pattern."""

from pathlib import Path

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core import api
from sdg_core.plan.types.polars_columns import exact_column
from tests.support.sdg import dataset_config, open_dataset, uuid

ODD = ("*", "^a.*$", "^$", "^a b$", "ab", "^")
PARTS = st.sampled_from([*"^$*.+?()[]{}|\\-~&# ab1", "é", "\n"])


@given(
    names=st.lists(
        st.text(PARTS, min_size=1, max_size=5), min_size=2, max_size=5, unique=True
    )
)
def test_a_name_is_that_of_its_column(names: list[str]) -> None:
    frame = pl.LazyFrame({name: [name] for name in names})
    for name in names:
        found = frame.select(exact_column(name)).collect()
        assert found.to_dict(as_series=False) == {name: [name]}


@pytest.fixture
def dataset(tmp_path: Path) -> api.Dataset:
    """Seed rows of two files, of which one knows nothing of the first column."""
    for number, known in enumerate((True, False)):
        row = {name: f"{name} {number}" for name in ODD} | {"*": "x" if known else None}
        (tmp_path / f"{number}.jsonl").write_bytes(orjson.dumps(row) + b"\n")
    source = {"seed_type": "local", "path": str(tmp_path / "*.jsonl")}
    config = dataset_config(
        uuid(),
        num_records=2,
        seed_config={"source": source, "where": "{{ ab != 'z' }}"},
    )
    return open_dataset(tmp_path / "d.yaml", config, root=tmp_path / "data")


def test_columns_of_any_name_are_generated_processed_and_reported_on(
    dataset: api.Dataset,
) -> None:
    api.generate(dataset)
    api.process(dataset)
    rows = api.scan(dataset).collect()
    for name in ODD[1:]:
        assert rows[name].to_list() == [f"{name} 0", f"{name} 1"]
    assert rows["*"].to_list() == ["x", None]
    report = api.report(dataset)
    profiles = {column.name: column for column in report.report.columns}
    assert set(ODD) <= set(profiles)


def test_a_long_name_is_not_repeated(tmp_path: Path) -> None:
    config = dataset_config(uuid(), num_records=2) | {"name": "x" * 200_000 + "\n"}
    with pytest.raises(api.ConfigError) as caught:
        open_dataset(tmp_path / "d.yaml", config, root=tmp_path / "data")
    assert "not a valid name" in str(caught.value) and len(str(caught.value)) < 1_000
