"""Versions listed and removed: what is in use stays, what goes is gone from disk and ledger."""

from pathlib import Path
from typing import Any

import pytest

from sdg_core import api
from sdg_core.errors import ClaimedError, MetadataCorruptError, PlanError
from sdg_core.ledger.claims import Claims
from sdg_core.ledger.database import open_ledger
from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.ledger.queries import journaled_records
from tests.support.sdg import (
    category,
    dataset_config,
    llm,
    open_dataset,
    snapshot,
    uuid,
)


def config(number: int) -> dict[str, Any]:
    return dataset_config(
        uuid(), category("plan", "free", "pro"), llm("text", f"{number} {{{{ plan }}}}")
    )


class History:
    """A root with one version per config."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.root = directory, directory / "root"

    def open(self, number: int) -> api.Dataset:
        return open_dataset(
            self.directory / "tickets.yaml", config(number), root=self.root
        )

    def generate(self, number: int, **more: Any) -> str:
        return api.generate(self.open(number), **more).version.name

    def names(self) -> list[str]:
        return self.open(1).layout.versions()


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_versions_are_described(history: History) -> None:
    first, second = history.generate(1), history.generate(2, row_groups=[0])
    api.process(history.open(1))
    found = {version.name: version for version in api.versions(history.open(1))}
    assert {*found} == {first, second}
    one, two = found[first], found[second]
    assert (one.records, one.row_groups, one.sealed, one.matches, one.current) == (
        25,
        3,
        True,
        True,
        False,
    )
    assert (two.records, two.row_groups, two.sealed, two.matches, two.current) == (
        10,
        1,
        False,
        False,
        True,
    )
    assert one.simulated and two.simulated and not one.forced
    size = sum(
        path.stat().st_size for path in Path(one.directory).rglob("*") if path.is_file()
    )
    assert one.size == size and one.created is not None and one.updated is not None
    (Path(two.directory) / "metadata.json").write_bytes(b"{")
    damaged = next(
        version for version in api.versions(history.open(1)) if version.name == second
    )
    assert (
        damaged.fault is not None
        and damaged.records is None
        and damaged.row_groups == 1
    )


def test_old_versions_go_the_current_one_and_that_of_the_config_stay(
    history: History,
) -> None:
    names = [history.generate(number) for number in (1, 2, 3, 4)]
    before = snapshot(history.root / "tickets" / names[0])
    assert {version.name for version in api.prune(history.open(1), dry_run=True)} == {
        names[1],
        names[2],
    }
    assert {*history.names()} == {*names}
    removed = api.prune(history.open(1))
    assert {version.name for version in removed} == {names[1], names[2]}
    assert {*history.names()} == {names[0], names[3]}
    assert snapshot(history.root / "tickets" / names[0]) == before
    assert not [
        path
        for path in (history.root / "tickets").iterdir()
        if path.name.startswith(".tmp")
    ]
    assert api.prune(history.open(1)) == ()
    assert api.generate(history.open(1)).adopted == 3
    assert {version.name for version in api.prune(history.open(1))} == {names[3]}


def test_some_old_versions_may_be_kept(history: History) -> None:
    names = [history.generate(number) for number in (1, 2, 3, 4)]
    left = {
        version.name for version in api.prune(history.open(4), keep=2, dry_run=True)
    }
    assert len(left) == 1 and left < {*names[:3]}
    assert api.prune(history.open(4), keep=3) == ()
    with pytest.raises(PlanError, match="keep is -1"):
        api.prune(history.open(4), keep=-1)


def test_of_forced_versions_the_one_that_goes_on_stays(history: History) -> None:
    base = history.generate(1)
    forced = [history.generate(1, resume="never") for _ in range(2)]
    assert {version.name for version in api.prune(history.open(1))} == {base, forced[0]}
    assert history.names() == [forced[1]]


async def _journal_a_cell(history: History, version: str) -> dict[str, str]:
    dataset = history.open(1)
    hashes = dict(dataset.plan.fingerprint.column_hashes)
    ledger = open_ledger(None, root=history.root)
    async with Journal(
        ledger, dataset="tickets", version=version, run_id="r"
    ) as journal:
        await journal.append(
            JournaledCell(3, "text", hashes["text"], {"value": "x", "also": {}}, {})
        )
    ledger.close()
    return hashes


async def test_what_the_ledger_holds_of_a_version_goes_with_it(
    history: History,
) -> None:
    from asyncio import to_thread

    old, new = (
        await to_thread(history.generate, 1),
        await to_thread(history.generate, 2),
    )
    hashes = await _journal_a_cell(history, old)
    await _journal_a_cell(history, new)
    api.prune(history.open(2))
    ledger = open_ledger(None, root=history.root)
    assert (
        journaled_records(ledger, dataset="tickets", version=old, column_hashes=hashes)
        == {}
    )
    assert journaled_records(
        ledger, dataset="tickets", version=new, column_hashes=hashes
    ) == {"text": frozenset({3})}
    ledger.close()


def test_a_version_at_work_is_not_removed_nor_any_other(history: History) -> None:
    names = [history.generate(number) for number in (1, 2, 3)]
    ledger = open_ledger(None, root=history.root)
    claim = Claims(ledger, dataset="tickets", version=names[1], run_id="another")
    held = claim.acquire("00000")
    before = snapshot(history.root / "tickets")
    with pytest.raises(ClaimedError, match="run another"):
        api.prune(history.open(3))
    assert snapshot(history.root / "tickets") == before
    claim.release(held)
    ledger.close()
    assert len(api.prune(history.open(3))) == 2


def test_nothing_is_removed_where_the_current_version_is_not_known(
    history: History,
) -> None:
    for number in (1, 2, 3):
        history.generate(number)
    history.open(1).layout.current.write_bytes(b"{")
    with pytest.raises(MetadataCorruptError, match=r"current\.json"):
        api.prune(history.open(1))
    assert len(history.names()) == 3
    assert len(api.versions(history.open(1))) == 3


def test_looking_makes_nothing(history: History) -> None:
    dataset = history.open(1)
    assert api.versions(dataset) == () and api.prune(dataset) == ()
    assert api.plan(dataset).records == 25
    assert api.status(dataset).runs == ()
    assert not history.root.exists()
