"""How often values occur: of columns with few different values all of them, of texts those that repeat most."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from sdg_core.profiling.measure import Limits, collected, every_kth
from sdg_core.profiling.model import Scalar, ValueCount, is_json_number
from sdg_core.profiling.parts import Part

MAX_SHOWN = 20
"""Values of one column that are shown."""
_FEW_TEXTS = 200
_FEW_NUMBERS = MAX_SHOWN
_REPEATED = 5
MAX_TEXT_LENGTH = 300
"""Characters of a value that are shown."""


def count_values(
    frame: pl.LazyFrame,
    part: Part,
    *,
    distinct: int | None,
    values: int,
    limits: Limits,
) -> tuple[int | None, tuple[tuple[Scalar, int], ...]]:
    """How many different values there are, where all were counted, and the most frequent with their counts (numbers in order).

    distinct, values: as they were measured. Values are left out where there are many, but for texts that repeat.
    Texts that all differ are left out, however few.
    """
    if not distinct or part.kind not in ("text", "number", "boolean"):
        return None, ()
    all_differ = distinct == values
    if part.kind == "text" and all_differ:
        return None, ()
    few = _FEW_NUMBERS if part.kind == "number" else _FEW_TEXTS
    if distinct <= few:
        present = frame.select(part.value.alias("value")).drop_nulls()
        found = collected(_counted(present))
        if part.kind == "number":
            in_order = found.sort("value").iter_rows()
            return found.height, tuple(
                (shown(value), count) for value, count in in_order
            )
        return found.height, _ranked(found.iter_rows())
    if part.kind == "text":
        return None, _repeated(frame, part, limits)
    return None, ()


def value_counts(
    counts: Iterable[tuple[Scalar, int]],
    *,
    rows: int,
    expected: Mapping[str, float] | None = None,
) -> tuple[ValueCount, ...]:
    """Counts as shares of all rows, each beside the share that the config asks for."""
    wanted = expected or {}
    shares = []
    for value, count in counts:
        share = round(count / rows, 6) if rows else 0.0
        shares.append(ValueCount(value, count, share, wanted.get(str(value))))
    return tuple(shares)


def count_texts(frame: pl.LazyFrame, *, at_most: int) -> tuple[tuple[str, int], ...]:
    """The most frequent of the texts in the one column of a table, by their beginnings."""
    beginning = pl.first().cast(pl.String).str.slice(0, MAX_TEXT_LENGTH).alias("value")
    beginnings = frame.select(beginning).drop_nulls()
    counts = _counted(beginnings.filter(pl.col("value") != ""))
    most = collected(counts.top_k(at_most, by=["count", "value"]))
    ranked = sorted(most.iter_rows(), key=lambda item: (-item[1], item[0]))
    return tuple(ranked)


def shown(value: Any) -> Scalar:
    """A value as it is shown: numbers that JSON does not know as text, long text cut."""
    if is_json_number(value):
        return value
    text = "NaN" if isinstance(value, float) and value != value else str(value)
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[:MAX_TEXT_LENGTH]}…"


def _counted(values: pl.LazyFrame) -> pl.LazyFrame:
    return values.group_by("value").agg(pl.len().alias("count"))


def _ranked(counts: Iterable[tuple[Any, int]]) -> tuple[tuple[Scalar, int], ...]:
    ranked = sorted(counts, key=lambda item: (-item[1], str(item[0])))[:MAX_SHOWN]
    return tuple((shown(value), count) for value, count in ranked)


def _repeated(
    frame: pl.LazyFrame, part: Part, limits: Limits
) -> tuple[tuple[Scalar, int], ...]:
    """Texts that occur more than once, found by their hashes: texts may be long, and many. Of a large table, those that repeat in
    a part of it are counted in all of it."""
    count = pl.len().alias("count")
    sample = _hashed(every_kth(frame, limits), part)
    repeated = sample.group_by("hash").agg(count).filter(pl.col("count") > 1)
    most = collected(repeated.top_k(_REPEATED, by=["count", "hash"]))["hash"].to_list()
    if not most:
        return ()
    chosen = _hashed(frame, part).filter(pl.col("hash").is_in(most))
    by_hash = chosen.group_by("hash").agg(pl.first("value"), count)
    counted = collected(by_hash.select("value", "count"))
    return _ranked(counted.iter_rows())


def _hashed(frame: pl.LazyFrame, part: Part) -> pl.LazyFrame:
    """The values that are not null, each with its hash."""
    values = frame.select(part.value.alias("value")).drop_nulls()
    return values.with_columns(pl.col("value").hash().alias("hash"))
