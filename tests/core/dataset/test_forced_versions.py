"""`never` begins a version that belongs to one run, or to one backfill, whose runs go on in it together."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.errors import LedgerError, SealedError
from sdg_core.store.metadata import read_metadata
from tests.support.sdg import category, dataset_config, open_dataset, uuid


@pytest.fixture
def dataset(tmp_path: Path) -> api.Dataset:
    config = dataset_config(uuid(), category("plan", "free", "pro"))
    return open_dataset(tmp_path / "tickets.yaml", config, root=tmp_path / "root")


def never(
    dataset: api.Dataset, *row_groups: int, created_by_run: str | None = None
) -> api.RunSummary:
    return api.generate(
        dataset,
        row_groups=row_groups or None,
        resume="never",
        created_by_run=created_by_run,
    )


def test_runs_of_one_backfill_share_the_version_that_they_begin(
    dataset: api.Dataset,
) -> None:
    first = api.generate(dataset).version
    one, other = (
        never(dataset, 0, created_by_run="backfill"),
        never(dataset, 2, created_by_run="backfill"),
    )
    assert one.version.name == other.version.name == f"{first.name}-2"
    assert one.version.existing_row_groups() == [0, 2]
    assert read_metadata(one.version.metadata).forced
    assert never(dataset, 0, created_by_run="another").version.name == f"{first.name}-3"
    again = never(dataset, 0, 1, created_by_run="backfill")
    assert (again.version.name, again.adopted, again.written) == (
        one.version.name,
        1,
        1,
    )


def test_a_run_of_its_own_begins_a_version_of_its_own(dataset: api.Dataset) -> None:
    assert len({never(dataset, 0).version.name for _ in range(3)}) == 3


@pytest.mark.parametrize("exists", [False, True])
async def test_runs_that_start_at_once_never_meet_in_a_version_unless_they_belong_together(
    dataset: api.Dataset, exists: bool
) -> None:
    if exists:
        await api.agenerate(dataset)
    summaries = await asyncio.gather(
        *(
            api.agenerate(dataset, resume="never", created_by_run=owner)
            for owner in ("a", "b", "a", "c", "b")
        )
    )
    names = [summary.version.name for summary in summaries]
    assert names[0] == names[2] and names[1] == names[4]
    assert len(set(names)) == 3
    for summary in summaries:
        assert summary.version.existing_row_groups() == [0, 1, 2]
    assert sum(summary.written for summary in summaries) == 9, (
        "no row group was made twice"
    )


def test_a_backfill_does_not_go_on_in_a_version_that_was_sealed_meanwhile(
    dataset: api.Dataset,
) -> None:
    never(dataset, created_by_run="backfill")
    api.process(dataset)
    with pytest.raises(SealedError, match="is sealed"):
        never(dataset, 0, created_by_run="backfill")


def test_a_ledger_that_cannot_be_used_is_found_before_a_version_is_begun(
    dataset: api.Dataset, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("create table runs (id integer)")
    env = {**dataset.env, "SDG_LEDGER_URL": f"sqlite:///{tmp_path / 'other.db'}"}
    path = tmp_path / "tickets.yaml"
    with pytest.raises(LedgerError, match="another program"):
        api.generate(
            api.open_dataset(path, root=str(tmp_path / "root"), env=env), resume="never"
        )
    assert dataset.layout.versions() == []
