"""Looking at what is stored, on a file system or an object store: listings with stamps, and the ends of files."""

import os
from dataclasses import dataclass

from sdg_core.store.objects import ObjectPath, StorePath


@dataclass(frozen=True)
class StoredFile:
    """A file of a listing. `stamp` changes whenever the content does."""

    name: str
    stamp: str


def list_files(directory: StorePath, *, after: str | None = None) -> list[StoredFile]:
    """The files right in a directory, on an object store those whose name sorts after `after`; none if it does not exist.

    Raises OSError.
    """
    if isinstance(directory, ObjectPath):
        bucket, prefix = directory.bucket, directory.key
        found = bucket.walk(prefix, after=f"{prefix}/{after}" if after is not None else None)
        return [StoredFile(item.key.rpartition("/")[2], f"{item.etag}-{item.size}") for item in found]
    try:
        with os.scandir(directory) as entries:
            return [StoredFile(entry.name, _stamp(entry)) for entry in entries]
    except FileNotFoundError:
        return []


def _stamp(entry: os.DirEntry[str]) -> str:
    try:
        facts = entry.stat()
    except FileNotFoundError:
        return ""  # gone since, or a link that leads nowhere: whoever reads it finds out
    return f"{facts.st_ino}-{facts.st_mtime_ns}-{facts.st_ctime_ns}-{facts.st_size}"


def directory_names(directory: StorePath) -> list[str]:
    """Names of the directories right in a directory; none if it does not exist. Raises OSError."""
    if isinstance(directory, ObjectPath):
        return [key.rpartition("/")[2] for key in directory.bucket.children(directory.key)[0]]
    return [path.name for path in directory.iterdir() if path.is_dir()] if directory.is_dir() else []


def read_end(path: StorePath, count: int) -> tuple[bytes, int]:
    """The last `count` bytes of a file (all, if it has fewer), and its size. Raises OSError."""
    if isinstance(path, ObjectPath):
        return path.bucket.get_end(path.key, count)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        return os.pread(file.fileno(), count, max(0, size - count)), size
