"""SQL seeds: types, one fetch, errors that show no password."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sdg_core.config.seeds import SqlSeedSource
from sdg_core.errors import SeedError
from sdg_core.seeds.base import SeedReader
from sdg_core.seeds.sql import BATCH_ROWS, open_sql, table_digest


def database(
    folder: Path, *statements: str, many: list[tuple[object, ...]] | None = None
) -> None:
    connection = sqlite3.connect(folder / "x.db")
    for statement in statements:
        connection.execute(statement)
    if many:
        connection.executemany(
            f"INSERT INTO t VALUES ({', '.join('?' * len(many[0]))})", many
        )
    connection.commit()
    connection.close()


def opened(
    folder: Path,
    query: str,
    *,
    url: str | None = "sqlite:///x.db",
    env: Mapping[str, str] | None = None,
) -> SeedReader:
    source = SqlSeedSource(url=url, url_env=None if url else "SEED_URL", query=query)
    return open_sql(source, base=folder, root=str(folder), env=env or {})


def test_types_hold_over_all_batches(tmp_path: Path) -> None:
    """The first batch alone would make other types: nulls, and whole numbers."""
    count = BATCH_ROWS + 5
    rows = [
        (i, None if i < BATCH_ROWS else f"x{i}", 1 if i < BATCH_ROWS else 1.5, None)
        for i in range(count)
    ]
    database(
        tmp_path,
        "CREATE TABLE t (id INTEGER, late TEXT, number NUMERIC, missing TEXT)",
        many=rows,
    )
    reader = opened(tmp_path, "SELECT * FROM t ORDER BY id")
    assert [str(data_type) for data_type in reader.schema.types] == [
        "int64",
        "string",
        "double",
        "string",
    ]
    assert reader.num_rows == count
    assert reader.read(np.array([count - 1, 0])).rows() == [
        (count - 1, f"x{count - 1}", 1.5, None),
        (0, None, 1.0, None),
    ]


def test_the_order_is_the_querys(tmp_path: Path) -> None:
    database(tmp_path, "CREATE TABLE t (a INTEGER)", many=[(3,), (1,), (2,)])
    down, up = (
        opened(tmp_path, f"SELECT a FROM t ORDER BY a {order}")
        for order in ("DESC", "ASC")
    )
    assert down.read(np.arange(3))["a"].to_list() == [3, 2, 1]
    assert up.digest() != down.digest()


def test_a_column_of_mixed_types_is_named(tmp_path: Path) -> None:
    database(tmp_path, "CREATE TABLE t (a)", many=[(1,), ("x",)])
    with pytest.raises(
        SeedError,
        match=r"column 'a' has values of several types: .*\n  -> .*CAST\(a AS TEXT\)",
    ):
        opened(tmp_path, "SELECT a FROM t ORDER BY 1")
    rows: list[tuple[object, ...]] = [
        (1,) if i < BATCH_ROWS else ("x",) for i in range(BATCH_ROWS + 1)
    ]
    database(tmp_path, "DELETE FROM t", many=rows)
    with pytest.raises(SeedError, match=r"column 'a' has values of several types"):
        opened(tmp_path, "SELECT a FROM t ORDER BY rowid")


def test_reading_changes_nothing(tmp_path: Path) -> None:
    database(tmp_path, "CREATE TABLE t (a INTEGER)", many=[(1,)])
    before = (tmp_path / "x.db").read_bytes()
    with pytest.raises(SeedError, match="must be a single SELECT"):
        opened(tmp_path, "DELETE FROM t")
    opened(tmp_path, "SELECT a FROM t ORDER BY a")
    assert (tmp_path / "x.db").read_bytes() == before


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT b FROM t ORDER BY b", "no such column: b"),
        ("SELEC", "syntax error"),
        ("SELECT a, a FROM t ORDER BY a", "two columns named 'a'"),
    ],
)
def test_a_query_that_fails(tmp_path: Path, query: str, message: str) -> None:
    database(tmp_path, "CREATE TABLE t (a INTEGER)")
    with pytest.raises(SeedError, match=message):
        opened(tmp_path, query)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"seed database .*/x\.db does not exist"):
        opened(tmp_path, "SELECT 1 ORDER BY 1")
    assert not [*tmp_path.iterdir()]


def test_the_url_may_come_from_the_environment(tmp_path: Path) -> None:
    database(tmp_path, "CREATE TABLE t (a INTEGER)", many=[(1,)])
    query = "SELECT a FROM t ORDER BY a"
    for url in (
        "sqlite:///x.db",
        f"sqlite:///{tmp_path}/x.db",
        "sqlite:///{root}/x.db",
    ):
        assert opened(tmp_path, query, url=None, env={"SEED_URL": url}).num_rows == 1
    with pytest.raises(SeedError, match="environment variable SEED_URL is not set"):
        opened(tmp_path, query, url=None)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+s3cret",
        "nosuch://me:s3cret@host/db",
        "postgresql+nosuch://me:s3cret@127.0.0.1:1/db?password=s3cret",
        "mysql+pymysql://me:s3cret@127.0.0.1:1/db",
        "not a url s3cret",
    ],
)
def test_no_message_shows_a_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SeedError) as caught:
        opened(tmp_path, "SELECT 1 ORDER BY 1", url=None, env={"SEED_URL": url})
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None, "nor does a traceback"


def test_the_digest_tells_values_from_their_neighbours() -> None:
    tables = [
        pa.table({"a": ["x", "y"]}),
        pa.table({"b": ["x", "y"]}),
        pa.table({"a": ["xy", ""]}),
        pa.table({"a": ["x", None]}),
        pa.table({"a": ["x", "None"]}),
        pa.table({"a": [1, 2]}),
        pa.table({"a": [1.0, 2.0]}),
        pa.table({"a": [1.0, float("nan")]}),
        pa.table({"a": [1.0, None]}),
        pa.table({"a": [b"\x01", b"\x02"]}),
    ]
    assert len({table_digest(table) for table in tables}) == len(tables)
    chunked = pa.concat_tables([tables[0].slice(0, 1), tables[0].slice(1)])
    assert table_digest(chunked) == table_digest(tables[0])
