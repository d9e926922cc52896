"""Seed sources in whole runs: no row lost or repeated however records are cut, chains of datasets, data that changes."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sdg_core import api
from sdg_core.errors import SeedError
from sdg_core.seeds.readers import Seeds
from tests.support.sdg import (
    dataset_config,
    expression,
    open_dataset,
    stored_records,
    uuid,
)

FAN_OUT = """
import pyarrow as pa
from sdg_core.seeds.directory import DirectoryReader

class Lines(DirectoryReader):
    schema = pa.schema([("file", pa.string()), ("line", pa.string())])
    def rows_of(self, file):
        for line in file.read_bytes().decode().splitlines():
            yield {"file": file.path.name, "line": line}
"""


def seeded(
    base: Path, source: dict[str, Any], *, name: str = "tickets", **more: Any
) -> api.Dataset:
    seed_config = {"source": source, **more.pop("seed", {})}
    config = dataset_config(uuid(), name=name, seed_config=seed_config, **more)
    return open_dataset(base / f"{name}.yaml", config, root=base / "root")


def records(dataset: api.Dataset) -> dict[int, dict[str, Any]]:
    summary = api.generate(dataset, resume="never")
    return stored_records(summary.version)


@pytest.mark.parametrize("strategy", ["ordered", "shuffle"])
def test_readers_of_several_rows_per_file_lose_and_repeat_none(
    tmp_path: Path, strategy: str
) -> None:
    """Data Designer applies the offset of a row group to files instead of rows: 20 unique rows of these 60."""
    (tmp_path / "files").mkdir()
    (tmp_path / "readers.py").write_text(FAN_OUT)
    for number in range(20):
        (tmp_path / "files" / f"f{number:02d}.txt").write_text(
            "".join(f"{number}.{line}\n" for line in range(3))
        )
    source = {
        "seed_type": "custom",
        "reader": "./readers.py:Lines",
        "params": {"path": "files"},
    }
    made = [
        records(
            seeded(
                tmp_path,
                source,
                num_records=60,
                row_group_size=size,
                seed={"sampling_strategy": strategy},
            )
        )
        for size in (60, 10, 7)
    ]
    assert made[0] == made[1] == made[2]
    lines = [made[0][record]["line"] for record in range(60)]
    assert sorted(lines) == sorted(
        f"{number}.{line}" for number in range(20) for line in range(3)
    )
    if strategy == "ordered":
        assert lines == [
            f"{number}.{line}" for number in range(20) for line in range(3)
        ]


SELECTIONS: list[dict[str, Any]] = [
    {},
    {"selection_strategy": {"start": 3, "end": 9}},
    {"selection_strategy": {"index": 2, "num_partitions": 3}},
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
@pytest.mark.parametrize("strategy", ["ordered", "shuffle"])
@pytest.mark.parametrize("num_records", [5, 61])
def test_more_and_fewer_rows_than_records(
    tmp_path: Path, selection: dict[str, Any], strategy: str, num_records: int
) -> None:
    for start, size in ((0, 8), (8, 12)):
        pl.DataFrame({"n": range(start, start + size)}).write_csv(
            tmp_path / f"part{start}.csv"
        )
    seed = {"sampling_strategy": strategy, **selection}
    dataset = seeded(
        tmp_path,
        {"path": "part*.csv"},
        num_records=num_records,
        row_group_size=9,
        seed=seed,
    )
    found = [record["n"] for _, record in sorted(records(dataset).items())]
    selected = {0: range(20), 1: range(3, 10), 2: range(12, 20)}[
        SELECTIONS.index(selection)
    ]
    for start in range(0, num_records, len(selected)):
        one_pass = found[start : start + len(selected)]
        assert len({*one_pass}) == len(one_pass) and {*one_pass} <= {*selected}
        if strategy == "ordered":
            assert one_pass == [*selected][: len(one_pass)]


def numbered(base: Path, rows: int, *, root: str = "root", **more: Any) -> api.Dataset:
    """A dataset whose seed rows are numbered from 0."""
    pl.DataFrame({"n": range(rows)}).write_csv(base / "numbers.csv")
    seed_config = {"source": {"path": "numbers.csv"}, **more.pop("seed", {})}
    return open_dataset(
        base / "t.yaml",
        dataset_config(uuid(), seed_config=seed_config, **more),
        root=base / root,
    )


def seed_rows_of(summary: api.RunSummary) -> list[int]:
    """The seed row of each record."""
    return [
        record["n"] for _, record in sorted(stored_records(summary.version).items())
    ]


@pytest.mark.parametrize("strategy", ["ordered", "shuffle"])
def test_resume_of_a_seed_dataset_continues_from_next_planned_row(
    tmp_path: Path, strategy: str
) -> None:
    """Data Designer's hole R1: 32 different rows in 40 shuffled records after one interruption."""
    top = {"num_records": 40, "seed": {"sampling_strategy": strategy}}
    api.generate(numbered(tmp_path, 50, **top), row_groups=[0, 2])
    resumed = seed_rows_of(api.generate(numbered(tmp_path, 50, **top), resume="always"))
    assert len({*resumed}) == 40
    assert resumed == seed_rows_of(
        api.generate(numbered(tmp_path, 50, root="at_once", **top))
    )
    assert strategy == "shuffle" or resumed == [*range(40)]


