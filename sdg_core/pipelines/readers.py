"""Readers: from a path pattern to sources, and from a source to its records.

A source is read in one go and its version is the digest of the bytes that were read, so a file that changes meanwhile is either
the old one or the new one. A line that cannot be understood fails its own task.
"""

import csv
import glob
import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sdg_core.config.pipeline import Sources
from sdg_core.custom import Failed
from sdg_core.errors import SeedError
from sdg_core.pipelines.tasks import Task

SOURCE_COLUMN = "source"


@dataclass(frozen=True)
class Source:
    """A file to read. key: its name for good. locator: its path relative to the config's directory."""

    key: str
    locator: str
    path: Path


class SourceError(Exception):
    """A source that cannot be read as what it should be; the message says what is wrong."""


def find_sources(config: Sources, *, base: Path) -> list[Source]:
    """The sources that are there now, by locator. Raises SeedError if there is none and that is not allowed."""
    pattern = config.path if os.path.isabs(config.path) else os.path.join(glob.escape(str(base)), config.path)
    found = sorted({name for name in glob.glob(pattern, recursive=True) if os.path.isfile(name)})
    if not found and not config.allow_empty:
        raise SeedError(
            f"sources.path {config.path!r} matches no file below {base}",
            remedy="correct the pattern (** stands for any directories), or set sources.allow_empty: true if sources come later",
        )
    sources = []
    for name in found:
        place = os.path.relpath(name, base)
        locator = os.fsencode(place).decode("utf-8", "backslashreplace").replace(os.sep, "/")
        sources.append(Source(f"{config.reader}:{locator}", locator, Path(name)))
    return sources


def content_version(content: bytes) -> str:
    """The version of a source with this content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read_tasks(config: Sources, source: Source, content: bytes) -> list[Task | tuple[Task, Failed]]:
    """The records of a source; with a failed one comes the reason. Raises SourceError if it cannot be read at all."""
    match config.reader:
        case "files":
            return [_task(0, {"content": _text(config, content)}, source)]
        case "jsonl":
            return _json_lines(config, source, content)
        case "csv":
            rows = csv.DictReader(io.StringIO(_text(config, content), newline=""), restkey="", restval=None)
            return [_csv_task(number, row, source) for number, row in enumerate(rows)]
        case "parquet":
            try:
                table = pq.read_table(pa.BufferReader(content))
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"is not a whole parquet file: {str(error).splitlines()[0]}") from error
            return [_task(number, row, source) for number, row in enumerate(table.to_pylist())]


def columns_of(config: Sources) -> frozenset[str] | None:
    """The columns of a record; None where they are known only from the data."""
    return frozenset({"content", SOURCE_COLUMN}) if config.reader == "files" else None


def _task(position: int, values: Mapping[str, Any], source: Source) -> Task:
    return Task((position,), {SOURCE_COLUMN: source.locator, **values})


def _text(config: Sources, content: bytes) -> str:
    try:
        return content.decode(config.encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        message = f"is not {config.encoding} text: byte {content[error.start]:#04x} at offset {error.start}"
        raise SourceError(f"{message}; set sources.encoding, or leave the file out") from error


def _json_lines(config: Sources, source: Source, content: bytes) -> list[Task | tuple[Task, Failed]]:
    found: list[Task | tuple[Task, Failed]] = []
    lines = _text(config, content).split("\n")
    for number, line in enumerate(line for line in enumerate(lines, start=1) if line[1].strip()):
        place, text = line
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            found.append((_task(number, {}, source), _unreadable(source, place, f"is not JSON: {error}")))
            continue
        if isinstance(value, dict):
            found.append(_task(number, value, source))
        else:
            what = f"holds a {type(value).__name__}, not an object"
            found.append((_task(number, {}, source), _unreadable(source, place, what)))
    return found


def _csv_task(number: int, row: Mapping[str, Any], source: Source) -> Task | tuple[Task, Failed]:
    if "" in row:
        extra = len(row[""])
        return _task(number, {}, source), _unreadable(source, number + 2, f"has {extra} values more than the header")
    return _task(number, row, source)


def _unreadable(source: Source, line: int, what: str) -> Failed:
    return Failed(f"{source.locator}, line {line} {what}", retryable=False, kind="read")
