"""Measuring the parts of a table in a few passes over it, in memory that hardly grows with its rows.

A pass reads the columns of a few parts, and keeps one number per row at most: a length or a hash, never a text. Beyond
EXACT_ROWS rows even that is bounded: distinct values are estimated, and quantiles are those of every k-th row.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from sdg_core.profiling.model import is_json_number
from sdg_core.profiling.parts import Part

EXACT_ROWS = 2_000_000
ROW = "\x00row"
"""The row's number, under a name that no column has."""
BINS = 20
QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
_PARTS_PER_PASS = 8
_WHOLE = 2**53
"""Up to here, whole numbers are exact as floats."""
_MIN_WIDTH = 1e-300
"""Of a bar: to divide by less is to multiply by infinity."""


@dataclass(frozen=True)
class Limits:
    """How much is looked at in full. Tests set it low."""

    rows: int
    exact_rows: int = EXACT_ROWS

    @property
    def exact(self) -> bool:
        """Whether every row is looked at for everything."""
        return self.rows <= self.exact_rows


@dataclass(frozen=True)
class Measured:
    """What was measured of a part. Numbers are of its values if these are numbers, of their lengths if they are texts or lists,
    microseconds since 1970 if they are times. bins: (low, high, count)."""

    nulls: int
    values: int
    distinct: int | None
    minimum: int | float | None
    maximum: int | float | None
    mean: float | None
    stddev: float | None
    total: int | None
    nan: int
    infinite: int
    empty: int
    quantiles: Mapping[str, float]
    bins: tuple[tuple[float, float, int], ...]


def measure(
    frame: pl.LazyFrame, parts: Sequence[Part], limits: Limits
) -> list[Measured]:
    """Measure parts of a table."""
    found: list[Measured] = []
    for start in range(0, len(parts), _PARTS_PER_PASS):
        found += _measure_few(frame, parts[start : start + _PARTS_PER_PASS], limits)
    return found


def every_kth(frame: pl.LazyFrame, limits: Limits) -> pl.LazyFrame:
    """At most `exact_rows` rows, spread over the table."""
    if limits.exact:
        return frame
    step = math.ceil(limits.rows / limits.exact_rows)
    return frame.with_row_index(ROW).filter(pl.col(ROW) % step == 0).drop(ROW)


def rows_at(frame: pl.LazyFrame, indices: Sequence[int]) -> list[dict[str, Any]]:
    """The rows with these numbers, in ascending order. Only the parts of files that hold them are read."""
    rows: list[dict[str, Any]] = []
    for index in sorted(set(indices)):
        row = collected(frame.slice(index, 1))
        rows += row.iter_rows(named=True)
    return rows


def collected(frame: pl.LazyFrame) -> pl.DataFrame:
    """Carry out a query morsel by morsel."""
    return frame.collect(engine="streaming")


def _measure_few(
    frame: pl.LazyFrame, parts: Sequence[Part], limits: Limits
) -> list[Measured]:
    """One pass for what can be summed up, one for what needs the extremes to be known."""
    columns: list[pl.Expr] = []
    sums: list[pl.Expr] = []
    quantiles: list[pl.Expr] = []
    for i, part in enumerate(parts):
        columns += _derived(i, part)
        sums += _sums(i, part, exact=limits.exact)
        if part.kind in ("number", "text", "list"):
            for name, share in QUANTILES.items():
                quantile = pl.col(f"v{i}").quantile(share, "linear")
                quantiles.append(quantile.alias(f"{name}_{i}"))
    derived = frame.select(columns)
    if limits.exact:
        found = _one_row(derived.select(*sums, *quantiles))
    else:
        found = _one_row(derived.select(*sums))
        if quantiles:
            sample = every_kth(frame, limits).select(columns)
            found |= _one_row(sample.select(quantiles))
    scales: dict[int, Any] = {}
    for i, part in enumerate(parts):
        scale = _scale(found, i, part)
        if scale is not None:
            scales[i] = scale
    bars: list[pl.Expr] = []
    for i, scale in scales.items():
        bars += scale.counts(i)
    counts = _one_row(derived.select(bars)) if bars else {}
    return [
        _measured(found, counts, i, part, scales.get(i)) for i, part in enumerate(parts)
    ]


def _one_row(frame: pl.LazyFrame) -> dict[str, Any]:
    """The values of a frame that sums its rows up."""
    return collected(frame).row(0, named=True)


def _derived(i: int, part: Part) -> Iterator[pl.Expr]:
    """Columns for one part: `n` is it null, `h` a hash of it, `v` a finite number, `m` the number as exact as it is."""
    value = part.value
    yield value.is_null().alias(f"n{i}")
    if part.kind in ("text", "number", "boolean", "time"):
        yield pl.when(value.is_not_null()).then(value.hash()).alias(f"h{i}")
    exact: pl.Expr
    match part.kind:
        case "number":
            number = value.cast(pl.Float64)
            yield number.is_nan().alias(f"nan{i}")
            yield number.is_infinite().alias(f"inf{i}")
            yield pl.when(number.is_finite()).then(number).alias(f"v{i}")
            exact = (
                value
                if part.type.is_integer()
                else pl.when(number.is_finite()).then(number)
            )
        case "text":
            exact = value.str.len_chars()
        case "list":
            exact = value.list.len()
        case "time":
            exact = _microseconds(value, part.type)
        case _:
            return
    yield exact.alias(f"m{i}")
    if part.kind != "number":
        yield exact.cast(pl.Float64).alias(f"v{i}")


