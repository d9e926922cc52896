"""Seed readers: rows by absolute number from every format, a digest of the content, and clear errors."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from sdg_core.config.seeds import (
    IndexRange,
    LocalSeedSource,
    PartitionBlock,
    SeedConfig,
)
from sdg_core.errors import SeedError
from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.local import open_local
from sdg_core.seeds.readers import Seeds, open_seeds

FRAME = pl.DataFrame(
    {
        "sku": [f"s{i}" for i in range(40)],
        "price": [i / 2 for i in range(40)],
        "stock": range(40),
    }
)
WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "parquet": lambda frame, path: frame.write_parquet(path),
    "csv": lambda frame, path: frame.write_csv(path),
    "jsonl": lambda frame, path: frame.write_ndjson(path),
    "ndjson": lambda frame, path: frame.write_ndjson(path),
    "json": lambda frame, path: frame.write_json(path),
    "PARQUET": lambda frame, path: frame.write_parquet(path),
}
SOURCE = LocalSeedSource(path="x")


def reader(path: Path | str, *more: str, base: Path = Path()) -> SeedReader:
    """A reader of one file or glob, or of a list of them."""
    paths = (str(path), *more) if more else str(path)
    return open_local(LocalSeedSource(path=paths), base=base, root="unused")


def written(folder: Path, kind: str = "parquet", frame: pl.DataFrame = FRAME) -> Path:
    path = folder / f"seed.{kind}"
    WRITERS[kind](frame, path)
    return path


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_has_the_same_schema_length_and_rows(
    tmp_path: Path, kind: str
) -> None:
    seeds = reader(written(tmp_path, kind))
    assert seeds.schema == pa.schema(
        [("sku", pa.string()), ("price", pa.float64()), ("stock", pa.int64())]
    )
    assert seeds.num_rows == 40
    for numbers in (
        rows(0),
        rows(3, 4, 5),
        rows(39, 0, 1),
        rows(7, 7, 2),
        rows(*range(0, 40, 2)),
        rows(*range(40)),
    ):
        assert seeds.read(numbers).equals(FRAME[numbers.tolist()])
    assert seeds.read(rows()).shape == (0, 3)


def test_few_and_many_runs_of_rows_are_read_alike(tmp_path: Path) -> None:
    seeds = reader(written(tmp_path))
    for count in (8, 9):
        numbers = rows(*(i * 2 for i in range(count)))
        assert seeds.read(numbers).equals(FRAME[numbers.tolist()])


def test_nested_and_wide_types_become_plain(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "a": [["x"], ["y", "z"]],
            "b": [{"c": "d"}, {"c": "e"}],
            "f": pl.Series(["p", "q"], dtype=pl.Categorical),
        }
    )
    schema = reader(written(tmp_path, frame=frame)).schema
    assert [str(field.type) for field in schema] == [
        "list<item: string>",
        "struct<c: string>",
        "string",
    ]


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
    with pytest.raises(
        SeedError,
        match=r"nowhere\.csv does not exist\n  -> check seed_config.source.path",
    ):
        reader(tmp_path / "nowhere.csv")


def test_a_missing_file_of_an_upstream_asset_says_how_to_make_it(
    tmp_path: Path,
) -> None:
    source = LocalSeedSource(path="nowhere.parquet", upstream_asset="docs/passages")
    with pytest.raises(
        SeedError,
        match=r"materialize its upstream asset docs/passages first: dagster asset materialize",
    ):
        open_local(source, base=tmp_path, root="unused")


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
def test_a_file_that_cannot_be_read(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
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
    assert (info.num_rows, info.schema.names, info.digest[:7]) == (
        40,
        ["sku", "price", "stock"],
        "sha256:",
    )


def test_a_selection_is_what_counts(tmp_path: Path) -> None:
    written(tmp_path)
    part = open_seeds(
        config(selection_strategy={"start": 10, "end": 12}),
        seed=0,
        base=tmp_path,
        root="unused",
    )
    assert part.info().num_rows == 3
    assert part.read(rows(0, 1, 2, 3))["stock"].to_list() == [10, 11, 12, 10]
    block = open_seeds(
        config(selection_strategy={"index": 2, "num_partitions": 3}),
        seed=0,
        base=tmp_path,
        root="unused",
    )
    assert block.info().num_rows == 14 and block.read(rows(0))["stock"].to_list() == [
        26
    ]


@pytest.mark.parametrize(
    "selection",
    [IndexRange(start=0, end=40), PartitionBlock(index=0, num_partitions=41)],
)
def test_a_selection_outside_the_data_is_refused(
    tmp_path: Path, selection: IndexRange | PartitionBlock
) -> None:
    seeds = Seeds(
        reader(written(tmp_path)),
        config=SeedConfig(source=SOURCE, selection_strategy=selection),
        seed=0,
    )
    with pytest.raises(SeedError, match="40 "):
        seeds.info()


def test_shuffled_seeds_use_every_row_once_per_pass(tmp_path: Path) -> None:
    written(tmp_path)
    seeds = open_seeds(
        config(sampling_strategy="shuffle"), seed=3, base=tmp_path, root="unused"
    )
    stock = seeds.read(np.arange(80, dtype=np.int64))["stock"].to_list()
    assert sorted(stock[:40]) == sorted(stock[40:]) == list(range(40))
    assert stock[:40] != stock[40:] and stock[:40] != list(range(40))


def test_empty_seed_data_is_refused(tmp_path: Path) -> None:
    written(tmp_path, frame=FRAME.head(0))
    with pytest.raises(SeedError, match="has no rows"):
        open_seeds(config(), seed=0, base=tmp_path, root="unused").info()


def test_paths_start_at_the_dataset_file_or_at_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "data" / "docs").mkdir(parents=True)
    written(tmp_path / "files")
    written(tmp_path / "data" / "docs", frame=FRAME.head(5))
    base = tmp_path / "files"
    assert open_seeds(config(), seed=0, base=base, root="data").info().num_rows == 40
    upstream = config(source={"path": "{root}/docs/seed.parquet"})
    assert (
        open_seeds(upstream, seed=0, base=base, root=str(tmp_path / "data"))
        .info()
        .num_rows
        == 5
    )
    monkeypatch.chdir(tmp_path)
    assert open_seeds(upstream, seed=0, base=base, root="data").info().num_rows == 5


def test_a_glob_takes_files_in_sorted_order_and_a_list_as_listed(
    tmp_path: Path,
) -> None:
    for name, start in (("b", 10), ("a", 0), ("c", 20)):
        FRAME.slice(start, 10).write_parquet(tmp_path / f"{name}.parquet")
    assert reader("*.parquet", base=tmp_path).read(np.arange(30))[
        "stock"
    ].to_list() == [*range(30)]
    listed = reader("c.parquet", "a.parquet", base=tmp_path)
    assert listed.read(rows(0, 9, 10, 19))["stock"].to_list() == [20, 29, 0, 9]
    (tmp_path / "deep" / "er").mkdir(parents=True)
    FRAME.slice(30, 1).write_csv(tmp_path / "deep" / "er" / "x.csv")
    assert reader("deep/**/*.csv", base=tmp_path).read(rows(0))["stock"].to_list() == [
        30
    ]


def test_a_name_with_brackets_is_a_name_first_and_the_way_to_it_no_pattern(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "a [1]"
    folder.mkdir()
    FRAME.head(3).write_csv(folder / "x[1].csv")
    assert reader("x[1].csv", base=folder).num_rows == 3
    assert reader("x*.csv", base=folder).num_rows == 3
    source = LocalSeedSource(path="{root}/x*.csv")
    assert open_local(source, base=tmp_path, root=str(folder)).num_rows == 3


def test_a_glob_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        SeedError,
        match=r"no seed file matches .*/\*\.csv\n  -> check seed_config.source.path",
    ):
        reader("*.csv", base=tmp_path)


def test_the_digest_of_one_file_in_a_glob_is_the_files(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert reader("*.parquet", base=tmp_path).digest() == reader(path).digest()
    FRAME.write_parquet(tmp_path / "z.parquet")
    both = reader("*.parquet", base=tmp_path).digest()
    FRAME.head(1).write_parquet(tmp_path / "z.parquet")
    swapped = reader("z.parquet", "seed.parquet", base=tmp_path).digest()
    assert len({both, swapped, reader("*.parquet", base=tmp_path).digest()}) == 3


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (FRAME.drop("price"), r"a\.parquet has 'price', .*b\.csv does not"),
        (FRAME.with_columns(more=1), r"b\.csv has 'more', .*a\.parquet does not"),
        (
            FRAME.with_columns(stock=pl.lit("x")),
            r"column 'stock': string in .*b\.csv, int64 in .*a\.parquet",
        ),
    ],
)
def test_files_that_disagree_are_named_with_the_column(
    tmp_path: Path, second: pl.DataFrame, message: str
) -> None:
    FRAME.write_parquet(tmp_path / "a.parquet")
    second.write_csv(tmp_path / "b.csv")
    with pytest.raises(SeedError, match=message):
        assert reader("a.parquet", "b.csv", base=tmp_path).schema


def test_a_column_that_is_null_throughout_one_file_has_the_type_of_the_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.jsonl").write_text('{"n": null, "s": null, "t": null}\n')
    (tmp_path / "b.jsonl").write_text('{"n": 1, "s": {"x": [1.5]}, "t": null}\n')
    both = reader("a.jsonl", "b.jsonl", base=tmp_path)
    assert [str(t) for t in both.schema.types] == [
        "int64",
        "struct<x: list<item: double>>",
        "string",
    ]
    expected = [
        {"n": None, "s": None, "t": None},
        {"n": 1, "s": {"x": [1.5]}, "t": None},
    ]
    assert both.read(rows(0, 1)).to_dicts() == expected
    assert both.read(rows(0)).schema == both.read(rows(1)).schema


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "json"])
def test_nested_columns_and_null_columns_have_one_type_whichever_rows_are_read(
    tmp_path: Path, kind: str
) -> None:
    frame = pl.DataFrame(
        {
            "s": [{"a": [1, None], "b": None}, None, {"a": None, "b": None}],
            "l": [[], None, [{"x": "y"}]],
            "nothing": [None, None, None],
        }
    )
    nested = reader(written(tmp_path, kind, frame))
    assert (
        str(nested.schema.field("s").type) == "struct<a: list<item: int64>, b: string>"
    )
    assert str(nested.schema.field("l").type) == "list<item: struct<x: string>>"
    assert str(nested.schema.field("nothing").type) == "string"
    assert len({str(nested.read(rows(i)).schema) for i in range(3)}) == 1
    assert nested.read(rows(2, 0)).to_dicts() == [
        frame.row(2, named=True),
        frame.row(0, named=True),
    ]


def test_a_file_replaced_between_opening_and_reading_is_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    seeds = open_seeds(config(), seed=0, base=tmp_path, root="unused")
    seeds.info()
    FRAME.reverse().write_parquet(path)
    with pytest.raises(
        SeedError,
        match=r"seed\.parquet changed while it was being read\n  -> rerun the same command",
    ):
        seeds.read(rows(0))
