"""Times of samplers: reading the ISO 8601 bounds of a config, counting steps between them, and formats."""

import re

import numpy as np
from numpy.typing import NDArray

from sdg_core.config.samplers import DatetimeParams

ISO_FORMAT = "%Y-%m-%dT%H:%M:%S"
UNIT_SECONDS = {"D": 86_400, "h": 3_600, "m": 60, "s": 1}
_UNIT_MONTHS = {"Y": 12, "M": 1}
_ISO_TIME = r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?"
_NAIVE_DIRECTIVES = {"%%": "%%", "%f": "000000", "%z": "", "%Z": ""}


def parse_time(text: str) -> np.datetime64:
    """An ISO 8601 date or time without zone, to the second. Raises ValueError."""
    if re.fullmatch(_ISO_TIME, text) is None:  # numpy also reads "today" and time zones
        raise ValueError(text)
    return np.datetime64(text, "s")


def times_after(
    params: DatetimeParams, steps: NDArray[np.int64]
) -> NDArray[np.datetime64]:
    """`start` plus whole steps. Months and years keep the day of the month, or take the last day of a shorter month."""
    start = parse_time(params.start)
    if params.unit in UNIT_SECONDS:
        return np.asarray(start + (steps * UNIT_SECONDS[params.unit]).astype("m8[s]"))
    first = start.astype("M8[M]")
    months = first + (steps * _UNIT_MONTHS[params.unit]).astype("m8[M]")
    into_month = start - first.astype("M8[s]")
    day = into_month.astype("m8[D]")
    last_day = (months + 1).astype("M8[D]") - months.astype("M8[D]") - 1
    return np.asarray(
        months.astype("M8[s]") + np.minimum(day, last_day) + (into_month - day)
    )


def steps_between(params: DatetimeParams) -> int:
    """How many whole steps from `start` (the first) lie before `end`; at least one, because start < end has been checked."""
    start = parse_time(params.start)
    end = parse_time(params.end)
    if params.unit in UNIT_SECONDS:
        return max(
            1, -(int((start - end).astype(np.int64)) // UNIT_SECONDS[params.unit])
        )
    months = int((end.astype("M8[M]") - start.astype("M8[M]")).astype(np.int64))
    whole = months // _UNIT_MONTHS[params.unit]
    return max(1, whole + int(times_after(params, np.array([whole]))[0] < end))


def chrono_format(convert_to: str | None) -> str:
    """A format with Python's meaning of the directives that polars treats otherwise (no fraction and no zone here)."""
    return re.sub(
        "%[%fzZ]", lambda found: _NAIVE_DIRECTIVES[found[0]], convert_to or ISO_FORMAT
    )


def is_time_format(convert_to: str) -> bool:
    """Whether every directive of a strftime format is known; tried on one time."""
    import polars as pl

    try:
        pl.Series([0]).cast(pl.Datetime("ms")).dt.strftime(chrono_format(convert_to))
    except pl.exceptions.PolarsError:
        return False
    return True
