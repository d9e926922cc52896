"""The index of row-group files is written while a run goes on, so that a run after a killed one opens few files."""

import asyncio
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.dataset.events import Event, Notice
from sdg_core.execution.checkpoint import INDEX_EVERY, Checkpointer
from sdg_core.store.footer_index import find_files
from tests.support.sdg import category, dataset_config, open_dataset, snapshot

ROW_GROUPS = 70


@pytest.fixture
def dataset(tmp_path: Path) -> api.Dataset:
    """A dataset whose row groups are made, and whose index is gone."""
    config = dataset_config(category("a", "x", "y"), num_records=ROW_GROUPS, row_group_size=1)
    dataset = open_dataset(tmp_path / "d.yaml", config, root=tmp_path / "data")
    version = api.generate(dataset).version
    version.footers.unlink()
    return dataset


async def run_for_a_while(dataset: api.Dataset, *, looks: int, stock: Checkpointer | None = None) -> list[Event]:
    """What a run's observer is told while it is about to write the index so many times."""
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    stock = stock or Checkpointer(version, dataset.plan, ())
    enough, slept, told = asyncio.Event(), [], list[Event]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > looks:
            enough.set()
            await asyncio.Event().wait()

    async with stock.kept(sleep=sleep, observer=told.append):
        await enough.wait()
    assert all(INDEX_EVERY / 2 <= seconds <= INDEX_EVERY * 1.5 for seconds in slept)
    return told


async def test_the_index_is_written_while_a_run_goes_on(dataset: api.Dataset) -> None:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    assert await run_for_a_while(dataset, looks=1) == []
    found = find_files(version)
    assert len(found) == ROW_GROUPS and all(file.indexed for file in found.values())


async def test_of_runs_that_share_a_dataset_one_opens_the_files(dataset: api.Dataset) -> None:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    first, other = (Checkpointer(version, dataset.plan, ()) for _ in range(2))
    await run_for_a_while(dataset, looks=1, stock=first)
    await run_for_a_while(dataset, looks=1, stock=other)
    assert len(first.statuses) == ROW_GROUPS and other.statuses == (), "it has seen that the other did"
    await run_for_a_while(dataset, looks=1, stock=other)
    assert len(other.statuses) == ROW_GROUPS, "of which it has seen nothing since"
    assert all(status.file is not None and status.file.indexed for status in other.statuses), "and opened none"


async def test_an_index_that_cannot_be_written_ends_no_run(dataset: api.Dataset) -> None:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    Path(str(version.footers)).mkdir()  # a file cannot take its place
    before = snapshot(Path(str(version.row_groups)))
    told = await run_for_a_while(dataset, looks=3)  # the first only sees that there is something
    assert len(told) == 2 and all(isinstance(event, Notice) and "index" in event.message for event in told)
    assert snapshot(Path(str(version.row_groups))) == before


async def test_nothing_is_written_once_the_run_is_over(dataset: api.Dataset) -> None:
    version = dataset.layout.version(dataset.plan.fingerprint.version)
    looked = asyncio.Event()

    async def sleep(seconds: float) -> None:
        looked.set()

    async with Checkpointer(version, dataset.plan, ()).kept(sleep=sleep, observer=lambda event: None):
        await looked.wait()
    after = snapshot(Path(str(version.directory)))
    await asyncio.to_thread(lambda: None)
    assert snapshot(Path(str(version.directory))) == after and not list(Path(str(version.directory)).glob(".tmp*"))
