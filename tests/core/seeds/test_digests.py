"""Digests of large seed files are kept between processes, and never stand for another content."""

import os
import time
from pathlib import Path

import pytest

from sdg_core.seeds import digests
from sdg_core.seeds.digests import SETTLED, kept_digest
from sdg_core.seeds.files import LocalFile, file_digest

LONG_AGO = 1_000_000_000.0
DIGEST, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


class Computing:
    """A digest that counts how often it is asked for."""

    def __init__(self, digest: str = DIGEST, *, sure: bool = True) -> None:
        self.digest, self.sure, self.times = digest, sure, 0

    def __call__(self) -> tuple[str, bool]:
        self.times += 1
        return self.digest, self.sure


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def stamp(mark: object = "a", size: int = digests.LARGE) -> tuple[object, ...]:
    return size, mark


def test_a_digest_is_computed_once(env: dict[str, str]) -> None:
    compute = Computing()
    for _ in range(3):
        assert (
            kept_digest("/seed.csv", stamp(), compute, changed_at=LONG_AGO, env=env)
            == DIGEST
        )
    assert compute.times == 1


@pytest.mark.parametrize(
    ("place", "changed"),
    [
        ("/seed.csv", stamp("b")),
        ("/other.csv", stamp("a")),
        ("/seed.csv", stamp(size=2**30)),
    ],
)
def test_another_place_or_stamp_is_another_digest(
    env: dict[str, str], place: str, changed: tuple[object, ...]
) -> None:
    kept_digest("/seed.csv", stamp("a"), Computing(), changed_at=LONG_AGO, env=env)
    assert (
        kept_digest(place, changed, Computing(OTHER), changed_at=LONG_AGO, env=env)
        == OTHER
    )


@pytest.mark.parametrize("unsure", [stamp(size=digests.LARGE - 1), stamp(None)])
def test_small_files_and_stamps_that_say_nothing_are_not_kept(
    env: dict[str, str], unsure: tuple[object, ...]
) -> None:
    kept_digest("/seed.csv", unsure, Computing(), changed_at=LONG_AGO, env=env)
    assert (
        kept_digest("/seed.csv", unsure, Computing(OTHER), changed_at=LONG_AGO, env=env)
        == OTHER
    )


def test_what_may_have_been_read_from_another_file_is_not_kept(
    env: dict[str, str],
) -> None:
    compute = Computing(sure=False)
    for _ in range(2):
        assert (
            kept_digest("/seed.csv", stamp(), compute, changed_at=LONG_AGO, env=env)
            == DIGEST
        )
    assert compute.times == 2


def test_a_link_that_is_switched_while_it_is_opened_leaves_no_digest_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "LARGE", 1)
    link = tmp_path / "data.csv"
    for name in ("v1", "v2"):
        (tmp_path / name).write_text(f"a\n{name}\n")
    link.symlink_to(tmp_path / "v1")
    now = time.time() + 2 * SETTLED
    monkeypatch.setattr(digests.time, "time", lambda: now)
    before = LocalFile(link).stamp()
    link.unlink()
    link.symlink_to(tmp_path / "v2")
    file_digest.cache_clear()
    file_digest(link, before)
    link.unlink()
    link.symlink_to(tmp_path / "v1")
    assert digest_of(link) == digest_of(tmp_path / "v1")


@pytest.mark.parametrize("damage", [b"", b"sha256:", b"\xff", DIGEST.encode() + b"0"])
def test_a_damaged_entry_is_replaced(env: dict[str, str], damage: bytes) -> None:
    kept_digest("/seed.csv", stamp(), Computing(), changed_at=LONG_AGO, env=env)
    [entry] = Path(env["XDG_CACHE_HOME"]).rglob("digests/*")
    entry.write_bytes(damage)
    compute = Computing(OTHER)
    for _ in range(2):
        assert (
            kept_digest("/seed.csv", stamp(), compute, changed_at=LONG_AGO, env=env)
            == OTHER
        )
    assert compute.times == 1


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    compute = Computing()
    for _ in range(2):
        found = kept_digest(
            "/s",
            stamp(),
            compute,
            changed_at=LONG_AGO,
            env={"XDG_CACHE_HOME": str(tmp_path / "file")},
        )
        assert found == DIGEST
    assert compute.times == 2


def test_a_file_that_was_just_written_is_read_again_until_its_times_tell_changes_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "LARGE", 1)
    path = tmp_path / "seed.csv"
    path.write_bytes(b"a\n1\n")
    first = digest_of(path)
    assert not list((tmp_path / "cache").rglob("digests/*")), "just written"

    now = max(path.stat().st_mtime, path.stat().st_ctime) + SETTLED
    monkeypatch.setattr(digests.time, "time", lambda: now)
    assert digest_of(path) == first
    [entry] = (tmp_path / "cache").rglob("digests/*")
    entry.write_text(OTHER, encoding="ascii")
    assert digest_of(path) == OTHER, "what is kept is believed"

    path.write_bytes(b"a\n2\n")
    os.utime(path, ns=(0, 0))
    assert digest_of(path) not in (first, OTHER)


def digest_of(path: Path) -> str:
    """As another process finds it."""
    file_digest.cache_clear()
    return LocalFile(path).digest()
