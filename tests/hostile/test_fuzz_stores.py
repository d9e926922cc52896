"""Files of ours that are damaged, or of a storage root that is not ours: what cannot be understood counts as absent, or is
the error that is documented."""

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdg_core.errors import LedgerError, SdgError
from sdg_core.execution.cell_store import CellStore, ReusableCells
from sdg_core.ledger.database import FILE_NAME, Ledger, open_ledger
from sdg_core.ledger.history import recent_runs
from sdg_core.ledger.journal import Journal
from sdg_core.ledger.queries import journaled_usage
from sdg_core.pipelines.checkpoints import Checkpoint, SourceCheckpoints
from sdg_core.pipelines.tasks import RejectedCandidate, StageAccount, Task
from sdg_core.store import footer_index
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import read_current
from tests.hostile.test_fuzz import VALUES, with_odd_values

FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
PREFIX = "sha256:" + "0" * 64


@FEW
@given(
    content=st.binary(max_size=40)
    | st.dictionaries(
        st.just("version"), VALUES | st.sampled_from(["..", "a/b", "/etc"])
    )
)
def test_which_version_is_current(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "current.json"
    path.write_bytes(
        content if isinstance(content, bytes) else orjson_or_empty(content)
    )
    try:
        found = read_current(path)
    except SdgError as error:
        assert "current.json" in str(error)
    else:
        assert found is not None and (tmp_path / found).parent == tmp_path


def orjson_or_empty(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        return b"{}"


@FEW
@given(data=st.data())
def test_checkpoints(tmp_path: Path, data: st.DataObject) -> None:
    values = {
        "a": {"\x00type": "Decimal", "value": "1"},
        "b": {"\x00type": "timedelta", "value": [1, 2, 3]},
        "c": [1, "x"],
    }
    account = asdict(StageAccount("s", filtered={"why": 1}))
    head = {
        "schema_version": 1,
        "read": 1,
        "last": True,
        "accounts": [account],
        "rejected": [[[0], 0, 0, "r", values]],
    }
    lines = data.draw(with_odd_values([head, [[0], values]], most=3))
    content = b"\n".join(map(orjson_or_empty, lines))
    checkpoints = SourceCheckpoints(tmp_path, key="k", version="v")
    checkpoints.save(PREFIX, 0, Checkpoint([], [], 0, True))
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    packed = pa.compress(content, "zstd", asbytes=True)
    path.write_bytes(
        len(content).to_bytes(8, "big")
        + data.draw(st.sampled_from([packed, packed[:-3], b""]))
    )
    found = checkpoints.load(PREFIX, 0)
    assert found is None or (
        are_tasks(found.tasks)
        and are_tasks(found.rejected)
        and isinstance(found.read, int)
    )


def are_tasks(found: Any) -> bool:
    return all(
        isinstance(each, Task | RejectedCandidate)
        and isinstance(each.values, dict)
        and all(type(n) is int for n in each.path)
        for each in found
    )


@FEW
@given(data=st.data())
def test_cells_of_the_journal(
    tmp_path: Path, ledger: Ledger, data: st.DataObject
) -> None:
    row = data.draw(
        with_odd_values(
            {"value": {"value": "x", "also": {}}, "usage": {"m": {"requests": 1}}},
            most=2,
        )
    )
    value, usage = (orjson_or_empty(row[name]) for name in ("value", "usage"))
    change(tmp_path, "UPDATE cells SET value = ?, usage = ?", value, usage)
    journal = Journal(ledger, dataset="x", version="x")
    store = CellStore.__new__(CellStore)
    for cell in journal.load(start=0, stop=10, column_hashes={"x": "x"}):
        paid = ReusableCells({(3, "x"): cell}, {})
        found = asyncio.run(
            store.look_up(paid, record=3, column="x", values={}, inputs="")
        )
        assert found is None or all(
            type(count) is int
            for usage in found.cell.usage_by_alias.values()
            for count in vars(usage).values()
        )


def test_an_index_that_unpacks_to_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footer_index, "_MAX_INDEX", 1_000)
    version = VersionLayout(tmp_path)
    content = orjson.dumps({"format": 1, "fields": footer_index._fields(), "files": {}})
    Path(str(version.footers)).write_bytes(
        pa.compress(content + b" " * 2**24, codec="zstd", asbytes=True)
    )
    assert footer_index._read_index(version) == {}


@FEW
@given(data=st.data())
def test_the_index_of_footers(tmp_path: Path, data: st.DataObject) -> None:
    entry = {"stamp": "s", "footer": {"sdg_version": "1", "rows": 1}}
    document = {
        "format": 1,
        "fields": footer_index._fields(),
        "files": {"batch_00000.parquet": entry},
    }
    content = orjson_or_empty(data.draw(with_odd_values(document, most=2)))
    version = VersionLayout(tmp_path)
    Path(str(version.footers)).write_bytes(
        pa.compress(content, codec="zstd", asbytes=True)
    )
    assert isinstance(footer_index._read_index(version), dict)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger with one cell in its journal."""
    opened = open_ledger(None, root=tmp_path)
    cell = {
        name: "x"
        for name in ("dataset", "version", "run_id", "column_name", "column_hash")
    }
    cell |= {"record": 3, "value": b"1", "usage": b'{"m": {"requests": 1}}'}
    insert(tmp_path, cell)
    yield opened
    opened.close()


def insert(root: Path, values: dict[str, Any]) -> None:
    database = sqlite3.connect(root / FILE_NAME)
    with database:
        needed = [row[1] for row in database.execute("PRAGMA table_info(cells)")]
        row = {name: values.get(name, 0) for name in needed}
        marks = ", ".join(f":{name}" for name in row)
        database.execute(f"INSERT INTO cells VALUES ({marks})", row)
    database.close()


@pytest.mark.parametrize(
    "usage",
    [
        5,
        "x",
        b"[1]",
        b'{"m": 5}',
        b'{"m": {"requests": "x"}}',
        b'{"m": {"requests": true}}',
        b" NaN",
        pytest.param(b" " + b"[" * 100_000, id="nested too deeply"),
    ],
)
def test_usage_that_is_none_counts_as_absent(
    tmp_path: Path, ledger: Ledger, usage: Any
) -> None:
    assert len(journaled_usage(ledger, dataset="x")) == 1
    change(tmp_path, "UPDATE cells SET usage = ?", usage)
    assert journaled_usage(ledger, dataset="x") == []


def test_a_history_without_a_column_is_a_damaged_ledger(
    tmp_path: Path, ledger: Ledger
) -> None:
    change(tmp_path, "ALTER TABLE runs RENAME COLUMN failed TO x")
    with pytest.raises(LedgerError, match="no such column"):
        recent_runs(ledger, dataset="x")


def change(root: Path, statement: str, *values: Any) -> None:
    database = sqlite3.connect(root / FILE_NAME)
    with database:
        database.execute(statement, values)
    database.close()
