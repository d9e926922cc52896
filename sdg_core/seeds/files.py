"""A file of seed data, and how a change to it is noticed while a run reads it.

Every read is followed by a look at the file's stamp, which costs one `stat`. Where the stamp has moved, the content decides:
the same digest is the same data.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import IO, Protocol

from sdg_core.errors import SeedError
from sdg_core.seeds.digests import kept_digest
from sdg_core.seeds.forbidden import check_readable

Stamp = tuple[object, ...]
"""The size, and what changes whenever the content does."""
_BLOCK = 8 * 2**20


COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}


class SeedFile(ABC):
    """A file that can be opened for reading, at any place."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._stamp = self._checked_stamp()
        self._digest: str | None = None

    @abstractmethod
    def stamp(self) -> Stamp:
        """Changes whenever the content does; cheap. Raises OSError."""

    @abstractmethod
    def open(self) -> IO[bytes]:
        """Open for reading. Raises OSError."""

    @abstractmethod
    def content_digest(self, stamp: Stamp) -> str:
        """`sha256:<hex>` of the bytes; `stamp` is the file's. Raises OSError."""

    @property
    def suffix(self) -> str:
        """The format, `.csv` for instance; of a compressed file that of its content."""
        path = Path(self.name)
        inner = (
            path.with_suffix("").suffix if path.suffix.lower() in COMPRESSIONS else ""
        )
        return (inner or path.suffix).lower()

    @property
    def compression(self) -> str | None:
        """How the file is compressed, by its name."""
        return COMPRESSIONS.get(Path(self.name).suffix.lower())

    def digest(self) -> str:
        """The digest of the content as it was when the file was first seen. Raises SeedError if it has changed since."""
        if self._digest is None:
            self._check_untouched()
            digest = self._checked_digest(self._stamp)
            self._check_untouched()
            self._digest = digest
        self.check_unchanged()
        return self._digest

    def check_unchanged(self) -> None:
        """Raise SeedError if the content differs from what it was when the file was first seen."""
        if self._digest is None:
            self._check_untouched()
        elif (stamp := self._checked_stamp()) != self._stamp:
            if self._checked_digest(stamp) != self._digest:
                raise self._changed()
            self._stamp = stamp

    def _check_untouched(self) -> None:
        """Without a digest to compare, a touched file is a changed one."""
        if self._checked_stamp() != self._stamp:
            raise self._changed()

    def _changed(self) -> SeedError:
        return SeedError(
            f"seed file {self.name} changed while it was being read",
            remedy="rerun the same command: rows from the new content go into a new version",
        )

    def read_bytes(self) -> bytes:
        """The whole content. Raises OSError."""
        with self.open() as file:
            return file.read()

    def unreadable(self, error: Exception, *, kind: str | None = None) -> SeedError:
        """The error for content that cannot be read; a change is the better explanation where there was one."""
        self.check_unchanged()
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return SeedError(
            f"seed file {self.name} cannot be read as {kind or self.suffix[1:]}: {reason}"
        )

    def _checked_stamp(self) -> Stamp:
        try:
            return self.stamp()
        except FileNotFoundError as error:
            raise SeedError(f"seed file {self.name} does not exist") from error
        except OSError as error:
            raise SeedError(
                f"seed file {self.name} cannot be read: {error.strerror or error}"
            ) from error

    def _checked_digest(self, stamp: Stamp) -> str:
        try:
            return self.content_digest(stamp)
        except OSError as error:
            raise SeedError(
                f"seed file {self.name} cannot be read: {error.strerror or error}"
            ) from error


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _check_name(path: Path) -> None:
    """Raise SeedError for a name that is no UTF-8 text: it could not be written into a row or a record of the data."""
    name = os.fsencode(path)
    try:
        name.decode()
    except UnicodeDecodeError as error:
        raise SeedError(
            f"the name of seed file {name.decode(errors='backslashreplace')} is not UTF-8",
            remedy="rename the file, or exclude it (in a directory, with file_pattern)",
        ) from error


class LocalFile(SeedFile):
    """A file of this machine. any_name: its name need not be UTF-8; then it is written with escapes."""

    def __init__(self, path: Path, *, any_name: bool = False) -> None:
        check_readable(path)
        self.path = path
        if not any_name:
            _check_name(path)
        super().__init__(os.fsencode(path).decode(errors="backslashreplace"))

    def stamp(self) -> Stamp:
        """Size, times and inode: a file put back with its old time has another change time."""
        return _stamp(self.path.stat())

    def open(self) -> IO[bytes]:
        """Open for reading; what has the file's name now, even if it is replaced later."""
        check_readable(self.path)
        return self.path.open("rb")

    def content_digest(self, stamp: Stamp) -> str:
        """sha256 of the bytes, computed once per stamp (`sdg_core.seeds.digests`)."""
        return file_digest(self.path, stamp)


class StoredObject(Protocol):
    """A file of an object store, equal to another one at the same place. Methods raise OSError."""

    def __hash__(self) -> int: ...

    def stamp(self) -> Stamp:
        """Changes whenever the content does."""

    def open_reader(self) -> IO[bytes]:
        """Open for reading, at any place."""


class ObjectFile(SeedFile):
    """A file of an object store; it is named by its URL."""

    def __init__(self, stored: StoredObject) -> None:
        self._stored = stored
        super().__init__(str(stored))

    def stamp(self) -> Stamp:
        """Its size and etag."""
        return self._stored.stamp()

    def open(self) -> IO[bytes]:
        """Open for reading in ranges."""
        return self._stored.open_reader()

    def content_digest(self, stamp: Stamp) -> str:
        """sha256 of the bytes, which are read for it; computed once per stamp (`sdg_core.seeds.digests`)."""
        return object_digest(self._stored, stamp)


@lru_cache(maxsize=100_000)
def object_digest(stored: StoredObject, stamp: Stamp) -> str:
    """`sha256:<hex>` of an object's bytes; `stamp`, its size and etag, keys the caches."""

    def compute() -> tuple[str, bool]:
        with stored.open_reader() as file:
            state = hashlib.sha256()
            while block := file.read(_BLOCK):
                state.update(block)
        # whose etags begin again in every process
        in_memory = str(stored).startswith("memory:")
        return f"sha256:{state.hexdigest()}", not in_memory and stored.stamp() == stamp

    return kept_digest(str(stored), stamp, compute)


@lru_cache(maxsize=100_000)
def file_digest(path: Path, stamp: Stamp) -> str:
    """`sha256:<hex>` of a file's bytes; `stamp` keys the caches."""

    def compute() -> tuple[str, bool]:
        with path.open("rb") as file:
            before = _stamp(os.fstat(file.fileno()))
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            after = _stamp(os.fstat(file.fileno()))
            return f"sha256:{digest}", before == stamp == after

    found = path.stat()
    changed_at = max(found.st_mtime, found.st_ctime)
    return kept_digest(str(path.absolute()), stamp, compute, changed_at=changed_at)
