"""A few records as they are, spread over the table, with long values cut so that a page stays small."""

import base64
import datetime
from collections.abc import Mapping
from typing import Any

import polars as pl

from sdg_core.profiling.measure import rows_at
from sdg_core.profiling.model import is_json_number
from sdg_core.profiling.report import Sample

MAX_SHOWN_RECORDS = 10
_MAX_TEXT = 10_000
_MAX_LIST = 40
_MAX_SHOWN_ITEMS = 8


def sample_records(frame: pl.LazyFrame, *, rows: int, at_most: int = MAX_SHOWN_RECORDS) -> tuple[Sample, ...]:
    """Records at equal distances, the first one among them."""
    count = min(rows, at_most)
    places = [rows * number // count for number in range(count)]
    return tuple(
        Sample(place, {name: plain(value) for name, value in record.items()})
        for place, record in zip(places, rows_at(frame, places), strict=False)
    )


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
            rest = f"… {len(value) - _MAX_SHOWN_ITEMS:,} more"
            return [*(plain(item) for item in value[:_MAX_SHOWN_ITEMS]), rest]
        case _:
            return str(value)


def _cut(text: str) -> str:
    if len(text) <= _MAX_TEXT:
        return text
    return f"{text[:_MAX_TEXT]}… {len(text) - _MAX_TEXT:,} characters more"
