"""Storage on a file system: a temporary beside the target, flushed to disk, then switched in by one rename.

The directory is synced too, because a rename that is not on disk may be undone by a power cut.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sdg_core.errors import StoreError
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.storage import StoredFile, publishing
from sdg_core.store.temporaries import temporary_name
from sdg_core.system.commit_guard import CommitGuard
from sdg_core.system.failpoints import failpoint

_LOCK_SECONDS = 120.0
_LOCK_PAUSE = 0.02
_BUFFER = 2**16
"""Bytes of a file that are written at once, so that a short one is a single write."""


class LocalStorage:
    """A file or directory of this machine, or of a file system that machines share."""

    is_remote = False
    concurrent_reads = 1

    def __init__(self, path: Path) -> None:
        self._path = path

    def pending_file(self) -> "_PendingPath":
        """A temporary beside the path."""
        return _PendingPath(self._path)

    @contextmanager
    def open_atomic(self, commit_guard: CommitGuard) -> Iterator[IO[bytes]]:
        """Write a temporary, sync it, rename it, sync the directory."""
        with publishing(self.pending_file(), commit_guard) as file:
            yield file
        sync_path(self._path.parent)
        failpoint("file.after_directory_sync")

    def read_modify_write(
        self, change: Callable[[bytes | None], bytes | None]
    ) -> bytes | None:
        """Writers of this machine are kept out by a lock."""
        with exclusive_lock(self._path.with_name(".lock")):
            old = self._read()
            new = change(old)
            if new is None:
                return old
            with self.open_atomic(_no_guard) as file:
                file.write(new)
            return new

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove_directory(self) -> None:
        """Rename it first, so that a crash leaves it whole or gone under its name."""
        if not self._path.exists():
            return
        aside = self._path.with_name(temporary_name(self._path.name))
        os.rename(self._path, aside)
        sync_path(self._path.parent)
        shutil.rmtree(aside)

    def move(self, target: StorePath) -> None:
        """Rename it and sync both directories."""
        assert isinstance(target, Path)
        make_directory(target.parent)
        os.rename(self._path, target)
        sync_path(target.parent)
        sync_path(self._path.parent)

    def check_writable(self) -> None:
        """Write and sync a file, because a full disk refuses only then."""
        make_directory(self._path)
        probe = self._path / temporary_name("probe")
        try:
            with probe.open("xb") as file:
                file.write(b"\0" * 4096)
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)

    def sync(self) -> None:
        """Sync the directory."""
        sync_path(self._path)

    def list_files(self, *, after: str | None) -> list[StoredFile]:
        """Every entry: reading a directory in part saves nothing."""
        try:
            with os.scandir(self._path) as entries:
                return [StoredFile(entry.name, _stamp(entry)) for entry in entries]
        except FileNotFoundError:
            return []

    def directory_names(self) -> list[str]:
        """Names of the directories; none if this is no directory."""
        if not self._path.is_dir():
            return []
        return [path.name for path in self._path.iterdir() if path.is_dir()]

    def read_end(self, count: int) -> tuple[bytes, int]:
        """One unbuffered read."""
        with self._path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            return os.pread(file.fileno(), count, max(0, size - count)), size

    def parquet_source(self) -> Path:
        """The path itself, so that only what is needed is read."""
        return self._path

    def total_size(self) -> int:
        """Files that vanish meanwhile count nothing."""
        total = 0
        for folder, _, names in os.walk(self._path):
            for name in names:
                with suppress(FileNotFoundError):
                    total += os.lstat(os.path.join(folder, name)).st_size
        return total

    @contextmanager
    def staged_output(self, commit_guard: CommitGuard) -> Iterator["_StagedDirectory"]:
        """Files lie in a temporary directory until one rename makes them the output."""
        temporary = self._path.with_name(temporary_name(self._path.name))
        try:
            yield _StagedDirectory(temporary)
            self._publish(temporary, commit_guard)
        finally:
            with store_errors("remove", temporary):
                LocalStorage(temporary).remove_directory()

    def _publish(self, temporary: Path, commit_guard: CommitGuard) -> None:
        """Switch a finished directory in by rename; a directory already there is moved aside first and removed last."""
        target = self._path
        with store_errors("publish", target):
            for directory, _, names in os.walk(temporary):
                for name in names:
                    sync_path(Path(directory, name))
                sync_path(Path(directory))
            aside = target.with_name(temporary_name(target.name))
            with commit_guard():
                if target.exists():
                    os.rename(target, aside)
                os.rename(temporary, target)
            sync_path(target.parent)
            if aside.exists():
                shutil.rmtree(aside)


class _PendingPath:
    """A temporary that becomes a file by one rename."""

    def __init__(self, path: Path) -> None:
        make_directory(path.parent)
        failpoint("file.before_temporary")
        self._path = path
        self._temporary: Path | None = path.with_name(temporary_name(path.name))
        self.file: IO[bytes] = self._temporary.open("xb", buffering=_BUFFER)

    def make_durable(self) -> None:
        """Flush it to disk."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        failpoint("file.after_temporary")

    def publish(self) -> None:
        """Rename it."""
        assert self._temporary is not None
        failpoint("file.before_replace")
        os.replace(self._temporary, self._path)
        self._temporary = None
        failpoint("file.after_replace")

    def discard(self) -> None:
        """Remove the temporary, if it is still one. Where the disk is full, closing it fails once more."""
        with suppress(OSError):
            self.file.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)


class _StagedDirectory:
    """Files in a temporary directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def create(self, name: str) -> "_StagedPath":
        """Start a file."""
        return _StagedPath(self._directory / name)


class _StagedPath:
    """A file in a temporary directory; it needs nothing done when it is finished."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file: IO[bytes] = path.open("xb")

    def finish(self) -> None:
        """Close it; it is synced with the directory."""
        self.file.close()

    def abandon(self) -> None:
        """Close it; the directory is removed as a whole."""
        self.file.close()


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock between processes of this machine; freed when the process ends, however it ends."""
    with store_errors("lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        with store_errors("lock", path):
            _lock(file, path)
        yield


def _lock(file: IO[bytes], path: Path) -> None:
    """Take the lock. Raises StoreError if another process keeps it for longer than any of ours does."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"{path} has been locked by another process for {_LOCK_SECONDS:g} s",
                    remedy=f"find it (`fuser {path}`), end it if it hangs, and run again",
                ) from None
            # a lock that can be waited for only so long has no other form
            time.sleep(_LOCK_PAUSE)


def make_directory(directory: Path) -> None:
    """Make a directory and those above it, durably: each new one is synced in its parent. Raises OSError."""
    if directory.is_dir():
        return
    new = [place for place in (directory, *directory.parents) if not place.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for place in reversed(new):
        sync_path(place.parent)


def sync_path(path: Path) -> None:
    """Flush a file, or the entries of a directory, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _no_guard() -> Iterator[None]:
    yield


def _stamp(entry: os.DirEntry[str]) -> str:
    try:
        facts = entry.stat()
    except FileNotFoundError:
        return ""  # removed since, or a dangling link: reading it will say so
    return f"{facts.st_ino}-{facts.st_mtime_ns}-{facts.st_ctime_ns}-{facts.st_size}"
