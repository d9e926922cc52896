"""`seed_type: directory` and `file_contents`: a row per file below a directory; and the base of readers that make more of a file.

`source_path` is the path as the dataset file spells it, joined with the relative path: the value is the same on every machine.
"""

import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from sdg_core.config.seeds import DirectorySeedSource, FileContentsSeedSource
from sdg_core.errors import SeedError
from sdg_core.plan.hashed_fields import digest
from sdg_core.seeds.base import ItemReader
from sdg_core.seeds.files import LocalFile
from sdg_core.seeds.forbidden import check_readable
from sdg_core.seeds.local import resolve

_LISTING = [
    (name, pa.string())
    for name in ("source_kind", "source_path", "relative_path", "file_name")
]


class DirectoryReader(ItemReader[str]):
    """Files below a directory, by relative path; a base class for readers that turn a file into rows.

    file_pattern: a glob that the file's name (not its path) matches. recursive: also in directories below. Hidden directories
    (`.git`) are left out, and hidden files unless the pattern starts with a dot.
    A subclass defines `schema` and `rows_of`, and may define `count`; its items are relative paths with `/`.
    """

    def __init__(
        self,
        path: str,
        *,
        base: Path,
        root: str,
        file_pattern: str = "*",
        recursive: bool = True,
    ) -> None:
        self._written = path
        self._pattern = file_pattern
        self._recursive = recursive
        self.directory = resolve(path, base=base, root=root)
        check_readable(self.directory)
        if not self.directory.is_dir():
            fault = "is a file" if self.directory.exists() else "does not exist"
            raise SeedError(
                f"seed directory {self.directory} {fault}",
                remedy="check seed_config.source.path; a relative path is relative to the dataset file",
            )

    @abstractmethod
    def rows_of(self, file: LocalFile) -> Iterable[Mapping[str, Any]]:
        """The rows that one file gives."""

    def items(self) -> Sequence[str]:
        """Relative paths of the matching files, sorted."""
        if not self._files:
            raise SeedError(
                f"seed directory {self.directory} holds no file that matches {self._pattern!r}",
                remedy="check file_pattern, which must match the file name, and recursive",
            )
        return [*self._files]

    def expand(self, item: str) -> Iterable[Mapping[str, Any]]:
        """The rows of one file. Raises SeedError if it cannot be read."""
        try:
            return list(self.rows_of(self._files[item]))
        except OSError as error:
            raise SeedError(
                f"seed file {self._files[item].name} cannot be read: {error.strerror or error}"
            ) from error

    def describe(self, item: str) -> str:
        """The file's path."""
        return str(self.directory / item)

    def digest(self) -> str:
        """Of relative paths and contents."""
        return digest([[name, self._files[name].digest()] for name in self.items()])

    def files(self) -> Mapping[str, str]:
        """By relative path."""
        return {name: self._files[name].digest() for name in self.items()}

    def check_unchanged(self) -> None:
        """Look at every file."""
        for file in self._files.values():
            file.check_unchanged()

    def listing(self, file: LocalFile, *, kind: str) -> dict[str, Any]:
        """The columns that say which file a row is of."""
        relative = file.path.relative_to(self.directory).as_posix()
        path = f"{self._written.rstrip('/')}/{relative}"
        return {
            "source_kind": kind,
            "source_path": path,
            "relative_path": relative,
            "file_name": file.path.name,
        }

    @cached_property
    def _files(self) -> dict[str, LocalFile]:
        found: list[str] = []
        for directory, directories, names in os.walk(
            self.directory, onerror=_unreadable
        ):
            for name in names:
                path = Path(directory, name)
                if self._is_wanted(name) and path.is_file():
                    found.append(path.relative_to(self.directory).as_posix())
            entered = []
            if self._recursive:
                entered = [name for name in directories if not name.startswith(".")]
            directories[:] = entered
        return {
            relative: LocalFile(self.directory / relative) for relative in sorted(found)
        }

    def _is_wanted(self, name: str) -> bool:
        """Whether the pattern matches a file's name; hidden files are meant only by a pattern that starts with a dot."""
        is_hidden = name.startswith(".") and not self._pattern.startswith(".")
        return fnmatchcase(name, self._pattern) and not is_hidden


class ListingReader(DirectoryReader):
    """One row per file: which one it is."""

    @property
    def schema(self) -> pa.Schema:
        """Data Designer's columns."""
        return pa.schema(_LISTING)

    def rows_of(self, file: LocalFile) -> Iterable[Mapping[str, Any]]:
        """One row."""
        yield self.listing(file, kind="directory_file")

    def count(self, item: str) -> int:
        """One."""
        return 1


class FileContentsReader(DirectoryReader):
    """One row per file with its text, read when the row is."""

    def __init__(self, path: str, *, encoding: str = "utf-8", **fields: Any) -> None:
        super().__init__(path, **fields)
        self._encoding = encoding

    @property
    def schema(self) -> pa.Schema:
        """Data Designer's columns."""
        return pa.schema([*_LISTING, ("content", pa.string())])

    def rows_of(self, file: LocalFile) -> Iterable[Mapping[str, Any]]:
        """One row."""
        try:
            content = file.read_bytes().decode(self._encoding)
        except UnicodeDecodeError as error:
            raise SeedError(
                f"seed file {file.name} is not {self._encoding} text: {error.reason} at byte {error.start}",
                remedy="set encoding in seed_config.source, or exclude the file with file_pattern",
            ) from error
        yield {**self.listing(file, kind="file_contents"), "content": content}

    def count(self, item: str) -> int:
        """One."""
        return 1


def open_directory(
    source: DirectorySeedSource, *, base: Path, root: str
) -> DirectoryReader:
    """The reader of a directory source. Raises SeedError if there is no such directory."""
    fields: dict[str, Any] = {
        "file_pattern": source.file_pattern,
        "recursive": source.recursive,
    }
    if isinstance(source, FileContentsSeedSource):
        return FileContentsReader(
            source.path, base=base, root=root, encoding=source.encoding, **fields
        )
    return ListingReader(source.path, base=base, root=root, **fields)


def _unreadable(error: OSError) -> None:
    raise SeedError(
        f"seed directory {error.filename} cannot be read: {error.strerror}"
    ) from error