def _microseconds(value: pl.Expr, data_type: pl.DataType) -> pl.Expr:
    return (
        value.cast(pl.Int64) // 1000
        if data_type == pl.Time
        else value.dt.timestamp("us")
    )


def _sums(i: int, part: Part, *, exact: bool) -> Iterator[pl.Expr]:
    yield pl.len().alias(f"rows{i}")
    yield pl.col(f"n{i}").sum().alias(f"nulls{i}")
    if part.kind in ("text", "number", "boolean", "time"):
        hashes = pl.col(f"h{i}").drop_nulls()
        distinct = hashes.n_unique() if exact else hashes.approx_n_unique()
        yield distinct.alias(f"distinct{i}")
    if part.kind in ("boolean", "other"):
        return
    number = pl.col(f"v{i}")
    yield pl.col(f"m{i}").min().alias(f"min{i}")
    yield pl.col(f"m{i}").max().alias(f"max{i}")
    yield number.count().alias(f"values{i}")
    yield number.mean().alias(f"mean{i}")
    yield number.std().alias(f"std{i}")
    if part.kind in ("text", "list"):
        yield pl.col(f"m{i}").cast(pl.Int64).sum().alias(f"total{i}")
        yield (pl.col(f"m{i}") == 0).sum().alias(f"empty{i}")
    if part.kind == "number":
        yield pl.col(f"nan{i}").sum()
        yield pl.col(f"inf{i}").sum()


@dataclass(frozen=True)
class _Scale:
    """How values fall into bars of one width. Halves, because the difference of two numbers may be beyond any number."""

    low: float
    high: float
    width: float
    bars: int

    def counts(self, i: int) -> Iterator[pl.Expr]:
        bar = (
            ((pl.col(f"v{i}") * 0.5 - self.low * 0.5) / (self.width * 0.5))
            .floor()
            .clip(0, self.bars - 1)
        )
        for k in range(self.bars):
            yield (bar == k).sum().alias(f"bar{i}_{k}")

    def edge(self, k: int) -> float:
        """The lower end of bar k; the upper end of the last one for k = bars."""
        if k in (0, self.bars):
            return self.high if k else self.low
        edge = self.low + self.width * k
        if math.isfinite(edge):
            return edge
        return self.low * (1 - k / self.bars) + self.high * (k / self.bars)


def _scale(found: Mapping[str, Any], i: int, part: Part) -> _Scale | None:
    """The bars of a part, None if it has no numbers."""
    if found.get(f"min{i}") is None:
        return None
    low = float(found[f"min{i}"])
    high = float(found[f"max{i}"])
    width: float
    if part.whole and part.kind != "time" and max(abs(low), abs(high)) < _WHOLE:
        width = float(math.ceil((high - low + 1) / BINS))
        bars = math.ceil((high - low + 1) / width)
        return _Scale(low, low + width * bars, width, bars)
    width = (high * 0.5 - low * 0.5) / (BINS / 2)
    if (
        width < _MIN_WIDTH or low + width == low or high - width == high
    ):  # too close together to be told apart
        return _Scale(low, high, 1.0, 1)
    return _Scale(low, high, width, BINS)


def _measured(
    found: Mapping[str, Any],
    counts: Mapping[str, Any],
    i: int,
    part: Part,
    scale: _Scale | None,
) -> Measured:
    nulls = int(found[f"nulls{i}"] or 0)
    quantiles: dict[str, float] = {}
    for name in QUANTILES:
        quantile = _finite(found.get(f"{name}_{i}"))
        if quantile is not None:
            quantiles[name] = quantile
    bins: list[tuple[float, float, int]] = []
    if scale is not None:
        for k in range(scale.bars):
            bins.append(
                (scale.edge(k), scale.edge(k + 1), int(counts[f"bar{i}_{k}"] or 0))
            )
    distinct = found.get(f"distinct{i}")
    return Measured(
        nulls=nulls,
        values=int(found.get(f"values{i}", found[f"rows{i}"] - nulls)),
        distinct=int(distinct) if distinct is not None else None,
        minimum=_plain(found.get(f"min{i}")),
        maximum=_plain(found.get(f"max{i}")),
        mean=_finite(found.get(f"mean{i}")),
        stddev=_finite(found.get(f"std{i}")),
        total=found.get(f"total{i}"),
        nan=int(found.get(f"nan{i}") or 0),
        infinite=int(found.get(f"inf{i}") or 0),
        empty=int(found.get(f"empty{i}") or 0),
        quantiles=quantiles,
        bins=tuple(bins),
    )


def _finite(value: Any) -> float | None:
    """To ten digits: sums over morsels come in any order, which shows in the last digits, and a report is to be repeatable."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.10g}")
    return (
        rounded if math.isfinite(rounded) else float(value)
    )  # rounding up the largest floats overflows


def _plain(value: Any) -> int | float | None:
    """A number as JSON can hold it: whole if 64 bits hold it."""
    if value is None:
        return None
    return value if is_json_number(value) else float(value)
