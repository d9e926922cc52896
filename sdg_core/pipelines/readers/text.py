"""Text files, JSON lines and CSV, read as streams: no more than one record is in memory at a time.

What is not text in the given encoding fails its source. A line that is not JSON, or is longer than a record may be, fails its
own task with file and line.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, zip_longest
from typing import IO, Any

import pyarrow as pa

from sdg_core.config.sources import FileSources
from sdg_core.config.yaml_document import DocumentSyntaxError, parse_document
from sdg_core.counts import counted
from sdg_core.custom import Failed
from sdg_core.pipelines.readers.base import MAX_RECORD_BYTES, Record, SourceError
from sdg_core.plan.foreign import read_json, shortened
from sdg_core.seeds.files import SeedFile
from sdg_core.system.streams import read_up_to

_BLOCK = 2**20
_FENCE = "---"
csv.field_size_limit(
    max(csv.field_size_limit(), MAX_RECORD_BYTES)
)  # Python's own limit, 128 kB, is less than a page


@contextmanager
def opened(file: SeedFile) -> Iterator[IO[bytes]]:
    """The content of a file, decompressed if its name says so (.gz, .zst, .bz2). Raises SourceError."""
    with file.open() as raw:
        if file.compression is None:
            yield raw
            return
        try:
            with pa.CompressedInputStream(raw, file.compression) as stream:
                yield stream
        except OSError as error:
            raise SourceError(
                f"is not a complete {file.compression} file: {error}"
            ) from error


def read_whole(file: SeedFile) -> bytes:
    """The content of a file that becomes one record. Raises SourceError if it is too large for one."""
    with opened(file) as stream:
        content = read_up_to(stream, MAX_RECORD_BYTES + 1)
    if len(content) > MAX_RECORD_BYTES:
        raise SourceError(
            f"has more than {MAX_RECORD_BYTES:,} bytes, too many for one record; split it, or exclude it"
        )
    return content


def read_text(file: SeedFile, config: FileSources) -> Iterator[Record]:
    """One record: the whole text, and what its front matter says if that is asked for."""
    try:
        text = read_whole(file).decode(config.encoding)
    except UnicodeDecodeError as error:
        raise _not_text(config.encoding, error, at=error.start) from error
    text = text.removeprefix("\ufeff")
    if config.front_matter:
        yield _front_matter(text)
    else:
        yield {"content": text}


def read_json_lines(file: SeedFile, config: FileSources) -> Iterator[Record]:
    """One record per line that is not blank."""
    with _lines(file, config.encoding, newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            if len(line) > MAX_RECORD_BYTES:
                yield _failed(
                    number,
                    f"has more than {MAX_RECORD_BYTES:,} characters; split it, or exclude it",
                )
            elif line.strip():
                yield _json_record(number, line)


def _json_record(number: int, line: str) -> Record:
    try:
        value = read_json(line)
    except ValueError as error:
        return _failed(number, f"is not JSON: {error}")
    if not isinstance(value, dict):
        return _failed(number, f"is {shortened(value)}, not an object")
    return value


def read_csv(file: SeedFile, config: FileSources) -> Iterator[Record]:
    """One record per row, its values as text; a value that is not there is None."""
    from sdg_core.seeds.csv_text import SEPARATORS, STATED_SEPARATOR

    with _lines(file, config.encoding, newline="") as every_line:
        lines = _bounded(every_line)
        first = next(lines, "")
        stated = STATED_SEPARATOR.match(first)
        if stated:
            passed = 1
            separator = stated[1]
        else:
            passed = 0
            separator = "\t" if file.suffix == ".tsv" else ","
            lines = chain((first,), lines)
        separator = config.separator or separator
        reader = csv.reader(lines, delimiter=separator)
        try:
            header = next((row for row in reader if row), [])
            likelier = []
            if len(header) == 1:
                likelier = [mark for mark in SEPARATORS if mark in header[0]]
            if likelier and config.separator is None:
                one = f"has a header with a single name, {header[0]!r}"
                raise SourceError(
                    f"{one}; set sources.separator: {likelier[0]!r}, or {separator!r} if that is a single column"
                )
            repeated = sorted({name for name in header if header.count(name) > 1})
            if repeated:
                raise SourceError(
                    f"has two columns named {repeated[0]!r}; rename one of them"
                )
            for row in reader:
                if len(row) > len(header):
                    more = counted(len(row) - len(header), "value")
                    line = passed + reader.line_num
                    yield _failed(line, f"has {more} more than the header")
                elif row:
                    # None where a value is missing
                    yield dict(zip_longest(header, row))
        except csv.Error as error:
            raise SourceError(
                f"is not CSV: line {passed + reader.line_num}: {error}"
            ) from error


def _bounded(lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_RECORD_BYTES:
            raise SourceError(
                f"line {number} has more than {MAX_RECORD_BYTES:,} characters; is it CSV?"
            )
        yield line


@contextmanager
def _lines(file: SeedFile, encoding: str, *, newline: str) -> Iterator[Iterator[str]]:
    """The lines of a file. Of one that is longer than a record may be, as much as shows that."""
    try:
        with (
            opened(file) as stream,
            io.TextIOWrapper(stream, encoding=encoding, newline=newline) as text,
        ):
            yield _read_lines(text)
    except UnicodeDecodeError as error:
        raise _not_text(encoding, error, at=_undecodable(file, encoding)) from error


def _read_lines(text: io.TextIOWrapper) -> Iterator[str]:
    limit = MAX_RECORD_BYTES + 1
    line = text.readline(limit).removeprefix("\ufeff")
    while line:
        yield line
        part = line
        while len(part) >= MAX_RECORD_BYTES and not part.endswith(
            ("\n", "\r")
        ):  # pass over what is left of it
            part = text.readline(limit)
        line = text.readline(limit)


def _undecodable(file: SeedFile, encoding: str) -> int:
    """The offset of the first byte that is not text: decoders count from wherever they last stopped."""
    decoder = codecs.getincrementaldecoder(encoding)()
    before = 0
    with opened(file) as stream:
        while block := stream.read(_BLOCK):
            waiting = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                return before - waiting + error.start
            before += len(block)
    return before


def _not_text(encoding: str, error: UnicodeDecodeError, *, at: int) -> SourceError:
    message = (
        f"is not {encoding} text: byte {error.object[error.start]:#04x} at offset {at}"
    )
    return SourceError(f"{message}; set sources.encoding, or exclude the file")


def _failed(line: int, what: str) -> Failed:
    return Failed(f"line {line} {what}", retryable=False, kind="read")


def _front_matter(text: str) -> Record:
    """The text without the YAML block that it begins with, and that block as a mapping (empty if there is none)."""
    lines = text.splitlines(keepends=True)
    if not lines or lines[0].rstrip() != _FENCE:
        return {"content": text, "front_matter": {}}
    end = 1
    while end < len(lines) and lines[end].rstrip() not in (_FENCE, "..."):
        end += 1
    if end == len(lines):
        return {"content": text, "front_matter": {}}
    try:
        found: Any = parse_document("".join(lines[1:end])).data
    except DocumentSyntaxError as error:
        return _failed(
            (error.line or 0) + 1,
            f"is in the front matter, which is not YAML: {error.message}",
        )
    if not isinstance(found, dict | None):
        return _failed(
            2, f"has front matter that is a {type(found).__name__}, not a mapping"
        )
    return {
        "content": "".join(lines[end + 1 :]).lstrip("\r\n"),
        "front_matter": found or {},
    }
