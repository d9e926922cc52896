"""The one way files come into being: whole or not at all, whatever the storage (`sdg_core.store.storage`).

A reader sees the old file or the new one, never a part; after a crash the new one is whole or absent. Errors of the file
system and of object stores become StoreError with a remedy.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO

from sdg_core.store.access import storage_of
from sdg_core.store.local_storage import exclusive_lock
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.publish_files import NewFile, publish_files
from sdg_core.system.commit_guard import CommitGuard


@contextmanager
def atomic_file(
    path: StorePath, *, commit_guard: CommitGuard = nullcontext
) -> Iterator[IO[bytes]]:
    """A binary file that becomes `path` when the block ends well, and vanishes when it does not."""
    with (
        store_errors("write", path),
        storage_of(path).open_atomic(commit_guard) as file,
    ):
        yield file


def write_files(
    files: Sequence[NewFile], *, commit_guard: CommitGuard = nullcontext
) -> None:
    """Write several files, each all or nothing, for little more than the price of one: synced side by side, made visible in
    order within one `commit_guard`, each directory synced once. A crash may leave some of them visible: the first ones, on a
    file system of this machine.

    Durable once it returns. Raises StoreError, and what `commit_guard` raises; then none is visible, unless making them visible
    is what failed.
    """
    if not files:
        return
    with store_errors("write", files[0].path.parent):
        publish_files(files, commit_guard=commit_guard)


def create_files(files: Mapping[StorePath, bytes]) -> bool:
    """Create files of one directory, in order, unless another writer has created one of them: then the rest is left out. Returns
    whether all of them hold what was wanted. A crash leaves the first ones. Raises StoreError.

    Writers of this machine are kept out by a lock; on an object store each file is put on the condition that there is none.
    """
    if not files:
        return True
    directory = next(iter(files)).parent
    if not isinstance(directory, Path):
        return all(_created(path, content) for path, content in files.items())
    with exclusive_lock(directory / ".lock"):
        if any(path.exists() for path in files):
            return False
        new = [
            NewFile(path, partial(_fill, content)) for path, content in files.items()
        ]
        write_files(new)
    return True


def _created(path: StorePath, content: bytes) -> bool:
    found = read_modify_write(path, lambda old: content if old is None else None)
    return found == content


def _fill(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


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


def read_modify_write(
    path: StorePath, change: Callable[[bytes | None], bytes | None]
) -> bytes | None:
    """Read a file, change it and write it back, with no other writer in between; returns what it holds then.

    `change` gets None where there is no file, gives None to leave things as they are, and may be called again when another
    writer of an object store was faster. On a file system, writers of this machine are kept out by a lock. Raises StoreError.
    """
    with store_errors("write", path):
        return storage_of(path).read_modify_write(change)


def remove_directory(path: StorePath) -> None:
    """Remove a directory so that a crash leaves nothing that looks complete. Raises StoreError."""
    with store_errors("remove", path):
        storage_of(path).remove_directory()


def quarantine(path: StorePath, directory: StorePath) -> StorePath:
    """Move a file into `directory` under a name that is still free; returns where it went. Raises StoreError."""
    with store_errors("move aside", path):
        number = 0
        target = directory / f"{path.stem}.{number}{path.suffix}"
        while target.exists():
            number += 1
            target = directory / f"{path.stem}.{number}{path.suffix}"
        storage_of(path).move(target)
        return target


def ensure_writable(directory: StorePath) -> None:
    """Create the directory and prove, before anything is paid for, that files can be made in it. Raises StoreError."""
    with store_errors("write to", directory):
        storage_of(directory).check_writable()


def sync_directory(directory: StorePath) -> None:
    """Make renames in a directory durable."""
    storage_of(directory).sync()
