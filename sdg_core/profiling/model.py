"""What is found out about the columns of a table: plain values, from which `report.json` and the page are made alike.

Absent is None. Shares are of all rows unless said otherwise. Texts are measured in characters, lists in items.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

Kind = Literal[
    "text",
    "number",
    "boolean",
    "time",
    "list",
    "struct",
    "judge",
    "validation",
    "embedding",
    "image",
    "other",
]
Scalar = str | int | float | bool


def is_json_number(value: Any) -> TypeGuard[int | float]:
    """Whether JSON can hold a value as a number, or as true or false: whole numbers of 64 bits, finite others."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return isinstance(value, float) and math.isfinite(value)


@dataclass(frozen=True)
class Bin:
    """A bar of a histogram: values from `low` up to, but not including, `high`; the last one holds the largest value too."""

    low: float | str
    high: float | str
    count: int


@dataclass(frozen=True)
class Distinct:
    """How many different values there are, nulls aside."""

    count: int
    approximate: bool = False


@dataclass(frozen=True)
class ValueCount:
    """How often a value occurs. expected: the share that the config asks for by its weights."""

    value: Scalar
    count: int
    share: float
    expected: float | None = None


@dataclass(frozen=True)
class Numbers:
    """Finite numbers, or lengths. quantiles: by name, `p05` to `p95`; sampled: they are of a part of the rows.

    total: the sum of lengths. A number that would be beyond what 64 bits hold is None.
    """

    values: int
    minimum: int | float | None
    maximum: int | float | None
    mean: float | None
    stddev: float | None
    quantiles: Mapping[str, float]
    histogram: tuple[Bin, ...]
    total: int | None = None
    nan: int = 0
    infinite: int = 0
    sampled: bool = False


@dataclass(frozen=True)
class Tokens:
    """Estimated token counts of texts: of one text by mean, median, 95 % and maximum, and of all rows together (`total`).

    sampled: rows that were looked at.
    """

    mean: float
    median: int
    p95: int
    maximum: int
    total: int
    sampled: int


@dataclass(frozen=True)
class Times:
    """Dates or times, ISO 8601."""

    earliest: str
    latest: str
    histogram: tuple[Bin, ...]


@dataclass(frozen=True)
class Example:
    """What a judge gave as the reasons for a score."""

    score: Scalar
    reasoning: str


@dataclass(frozen=True)
class ScoreProfile:
    """One score of a judge: how often each option was given, in the order of the config. mean: of options that are numbers."""

    name: str
    description: str
    values: tuple[ValueCount, ...]
    mean: float | None
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Verdicts:
    """Verdicts of a validator. unknown: there is a verdict, but it says neither. reasons: why values are not valid."""

    valid: int
    invalid: int
    unknown: int
    reasons: tuple[ValueCount, ...]
    targets: Mapping[str, int] = field(default_factory=dict)
    """Valid values per target column, where there are several."""


@dataclass(frozen=True)
class ColumnProfile:
    """One column, or one field of a struct (`name` is then its path).

    type: the Arrow type. made_by: the kind of column in the config. top: the most frequent values, all of them if there are few.
    lengths: of texts and lists. empty: texts of no character. duplicates: values that another row has had before.
    tokens: estimated, of columns of texts. example: the value of one of the sample records, as JSON.
    skipped: cells that hold what the column's `skip` puts there; they are not counted as repeats.
    fields_left_out: fields of a struct beyond those that are described.
    """

    name: str
    kind: Kind
    type: str
    nulls: int
    made_by: str | None = None
    description: str | None = None
    distinct: Distinct | None = None
    numbers: Numbers | None = None
    lengths: Numbers | None = None
    times: Times | None = None
    empty: int | None = None
    duplicates: int | None = None
    tokens: Tokens | None = None
    example: Any = None
    skipped: int | None = None
    top: tuple[ValueCount, ...] = ()
    scores: tuple[ScoreProfile, ...] = ()
    verdicts: Verdicts | None = None
    fields: tuple["ColumnProfile", ...] = ()
    fields_left_out: int = 0
