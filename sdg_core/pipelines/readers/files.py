"""Sources that are files: of this machine, of an object store, or of the Hugging Face hub.

The version of a local file is the digest of its content; large ones are read for it once (`sdg_core.seeds.digests`). An object
store is asked for its etag instead, which it changes with the content, so that looking for work reads no object.
"""

import glob
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from sdg_core.custom import Failed
from sdg_core.errors import SeedError
from sdg_core.pipelines.readers.base import (
    OpenSource,
    Record,
    Source,
    SourceError,
    changed,
)
from sdg_core.plan.file_patterns import matching
from sdg_core.seeds.files import COMPRESSIONS, LocalFile, ObjectFile, SeedFile
from sdg_core.store.bucket import SCHEMES
from sdg_core.store.objects import ObjectPath, object_path

Format = Callable[[SeedFile], Iterator[Record]]
"""Reads the records of a file."""
_WILDCARDS = frozenset("*?[")
_ESCAPED_BYTE = re.compile(r"\\x[89a-f][0-9a-f]")
_TEXTS = ("files", "jsonl", "csv")
"""Readers to which a file is text."""
_SHORT = 2**20
"""Bytes of a text that is read in a moment."""


class OpenFile(OpenSource):
    """A file that is open. version: of its content, if that is known without reading it."""

    def __init__(
        self, file: SeedFile, locator: str, read: Format, *, version: str | None = None
    ) -> None:
        self._file = file
        self._locator = locator
        self._read = read
        self._known = version

    @property
    def version(self) -> str:
        """The digest of its bytes, or what stands for it in its store."""
        if self._known is None:
            try:
                self._known = self._file.digest()
            except SeedError as error:
                raise unreadable(error) from error
        return self._known

    def records(self) -> Iterator[Record]:
        """What its format makes of it."""
        try:
            for record in self._read(self._file):
                if isinstance(record, Failed):
                    yield replace(record, reason=f"{self._locator}, {record.reason}")
                else:
                    yield record
        except OSError as error:
            raise SourceError(f"cannot be read: {error.strerror or error}") from error

    def check_unchanged(self) -> None:
        """Compare its stamp, and its content if that has moved."""
        try:
            self._file.check_unchanged()
        except SeedError as error:
            raise changed() from error


def unreadable(error: SeedError) -> SourceError:
    """Why a file cannot be opened or read, without naming it: its source is named beside."""
    cause = error.__cause__
    if isinstance(cause, OSError):
        return SourceError(f"cannot be read: {cause.strerror or cause}")
    return (
        changed()
        if "changed" in error.message
        else SourceError(f"cannot be read: {error.message}")
    )


class FileSource(Source):
    """A file of this machine."""

    __slots__ = ("_path", "_read", "_reader")

    def __init__(
        self, key: str, locator: str, path: str, read: Format, *, reader: str
    ) -> None:
        super().__init__(key, locator)
        self._path = path
        self._read = read
        self._reader = reader

    def open(self) -> OpenSource:
        """The file as it is now."""
        try:
            file = LocalFile(Path(self._path), any_name=True)
            return OpenFile(file, self.locator, self._read)
        except SeedError as error:
            raise unreadable(error) from error

    def is_quick(self) -> bool:
        """Whether it is a short text."""
        if (
            self._reader not in _TEXTS
            or Path(self._path).suffix.lower() in COMPRESSIONS
        ):
            return False
        try:
            return os.stat(self._path).st_size <= _SHORT
        except OSError:
            return True


class ObjectSource(Source):
    """An object of a store. Where the store has no etags its content is read for its version."""

    __slots__ = ("_path", "_read")

    def __init__(self, key: str, path: ObjectPath, read: Format) -> None:
        super().__init__(key, str(path))
        self._path = path
        self._read = read

    def open(self) -> OpenSource:
        """The object as it is now."""
        try:
            file = ObjectFile(self._path)
        except SeedError as error:
            raise unreadable(error) from error
        size, etag = file.stamp()
        version = f"etag:{etag}:{size}" if etag is not None else None
        return OpenFile(file, self.locator, self._read, version=version)


def local_sources(
    pattern: str, *, reader: str, base: Path, read: Format
) -> list[Source]:
    """The files that a pattern matches, by locator: the path relative to `base`."""
    # An absolute pattern stays as it is.
    absolute = os.path.join(glob.escape(str(base)), pattern)
    found = sorted(name for name in matching(absolute) if os.path.isfile(name))
    sources: list[Source] = []
    for name in found:
        place = os.path.relpath(name, base)
        locator = _in_text(os.fsencode(place)).replace(os.sep, "/")
        sources.append(
            FileSource(f"{reader}:{locator}", locator, name, read, reader=reader)
        )
    return sources


def _in_text(name: bytes) -> str:
    """The name of a file as text, another for every file: bytes that are not UTF-8 are escaped, such as `\\xff`, and so are
    backslashes where that would look the same."""
    text = name.decode("utf-8", "backslashreplace")
    if _ESCAPED_BYTE.search(text):
        return name.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return text


def is_url(pattern: str) -> bool:
    """Whether a pattern is of an object store."""
    return pattern.partition("://")[0] in SCHEMES


def object_sources(pattern: str, *, reader: str, read: Format) -> list[Source]:
    """The objects that a pattern such as `s3://bucket/prefix/**/*.md` matches; the URL is the locator.

    Wildcards mean what they mean for files: `**` is any number of directories, names that begin with a dot want one in the
    pattern. Raises SeedError if the store cannot be asked.
    """
    scheme, _, rest = pattern.partition("://")
    bucket_name, _, key_pattern = rest.partition("/")
    wanted = key_pattern.split("/")
    prefix = wanted[:-1]
    for at, part in enumerate(wanted):
        if _WILDCARDS & {*part}:
            prefix = wanted[:at]
            break
    bucket = object_path(f"{scheme}://{bucket_name}").bucket
    paths = []
    try:
        for found in bucket.walk("/".join(prefix)):
            if _matches(found.key.split("/"), wanted):
                paths.append(ObjectPath(bucket, found.key))
    except OSError as error:
        remedy = getattr(error, "remedy", None)
        raise SeedError(
            f"sources.path {pattern!r}: {error.strerror or error}", remedy=remedy
        ) from error
    return [ObjectSource(f"{reader}:{path}", path, read) for path in paths]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        for at, part in enumerate(parts):
            if _matches(parts[at:], pattern[1:]):
                return True
            if part.startswith("."):
                return False
        return _matches([], pattern[1:])
    if not parts:
        return False
    is_hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    if is_hidden or not fnmatchcase(parts[0], pattern[0]):
        return False
    return _matches(parts[1:], pattern[1:])
