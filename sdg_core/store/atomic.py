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
import re
import shutil
import socket
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO

from sdg_core.errors import StoreError
from sdg_core.points import reach
from sdg_core.store.bucket import ONE_PUT, ObjectStoreFault
from sdg_core.store.objects import ObjectPath, StorePath

Publishing = Callable[[], AbstractContextManager[None]]
"""Entered around the switch that makes a file visible; what it raises keeps the file from being published."""

_LIFE = uuid.uuid4().hex[:8]
_IN_MEMORY = 64 * 2**20
"""Bytes of a file on its way to an object store that are held in memory; a larger one waits in a temporary file."""
_LAST = 2
_PAUSE = 0.005
"""Seconds that a writer steps back at most after the first refusal, twice as much after each further one."""
_REFUSALS = 8
"""Conditional puts on one and the same etag after which a store is known not to understand them."""
_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space and run the same command again; finished row groups are kept",
    errno.EDQUOT: "the disk quota is used up: free some space and run the same command again; finished row groups are kept",
    errno.EFBIG: "the file would exceed a size limit of this system; use a smaller row_group_size",
    errno.EACCES: "grant write permission there, or choose another root (--root, or SDG_ROOT)",
    errno.EPERM: "grant write permission there, or choose another root (--root, or SDG_ROOT)",
    errno.EROFS: "the file system is read-only: choose another root (--root, or SDG_ROOT)",
    errno.ENOTDIR: "a file stands where a directory belongs: choose another root (--root, or SDG_ROOT)",
    errno.EEXIST: "a file stands where a directory belongs: choose another root (--root, or SDG_ROOT)",
}
_NO_CONDITIONS = (
    "use a store that knows If-Match and If-None-Match: without them two runs could undo each other's changes"
)


@contextmanager
def store_errors(action: str, path: StorePath) -> Iterator[None]:
    """Turn an OSError into a StoreError that says what was tried, where, why it failed and what to do."""
    try:
        yield
    except ObjectStoreFault as error:
        raise StoreError(f"cannot {action} {path}: {error.strerror}", remedy=error.remedy) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"cannot {action} {path}: {reason}", remedy=_REMEDIES.get(error.errno or 0)) from error


@contextmanager
def atomic_file(path: StorePath, *, publishing: Publishing = nullcontext) -> Iterator[IO[bytes]]:
    """A binary file that becomes `path` when the block ends well, and vanishes when it does not."""
    with store_errors("write", path):
        if isinstance(path, ObjectPath):
            with _atomic_object(path, publishing) as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        reach("file.before_temporary")
        temporary = path.with_name(temporary_name(path.name))
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            reach("file.after_temporary")
            with publishing():
                reach("file.before_replace")
                os.replace(temporary, path)
                reach("file.after_replace")
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
        reach("file.after_directory_sync")


@contextmanager
def _atomic_object(path: ObjectPath, publishing: Publishing) -> Iterator[IO[bytes]]:
    """A file that is put when the block ends well."""
    reach("file.before_temporary")
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        yield file
        reach("file.after_temporary")
        with publishing():
            reach("file.before_replace")
            put_file(path, file)
            reach("file.after_replace")
    reach("file.after_directory_sync")


def write_atomic(path: StorePath, data: bytes) -> None:
    """Write a whole file, durably and all or nothing. Raises StoreError."""
    with atomic_file(path) as file:
        file.write(data)


def read_if_there(path: StorePath) -> bytes | None:
    """The content of a file, None if there is none. Raises StoreError."""
    with store_errors("read", path):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


def revise(path: StorePath, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
    """Read a file, change it and write it back, with no other writer in between; returns what it holds then.

    `change` gets None where there is no file, gives None to leave things as they are, and may be called again when another
    writer of an object store was faster. On a file system, writers of this machine are kept out by a lock. Raises StoreError.
    """
    if not isinstance(path, ObjectPath):
        with exclusive_lock(path.with_name(".lock")):
            old = read_if_there(path)
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
                    raise ObjectStoreFault(errno.EIO, "the store refuses conditional puts", _NO_CONDITIONS) from None
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


def move_aside(path: StorePath, directory: StorePath) -> StorePath:
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
        probe.parent.mkdir(parents=True, exist_ok=True)
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


def temporary_name(name: str) -> str:
    """A fresh name for a temporary of this process."""
    return f".tmp-{socket.gethostname()}-{os.getpid()}-{_LIFE}-{uuid.uuid4().hex[:8]}-{name}"


def clean_temporaries(directory: StorePath) -> None:
    """Remove temporaries whose process, on this host, is gone. Another process may be cleaning at the same time."""
    ours = re.compile(rf"\.tmp-{re.escape(socket.gethostname())}-(\d+)-([0-9a-f]{{8}})-[0-9a-f]{{8}}-.+")
    with store_errors("clean", directory):
        for path in directory.iterdir() if directory.is_dir() else ():
            match = ours.fullmatch(path.name)
            if match is None or _is_alive(int(match[1]), life=match[2]):
                continue
            if isinstance(path, Path) and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sync_directory(directory: StorePath) -> None:
    """Make renames in a directory durable."""
    if isinstance(directory, Path):
        _sync(directory)


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


def _is_alive(pid: int, *, life: str) -> bool:
    if pid == os.getpid():
        return life == _LIFE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
