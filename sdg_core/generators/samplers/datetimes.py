"""Time samplers: unformatted times first, text last, so that timedeltas and constraints see what a format may leave out."""

import datetime
import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sdg_core.config.columns import SamplerColumn
from sdg_core.config.samplers import DatetimeParams, TimedeltaParams
from sdg_core.generators.samplers.numbers import pick
from sdg_core.plan.sampling.datetimes import (
    UNIT_SECONDS,
    chrono_format,
    steps_between,
    times_after,
)
from sdg_core.plan.sampling.rng import Words, to_unit

TIME_TYPE = pl.Datetime("us")
_FIRST = datetime.datetime(1, 1, 1)  # noqa: DTZ001 - times here have no zone
_LAST = datetime.datetime(9999, 12, 31, 23, 59, 59, 999_999)  # noqa: DTZ001
_END_OF_DAY = re.compile(r"(\d[T ])24(:?00(?::?00(?:[.,]0+)?)?)(?=[Zz+-]|$)")
_LEAP_SECOND = re.compile(r"(:\d\d:)60(?=[.,Zz+-]|$)")


def draw_datetime(
    column: SamplerColumn, params: DatetimeParams, words: Words
) -> tuple[pl.Series, pl.Series]:
    """Text and unformatted time. Times are formatted once per distinct value where there are fewer of those than records."""
    count = steps_between(params)
    steps = pick(to_unit(words[:, 0]), count)
    if count > len(steps):
        unformatted = _series(column, times_after(params, steps))
        return time_text(column, unformatted), unformatted
    unformatted = _series(column, times_after(params, np.arange(count)))
    return time_text(column, unformatted).gather(steps), unformatted.gather(steps)


def draw_timedelta(
    column: SamplerColumn,
    params: TimedeltaParams,
    words: Words,
    *,
    reference: pl.Series,
) -> tuple[pl.Series, pl.Series, dict[int, str]]:
    """Text, unformatted time, and the reasons of records whose reference is no time, or too near the end of the calendar."""
    start = time_values(reference)
    steps = params.dt_min + pick(to_unit(words[:, 0]), params.dt_max - params.dt_min)
    microseconds = steps * (1_000_000 * UNIT_SECONDS[params.unit])
    offset = pl.Series(microseconds.astype("m8[us]"))
    unformatted = (start + offset).alias(column.name)
    failed = {}
    if start.null_count():
        for position in start.is_null().arg_true().to_list():
            failed[position] = (
                f"{params.reference_column_name} is {reference[position]!r}, which is not an ISO 8601 date or time"
            )
    is_outside = (unformatted < _FIRST) | (unformatted > _LAST)
    for position in is_outside.arg_true().to_list():
        failed[position] = (
            f"{params.reference_column_name} is {reference[position]!r}, from where {int(steps[position])} {params.unit} "
            "leave the years 1 to 9999"
        )
        unformatted[position] = None
    return time_text(column, unformatted), unformatted, failed


def time_text(column: SamplerColumn, unformatted: pl.Series) -> pl.Series:
    """Times in the column's format, which `sdg_core.plan.checks.samplers` has tried. Each distinct time is formatted once."""
    if unformatted.null_count() == len(unformatted):  # polars would leave them times
        return pl.Series(column.name, [None] * len(unformatted), dtype=pl.String)
    form = chrono_format(column.convert_to)
    distinct = unformatted.unique() if len(unformatted) > 1000 else unformatted
    if 2 * len(distinct) > len(unformatted):
        return unformatted.dt.strftime(form)
    return unformatted.replace_strict(
        distinct, distinct.dt.strftime(form), return_dtype=pl.String
    )


def time_values(series: pl.Series) -> pl.Series:
    """A column's moments, to the microsecond: those with a zone in UTC, others as they are; null where it is no time.

    Text is read as ISO 8601, so 10:00+02:00 comes before 09:00Z; a leap second is the second after it, as in POSIX time.
    """
    if series.dtype == TIME_TYPE:
        return series
    if isinstance(series.dtype, pl.Datetime):
        if series.dtype.time_zone:
            series = series.dt.convert_time_zone("UTC")
        return series.dt.replace_time_zone(None).cast(TIME_TYPE)
    if series.dtype == pl.Date:
        return series.cast(TIME_TYPE)
    if series.dtype != pl.String:
        return pl.Series(series.name, [None] * len(series), dtype=TIME_TYPE)
    distinct = series.unique().drop_nulls()
    moments = list(map(_parsed, distinct.to_list()))
    parsed = pl.Series(moments, dtype=TIME_TYPE)
    return series.replace_strict(distinct, parsed, default=None, return_dtype=TIME_TYPE)


def _parsed(text: str) -> datetime.datetime | None:
    plain, days = _END_OF_DAY.subn(r"\g<1>00\2", text)
    plain, seconds = _LEAP_SECOND.subn(r"\g<1>59", plain)
    try:
        moment = datetime.datetime.fromisoformat(plain) + datetime.timedelta(
            days=days, seconds=seconds
        )
        if moment.tzinfo is not None:
            moment = moment.astimezone(datetime.UTC)
        return moment.replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _series(column: SamplerColumn, times: NDArray[np.datetime64]) -> pl.Series:
    return pl.Series(column.name, times.astype("M8[us]"))