def test_resume_ordered_seed_dataset_extension_wraps_at_cycle_boundary(
    tmp_path: Path,
) -> None:
    for num_records in (6, 14, 25):
        found = seed_rows_of(
            api.generate(numbered(tmp_path, 7, num_records=num_records))
        )
        assert found == [record % 7 for record in range(num_records)]


def test_resume_ordered_seed_dataset_with_partition_block_continues_within_partition(
    tmp_path: Path,
) -> None:
    seed = {"selection_strategy": {"index": 1, "num_partitions": 4}}
    top = {"num_records": 13, "row_group_size": 4, "seed": seed}
    api.generate(numbered(tmp_path, 20, **top), row_groups=[0])
    assert seed_rows_of(api.generate(numbered(tmp_path, 20, **top))) == [
        5 + record % 5 for record in range(13)
    ]


def test_a_seed_that_changes_during_a_run_stops_it_before_the_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "seed.parquet"
    pl.DataFrame({"n": range(100)}).write_parquet(path, row_group_size=10)
    dataset = seeded(tmp_path, {"path": "seed.parquet"}, num_records=100)
    real, reads = Seeds.read, []

    def read(self: Seeds, indices: np.ndarray) -> pl.DataFrame:
        reads.append(indices)
        if len(reads) == 4:
            pl.DataFrame({"n": range(100, 200)}).write_parquet(path, row_group_size=10)
        return real(self, indices)

    monkeypatch.setattr(Seeds, "read", read)
    with pytest.raises(
        SeedError, match=r"seed\.parquet changed while it was being read"
    ):
        api.generate(dataset)
    monkeypatch.undo()
    status = api.status(dataset)
    assert status.records == 30
    again = open_dataset(
        tmp_path / "tickets.yaml",
        dataset_config(
            uuid(), num_records=100, seed_config={"source": {"path": "seed.parquet"}}
        ),
        root=tmp_path / "root",
    )
    assert again.plan.fingerprint.version != dataset.plan.fingerprint.version
    assert [
        r["n"] for _, r in sorted(stored_records(api.generate(again).version).items())
    ] == [*range(100, 200)]


def test_a_dataset_feeds_on_another_once_that_is_finished(tmp_path: Path) -> None:
    source = {"seed_type": "dataset", "dataset": "first"}
    with pytest.raises(
        SeedError,
        match=r"dataset 'first', but .*/first holds no data\n  -> .*materialize first/row_groups",
    ):
        seeded(tmp_path, source)
    config = dataset_config(
        uuid(), expression("line", "line {{ id }}"), name="first", num_records=25
    )
    first = open_dataset(tmp_path / "first.yaml", config, root=tmp_path / "root")
    version = api.generate(first).version
    with pytest.raises(
        SeedError,
        match=r"is not finished: 3 of 3 row groups .*\n  -> `sdg process` .*first/dataset",
    ):
        seeded(tmp_path, source)
    api.process(first)
    expected = [record["line"] for _, record in sorted(stored_records(version).items())]
    config = dataset_config(uuid("own"), seed_config={"source": source}, num_records=30)
    second = open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")
    found = [record["line"] for _, record in sorted(records(second).items())]
    assert found == expected + expected[:5]
    api.reopen(first)
    with pytest.raises(SeedError, match="is not finished"):
        seeded(tmp_path, source)


def test_types_are_the_same_in_every_row_group(tmp_path: Path) -> None:
    """Nested columns, and one that is null in some row groups and another that is in all."""
    lines = [
        '{"s": {"a": [1], "b": null}, "late": null, "never": null}',
        '{"s": null, "late": null, "never": null}',
        '{"s": {"a": null, "b": "x"}, "late": 1.5, "never": null}',
    ]
    (tmp_path / "seed.jsonl").write_text("\n".join(lines))
    dataset = seeded(tmp_path, {"path": "seed.jsonl"}, num_records=3, row_group_size=1)
    version = api.generate(dataset).version
    schemas = {
        str(pl.read_parquet_schema(version.row_group(index))) for index in range(3)
    }
    assert len(schemas) == 1
    assert [str(t) for t in dataset.plan.schema.types[:3]] == [
        "struct<a: list<item: int64>, b: string>",
        "double",
        "string",
    ]
