"""Columns that judge others: scores with reasons, verdicts with reasons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from sdg_core.config.columns import LlmJudgeColumn, ValidationColumn
from sdg_core.config.replies import Score
from sdg_core.plan.types.verdicts import DETAILS, IS_VALID
from sdg_core.profiling.counting import LONGEST_TEXT, count_texts, shown, value_counts
from sdg_core.profiling.measure import ROW, collected, rows_at
from sdg_core.profiling.model import Example, ScoreProfile, ValueCount, Verdicts

_EXAMPLES = 3
_REASONS = 8
_LONGEST = 1_000
_MESSAGES = ("error_messages", "reason", DETAILS)
_MOST_OPTIONS = 100
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
    return tuple(_score_profile(frame, column.name, score, rows=rows) for score in column.scores)


def seed_scores(
    frame: pl.LazyFrame, column: str, data_type: pl.DataType, *, rows: int
) -> tuple[ScoreProfile, ...]:
    """The scores of a judge further up, which arrive as seed data: a struct of verdicts with `score` and `reasoning`. Nothing for
    other columns, and for scores of too many values to be options."""
    judged = _fields(data_type)
    if not judged or not all(_is_verdict(kind) for kind in judged.values()):
        return ()
    values = [pl.col(column).struct.field(name).struct.field("score") for name in judged]
    counts = collected(
        frame.select(value.n_unique().alias(str(i)) for i, value in enumerate(values))
    ).row(0)
    if any(count > _MOST_OPTIONS for count in counts):
        return ()
    given = (SeedScore(name, "", {}) for name in judged)
    return tuple(_score_profile(frame, column, score, rows=rows) for score in given)


def _is_verdict(kind: pl.DataType) -> bool:
    fields = _fields(kind)
    scored = fields.get("score")
    return fields.keys() == {"score", "reasoning"} and (
        scored == pl.String or bool(scored and scored.is_integer())
    )


def _score_profile(
    frame: pl.LazyFrame, column: str, score: "Score | SeedScore", *, rows: int
) -> ScoreProfile:
    """How often each option was given, and reasons for the lowest, the highest and one in between."""
    judged = pl.col(column).struct.field(score.name)
    given = frame.with_row_index(ROW).select(
        pl.col(ROW),
        judged.struct.field("score").alias("score"),
        judged.struct.field("reasoning").alias("reasoning"),
    )
    with_reasons = pl.col("reasoning").is_not_null() & (pl.col("reasoning") != "")
    counted = given.drop_nulls("score").group_by("score")
    found = collected(
        counted.agg(
            pl.len().alias("count"), pl.when(with_reasons).then(pl.col(ROW)).min().alias("first")
        )
    )
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
    if total and options and all(isinstance(option, int) for option in options):
        mean = sum(option * count for option, count in counts.items()) / total
    shown = [firsts[option] for option in options if option in firsts]
    return ScoreProfile(
        name=score.name,
        description=score.description,
        values=value_counts([(option, counts.get(option, 0)) for option in options], rows=rows),
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
    in_order = rows_at(frame.select(column), wanted)
    cells = dict(zip(sorted(wanted), in_order, strict=True))
    examples = []
    for number in wanted:
        verdict: dict[str, Any] = cells[number][column][score]
        examples.append(Example(shown(verdict["score"]), verdict["reasoning"][:_LONGEST]))
    return tuple(examples)


def verdicts(frame: pl.LazyFrame, column: ValidationColumn, data_type: pl.Struct) -> Verdicts:
    """How many values a validator found valid, and why it did not find the others so."""
    value = pl.col(column.name)
    targets = [
        name
        for name in column.target_columns
        if isinstance(_fields(data_type).get(name), pl.Struct)
    ]
    valid = value.struct.field(IS_VALID)
    found = collected(
        frame.select(
            valid.sum().alias("valid"),
            (~valid).sum().alias("invalid"),
            (value.is_not_null() & valid.is_null()).sum().alias("unknown"),
            *(
                value.struct.field(name).struct.field(IS_VALID).sum().alias(f"#{name}")
                for name in targets
            ),
        )
    ).row(0, named=True)
    return Verdicts(
        valid=found["valid"],
        invalid=found["invalid"],
        unknown=found["unknown"],
        reasons=_reasons(frame, value, data_type, targets, rows=found["invalid"]),
        targets={name: found[f"#{name}"] for name in targets},
    )


def _reasons(
    frame: pl.LazyFrame, value: pl.Expr, data_type: pl.Struct, targets: Sequence[str], *, rows: int
) -> tuple[ValueCount, ...]:
    """What validators say most often of values that are not valid: in how many of these each thing is said, once or often."""
    places = [(value.struct.field(name), _fields(data_type)[name]) for name in targets] or [
        (value, data_type)
    ]
    texts = [text for place, kind in places for text in _texts(frame, place, kind)]
    if not rows or not texts:
        return ()
    shortened = pl.col("text").str.slice(0, LONGEST_TEXT)
    said = pl.concat(texts).with_columns(shortened).unique()
    most = count_texts(said.select("text"), at_most=_REASONS)
    return value_counts(most, rows=rows)


def _texts(frame: pl.LazyFrame, verdict: pl.Expr, data_type: pl.DataType) -> Iterator[pl.LazyFrame]:
    """The messages that verdicts carry, each with the number of its row."""
    invalid = frame.with_row_index(ROW).filter(~verdict.struct.field(IS_VALID))
    for name, kind in _fields(data_type).items():
        if name in _MESSAGES and kind == pl.String:
            yield invalid.select(ROW, verdict.struct.field(name).alias("text"))
        elif name in _LISTS and isinstance(kind, pl.List) and "message" in _fields(kind.inner):
            messages = verdict.struct.field(name).alias("text")
            each = invalid.select(ROW, messages).explode("text")
            yield each.select(ROW, pl.col("text").struct.field("message").alias("text"))


def _fields(data_type: Any) -> dict[str, Any]:
    return (
        {field.name: field.dtype for field in data_type.fields}
        if isinstance(data_type, pl.Struct)
        else {}
    )
