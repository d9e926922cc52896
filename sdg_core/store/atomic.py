"""The one way files come into being: a temporary beside the target, flushed to disk, then switched in by one rename.

A reader sees the old file or the new one, never a part; after a crash the new one is whole or absent. The directory is
synced too, because a rename that is not on disk may be undone by a power cut. Temporaries carry host, process id and a mark of
the process's life (in a container every life may have process id 1), so that those of a dead process can be told from those of
a live one. Faults of the file system become StoreError with a remedy.
"""

import errno
import fcntl
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sdg_core.errors import StoreError

_LIFE = uuid.uuid4().hex[:8]
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


@contextmanager
def store_errors(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a StoreError that says what was tried, where, why it failed and what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"cannot {action} {path}: {reason}", remedy=_REMEDIES.get(error.errno or 0)) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends well, and vanishes when it does not."""
    with store_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(temporary_name(path.name))
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)


def write_atomic(path: Path, data: bytes) -> None:
    """Write a whole file, durably and all or nothing. Raises StoreError."""
    with atomic_file(path) as file:
        file.write(data)


def publish_directory(temporary: Path, target: Path) -> None:
    """Switch a finished directory in by rename; a directory already there is moved aside first and removed last."""
    with store_errors("publish", target):
        for directory, _, names in os.walk(temporary):
            for name in names:
                _sync(Path(directory, name))
            sync_directory(Path(directory))
        if target.exists():
            aside = target.with_name(temporary_name(target.name))
            os.rename(target, aside)
            os.rename(temporary, target)
            sync_directory(target.parent)
            shutil.rmtree(aside)
        else:
            os.rename(temporary, target)
            sync_directory(target.parent)


def remove_directory(path: Path) -> None:
    """Remove a directory so that a crash leaves it whole or gone under its name."""
    with store_errors("remove", path):
        if path.exists():
            aside = path.with_name(temporary_name(path.name))
            os.rename(path, aside)
            sync_directory(path.parent)
            shutil.rmtree(aside)


def move_aside(path: Path, directory: Path) -> Path:
    """Move a file into `directory` under a name that is still free; returns where it went."""
    with store_errors("move aside", path):
        directory.mkdir(parents=True, exist_ok=True)
        target = next(t for n in range(1_000_000) if not (t := directory / f"{path.stem}.{n}{path.suffix}").exists())
        os.rename(path, target)
        sync_directory(directory)
        sync_directory(path.parent)
        return target


def ensure_writable(directory: Path) -> None:
    """Create the directory and prove, before anything is paid for, that files can be made in it. Raises StoreError."""
    with store_errors("write to", directory):
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / temporary_name("probe")
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


def clean_temporaries(directory: Path) -> None:
    """Remove temporaries whose process, on this host, is gone. Another process may be cleaning at the same time."""
    ours = re.compile(rf"\.tmp-{re.escape(socket.gethostname())}-(\d+)-([0-9a-f]{{8}})-[0-9a-f]{{8}}-.+")
    with store_errors("clean", directory):
        for path in directory.iterdir() if directory.is_dir() else ():
            match = ours.fullmatch(path.name)
            if match is None or _is_alive(int(match[1]), life=match[2]):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make renames in a directory durable."""
    _sync(directory)


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
