"""Files of an object store under the part of `pathlib.Path`'s face that the store uses, so that few places need to know.

A directory is a prefix that some object has; it comes and goes with its objects. What differs between
storages when files are written, moved and listed is in `sdg_core.store.storage`; nothing else tells the two kinds of path apart.
"""

import errno
import fnmatch
import io
import os
import re
from collections.abc import Iterator
from functools import total_ordering
from pathlib import Path
from typing import IO

from sdg_core.errors import StoreError
from sdg_core.store.bucket import SCHEMES, Bucket, open_bucket

_SEGMENT = re.compile(r"[A-Za-z0-9_.=+@,()!-]+")
_BUFFER = 2**20


@total_ordering
class ObjectPath:
    """An object, or a prefix, of a bucket. Its text is its URL. Methods raise what those of `pathlib.Path` raise."""

    __slots__ = ("bucket", "key")

    def __init__(self, bucket: Bucket, key: str) -> None:
        self.bucket = bucket
        self.key = key

    def __truediv__(self, name: str) -> "ObjectPath":
        key = f"{self.key}/{name}" if self.key else name
        return ObjectPath(self.bucket, key)

    def __str__(self) -> str:
        return f"{self.bucket.url}/{self.key}" if self.key else self.bucket.url

    def __repr__(self) -> str:
        return f"ObjectPath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and str(self) == str(other)

    def __lt__(self, other: "ObjectPath") -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def name(self) -> str:
        """The last part of the key; empty for the bucket itself."""
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def suffix(self) -> str:
        """The name's last ending, with its dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> "ObjectPath":
        """The prefix that this lies in; the bucket is its own."""
        return ObjectPath(self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "ObjectPath":
        """The same place under another name."""
        return self.parent / name

    def resolve(self) -> "ObjectPath":
        """Itself: there are no links."""
        return self

    def as_uri(self) -> str:
        """The URL."""
        return str(self)

    def exists(self) -> bool:
        """Whether there is such an object, or anything below such a prefix."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether there is such an object."""
        return bool(self.key) and self.bucket.find(self.key) is not None

    def is_dir(self) -> bool:
        """Whether there is anything below such a prefix."""
        return any(True for _ in self.bucket.walk(self.key))

    def iterdir(self) -> Iterator["ObjectPath"]:
        """What lies right below; nothing where there is no such prefix."""
        directories, files = self.bucket.children(self.key)
        keys = [*directories, *[file.key for file in files]]
        for key in sorted(keys):
            yield ObjectPath(self.bucket, key)

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """What lies right below and has a name that matches."""
        return (
            path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern)
        )

    def read_bytes(self) -> bytes:
        """The whole content."""
        return self.bucket.get(self.key)[0]

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole content as text."""
        return self.read_bytes().decode(encoding)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object."""
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        self.bucket.delete([self.key])

    def stamp(self) -> tuple[object, ...]:
        """Changes whenever the content does."""
        found = self.bucket.find(self.key)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return found.size, found.etag

    def size(self) -> int:
        """Its bytes."""
        found = self.bucket.find(self.key)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return found.size

    def open_reader(self) -> IO[bytes]:
        """Open for reading in ranges: what the object is now, even if it is replaced later (which then is an error)."""
        return io.BufferedReader(_ObjectReader(self), buffer_size=_BUFFER)  # type: ignore[type-var]


StorePath = Path | ObjectPath
"""A place in the store: a file or directory of this machine, or of an object store."""


class _ObjectReader(io.RawIOBase):
    """Reads ranges of one version of an object."""

    def __init__(self, path: ObjectPath) -> None:
        super().__init__()
        found = path.bucket.find(path.key)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        self._path = path
        self._size = found.size
        self._etag = found.etag
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[
            whence
        ]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        stop = min(self._place + len(buffer), self._size)
        if stop <= self._place:
            return 0
        content = self._path.bucket.get_range(
            self._path.key, self._place, stop, etag=self._etag
        )
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)


def _is_segment(text: str) -> bool:
    return text not in (".", "..") and _SEGMENT.fullmatch(text) is not None


def object_path(url: str) -> ObjectPath:
    """The place that a URL names. Raises StoreError for a URL that names none, or where the library is not installed."""
    scheme, _, rest = url.partition("://")
    secretive = "@" in rest or "?" in rest
    shown = f"{scheme}://..." if secretive else url
    if scheme not in SCHEMES:
        raise StoreError(
            f"root {shown!r}: {scheme}:// is not a supported store",
            remedy="give a directory or s3://bucket/prefix (--root, or SDG_ROOT)",
        )
    bucket, _, key = rest.rstrip("/").partition("/")
    segments = key.split("/") if key else []
    if "@" in bucket or not all(map(_is_segment, (bucket, *segments))):
        raise StoreError(
            f"root {shown!r} is not of the form s3://bucket/prefix",
            remedy="use letters, digits and _ . -; put credentials into environment variables (AWS_ACCESS_KEY_ID, ...)",
        )
    return ObjectPath(open_bucket(f"{scheme}://{bucket}"), key)
