"""What every seed reader promises, whatever it reads from."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fsspec
import numpy as np
import polars as pl
import pytest

from sdg_core.config.seeds import (
    CustomSeedSource,
    DirectorySeedSource,
    FileContentsSeedSource,
    HuggingFaceSeedSource,
    LocalSeedSource,
    SqlSeedSource,
)
from sdg_core.errors import SeedError
from sdg_core.seeds.base import Rows, SeedReader
from sdg_core.seeds.custom import open_custom
from sdg_core.seeds.dataset import open_dataset_parts
from sdg_core.seeds.directory import open_directory
from sdg_core.seeds.huggingface import open_hugging_face
from sdg_core.seeds.local import open_local
from sdg_core.seeds.sql import open_sql

FRAME = pl.DataFrame(
    {
        "sku": [f"s{i}" for i in range(40)],
        "price": [i / 2 for i in range(40)],
        "stock": range(40),
    }
)
READERS = '''
import hashlib, json
from pathlib import Path
import polars as pl, pyarrow as pa
from sdg_core.seeds.base import ItemReader, SeedReader

SCHEMA = pa.schema([("sku", pa.string()), ("price", pa.float64()), ("stock", pa.int64())])

class Whole(SeedReader):
    def __init__(self, *, name, base):
        self._content = (Path(base) / name).read_bytes()
        self._rows = json.loads(self._content)
    schema = SCHEMA
    @property
    def num_rows(self):
        return len(self._rows)
    def digest(self):
        return "sha256:" + hashlib.sha256(self._content).hexdigest()
    def fetch(self, rows):
        return pl.DataFrame([self._rows[i] for i in rows], schema=["sku", "price", "stock"])

class Sevens(ItemReader):
    """Items of seven rows, the last one of fewer; between them, items of none."""
    def __init__(self, *, name, base):
        self._content = (Path(base) / name).read_bytes()
        self._rows = json.loads(self._content)
    schema = SCHEMA
    def items(self):
        return [(start, stop) for start in range(0, len(self._rows), 7) for stop in (start, start + 7)]
    def expand(self, item):
        return self._rows[slice(*item)]
    def digest(self):
        return "sha256:" + hashlib.sha256(self._content).hexdigest()
'''


@dataclass(frozen=True)
class Source:
    """A kind of source: how a frame becomes one, how it is opened, which rows it then has."""

    write: Callable[[pl.DataFrame, Path], object]
    open: Callable[[Path], SeedReader]
    rows: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame


def local(*paths: str) -> Callable[[Path], SeedReader]:
    path = paths[0] if len(paths) == 1 else paths
    return lambda folder: open_local(
        LocalSeedSource(path=path), base=folder, root="unused"
    )


def write_parts(frame: pl.DataFrame, folder: Path) -> None:
    for number, (start, size) in enumerate([(0, 13), (13, 0), (13, 27)]):
        frame.slice(start, size).write_parquet(
            folder / f"part-{number}.parquet", row_group_size=5
        )


def write_mixed(frame: pl.DataFrame, folder: Path) -> None:
    frame.slice(0, 10).write_csv(folder / "z.csv")
    frame.slice(10, 20).select("stock", "price", "sku").write_ndjson(folder / "b.jsonl")
    frame.slice(30).write_parquet(folder / "a.parquet")


def write_database(frame: pl.DataFrame, folder: Path) -> None:
    with sqlite3.connect(folder / "x.db") as database:
        database.execute(
            "CREATE TABLE stock_list (sku TEXT, price REAL, stock INTEGER)"
        )
        database.executemany(
            "INSERT INTO stock_list VALUES (?, ?, ?)", reversed(frame.rows())
        )
    database.close()


def open_database(folder: Path) -> SeedReader:
    source = SqlSeedSource(
        url="sqlite:///x.db",
        query="SELECT sku, price, stock FROM stock_list ORDER BY stock",
    )
    return open_sql(source, base=folder, root="unused", env={})


def write_hub(frame: pl.DataFrame, folder: Path) -> None:
    (folder / "datasets/u/d").mkdir(parents=True)
    write_parts(frame, folder / "datasets/u/d")


def open_hub(folder: Path) -> SeedReader:
    files = fsspec.filesystem(
        "dir", path=str(folder), target_protocol="file", skip_instance_cache=True
    )
    source = HuggingFaceSeedSource(path="datasets/u/d/**/*.parquet")
    return open_hugging_face(
        source, env={}, connect=lambda source, token: files, recheck=0
    )


def write_custom(frame: pl.DataFrame, folder: Path) -> None:
    frame.write_json(folder / "rows.json")
    (folder / "my_readers.py").write_text(READERS)


def custom(reader: str) -> Callable[[Path], SeedReader]:
    source = CustomSeedSource(reader=reader, params={"name": "rows.json"})
    return lambda folder: open_custom(source, base=folder, root="unused")


def write_files(frame: pl.DataFrame, folder: Path) -> None:
    for sku, stock in frame.select("sku", "stock").rows():
        path = folder / "files" / f"{stock % 3}" / f"{sku}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{sku}: ä {stock}")


def listed(kind: str, *, content: bool) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def rows(frame: pl.DataFrame) -> pl.DataFrame:
        paths = sorted(
            (f"{stock % 3}/{sku}.txt", f"{sku}: ä {stock}")
            for sku, stock in frame.select("sku", "stock").rows()
        )
        table = {
            "source_kind": [kind] * len(paths),
            "source_path": [f"files/{path}" for path, _ in paths],
            "relative_path": [path for path, _ in paths],
            "file_name": [path.partition("/")[2] for path, _ in paths],
            "content": [text for _, text in paths],
        }
        return pl.DataFrame(table).select(
            pl.all() if content else pl.all().exclude("content")
        )

    return rows


def listing(source: DirectorySeedSource) -> Callable[[Path], SeedReader]:
    return lambda folder: open_directory(source, base=folder, root="unused")


SOURCES = {
    "parquet": Source(
        lambda f, p: f.write_parquet(p / "x.parquet", row_group_size=7),
        local("x.parquet"),
    ),
    "csv": Source(lambda f, p: f.write_csv(p / "x.csv"), local("x.csv")),
    "jsonl": Source(lambda f, p: f.write_ndjson(p / "x.jsonl"), local("x.jsonl")),
    "json": Source(lambda f, p: f.write_json(p / "x.json"), local("x.json")),
    "glob": Source(write_parts, local("part-*.parquet")),
    "list": Source(write_mixed, local("z.csv", "b.jsonl", "a.parquet")),
    "sql": Source(write_database, open_database),
    "hf": Source(write_hub, open_hub),
    "dataset": Source(
        write_parts,
        lambda folder: open_dataset_parts(sorted(folder.glob("part-*.parquet"))),
    ),
    "custom file": Source(write_custom, custom("./my_readers.py:Whole")),
    "custom module": Source(write_custom, custom("my_readers:Whole")),
    "custom items": Source(write_custom, custom("./my_readers.py:Sevens")),
    "directory": Source(
        write_files,
        listing(DirectorySeedSource(path="files")),
        listed("directory_file", content=False),
    ),
    "file_contents": Source(
        write_files,
        listing(FileContentsSeedSource(path="files")),
        listed("file_contents", content=True),
    ),
}


def made(kind: str, folder: Path, frame: pl.DataFrame = FRAME) -> SeedReader:
    folder.mkdir(exist_ok=True)
    SOURCES[kind].write(frame, folder)
    return SOURCES[kind].open(folder)


def numbers(*rows: int) -> Rows:
    return np.array(rows, dtype=np.int64)


@pytest.fixture(params=SOURCES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_all_rows_in_one_piece_in_pieces_and_one_by_one(
    kind: str, tmp_path: Path
) -> None:
    reader, expected = made(kind, tmp_path / "a"), SOURCES[kind].rows(FRAME)
    assert reader.num_rows == expected.height == 40
    assert reader.read(np.arange(40)).equals(expected)
    for size in (1, 9, 39):
        pieces = [
            reader.read(np.arange(start, min(start + size, 40)))
            for start in range(0, 40, size)
        ]
        assert pl.concat(pieces).equals(expected)


@pytest.mark.parametrize(
    "rows",
    [
        [0],
        [39],
        [3, 4, 5],
        [12, 13, 14],
        [39, 38, 37],
        [7, 7, 2, 7],
        [39, 0, 20, 1],
        [*range(0, 40, 2)],
        [*range(40)][::-1],
    ],
    ids=str,
)
def test_rows_come_in_the_order_asked_for(
    kind: str, rows: list[int], tmp_path: Path
) -> None:
    reader, expected = made(kind, tmp_path / "a"), SOURCES[kind].rows(FRAME)
    for _ in range(2):
        assert reader.read(numbers(*rows)).equals(expected[rows])


def test_the_schema_is_that_of_the_rows_and_of_no_rows(
    kind: str, tmp_path: Path
) -> None:
    reader = made(kind, tmp_path / "a")
    empty = reader.read(numbers())
    assert empty.height == 0 and empty.schema == reader.read(numbers(5)).schema
    assert reader.schema.names == SOURCES[kind].rows(FRAME).columns
    plain = {"string", "double", "int64"}
    assert {str(field.type) for field in reader.schema} <= plain


@pytest.mark.parametrize("row", [-1, 40, 10**12])
def test_a_row_out_of_range_is_an_error(kind: str, row: int, tmp_path: Path) -> None:
    with pytest.raises(
        SeedError, match=rf"seed row {row} does not exist: the seed data has 40 rows"
    ):
        made(kind, tmp_path / "a").read(numbers(0, row))


def test_the_digest_follows_the_content(kind: str, tmp_path: Path) -> None:
    digest = made(kind, tmp_path / "a").digest()
    assert digest.startswith("sha256:") and len(digest) == 71
    assert made(kind, tmp_path / "b").digest() == digest
    changed = FRAME.with_columns(sku=pl.col("sku").replace("s7", "s8x"))
    others = [
        made(kind, tmp_path / "c", changed).digest(),
        made(kind, tmp_path / "d", FRAME.head(39)).digest(),
    ]
    assert len({digest, *others}) == 3


def test_another_process_finds_the_same_digest(tmp_path: Path) -> None:
    ours = {kind: made(kind, tmp_path / kind).digest() for kind in SOURCES}
    script = (
        "import sys; from pathlib import Path; from tests.contracts.test_seed_reader import SOURCES\n"
        "for kind, source in SOURCES.items(): print(source.open(Path(sys.argv[1]) / kind).digest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "4242"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(
        command, env=env, cwd=root, check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [*ours.values()]


def test_an_unchanged_source_stays_unchanged(kind: str, tmp_path: Path) -> None:
    reader = made(kind, tmp_path / "a")
    reader.digest()
    for path in (tmp_path / "a").rglob("*"):
        os.utime(path, ns=(1, 1))
    reader.check_unchanged()


READ_LATE = sorted(
    SOURCES.keys() - {"sql", "custom file", "custom module", "custom items"}
)


@pytest.mark.parametrize("kind", READ_LATE)
@pytest.mark.parametrize("known", [True, False])
def test_a_change_is_noticed(kind: str, known: bool, tmp_path: Path) -> None:
    """Kinds that hold their rows from the start cannot change; the others say which file did."""
    reader = made(kind, tmp_path / "a")
    if known:
        reader.digest()
    reader.read(np.arange(3))
    path = sorted(path for path in (tmp_path / "a").rglob("*") if path.is_file())[-1]
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the same size and time
    with pytest.raises(
        SeedError, match=rf"{path.name} changed while it was being read"
    ):
        reader.check_unchanged()
    path.unlink()
    with pytest.raises(SeedError, match=rf"{path.name} does not exist"):
        reader.check_unchanged()
