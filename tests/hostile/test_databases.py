"""Queries of a stranger's file read the database that it names, and nothing else of this machine; they change nothing."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from sdg_core.config.seeds import SqlSeedSource
from sdg_core.errors import SeedError
from sdg_core.plan.checks.seeds import check_sql
from sdg_core.seeds import read_only
from sdg_core.seeds.info_cache import needs_code_or_network
from sdg_core.seeds.sql import fetch_table
from tests.support.requirements import require_module
from tests.support.sdg import dataset_config, llm, sdg, write_config

SQLITE = [
    "DELETE FROM t RETURNING a",
    "INSERT INTO t VALUES (3) RETURNING a",
    "CREATE TABLE copied AS SELECT a FROM t ORDER BY a",
    "VACUUM INTO 'copy.db'",
    "ATTACH 'other.db' AS other",
    "PRAGMA journal_mode = wal",
    "PRAGMA user_version = 7",
    "PRAGMA writable_schema = on",
    "SELECT load_extension('./evil') ORDER BY 1",
    "REINDEX t",
    "ANALYZE",
]
DUCKDB = [
    "SELECT * FROM read_text('/etc/pass' || 'wd') ORDER BY 1",
    "SELECT * FROM read_text('.env') ORDER BY 1",
    "SELECT * FROM read_text('link.txt') ORDER BY 1",
    "SELECT * FROM 'https://hostile.invalid/a.csv' ORDER BY 1",
    "COPY (SELECT 1) TO 'a.csv'",
    "COPY (SELECT 1) TO '*.csv'",
    "ATTACH 'other.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "CREATE TABLE u AS SELECT 1 ORDER BY 1",
    "EXPORT DATABASE 'copy'",
    "SELECT 1; COPY t TO 'a.csv'",
    "PRAGMA enable_profiling",
    "SELECT * FROM duckdb_secrets() ORDER BY 1",
]


def asked(folder: Path, url: str, query: str) -> Any:
    source = SqlSeedSource(url=url, query=query)
    return fetch_table(source, base=folder, root=str(folder), env={})


@pytest.mark.parametrize("query", SQLITE)
def test_sqlite_only_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.chdir(tmp_path)
    connection = sqlite3.connect("x.db")
    connection.executescript(
        "CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE INDEX i ON t (a)"
    )
    connection.close()
    before = Path("x.db").read_bytes()
    with pytest.raises(SeedError, match="must be a single SELECT"):
        asked(tmp_path, "sqlite:///x.db", query)
    assert Path("x.db").read_bytes() == before and os.listdir() == ["x.db"]


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2) SELECT i FROM n ORDER BY i",
        "SELECT body FROM words WHERE words MATCH 'hello OR world' ORDER BY rank",
        "SELECT value, row_number() OVER (ORDER BY value) AS place FROM json_each('[1, 2]') ORDER BY 1",
        "PRAGMA table_info(twice)",
    ],
)
def test_what_sqlite_reads_stays_possible(tmp_path: Path, query: str) -> None:
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.executescript(
        "CREATE TABLE twice (a, b); CREATE VIRTUAL TABLE words USING fts5(body); INSERT INTO words VALUES ('hello'), ('world')"
    )
    connection.close()
    assert asked(tmp_path, "sqlite:///x.db", query).num_rows == 2


def test_a_query_without_end_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_only, "SECONDS", 0.0)
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT count(*) FROM n ORDER BY 1"
    with pytest.raises(SeedError, match="queries of SQLite files are limited to"):
        asked(tmp_path, "sqlite://", query)


@pytest.fixture
def duckdb_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    require_module("duckdb_engine")
    import duckdb

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / ".env").write_text("KEY=s3cret")
    os.symlink(tmp_path / ".env", tmp_path / "link.txt")
    connection = duckdb.connect("x.duckdb")
    connection.execute("CREATE TABLE t AS SELECT 1 AS a")
    connection.close()
    return tmp_path


@pytest.mark.parametrize("query", DUCKDB)
def test_duckdb_only_reads_what_the_query_names(duckdb_file: Path, query: str) -> None:
    before = {path.name: path.read_bytes() for path in duckdb_file.iterdir()}
    for url in ("duckdb:///x.duckdb", "duckdb:///:memory:"):
        with pytest.raises(SeedError):
            asked(duckdb_file, url, query)
    assert {path.name: path.read_bytes() for path in duckdb_file.iterdir()} == before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM t ORDER BY a",
        "FROM 'a.csv' ORDER BY 1",
        "FROM '*.csv' ORDER BY 1",
    ],
)
def test_what_duckdb_reads_stays_possible(duckdb_file: Path, query: str) -> None:
    assert asked(duckdb_file, "duckdb:///x.duckdb", query).num_rows == 1


def test_options_of_duckdb_that_write_files(duckdb_file: Path) -> None:
    with pytest.raises(SeedError, match="profiling_output is not an option"):
        asked(
            duckdb_file,
            "duckdb:///x.duckdb?profiling_output=out.json",
            "SELECT a FROM t ORDER BY a",
        )
    with pytest.raises(SeedError, match=r"none\.duckdb does not exist"):
        asked(duckdb_file, "duckdb:///none.duckdb", "SELECT 1 ORDER BY 1")


@pytest.mark.parametrize(
    "url",
    [
        "sqlitecloud://hostile.invalid/x",
        "sqlite+libsql://hostile.invalid",
        "duckdb:///md:x",
    ],
)
def test_names_of_drivers_that_ask_a_network_are_not_sqlite(url: str) -> None:
    from sdg_core.config.seeds import SeedConfig

    source = SqlSeedSource(url=url, query="SELECT 1 ORDER BY 1")
    assert needs_code_or_network(SeedConfig(source=source), {})


@pytest.mark.parametrize(
    "query",
    [
        r"SELECT E'\''; DROP TABLE t; SELECT ' ORDER BY 1",
        r"SELECT name'\'; DROP TABLE t; --' ORDER BY 1",
        "SELECT 1 AS a$$; DROP TABLE t; SELECT 2 AS b$$ ORDER BY 1",
        "SELECT 1 -- \r; DROP TABLE t; SELECT 2 ORDER BY 1",
    ],
)
def test_several_statements_that_look_like_one(query: str) -> None:
    problems = [
        message
        for _, message in check_sql(SqlSeedSource(url="postgresql://h/d", query=query))
    ]
    assert problems and "expected one statement" in problems[0]


def test_commands_that_look_name_the_seed_data_that_they_do_not_read(
    tmp_path: Path,
) -> None:
    source = {
        "seed_type": "sql",
        "url_env": "MY_DATABASE",
        "query": "SELECT 1 AS a ORDER BY 1",
    }
    config = dataset_config(llm("t", "x {{ a }}")) | {"seed_config": {"source": source}}
    ended = sdg(
        "plan", write_config(tmp_path / "hostile.yaml", config), "--root", tmp_path
    )
    assert ended.returncode == 2
    assert (
        "seed_config.source: seed data of seed_type sql has not been read"
        in " ".join(ended.stderr.split())
    )
