"""The journal's promises, on every database."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from sdg_core.errors import LedgerError
from sdg_core.ledger.database import Ledger, open_ledger
from sdg_core.ledger.journal import Journal, JournaledCell

HASHES = {"answer": "sha256:1"}


def cell(
    record: int,
    *,
    value: object = "text",
    column: str = "answer",
    column_hash: str = "sha256:1",
) -> JournaledCell:
    return JournaledCell(
        record,
        column,
        column_hash,
        value,
        {"writer": {"requests": 1, "prompt_tokens": 3}},
    )


def journal_of(ledger: Ledger, version: str | None = None) -> Journal:
    return Journal(ledger, dataset="d", version=version or uuid.uuid4().hex[:12])


async def test_what_was_appended_is_there(ledger: Ledger) -> None:
    values = ["text", "", None, 1, 1.5, True, {"a": [1, {"b": "ü"}]}]
    async with journal_of(ledger) as journal:
        await asyncio.gather(
            *(
                journal.append(cell(record, value=value))
                for record, value in enumerate(values)
            )
        )
        found = journal.load(start=0, stop=100, column_hashes=HASHES)
    assert found == [cell(record, value=value) for record, value in enumerate(values)]


async def test_a_finished_row_group_keeps_the_cells_of_lacking_records(
    ledger: Ledger,
) -> None:
    async with journal_of(ledger) as journal:
        await asyncio.gather(*(journal.append(cell(record)) for record in range(30)))
        journal.discard_committed(
            start=10, stop=20, columns=["answer"], remaining=[12, 19, 500]
        )
        left = journal.load(start=5, stop=25, column_hashes=HASHES)
    assert [c.record for c in left] == [*range(5, 10), 12, 19, *range(20, 25)]
    assert all(c.usage for c in left)


async def test_settling_leaves_other_columns_alone(ledger: Ledger) -> None:
    async with journal_of(ledger) as journal:
        await journal.append(cell(3))
        await journal.append(cell(3, column="later"))
        journal.discard_committed(start=0, stop=10, columns=["later"])
        left = journal.load(
            start=0, stop=10, column_hashes={**HASHES, "later": "sha256:1"}
        )
    assert [c.column for c in left] == ["answer"]


async def test_cells_say_which_run_paid(ledger: Ledger) -> None:
    version = uuid.uuid4().hex[:12]
    for run_id in ("one", "two"):
        async with Journal(
            ledger, dataset="d", version=version, run_id=run_id
        ) as journal:
            await journal.append(cell(len(run_id) if run_id == "one" else 7))
    found = journal.load(start=0, stop=10, column_hashes=HASHES)
    assert [(c.record, c.run_id) for c in found] == [(3, "one"), (7, "two")]


async def test_cells_of_records_that_have_a_row_are_pruned(ledger: Ledger) -> None:
    async with journal_of(ledger) as journal:
        await asyncio.gather(*(journal.append(cell(record)) for record in range(10)))
        journal.prune(lambda record, column: column == "answer" and record < 7)
        assert [
            c.record for c in journal.load(start=0, stop=10, column_hashes=HASHES)
        ] == [7, 8, 9]


async def test_cells_of_another_fingerprint_or_version_are_not_taken_back(
    ledger: Ledger,
) -> None:
    async with journal_of(ledger) as journal, journal_of(ledger) as other:
        await journal.append(cell(0, column_hash="sha256:old"))
        await other.append(cell(1))
        assert journal.load(start=0, stop=10, column_hashes=HASHES) == []


async def test_a_cell_made_again_replaces_the_old_one(ledger: Ledger) -> None:
    async with journal_of(ledger) as journal:
        await journal.append(cell(0, value="old", column_hash="sha256:old"))
        await journal.append(cell(0, value="new"))
        assert journal.load(start=0, stop=1, column_hashes=HASHES) == [
            cell(0, value="new")
        ]


async def test_two_writers_share_a_ledger(ledger: Ledger) -> None:
    version = uuid.uuid4().hex[:12]
    async with journal_of(ledger, version) as one, journal_of(ledger, version) as two:
        await asyncio.gather(
            *(one.append(cell(record)) for record in range(0, 200, 2)),
            *(two.append(cell(record)) for record in range(1, 200, 2)),
        )
        assert len(one.load(start=0, stop=200, column_hashes=HASHES)) == 200


async def test_a_failed_commit_reaches_everyone_who_waits(tmp_path: Path) -> None:
    ledger = open_ledger(None, root=tmp_path)
    async with journal_of(ledger) as journal:
        with ledger.transaction("write") as connection:
            connection.execute("DROP TABLE cells")
        outcomes = await asyncio.gather(
            *(journal.append(cell(r)) for r in range(5)), return_exceptions=True
        )
    assert all(isinstance(outcome, LedgerError) for outcome in outcomes)


async def test_leaving_writes_what_is_still_queued(ledger: Ledger) -> None:
    version = uuid.uuid4().hex[:12]
    async with journal_of(ledger, version) as journal:
        waiting = [
            asyncio.ensure_future(journal.append(cell(record))) for record in range(50)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert len(journal.load(start=0, stop=50, column_hashes=HASHES)) == 50


_CHILD = """
import asyncio, sys
from pathlib import Path
from sdg_core.ledger.database import open_ledger
from sdg_core.ledger.journal import Journal, JournaledCell

async def main():
    ledger = open_ledger(sys.argv[2] or None, root=Path(sys.argv[1]))
    async with Journal(ledger, dataset="d", version=sys.argv[3]) as journal:
        for record in range(1_000_000):
            await journal.append(JournaledCell(record, "answer", "sha256:1", "x", {}))
            print(record, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("after", [1, 7, 20])
def test_every_cell_that_counted_survives_kill_9(
    ledger_url: str | None, tmp_path: Path, after: int
) -> None:
    version = uuid.uuid4().hex[:12]
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path), ledger_url or "", version],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    counted = -1
    while counted < after:
        counted = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    rest = child.stdout.read().split()
    child.wait()
    child.stdout.close()
    counted = int(rest[-1]) if rest else counted
    ledger = open_ledger(ledger_url, root=tmp_path)
    found = journal_of(ledger, version).load(
        start=0, stop=1_000_000, column_hashes=HASHES
    )
    ledger.close()
    assert [c.record for c in found][: counted + 1] == list(range(counted + 1))
    assert len(found) <= counted + 2
