"""What the row-group files of a version say of themselves, read with as little as possible.

A footer is taken from what an earlier look in the same run found, else from the version's index, else from the file; the file's
stamp (its etag, or inode, times and size) decides whether an earlier answer still holds. The index, `footers.json.zst`, makes
planning over thousands of finished row groups one listing and one read. It proves itself by those stamps: deleting it loses
nothing, and one that cannot be understood counts as absent.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import orjson
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from sdg_core.errors import CorruptFileError, UnrecognizedFileError
from sdg_core.store.access import storage_of
from sdg_core.store.atomic import read_or_none, write_atomic
from sdg_core.store.layout import VersionLayout
from sdg_core.store.objects import StorePath
from sdg_core.store.row_groups import Footer, read_footer
from sdg_core.system.streams import read_up_to

WORTH_AN_INDEX = 64
"""Files from which on an index is read and written; fewer footers are read as fast."""
_FORMAT = 1
_MAX_INDEX = 2**29
"""Bytes of an index, unpacked: that of a million files."""

FooterOrError = Footer | CorruptFileError | UnrecognizedFileError | None
"""A footer, why there is none that can be trusted, or None for no file."""


@dataclass(frozen=True)
class FoundFile:
    """A row-group file: its stamp, what it says of itself, and whether the index knows it."""

    stamp: str
    found: Footer | CorruptFileError | UnrecognizedFileError
    indexed: bool = False


class _Entry(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True
    )

    stamp: str
    footer: Footer


class _Index(BaseModel):
    """`fields` are those of a footer: what a release with other fields has written says too little or too much."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, defer_build=True
    )

    format: int
    fields: list[str]
    files: dict[str, _Entry]


def find_files(
    version: VersionLayout,
    *,
    first: int = 0,
    known: Mapping[int, FoundFile] | None = None,
) -> dict[int, FoundFile]:
    """Every row-group file there is, from row group `first` on, ascending; `known` is what an earlier look found.

    Raises StoreError if files cannot be listed or read at all.
    """
    files = version.row_group_files(first=first)
    known = known or {}
    found = {}
    for index, file in files.items():
        if index in known and known[index].stamp == file.stamp:
            found[index] = known[index]
    if len(files) - len(found) >= WORTH_AN_INDEX:
        indexed = _read_index(version)
        for index, file in files.items():
            entry = indexed.get(file.name)
            if index not in found and entry is not None and entry.stamp == file.stamp:
                found[index] = FoundFile(file.stamp, entry.footer, indexed=True)
    left = [index for index in files if index not in found]
    contents = _read_footers([version.row_group(index) for index in left])
    for index, content in zip(left, contents, strict=True):
        found[index] = FoundFile(files[index].stamp, content)
    return dict(sorted(found.items()))


def write_index(version: VersionLayout, files: Mapping[int, FoundFile]) -> None:
    """Write down what the files say, if they are many and not all of it is written down. Raises StoreError."""
    if len(files) < WORTH_AN_INDEX:
        return
    if all(file.indexed for file in files.values()):
        return
    entries = {}
    for index, file in files.items():
        if isinstance(file.found, Footer):
            name = version.row_group(index).name
            entries[name] = {"stamp": file.stamp, "footer": file.found.model_dump()}
    content = orjson.dumps({"format": _FORMAT, "fields": _fields(), "files": entries})
    write_atomic(version.footers, pa.compress(content, codec="zstd", asbytes=True))


def _read_index(version: VersionLayout) -> Mapping[str, _Entry]:
    content = read_or_none(version.footers)
    if content is None:
        return {}
    try:
        with pa.input_stream(pa.BufferReader(content), compression="zstd") as stream:
            # of a longer one, what is no JSON
            index = _Index.model_validate_json(read_up_to(stream, _MAX_INDEX))
    except (pa.ArrowException, OSError, ValidationError):
        return {}  # damaged: the files themselves are asked
    return index.files if (index.format, index.fields) == (_FORMAT, _fields()) else {}


def _fields() -> list[str]:
    return sorted(Footer.model_fields)


def _read_footers(
    paths: list[StorePath],
) -> Iterable[Footer | CorruptFileError | UnrecognizedFileError]:
    at_once = min(len(paths), storage_of(paths[0]).concurrent_reads) if paths else 0
    if at_once < 2:
        return map(_read_footer, paths)
    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(_read_footer, paths))


def _read_footer(path: StorePath) -> Footer | CorruptFileError | UnrecognizedFileError:
    try:
        return read_footer(path)
    except (CorruptFileError, UnrecognizedFileError) as error:
        return error
