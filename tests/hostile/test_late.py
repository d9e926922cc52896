"""Runs whose leases ran out while they stood still: they go on, and change nothing of what others have done meanwhile."""

import sqlite3
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.dataset import prune
from sdg_core.dataset.prune import prunable, remove_versions
from sdg_core.errors import ClaimLostError
from sdg_core.store.atomic import remove_directory
from sdg_core.store.objects import StorePath
from tests.core.dataset.test_prune import History
from tests.support.sdg import snapshot


def let_leases_run_out(root: Path) -> None:
    """What standing still for longer than a lease does."""
    ledger = sqlite3.connect(root / ".sdg" / "ledger.db")
    with ledger:
        assert ledger.execute("UPDATE claims SET expires_at = 0").rowcount
    ledger.close()


def finished_files(version: Path) -> dict[str, str]:
    """Digests of all files but temporaries, which a process that is not done has."""
    return {name: digest for name, digest in snapshot(version).items() if not name.startswith(".tmp-")}


def test_a_late_process_leaves_what_another_has_finished(tmp_path: Path) -> None:
    history = History(tmp_path)
    version = tmp_path / "root" / "tickets" / history.generate(1)
    finished: list[object] = []

    def stand_still(row_group: int) -> None:
        if not finished:
            let_leases_run_out(history.root)
            assert not api.process(history.open(1)).already_done
            finished.append(finished_files(version))

    late = api.process(history.open(1), on_row_group=stand_still)
    assert late.already_done
    assert [finished_files(version)] == finished


def test_a_late_process_does_not_seal_what_another_has_reopened_and_extended(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.generate(1)
    done: list[int] = []

    def stand_still(row_group: int) -> None:
        if not done:
            done.append(row_group)
            let_leases_run_out(history.root)
            api.process(history.open(1))
            api.reopen(history.open(1))
            history.generate(1, row_groups=[0])

    with pytest.raises(ClaimLostError):
        api.process(history.open(1), on_row_group=stand_still)
    assert not api.status(history.open(1)).sealed


def test_a_late_prune_leaves_the_version_that_a_run_has_gone_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path)
    first, second, third = (history.generate(number) for number in (1, 2, 3))
    removed: list[str] = []

    def slowly(directory: StorePath) -> None:
        remove_directory(directory)
        removed.append(directory.name)
        if len(removed) == 1:
            let_leases_run_out(history.root)
            history.generate(1 if first != directory.name else 2)

    monkeypatch.setattr(prune, "remove_directory", slowly)
    gone = remove_versions(history.open(3), prunable(history.open(3)))
    assert [version.name for version in gone] == removed and len(removed) == 1
    assert {*history.names()} == {first, second, third} - {*removed}
