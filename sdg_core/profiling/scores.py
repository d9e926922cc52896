"""Columns that judge others: scores with reasons, verdicts with reasons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from sdg_core.config.columns import LlmJudgeColumn, ValidationColumn
from sdg_core.config.replies import Score
from sdg_core.plan.types.polars_columns import exact_column
from sdg_core.plan.types.verdicts import DETAILS, IS_VALID
from sdg_core.profiling.counting import (
    MAX_TEXT_LENGTH,
    count_texts,
    shown,
    value_counts,
)
from sdg_core.profiling.measure import ROW, collected, rows_at
from sdg_core.profiling.model import Example, ScoreProfile, ValueCount, Verdicts

_EXAMPLES = 3
_REASONS = 8
_MAX_LENGTH = 1_000
_MESSAGES = ("error_messages", "reason", DETAILS)
_MAX_OPTIONS = 100
_LISTS = ("python_linter_messages", "errors")


@dataclass(frozen=True)
class SeedScore:
    """A score of which only the values are known."""

    name: str
    description: str
    options: Mapping[int | str, str]


def score_profiles(
    frame: pl.LazyFrame, column: LlmJudgeColumn, *, rows: int
) -> tuple[ScoreProfile, ...]:
    """Each score of a judge."""
    return tuple(
        _score_profile(frame, column.name, score, rows=rows) for score in column.scores
    )


def seed_scores(
    frame: pl.LazyFrame, column: str, data_type: pl.DataType, *, rows: int
) -> tuple[ScoreProfile, ...]:
    """The scores of a judge further up, which arrive as seed data: a struct of verdicts with `score` and `reasoning`. Nothing for
    other columns, and for scores of too many values to be options."""
    judged = _fields(data_type)
    if not judged or not all(_is_verdict(kind) for kind in judged.values()):
        return ()
    counts = []
    for place, name in enumerate(judged):
        score = exact_column(column).struct.field(name).struct.field("score")
        counts.append(score.n_unique().alias(str(place)))
    counted = collected(frame.select(counts))
    if max(counted.row(0)) > _MAX_OPTIONS:
        return ()
    scores = [SeedScore(name, "", {}) for name in judged]
    return tuple(_score_profile(frame, column, score, rows=rows) for score in scores)


def _is_verdict(kind: pl.DataType) -> bool:
    fields = _fields(kind)
    if fields.keys() != {"score", "reasoning"}:
        return False
    score = fields["score"]
    return bool(score == pl.String or score.is_integer())


def _score_profile(
    frame: pl.LazyFrame, column: str, score: "Score | SeedScore", *, rows: int
) -> ScoreProfile:
    """How often each option was given, and reasons for the lowest, the highest and one in between."""
    judged = exact_column(column).struct.field(score.name)
    given = frame.with_row_index(ROW).select(
        pl.col(ROW),
        judged.struct.field("score").alias("score"),
        judged.struct.field("reasoning").alias("reasoning"),
    )
    with_reasons = pl.col("reasoning").is_not_null() & (pl.col("reasoning") != "")
    counted = given.drop_nulls("score").group_by("score")
    first = pl.when(with_reasons).then(pl.col(ROW)).min()
    found = collected(counted.agg(pl.len().alias("count"), first.alias("first")))
    counts: dict[Any, int] = {}
    firsts: dict[Any, int] = {}
    for row in found.iter_rows(named=True):
        counts[row["score"]] = row["count"]
        if row["first"] is not None:
            firsts[row["score"]] = row["first"]
    others = sorted(value for value in counts if value not in score.options)
    options = [*score.options, *others]
    total = sum(counts.values())
    mean = None
    are_numbers = all(isinstance(option, int) for option in options)
    if total and are_numbers:
        mean = sum(option * count for option, count in counts.items()) / total
    by_option = [(option, counts.get(option, 0)) for option in options]
    shown = [firsts[option] for option in options if option in firsts]
    return ScoreProfile(
        name=score.name,
        description=score.description,
        values=value_counts(by_option, rows=rows),
        mean=mean,
        examples=_examples(frame, column, score.name, shown),
    )


def _examples(
    frame: pl.LazyFrame, column: str, score: str, firsts: Sequence[int]
) -> tuple[Example, ...]:
    """Reasons from rows of different scores, which are given in the order of the options."""
    if not firsts:
        return ()
    wanted = list(firsts)
    if len(firsts) > _EXAMPLES:
        wanted = [firsts[0], firsts[len(firsts) // 2], firsts[-1]]
    in_order = rows_at(frame.select(exact_column(column)), wanted)
    cells = dict(zip(sorted(wanted), in_order, strict=True))
    examples = []
    for number in wanted:
        verdict: dict[str, Any] = cells[number][column][score]
        reasoning = verdict["reasoning"][:_MAX_LENGTH]
        examples.append(Example(shown(verdict["score"]), reasoning))
    return tuple(examples)


def verdicts(
    frame: pl.LazyFrame, column: ValidationColumn, data_type: pl.Struct
) -> Verdicts:
    """How many values a validator found valid, and why it did not find the others so."""
    value = exact_column(column.name)
    fields = _fields(data_type)
    targets = [
        name
        for name in column.target_columns
        if isinstance(fields.get(name), pl.Struct)
    ]
    valid = value.struct.field(IS_VALID)
    unknown = value.is_not_null() & valid.is_null()
    sums = [
        valid.sum().alias("valid"),
        (~valid).sum().alias("invalid"),
        unknown.sum().alias("unknown"),
    ]
    for name in targets:
        valid_target = value.struct.field(name).struct.field(IS_VALID)
        sums.append(valid_target.sum().alias(f"#{name}"))
    found = collected(frame.select(sums)).row(0, named=True)
    return Verdicts(
        valid=found["valid"],
        invalid=found["invalid"],
        unknown=found["unknown"],
        reasons=_reasons(frame, value, data_type, targets, rows=found["invalid"]),
        targets={name: found[f"#{name}"] for name in targets},
    )


def _reasons(
    frame: pl.LazyFrame,
    value: pl.Expr,
    data_type: pl.Struct,
    targets: Sequence[str],
    *,
    rows: int,
) -> tuple[ValueCount, ...]:
    """What validators say most often of values that are not valid: in how many of these each thing is said, once or often."""
    texts: list[pl.LazyFrame] = []
    for name in targets:
        texts += _texts(frame, value.struct.field(name), _fields(data_type)[name])
    if not targets:
        texts += _texts(frame, value, data_type)
    if not rows or not texts:
        return ()
    shortened = pl.col("text").str.slice(0, MAX_TEXT_LENGTH)
    said = pl.concat(texts).with_columns(shortened).unique()
    most = count_texts(said.select("text"), at_most=_REASONS)
    return value_counts(most, rows=rows)


def _texts(
    frame: pl.LazyFrame, verdict: pl.Expr, data_type: pl.DataType
) -> Iterator[pl.LazyFrame]:
    """The messages that verdicts carry, each with the number of its row."""
    invalid = frame.with_row_index(ROW).filter(~verdict.struct.field(IS_VALID))
    for name, kind in _fields(data_type).items():
        if name in _MESSAGES and kind == pl.String:
            yield invalid.select(ROW, verdict.struct.field(name).alias("text"))
        elif (
            name in _LISTS
            and isinstance(kind, pl.List)
            and "message" in _fields(kind.inner)
        ):
            messages = verdict.struct.field(name).alias("text")
            each = invalid.select(ROW, messages).explode("text")
            yield each.select(ROW, pl.col("text").struct.field("message").alias("text"))


def _fields(data_type: Any) -> dict[str, Any]:
    if not isinstance(data_type, pl.Struct):
        return {}
    return {field.name: field.dtype for field in data_type.fields}
