"""Nothing changes the store outside its fence: images, prune, temporaries of other containers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sdg_core import api
from sdg_core.dataset.prune import prunable, remove_versions
from sdg_core.errors import ClaimedError, ClaimLostError
from sdg_core.ledger.claims import Claims
from sdg_core.ledger.database import open_ledger
from sdg_core.store import temporaries
from sdg_core.store.images import ImageFiles
from sdg_core.store.layout import VersionLayout
from sdg_core.store.temporaries import clean_temporaries, temporary_name
from sdg_core.system.processes import Process
from tests.core.dataset.test_prune import History


def test_a_run_that_lost_its_claim_replaces_no_image(tmp_path: Path) -> None:
    @contextmanager
    def lost(record: int) -> Iterator[None]:
        raise ClaimLostError(f"record {record} is another run's")
        yield

    version = VersionLayout(tmp_path)
    (path,) = ImageFiles(version).save("image", 3, [b"of the successor"])
    with pytest.raises(ClaimLostError):
        ImageFiles(version, commit_guard=lost).save("image", 3, [b"late"])
    assert (tmp_path / path).read_bytes() == b"of the successor"
    assert os.listdir((tmp_path / path).parent) == ["3.png"]


def test_prune_decides_again_once_it_has_the_claims(tmp_path: Path) -> None:
    history = History(tmp_path)
    first, _, third = (history.generate(number) for number in (1, 2, 3))
    old = prunable(history.open(3))
    history.generate(1)  # somebody returns to a version that was to be removed
    removed = remove_versions(history.open(3), old)
    assert first not in {version.name for version in removed}
    assert {*history.names()} == {first, third}


def test_prune_refuses_while_a_run_works_on_any_version(tmp_path: Path) -> None:
    history = History(tmp_path)
    names = [history.generate(number) for number in (1, 2)]
    dataset = history.open(2)
    ledger = open_ledger(None, root=history.root)
    claims = Claims(ledger, dataset="tickets", version=names[1], run_id="b" * 32)
    claim = claims.acquire("00000")
    with pytest.raises(ClaimedError, match="bbbbbbbb"):
        api.prune(dataset)
    assert {*history.names()} == {*names}
    claims.release(claim)
    assert [version.name for version in api.prune(dataset)] == [names[0]]


def test_a_temporary_of_another_container_of_the_same_name_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Process("vm", "vm 1234 pid:[1]", 999_999_999)
    monkeypatch.setattr(temporaries, "this_process", lambda: other)
    theirs = tmp_path / temporary_name("file")
    theirs.touch()
    monkeypatch.setattr(
        temporaries, "this_process", lambda: Process("vm", "vm 1234 pid:[2]", 1)
    )
    clean_temporaries(tmp_path)
    assert theirs.exists()
