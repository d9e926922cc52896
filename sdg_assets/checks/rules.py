"""Rules for a finished dataset, as people write them: `checks:` in a `defs.yaml`.

    checks:
      unique: [{columns: [ticket_id]}]
      null_share: [{column: ticket, at_most: 0.01, blocking: true}]
      mean: [{column: quality.helpful.score, at_least: 3.5}]

They say what data is good enough and never change the data, so they have no part in the fingerprint.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from pydantic import Field, field_validator, model_validator


@dataclass(frozen=True)
class RuleResult:
    """A verdict with its number: what was measured, what is allowed, and more to look at."""

    passed: bool
    value: float | None
    bound: str
    description: str
    details: dict[str, Any] = field(default_factory=dict)


class Bounds(dg.Model, dg.Resolvable):
    """What a measured number may be; at least one end is given."""

    at_least: float | None = Field(default=None, description="Lower bound, inclusive.")
    at_most: float | None = Field(default=None, description="Upper bound, inclusive.")

    @model_validator(mode="after")
    def _some_bound(self) -> "Bounds":
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most, or both")
        if (
            self.at_least is not None
            and self.at_most is not None
            and self.at_least > self.at_most
        ):
            raise ValueError(
                f"at_least {self.at_least:g} is above at_most {self.at_most:g}"
            )
        return self

    def allow(self, value: float | None) -> bool:
        """Whether a value is within; a value that there is none of never is."""
        if value is None:
            return False
        reaches_least = self.at_least is None or value >= self.at_least
        keeps_to_most = self.at_most is None or value <= self.at_most
        return reaches_least and keeps_to_most

    def __str__(self) -> str:
        ends = []
        if self.at_least is not None:
            ends.append(f"at least {self.at_least:g}")
        if self.at_most is not None:
            ends.append(f"at most {self.at_most:g}")
        return ", ".join(ends)


class Rule(dg.Model, dg.Resolvable):
    """What all rules have."""

    name: str | None = Field(
        default=None,
        description="Name of the check. Default: derived from its kind and columns.",
        pattern=r"^[A-Za-z0-9_]+$",
    )
    blocking: bool = Field(
        default=False,
        description="Whether downstream assets in the same run wait for the check to pass.",
    )

    @property
    def columns_read(self) -> Sequence[str]:
        """The columns that it looks at."""
        raise NotImplementedError

    def check_name(self, kind: str) -> str:
        """The name of its asset check."""
        text = "_".join((kind, *self.columns_read))
        return self.name or re.sub(r"[^A-Za-z0-9_]+", "_", text)


class ColumnRule(Rule):
    """A rule for one column; fields of structured columns are written with dots."""

    column: str = Field(
        description="A column, or a field of a structured one: judge.helpful.score"
    )

    @property
    def columns_read(self) -> Sequence[str]:
        """The column."""
        return (self.column,)


class Unique(Rule):
    """Records that have the same values in these columns are duplicates."""

    columns: list[str] = Field(
        description="Columns that together identify a record.", min_length=1
    )
    at_most: int = Field(default=0, ge=0, description="Maximum number of duplicates.")

    @property
    def columns_read(self) -> Sequence[str]:
        """The columns of the key."""
        return self.columns


class NullShare(ColumnRule):
    """The share of records without a value."""

    at_most: float = Field(ge=0, le=1, description="Maximum share.")


class Length(ColumnRule, Bounds):
    """Characters of each text, or items of each list."""

    share_outside: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Maximum share of values outside the bounds.",
    )


class DistinctShare(ColumnRule, Bounds):
    """Distinct values by values: 1 if no value occurs twice."""


class CategoryShares(ColumnRule):
    """The shares of values among all values."""

    shares: dict[str, Bounds] = Field(
        description="The bounds of each value's share.", min_length=1
    )
    only: bool = Field(
        default=False, description="Whether other values fail the check."
    )


class Mean(ColumnRule, Bounds):
    """The mean of numbers, such as the scores of a judge."""


class Checks(dg.Model, dg.Resolvable):
    """Rules by kind."""

    unique: list[Unique] = Field(
        default_factory=list,
        description="No two records have the same values in these columns.",
    )
    null_share: list[NullShare] = Field(
        default_factory=list, description="Bounds on the share of nulls."
    )
    length: list[Length] = Field(
        default_factory=list, description="Bounds on the length of texts and lists."
    )
    distinct_share: list[DistinctShare] = Field(
        default_factory=list, description="Bounds on how varied values are."
    )
    category_shares: list[CategoryShares] = Field(
        default_factory=list, description="Bounds on shares of categories."
    )
    mean: list[Mean] = Field(
        default_factory=list, description="Bounds on the mean of numbers."
    )

    @field_validator("*")
    @classmethod
    def _no_name_twice(cls, rules: list[Rule]) -> list[Rule]:
        names = [rule.check_name("") for rule in rules]
        twice = sorted({name.strip("_") for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"there are two checks for {', '.join(twice)}; give one of them a name"
            )
        return rules

    def rules(self) -> Iterator[tuple[str, Rule]]:
        """Every rule with the name of its asset check."""
        for kind in type(self).model_fields:
            for rule in getattr(self, kind):
                yield rule.check_name(kind), rule

    @model_validator(mode="after")
    def _no_name_in_two_kinds(self) -> "Checks":
        names = [name for name, _ in self.rules()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"two checks are named {', '.join(twice)}; give one of them another name"
            )
        return self
