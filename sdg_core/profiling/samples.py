"""A few records as they are, spread over the table, with long values cut so that a page stays small."""

import base64
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from sdg_core.counts import counted
from sdg_core.profiling.measure import rows_at
from sdg_core.profiling.model import ColumnProfile, is_json_number

MAX_SHOWN_RECORDS = 10
_MAX_TEXT = 10_000
_MAX_LIST = 40
_MAX_SHOWN_ITEMS = 8


@dataclass(frozen=True)
class Sample:
    """A record: its place among the rows, from 0, and its values as JSON, long ones cut."""

    row: int
    values: Mapping[str, Any]


def sample_records(
    frame: pl.LazyFrame, *, rows: int, at_most: int = MAX_SHOWN_RECORDS
) -> tuple[Sample, ...]:
    """Records at equal distances, the first one among them."""
    count = min(rows, at_most)
    places = [rows * number // count for number in range(count)]
    samples = []
    for place, record in zip(places, rows_at(frame, places), strict=False):
        values = {name: plain(value) for name, value in record.items()}
        samples.append(Sample(place, values))
    return tuple(samples)


def with_examples(
    columns: Sequence[ColumnProfile], samples: Sequence[Sample]
) -> tuple[ColumnProfile, ...]:
    """The columns, each with the first value that a sample record has in it; vectors tell nobody anything."""
    found = []
    for column in columns:
        example = None
        if column.kind != "embedding":
            values = [sample.values.get(column.name) for sample in samples]
            given = [value for value in values if value not in (None, "")]
            example = given[0] if given else None
        found.append(replace(column, example=example))
    return tuple(found)


def plain(value: Any) -> Any:
    """A value as JSON can hold it. What is left out of a long one is said at its end."""
    match value:
        case None:
            return None
        case int() | float() if is_json_number(value):
            return value
        case str():
            return _cut(value)
        case bytes():
            return _cut(base64.b64encode(value).decode())
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case Mapping():
            return {str(name): plain(item) for name, item in value.items()}
        case list() | tuple():
            if len(value) <= _MAX_LIST:
                return [plain(item) for item in value]
            first = [plain(item) for item in value[:_MAX_SHOWN_ITEMS]]
            rest = f"… {len(value) - _MAX_SHOWN_ITEMS:,} more"
            return [*first, rest]
        case _:
            return str(value)


def _cut(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    return f"{text[:_MAX_TEXT]}… {counted(len(text) - _MAX_TEXT, 'character')} more"
