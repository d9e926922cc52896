"""Measuring a finished dataset against its rules, lazily: a check reads the columns it looks at and keeps no rows."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from sdg_assets.checks.rules import (
    CategoryShares,
    DistinctShare,
    Length,
    Mean,
    NullShare,
    Rule,
    RuleResult,
    Unique,
)
from sdg_core.counts import counted

MAX_SHOWN_VALUES = 20


def evaluate_rule(rule: Rule, frame: pl.LazyFrame) -> RuleResult:
    """Measure one rule. A column that is not there, or of an unfit type, is a verdict too, not an error."""
    fault = _fault(rule, frame.collect_schema())
    if fault is not None:
        return RuleResult(passed=False, value=None, bound="", description=fault)
    match rule:
        case Unique():
            return _unique(rule, frame)
        case NullShare():
            return _null_share(rule, frame)
        case Length():
            return _length(rule, frame)
        case DistinctShare():
            return _distinct_share(rule, frame)
        case CategoryShares():
            return _category_shares(rule, frame)
        case Mean():
            return _mean(rule, frame)
        case _:
            raise TypeError(f"no measure for {type(rule).__name__}")


def column_type(schema: pl.Schema, column: str) -> pl.DataType | None:
    """The type of a column or of a field of a structured one, None if there is none."""
    found: pl.DataType | None = schema.get(column)
    if found is not None:
        return found
    name, *fields = column.split(".")
    found = schema.get(name)
    for part in fields:
        if not isinstance(found, pl.Struct):
            return None
        found = found.to_schema().get(part)  # type: ignore[assignment]
    return found


def _fault(rule: Rule, schema: pl.Schema) -> str | None:
    for column in rule.columns_read:
        found = column_type(schema, column)
        if found is None:
            return (
                f"there is no column {column!r}; there are {', '.join(schema.names())}"
            )
        if isinstance(rule, Length) and not (
            found == pl.String or isinstance(found, pl.List)
        ):
            return f"column {column!r} holds {found}, which has no length; expected text or a list"
        if isinstance(rule, Mean) and not (found.is_numeric() or found == pl.Boolean):
            return (
                f"column {column!r} holds {found}, which has no mean; expected numbers"
            )
    return None


def _expression(column: str, schema: pl.Schema) -> pl.Expr:
    if column in schema:
        return pl.col(column)
    name, *fields = column.split(".")
    expression = pl.col(name)
    for part in fields:
        expression = expression.struct.field(part)
    return expression


def _values(frame: pl.LazyFrame, columns: Sequence[str]) -> pl.LazyFrame:
    schema = frame.collect_schema()
    values = [_expression(column, schema).alias(column) for column in columns]
    return frame.select(values)


def _row(frame: pl.LazyFrame) -> dict[str, Any]:
    return frame.collect(engine="streaming").row(0, named=True)


def _unique(rule: Unique, frame: pl.LazyFrame) -> RuleResult:
    values = _values(frame, rule.columns)
    keys = values.select(pl.struct(rule.columns).alias("key"))
    counts = keys.group_by("key").agg(pl.len().alias("records"))
    repeats = pl.col("records").sum() - pl.len()
    most_alike = pl.col("records").max()
    found = _row(
        counts.select(repeats.alias("duplicates"), most_alike.alias("most alike"))
    )
    duplicates = int(found["duplicates"])
    return RuleResult(
        passed=duplicates <= rule.at_most,
        value=duplicates,
        bound=f"at most {rule.at_most}",
        description=f"{counted(duplicates, 'record', 'duplicate')} the {', '.join(rule.columns)} of another",
        details={"most_alike": int(found["most alike"] or 0)},
    )


def _null_share(rule: NullShare, frame: pl.LazyFrame) -> RuleResult:
    nulls = pl.col(rule.column).null_count().alias("nulls")
    values = _values(frame, [rule.column])
    found = _row(values.select(nulls, pl.len().alias("records")))
    share = found["nulls"] / found["records"] if found["records"] else 0.0
    return RuleResult(
        passed=share <= rule.at_most,
        value=share,
        bound=f"at most {rule.at_most:g}",
        description=f"{found['nulls']} of {counted(found['records'], 'record', 'have')} no {rule.column}",
        details={"nulls": int(found["nulls"])},
    )


def _length(rule: Length, frame: pl.LazyFrame) -> RuleResult:
    values = _values(frame, [rule.column])
    text = values.collect_schema()[rule.column] == pl.String
    length = (
        pl.col(rule.column).str.len_chars() if text else pl.col(rule.column).list.len()
    )
    outside = pl.lit(value=False)
    if rule.at_least is not None:
        outside |= length < rule.at_least
    if rule.at_most is not None:
        outside |= length > rule.at_most
    measures = values.select(
        outside.sum().alias("outside"),
        length.count().alias("values"),
        length.min().alias("shortest"),
        length.mean().alias("mean"),
        length.max().alias("longest"),
    )
    found = _row(measures)
    share = found["outside"] / found["values"] if found["values"] else 0.0
    details: dict[str, int | float] = {"outside": int(found["outside"])}
    for name in ("shortest", "mean", "longest"):
        if found[name] is not None:
            details[name] = float(found[name])
    return RuleResult(
        passed=share <= rule.share_outside,
        value=share,
        bound=f"length {rule}; share outside at most {rule.share_outside:g}",
        description=f"outside length {rule}: {found['outside']} of {counted(found['values'], 'value')} of {rule.column}",
        details=details,
    )


def _distinct_share(rule: DistinctShare, frame: pl.LazyFrame) -> RuleResult:
    given = _values(frame, [rule.column]).drop_nulls()
    counts = given.group_by(rule.column).agg(pl.len().alias("records"))
    records = pl.col("records").sum()
    found = _row(counts.select(pl.len().alias("distinct"), records.alias("values")))
    distinct = int(found["distinct"])
    values = int(found["values"] or 0)
    share = distinct / values if values else None
    return RuleResult(
        passed=rule.allow(share),
        value=share,
        bound=str(rule),
        description=f"{distinct} distinct among {counted(values, 'value')} of {rule.column}",
        details={"distinct": distinct, "values": values},
    )


def _category_shares(rule: CategoryShares, frame: pl.LazyFrame) -> RuleResult:
    values = (
        _values(frame, [rule.column])
        .drop_nulls()
        .select(pl.col(rule.column).cast(pl.String))
    )
    counts = (
        values.group_by(rule.column)
        .agg(pl.len().alias("records"))
        .collect(engine="streaming")
    )
    total = int(counts["records"].sum())
    ordered = counts.sort("records", descending=True)
    shares = {name: count / total for name, count in ordered.iter_rows()}
    faults = []
    for name, bounds in rule.shares.items():
        share = shares.get(name, 0.0)
        if not bounds.allow(share):
            faults.append(f"{name} has {share:.4g}, not {bounds}")
    others = [name for name in shares if name not in rule.shares]
    shown = others[:MAX_SHOWN_VALUES]
    if rule.only and others:
        faults.append(f"unexpected values: {', '.join(shown)}")
    bound = "; ".join(f"{name}: {bounds}" for name, bounds in rule.shares.items())
    if rule.only:
        bound += "; no other value"
    details = {}
    for name in (*rule.shares, *shown):
        details[f"share/{name}"] = shares.get(name, 0.0)
    return RuleResult(
        passed=not faults,
        value=float(len(faults)),
        bound=bound,
        description="; ".join(faults) or "all shares are within their bounds",
        details=details,
    )


def _mean(rule: Mean, frame: pl.LazyFrame) -> RuleResult:
    value = pl.col(rule.column).cast(pl.Float64)
    measures = _values(frame, [rule.column]).select(
        value.mean().alias("mean"),
        value.min().alias("smallest"),
        value.max().alias("largest"),
        value.std().alias("deviation"),
        value.count().alias("values"),
    )
    found = _row(measures)
    mean = found.pop("mean")
    known = mean if mean is not None else "unknown"
    values = counted(found["values"], "value")
    details = {name: number for name, number in found.items() if number is not None}
    return RuleResult(
        passed=rule.allow(mean),
        value=mean,
        bound=str(rule),
        description=f"the mean of {rule.column} over {values} is {known}",
        details=details,
    )
