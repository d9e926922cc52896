"""The index of row-group files is written while a run goes on, so that a run after a killed one opens few files."""

import asyncio
import gc
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.dataset.events import Event, Notice
from sdg_core.errors import ClaimedError
from sdg_core.execution.checkpoint import INDEX_EVERY, Checkpointer, index_turns
from sdg_core.ledger import sqlite
from sdg_core.ledger.claims import COUNTS, WHOLE, Claims
from sdg_core.ledger.database import FILE_NAME, Ledger, open_ledger
from sdg_core.models.spending import Spending
from sdg_core.store.footer_index import find_files
from tests.support.sdg import category, dataset_config, open_dataset, snapshot

ROW_GROUPS = 70


@pytest.fixture
def dataset(tmp_path: Path) -> api.Dataset:
    """A dataset whose row groups are made, and whose index is gone."""
    config = dataset_config(
        category("a", "x", "y"), num_records=ROW_GROUPS, row_group_size=1
    )
    dataset = open_dataset(tmp_path / "d.yaml", config, root=tmp_path / "data")
    version = api.generate(dataset).version
    version.footers.unlink()
    return dataset


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(open_ledger(None, root=tmp_path / "data")) as opened:
        yield opened


def checkpointer(
    dataset: api.Dataset, ledger: Ledger, *, run_id: str = "first"
) -> Checkpointer:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    turns = index_turns(
        ledger, dataset=dataset.name, version=version.name, run_id=run_id
    )
    return Checkpointer(version, dataset.plan, (), turns=turns)


async def run_for_a_while(checkpoint: Checkpointer, *, looks: int) -> list[Event]:
    """What a run's observer is told while it is about to write the index so many times."""
    enough, slept, told = asyncio.Event(), [], list[Event]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > looks:
            enough.set()
            await asyncio.Event().wait()

    async with checkpoint.periodically(sleep=sleep, observer=told.append):
        await enough.wait()
    assert all(INDEX_EVERY / 2 <= seconds <= INDEX_EVERY * 1.5 for seconds in slept)
    return told


async def test_the_index_is_written_while_a_run_goes_on(
    dataset: api.Dataset, ledger: Ledger
) -> None:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    assert await run_for_a_while(checkpointer(dataset, ledger), looks=1) == []
    found = find_files(version)
    assert len(found) == ROW_GROUPS and all(file.indexed for file in found.values())


async def test_of_runs_that_share_a_dataset_one_opens_the_files(
    dataset: api.Dataset, ledger: Ledger
) -> None:
    first, other = (
        checkpointer(dataset, ledger, run_id=name) for name in ("first", "other")
    )
    about_to, go_on = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        if first.statuses:
            about_to.set()
            await go_on.wait()

    async with first.periodically(sleep=sleep, observer=lambda event: None):
        await about_to.wait()
        assert await run_for_a_while(other, looks=3) == [] and other.statuses == (), (
            "it is not its turn"
        )
        with pytest.raises(
            ClaimedError, match="the index of this version is held by run first"
        ):
            Claims(
                ledger,
                dataset=dataset.name,
                version=dataset.plan.fingerprint.version,
                run_id="w",
            ).acquire(WHOLE)
    await run_for_a_while(other, looks=1)
    assert len(other.statuses) == ROW_GROUPS, "its turn, now that the other has ended"
    assert all(
        status.file is not None and status.file.indexed for status in other.statuses
    ), "and it opens none"


async def test_runs_that_end_together_write_one_after_the_other(
    dataset: api.Dataset, ledger: Ledger
) -> None:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    other, turns = (
        Claims(ledger, dataset="tickets", version=version.name, run_id=name)
        for name in ("a", "b")
    )
    checkpoint = Checkpointer(version, dataset.plan, (), turns=turns)
    turn = other.acquire(COUNTS)
    looks = 0

    async def sleep(seconds: float) -> None:
        """It waits for its turn; at the second look the other has ended."""
        nonlocal looks
        assert checkpoint.statuses == ()
        if looks:
            other.release(turn)
        looks += 1

    assert (
        len(await checkpoint.write_in_turn(Spending({}), sleep=sleep)) == ROW_GROUPS
        and looks == 2
    )
    other.acquire(COUNTS)  # which was given back


async def test_an_index_that_cannot_be_written_ends_no_run(
    dataset: api.Dataset, ledger: Ledger
) -> None:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    Path(str(version.footers)).mkdir()  # a file cannot take its place
    before = snapshot(Path(str(version.row_groups)))
    told = await run_for_a_while(checkpointer(dataset, ledger), looks=2)
    assert len(told) == 2 and all(
        isinstance(event, Notice) and "index" in event.message for event in told
    )
    assert snapshot(Path(str(version.row_groups))) == before


async def test_nothing_is_written_once_the_run_is_over(
    dataset: api.Dataset, ledger: Ledger
) -> None:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    looked = asyncio.Event()

    async def sleep(seconds: float) -> None:
        looked.set()

    async with checkpointer(dataset, ledger).periodically(
        sleep=sleep, observer=lambda event: None
    ):
        await looked.wait()
    after = snapshot(Path(str(version.directory)))
    await asyncio.to_thread(lambda: None)
    assert snapshot(Path(str(version.directory))) == after and not list(
        Path(str(version.directory)).glob(".tmp*")
    )


async def test_a_ledger_that_is_locked_while_the_run_ends_loses_no_exception(
    dataset: api.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may stand still inside a transaction, and the attempt to write the index wait for it."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT", 0.3)
    never_retrieved: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, found: never_retrieved.append(found)
    )
    with (
        closing(open_ledger(None, root=tmp_path / "data")) as ledger,
        closing(sqlite3.connect(tmp_path / "data" / FILE_NAME)) as other,
    ):
        index = checkpointer(dataset, ledger)
        attempted = asyncio.Event()
        acquire_free = index._turns.acquire_free

        def take_when_seen(units: Sequence[str]) -> Any:
            loop.call_soon_threadsafe(attempted.set)
            return acquire_free(units)

        loop = asyncio.get_running_loop()
        monkeypatch.setattr(index._turns, "acquire_free", take_when_seen)
        other.execute("BEGIN IMMEDIATE")

        async def sleep(seconds: float) -> None:
            """No time passes."""

        async with index.periodically(sleep=sleep, observer=lambda event: None):
            await attempted.wait()
    del index
    gc.collect()
    await asyncio.sleep(0)
    assert never_retrieved == []
