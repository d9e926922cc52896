"""Seed readers: rows by absolute number from every format, a digest of the content, and clear errors."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from sdg_core.config.seeds import IndexRange, LocalSeedSource, PartitionBlock, SeedConfig
from sdg_core.errors import SeedError
from sdg_core.seeds.readers import LocalFileReader, Seeds, open_seeds

FRAME = pl.DataFrame({"sku": [f"s{i}" for i in range(40)], "price": [i / 2 for i in range(40)], "stock": range(40)})
WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "parquet": lambda frame, path: frame.write_parquet(path),
    "csv": lambda frame, path: frame.write_csv(path),
    "jsonl": lambda frame, path: frame.write_ndjson(path),
    "ndjson": lambda frame, path: frame.write_ndjson(path),
    "json": lambda frame, path: frame.write_json(path),
    "PARQUET": lambda frame, path: frame.write_parquet(path),
}
SOURCE = LocalSeedSource(path="x")


def reader(path: Path) -> LocalFileReader:
    return LocalFileReader(path, source=SOURCE)


def written(folder: Path, kind: str = "parquet", frame: pl.DataFrame = FRAME) -> Path:
    path = folder / f"seed.{kind}"
    WRITERS[kind](frame, path)
    return path


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_has_the_same_schema_length_and_rows(tmp_path: Path, kind: str) -> None:
    seeds = reader(written(tmp_path, kind))
    assert seeds.schema == pa.schema([("sku", pa.string()), ("price", pa.float64()), ("stock", pa.int64())])
    assert seeds.num_rows == 40
    for numbers in (rows(0), rows(3, 4, 5), rows(39, 0, 1), rows(7, 7, 2), rows(*range(0, 40, 2)), rows(*range(40))):
        assert seeds.read(numbers).equals(FRAME[numbers.tolist()])
    assert seeds.read(rows()).shape == (0, 3)


def test_few_and_many_runs_of_rows_are_read_alike(tmp_path: Path) -> None:
    seeds = reader(written(tmp_path))
    for count in (8, 9):
        numbers = rows(*(i * 2 for i in range(count)))
        assert seeds.read(numbers).equals(FRAME[numbers.tolist()])


def test_nested_and_wide_types_become_plain(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"a": [["x"], ["y", "z"]], "b": [{"c": "d"}, {"c": "e"}], "f": pl.Series(["p", "q"], dtype=pl.Categorical)}
    )
    schema = reader(written(tmp_path, frame=frame)).schema
    assert [str(field.type) for field in schema] == ["list<item: string>", "struct<c: string>", "string"]


def test_a_column_that_turns_into_text_late_is_text_throughout(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a\n" + "1\n" * 5000 + "x\n")
    assert str(reader(path).schema.field("a").type) == "string"


def test_the_digest_follows_the_content_not_the_place(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    first, copy = written(tmp_path, "csv"), written(tmp_path / "b", "csv")
    digest = reader(first).digest()
    assert digest.startswith("sha256:") and len(digest) == 71
    assert reader(copy).digest() == digest
    os.utime(copy, ns=(1, 1))
    assert reader(copy).digest() == digest
    copy.write_text(copy.read_text().replace("s39", "s40"))  # the same size
    assert reader(copy).digest() != digest


def test_a_missing_file_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"nowhere\.csv does not exist\n  -> check seed_config.source.path"):
        reader(tmp_path / "nowhere.csv")


def test_a_missing_file_of_an_upstream_asset_says_how_to_make_it(tmp_path: Path) -> None:
    source = LocalSeedSource(path="x", upstream_asset="docs/passages")
    with pytest.raises(
        SeedError, match=r"materialize its upstream asset docs/passages first: dagster asset materialize"
    ):
        LocalFileReader(tmp_path / "nowhere.parquet", source=source)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"a", "unknown format '.txt'"),
        ("x", b"a", "unknown format ''"),
        ("x.parquet", b"PAR1 not really", "cannot be read as parquet"),
        ("x.parquet", b"", "cannot be read as parquet"),
        ("x.jsonl", b"{broken", "cannot be read as jsonl"),
        ("x.json", b"{broken", "cannot be read as json"),
        ("x.csv", b"", "cannot be read as csv"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SeedError) as caught:
        assert reader(path).schema and reader(path).num_rows
    assert message in str(caught.value) and str(path) in str(caught.value)


def test_a_directory_is_not_a_seed_file(tmp_path: Path) -> None:
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(SeedError, match="is a directory"):
        reader(tmp_path / "x.csv")


def config(**fields: object) -> SeedConfig:
    return SeedConfig.model_validate({"source": {"path": "seed.parquet"}, **fields})


def test_seeds_are_addressed_by_record_index(tmp_path: Path) -> None:
    written(tmp_path)
    seeds = open_seeds(config(), seed=0, base=tmp_path, root="unused")
    assert seeds.read(rows(38, 39, 40, 41))["stock"].to_list() == [38, 39, 0, 1]
    info = seeds.info()
    assert (info.num_rows, info.schema.names, info.digest[:7]) == (40, ["sku", "price", "stock"], "sha256:")


def test_a_selection_is_what_counts(tmp_path: Path) -> None:
    written(tmp_path)
    part = open_seeds(config(selection_strategy={"start": 10, "end": 12}), seed=0, base=tmp_path, root="unused")
    assert part.info().num_rows == 3
    assert part.read(rows(0, 1, 2, 3))["stock"].to_list() == [10, 11, 12, 10]
    block = open_seeds(
        config(selection_strategy={"index": 2, "num_partitions": 3}), seed=0, base=tmp_path, root="unused"
    )
    assert block.info().num_rows == 14 and block.read(rows(0))["stock"].to_list() == [26]


@pytest.mark.parametrize("selection", [IndexRange(start=0, end=40), PartitionBlock(index=0, num_partitions=41)])
def test_a_selection_outside_the_data_is_refused(tmp_path: Path, selection: IndexRange | PartitionBlock) -> None:
    seeds = Seeds(reader(written(tmp_path)), config=SeedConfig(source=SOURCE, selection_strategy=selection), seed=0)
    with pytest.raises(SeedError, match="40 "):
        seeds.info()


def test_shuffled_seeds_use_every_row_once_per_pass(tmp_path: Path) -> None:
    written(tmp_path)
    seeds = open_seeds(config(sampling_strategy="shuffle"), seed=3, base=tmp_path, root="unused")
    stock = seeds.read(np.arange(80, dtype=np.int64))["stock"].to_list()
    assert sorted(stock[:40]) == sorted(stock[40:]) == list(range(40))
    assert stock[:40] != stock[40:] and stock[:40] != list(range(40))


def test_empty_seed_data_is_refused(tmp_path: Path) -> None:
    written(tmp_path, frame=FRAME.head(0))
    with pytest.raises(SeedError, match="has no rows"):
        open_seeds(config(), seed=0, base=tmp_path, root="unused").info()


def test_paths_start_at_the_dataset_file_or_at_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "data" / "docs").mkdir(parents=True)
    written(tmp_path / "files")
    written(tmp_path / "data" / "docs", frame=FRAME.head(5))
    base = tmp_path / "files"
    assert open_seeds(config(), seed=0, base=base, root="data").info().num_rows == 40
    upstream = config(source={"path": "{root}/docs/seed.parquet"})
    assert open_seeds(upstream, seed=0, base=base, root=str(tmp_path / "data")).info().num_rows == 5
    monkeypatch.chdir(tmp_path)
    assert open_seeds(upstream, seed=0, base=base, root="data").info().num_rows == 5
