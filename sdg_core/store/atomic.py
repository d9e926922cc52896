"""The one way files come into being: a temporary beside the target, flushed to disk, then switched in by one rename.

On an object store a file is put as a whole, which is the switch; there are no temporaries, and what has to be read, changed and
written back is put on the condition that nobody else has written it meanwhile. This is the only module that tells the two apart.

A reader sees the old file or the new one, never a part; after a crash the new one is whole or absent. The directory is
synced too, because a rename that is not on disk may be undone by a power cut. Temporaries carry host, process id and a mark of
the process's life (in a container every life may have process id 1), so that those of a dead process can be told from those of
a live one. Faults of the file system become StoreError with a remedy.
"""

import errno
import fcntl
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from sdg_core.store.bucket import ONE_PUT, ObjectStoreError
from sdg_core.store.objects import ObjectPath, StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.temporaries import temporary_name
from sdg_core.system.commit_guard import CommitGuard
from sdg_core.system.failpoints import failpoint

_IN_MEMORY = 64 * 2**20
"""Bytes of a file on its way to an object store that are held in memory; a larger one waits in a temporary file."""
_LAST = 2
_PAUSE = 0.005
"""Seconds that a writer steps back at most after the first refusal, twice as much after each further one."""
_REFUSALS = 8
"""Conditional puts on one and the same etag after which a store is known not to understand them."""
_NO_CONDITIONS = (
    "use a store that knows If-Match and If-None-Match: without them two runs could undo each other's changes"
)


@contextmanager
def atomic_file(path: StorePath, *, commit_guard: CommitGuard = nullcontext) -> Iterator[IO[bytes]]:
    """A binary file that becomes `path` when the block ends well, and vanishes when it does not."""
    with store_errors("write", path):
        if isinstance(path, ObjectPath):
            with _atomic_object(path, commit_guard) as file:
                yield file
            return
        make_directory(path.parent)
        failpoint("file.before_temporary")
        temporary = path.with_name(temporary_name(path.name))
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            failpoint("file.after_temporary")
            with commit_guard():
                failpoint("file.before_replace")
                os.replace(temporary, path)
                failpoint("file.after_replace")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
        failpoint("file.after_directory_sync")


@contextmanager
def _atomic_object(path: ObjectPath, commit_guard: CommitGuard) -> Iterator[IO[bytes]]:
    """A file that is put when the block ends well."""
    failpoint("file.before_temporary")
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        yield file
        failpoint("file.after_temporary")
        with commit_guard():
            failpoint("file.before_replace")
            put_file(path, file)
            failpoint("file.after_replace")
    failpoint("file.after_directory_sync")


def write_atomic(path: StorePath, data: bytes) -> None:
    """Write a whole file, durably and all or nothing. Raises StoreError."""
    with atomic_file(path) as file:
        file.write(data)


def read_or_none(path: StorePath) -> bytes | None:
    """The content of a file, None if there is none. Raises StoreError."""
    with store_errors("read", path):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


def read_modify_write(path: StorePath, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
    """Read a file, change it and write it back, with no other writer in between; returns what it holds then.

    `change` gets None where there is no file, gives None to leave things as they are, and may be called again when another
    writer of an object store was faster. On a file system, writers of this machine are kept out by a lock. Raises StoreError.
    """
    if not isinstance(path, ObjectPath):
        with exclusive_lock(path.with_name(".lock")):
            old = read_or_none(path)
            new = change(old)
            if new is not None:
                write_atomic(path, new)
            return old if new is None else new
    with store_errors("write", path):
        refusals: Counter[str | None] = Counter()
        while True:
            try:
                old, etag = path.bucket.get(path.key)
            except FileNotFoundError:
                old, etag = None, None
            new = change(old)
            if new is None:
                return old
            # Some stores compare etags without their quotation marks, so an etag is given with and without them in turn.
            asked = etag.strip('"') if etag is not None and refusals[etag] % 2 else etag
            try:
                path.bucket.put_if(path.key, new, etag=asked)
            except FileExistsError:
                refusals[etag] += 1
                if refusals[etag] == _REFUSALS:
                    raise ObjectStoreError(errno.EIO, "the store refuses conditional puts", _NO_CONDITIONS) from None
                time.sleep(random.uniform(0, _PAUSE * 2 ** refusals[etag]))
            else:
                return new


def remove_directory(path: StorePath) -> None:
    """Remove a directory; on a file system, so that a crash leaves it whole or gone under its name."""
    with store_errors("remove", path):
        if isinstance(path, ObjectPath):
            keys = [found.key for found in path.bucket.walk(path.key)]
            for rank in range(_LAST + 1):
                path.bucket.delete([key for key in keys if _removal_rank(key) == rank])
        elif path.exists():
            aside = path.with_name(temporary_name(path.name))
            os.rename(path, aside)
            sync_directory(path.parent)
            shutil.rmtree(aside)


def _removal_rank(key: str) -> int:
    """When an object of a version is removed, so that what a crash leaves is never mistaken for a whole: row groups first, for a
    lacking one is made again; then what describes them; then the rest, which nobody believes by itself."""
    return 0 if "/row_groups/" in key else 1 if key.endswith("/metadata.json") else _LAST


def quarantine(path: StorePath, directory: StorePath) -> StorePath:
    """Move a file into `directory` under a name that is still free; returns where it went."""
    with store_errors("move aside", path):
        names = (f"{path.stem}.{number}{path.suffix}" for number in range(1_000_000))
        target = next(place for name in names if not (place := directory / name).exists())
        if isinstance(path, ObjectPath) and isinstance(target, ObjectPath):
            path.bucket.copy(path.key, target.key)
            path.bucket.delete([path.key])
            return target
        assert isinstance(path, Path) and isinstance(directory, Path) and isinstance(target, Path)
        directory.mkdir(parents=True, exist_ok=True)
        os.rename(path, target)
        sync_directory(directory)
        sync_directory(path.parent)
        return target


def ensure_writable(directory: StorePath) -> None:
    """Create the directory and prove, before anything is paid for, that files can be made in it. Raises StoreError."""
    with store_errors("write to", directory):
        probe = directory / temporary_name("probe")
        if isinstance(probe, ObjectPath):
            put_file(probe, b"\0" * 4096)
            probe.bucket.delete([probe.key])
            return
        make_directory(probe.parent)
        try:
            with probe.open("xb") as file:
                file.write(b"\0" * 4096)
                file.flush()
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock between processes of this machine; freed when the process ends, however it ends."""
    with store_errors("lock", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        with store_errors("lock", path):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sync_directory(directory: StorePath) -> None:
    """Make renames in a directory durable."""
    if isinstance(directory, Path):
        _sync(directory)


def make_directory(directory: Path) -> None:
    """Make a directory and those above it, durably: each new one is synced in its parent. Raises OSError."""
    new = [place for place in (directory, *directory.parents) if not place.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for place in reversed(new):
        _sync(place.parent)


def put_file(path: ObjectPath, content: bytes | IO[bytes]) -> None:
    """Put an object; small files as one request."""
    if not isinstance(content, bytes):
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        content = content.read() if size <= ONE_PUT else content
    path.bucket.put(path.key, content)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
