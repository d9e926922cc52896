"""Text formats of seed data as columns, lossless or refused.

A csv column is read as text first and becomes numbers or truth values only if one notation prints every value back as it is
written (`_notation_of`). JSON is parsed by Python's decoder, which keeps whole numbers of any size and reports where it stops. A
file that is now read in another way than by the first release has another digest: `TextTable.rules` says so.
"""

import codecs
import io
from dataclasses import dataclass, replace

import polars as pl

from sdg_core.errors import SeedError
from sdg_core.seeds.csv_text import read_csv
from sdg_core.seeds.json_text import read_json
from sdg_core.seeds.text_options import TextOptions

_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks of encodings other than UTF-8, the longer ones first."""
_NO_TEXT = {
    b"\x1f\x8b": ("compressed with gzip", "add the suffix .gz"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "add the suffix .zst"),
    b"BZh": ("compressed with bzip2", "add the suffix .bz2"),
    b"\xfd7zXZ\x00": ("compressed with xz", "unpack it, or compress it with gzip"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "save it as csv or parquet"),
    b"PAR1": ("parquet", "add the suffix .parquet"),
}
"""How files begin that are no text, whatever their name says."""


@dataclass(frozen=True)
class TextTable:
    """frame: the rows. rules: those of later releases that made it what it is; they belong to the data's digest. notices: what
    people should know of how it was read."""

    frame: pl.DataFrame
    rules: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def read_text_table(
    content: bytes, suffix: str, *, source: str, options: TextOptions | None = None
) -> TextTable:
    """Read `.csv`, `.tsv`, `.json`, `.jsonl` or `.ndjson`. Raises SeedError naming the place that cannot be kept.

    source: what to call the data in messages. options: what the dataset file says of the format.
    """
    options = options or TextOptions()
    text = _decoded(content, options.encoding, source=source)
    if suffix in (".csv", ".tsv"):
        csv_options = options
        if suffix == ".tsv" and not options.separator:
            csv_options = replace(options, separator="\t")
        frame, notices = read_csv(text, source=source, options=csv_options)
    else:
        frame = read_json(text, suffix, source=source, options=options)
        notices = ()
    if options.stated or _first_release_reads(content, suffix, frame):
        return TextTable(frame, notices=notices)
    return TextTable(frame, ("text 2",), notices)


def _decoded(content: bytes, encoding: str | None, *, source: str) -> str:
    remedy = "set encoding in seed_config.source, as in cp1252"
    if encoding is None:
        for mark, name in _MARKS.items():
            if content.startswith(mark):
                raise SeedError(
                    f"{source} is {name} text",
                    remedy=f"set encoding: {name} in seed_config.source",
                )
    try:
        for mark, (kind, cure) in _NO_TEXT.items():
            if content.startswith(mark) and not content.isascii():
                raise SeedError(f"{source} is {kind}, not text", remedy=cure)
        return content.decode(encoding or "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SeedError(
            f"{source} is not {encoding or 'utf-8'} text: {error.reason} at byte {error.start}, line {line}",
            remedy=remedy,
        ) from error
    except UnicodeError as error:
        raise SeedError(
            f"{source} is not {encoding} text: {error}", remedy=remedy
        ) from error


def _first_release_reads(content: bytes, suffix: str, frame: pl.DataFrame) -> bool:
    """Whether the reader of the first release, which took what polars infers, gives the same table."""
    stream = io.BytesIO(content)
    try:
        match suffix:
            case ".tsv":
                return True  # it was no format then
            case ".csv":
                former = pl.read_csv(stream, infer_schema_length=None)
            case ".json":
                former = pl.read_json(stream, infer_schema_length=None)
            case _:
                former = pl.read_ndjson(stream, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        return True  # it could not be read, so there is no data made from it
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        return True
    return former.schema == frame.schema and former.equals(frame)
