"""Statistics of a table, column by column: a function of the table and of what the config says about its columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from sdg_core.config.columns import (
    Column,
    EmbeddingColumn,
    ImageColumn,
    LlmJudgeColumn,
    SamplerColumn,
    ValidationColumn,
)
from sdg_core.config.samplers import CategoryParams, DatetimeParams, TimedeltaParams
from sdg_core.plan.sampling.datetimes import chrono_format
from sdg_core.plan.types.polars_columns import exact_column
from sdg_core.profiling.counting import count_values, value_counts
from sdg_core.profiling.measure import Limits, Measured, collected, measure
from sdg_core.profiling.model import (
    Bin,
    ColumnProfile,
    Distinct,
    Kind,
    Numbers,
    ScoreProfile,
    Times,
    Tokens,
)
from sdg_core.profiling.parts import Part, leaves, part_of
from sdg_core.profiling.scores import score_profiles, seed_scores, verdicts
from sdg_core.profiling.tokens import measure_tokens

MAX_FIELDS = 40
MIN_TEXT = 20
"""Characters that texts have on average, from which on their tokens are worth counting."""


@dataclass(frozen=True)
class Described:
    """What is known of a column without looking at it. column: its config, None for seed data and side effects.

    type: its Arrow type as text. expected: the share of each value that the config asks for.
    """

    name: str
    type: str
    made_by: str | None = None
    description: str | None = None
    column: Column | None = None
    expected: Mapping[str, float] | None = None


def profile_table(
    frame: pl.LazyFrame,
    columns: Sequence[Described],
    *,
    rows: int,
    limits: Limits | None = None,
) -> tuple[ColumnProfile, ...]:
    """The statistics of these columns of a table with so many rows."""
    schema = frame.collect_schema()
    bounds = limits or Limits(rows)
    parts = {
        column.name: _parts(frame, column, schema[column.name]) for column in columns
    }
    to_measure: list[Part] = []
    for of_column in parts.values():
        to_measure += of_column[:MAX_FIELDS]
    measured = iter(measure(frame, to_measure, bounds))
    profiles = []
    for column in columns:
        of_column = parts[column.name]
        found = [(part, next(measured)) for part in of_column[:MAX_FIELDS]]
        left_out = max(0, len(of_column) - MAX_FIELDS)
        profile = _profile(
            frame, column, schema[column.name], found, left_out=left_out, limits=bounds
        )
        profiles.append(profile)
    return tuple(profiles)


def expected_shares(column: Column) -> dict[str, float] | None:
    """The share of each value that a category is to have, None for columns that promise none."""
    if not isinstance(column, SamplerColumn) or not isinstance(
        column.params, CategoryParams
    ):
        return None
    if column.conditional_params or column.convert_to is not None:
        return None
    weights = column.params.weights or (1.0,) * len(column.params.values)
    shares: dict[str, float] = {}
    for value, weight in zip(column.params.values, weights, strict=True):
        shares[str(value)] = shares.get(str(value), 0.0) + weight / sum(weights)
    return {value: round(share, 6) for value, share in shares.items()}


def _parts(
    frame: pl.LazyFrame, column: Described, data_type: pl.DataType
) -> list[Part]:
    """What of a column is measured, besides what only its kind has."""
    value = exact_column(column.name)
    match column.column:
        case LlmJudgeColumn() | ValidationColumn():
            return [Part(column.name, value, data_type, "other")]
        case SamplerColumn(params=DatetimeParams() | TimedeltaParams()) if (
            data_type == pl.String
        ):
            return [_time_as_text(frame, column.column, value)]
        case _:
            parts = leaves(column.name, value, data_type)
            if isinstance(data_type, pl.Struct):
                return [Part(column.name, value, data_type, "other"), *parts]
            return [*parts]


def _time_as_text(frame: pl.LazyFrame, column: SamplerColumn, value: pl.Expr) -> Part:
    """A sampled time as a time, if all of its texts are read as one."""
    form = chrono_format(column.convert_to)
    time = value.str.to_datetime(form, time_unit="us", strict=False, exact=True)
    is_unread = time.is_null() & value.is_not_null()
    try:
        unread = collected(frame.select(is_unread.sum())).item()
    except pl.exceptions.ComputeError:  # a format that holds no whole date
        unread = 1
    if unread:
        return part_of(column.name, value, pl.String())
    return Part(column.name, time, pl.Datetime("us"), "time")


def _profile(
    frame: pl.LazyFrame,
    column: Described,
    data_type: pl.DataType,
    found: Sequence[tuple[Part, Measured]],
    *,
    left_out: int,
    limits: Limits,
) -> ColumnProfile:
    (first, whole), *fields = found
    kind = _kind(column, first, data_type)
    config = column.column
    profile = ColumnProfile(column.name, kind, column.type, whole.nulls)
    if not fields and kind not in ("judge", "validation", "struct"):
        profile = _statistics(frame, first, whole, limits, expected=column.expected)
        profile = _without_skipped(frame, profile, column)
    scores: tuple[ScoreProfile, ...] = ()
    if isinstance(config, LlmJudgeColumn):
        scores = score_profiles(frame, config, rows=limits.rows)
    elif config is None:
        scores = seed_scores(frame, column.name, data_type, rows=limits.rows)
        if scores:
            kind = "judge"
    found_valid = None
    if isinstance(config, ValidationColumn) and isinstance(data_type, pl.Struct):
        found_valid = verdicts(frame, config, data_type)
    of_fields = [
        _statistics(frame, part, measured, limits) for part, measured in fields
    ]
    return replace(
        profile,
        name=column.name,
        kind=kind,
        type=column.type,
        made_by=column.made_by,
        description=column.description,
        scores=scores,
        verdicts=found_valid,
        fields=tuple(of_fields),
        fields_left_out=left_out,
    )


def _without_skipped(
    frame: pl.LazyFrame, profile: ColumnProfile, column: Described
) -> ColumnProfile:
    """The profile of a text column, whose skipped cells are counted as such and not as repeats of each other."""
    skip = getattr(column.column, "skip", None)
    if profile.duplicates is None or skip is None or not isinstance(skip.value, str):
        return profile
    is_skipped = exact_column(column.name) == skip.value
    skipped = int(collected(frame.select(is_skipped.sum())).item() or 0)
    repeats = max(0, skipped - 1)
    duplicates = max(0, profile.duplicates - repeats)
    return replace(profile, skipped=skipped, duplicates=duplicates)


def _kind(column: Described, part: Part, data_type: pl.DataType) -> Kind:
    match column.column:
        case LlmJudgeColumn():
            return "judge"
        case ValidationColumn():
            return "validation"
        case EmbeddingColumn():
            return "embedding"
        case ImageColumn():
            return "image"
        case _:
            return "struct" if isinstance(data_type, pl.Struct) else part.kind


def _statistics(
    frame: pl.LazyFrame,
    part: Part,
    measured: Measured,
    limits: Limits,
    *,
    expected: Mapping[str, float] | None = None,
) -> ColumnProfile:
    """What there is to say of a part that has no fields of its own."""
    values = limits.rows - measured.nulls
    counted, counts = count_values(
        frame, part, distinct=measured.distinct, values=values, limits=limits
    )
    distinct: Distinct | None = None
    duplicates = None
    if counted is not None:
        distinct = Distinct(counted, False)
    elif measured.distinct is not None:
        distinct = Distinct(measured.distinct, not limits.exact)
    if part.kind == "text" and distinct is not None:
        duplicates = max(0, values - distinct.count)
    all_numbers = _numbers(measured, sampled=not limits.exact)
    numbers = None
    lengths = None
    empty = None
    times = None
    if part.kind == "number":
        numbers = all_numbers
    elif part.kind in ("text", "list"):
        lengths = all_numbers
        empty = measured.empty
    elif part.kind == "time":
        times = _times(part, measured)
    tokens: Tokens | None = None
    if part.kind == "text" and (measured.mean or 0.0) >= MIN_TEXT:
        tokens = measure_tokens(
            frame, part.value, rows=limits.rows, mean_length=measured.mean or 1.0
        )
    return ColumnProfile(
        name=part.name,
        kind=part.kind,
        type=str(part.type),
        tokens=tokens,
        nulls=measured.nulls,
        distinct=distinct,
        numbers=numbers,
        lengths=lengths,
        times=times,
        empty=empty,
        duplicates=duplicates,
        top=value_counts(counts, rows=limits.rows, expected=expected),
    )


def _numbers(measured: Measured, *, sampled: bool) -> Numbers:
    histogram = [Bin(low, high, count) for low, high, count in measured.bins]
    return Numbers(
        values=measured.values,
        minimum=measured.minimum,
        maximum=measured.maximum,
        mean=measured.mean,
        stddev=measured.stddev,
        quantiles=measured.quantiles,
        histogram=tuple(histogram),
        total=measured.total,
        nan=measured.nan,
        infinite=measured.infinite,
        sampled=sampled,
    )


def _times(part: Part, measured: Measured) -> Times | None:
    if measured.minimum is None or measured.maximum is None:
        return None
    histogram = []
    for low, high, count in measured.bins:
        histogram.append(Bin(_iso(low, part.type), _iso(high, part.type), count))
    return Times(
        earliest=_iso(measured.minimum, part.type),
        latest=_iso(measured.maximum, part.type),
        histogram=tuple(histogram),
    )


def _iso(microseconds: float, data_type: pl.DataType) -> str:
    time = np.datetime64(round(microseconds), "us")
    if data_type == pl.Time:
        return str(time.astype("M8[s]")).partition("T")[2]
    zone = "Z" if isinstance(data_type, pl.Datetime) and data_type.time_zone else ""
    unit = "M8[D]" if data_type == pl.Date else "M8[s]"
    return f"{time.astype(unit)}{zone}"
