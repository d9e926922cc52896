"""Text formats of seed data: csv, json and json lines to a table, lossless or refused.

polars infers types from every row; what it would bend is kept as it is written. A csv column stays text if its numbers would
not print back: leading zeros, a plus sign, or more digits than a number keeps. Semicolons separate where they must be meant.
"""

import csv
import io
import re
from dataclasses import dataclass

import polars as pl

from sdg_core.errors import SeedError

_BOM = b"\xef\xbb\xbf"
_NOT_A_NUMBER = r"^\s*(?:[+-]?0[0-9]|\+|-?[0-9]{16,}\s*$)"
"""Numbers that are names: postcodes, telephone numbers, long ids."""
_SURROGATES = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""An escaped backslash or a whole pair, which stay; or half of one."""
_SEPARATORS = (";", "\t", "|")


@dataclass(frozen=True)
class TextTable:
    """frame: the rows. rules: those of later releases that made it what it is; they belong to the data's digest."""

    frame: pl.DataFrame
    rules: tuple[str, ...] = ()


def read_text_table(content: bytes, suffix: str, *, source: str) -> TextTable:
    """Read `.csv`, `.json`, `.jsonl` or `.ndjson`. Raises SeedError naming what cannot be kept, and what polars raises."""
    content = content.removeprefix(_BOM)
    if suffix == ".csv":
        return _read_csv(content, source)
    content = _without_half_surrogates(content)
    if suffix == ".json":
        frame = pl.read_json(io.BytesIO(content), infer_schema_length=None)
    else:
        frame = pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
    for name, data_type in frame.schema.items():
        if "Int128" in str(data_type):
            raise SeedError(
                f"{source}: column {name!r} holds whole numbers beyond 64 bits", remedy="write them as text, in quotes"
            )
    return TextTable(frame)


def _read_csv(content: bytes, source: str) -> TextTable:
    frame = pl.read_csv(io.BytesIO(content), infer_schema_length=None)
    separator, rules = ",", []
    if frame.width == 1:
        separator = _separator_in(content, frame.columns[0])
        if separator != ",":
            rules.append(f"separator {separator!r}")
            frame = pl.read_csv(io.BytesIO(content), infer_schema_length=None, separator=separator)
    _refuse_repeated_names(content, separator, source)
    kept = _text_columns(frame, content, separator)
    if kept:
        rules.append(f"text {kept}")
        frame = pl.read_csv(
            io.BytesIO(content),
            infer_schema_length=None,
            separator=separator,
            schema_overrides=dict.fromkeys(kept, pl.String),
        )
    if "" in frame.columns:  # an index that pandas wrote
        frame = frame.rename({"": "column_0"})
    return TextTable(frame, tuple(rules))


def _separator_in(content: bytes, header: str) -> str:
    """The separator of a file in which commas make one column only: one that every line has equally often."""
    lines = [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
    for separator in _SEPARATORS:
        if separator in header and len({line.count(separator) for line in lines}) == 1:
            return separator
    return ","


def _refuse_repeated_names(content: bytes, separator: str, source: str) -> None:
    first = content.split(b"\n", 1)[0].decode("utf-8", "replace")
    names = next(csv.reader([first], delimiter=separator), [])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SeedError(f"{source}: two columns are named {repeated[0]!r}", remedy="rename one of them")


def _text_columns(frame: pl.DataFrame, content: bytes, separator: str) -> list[str]:
    """The columns that polars takes for numbers although their texts would not print back."""
    numeric = [name for name, data_type in frame.schema.items() if data_type.is_numeric()]
    if not numeric:
        return []
    texts = pl.read_csv(io.BytesIO(content), infer_schema=False, separator=separator, columns=numeric)
    odd = [name for name in numeric if texts[name].str.contains(_NOT_A_NUMBER).any()]
    exact = {name for name in odd if _prints_back(frame[name], texts[name])}
    return [name for name in odd if name not in exact]


def _prints_back(numbers: pl.Series, texts: pl.Series) -> bool:
    """Whether whole numbers of 64 bits are written as they would be printed."""
    return numbers.dtype == pl.Int64 and bool((numbers.cast(pl.String) == texts.str.strip_chars()).all())


def _without_half_surrogates(content: bytes) -> bytes:
    """JSON in which an escaped half of a surrogate pair is U+FFFD, as decoders of text have it; polars would write NUL."""
    return _SURROGATES.sub(lambda match: match[0] if match[1] is not None else rb"\ufffd", content)
