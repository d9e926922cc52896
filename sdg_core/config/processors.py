"""Processors: what happens to a dataset's columns and rows besides generating them."""

import math
from typing import Annotated, Literal

from pydantic import Field, StrictStr, StringConstraints, model_validator

from sdg_core.config.base import (
    ConfigModel,
    FileName,
    JsonObject,
    NonEmptyStr,
    Number,
    PositiveInt,
)
from sdg_core.config.seeds import SeedSource

ProcessorName = Annotated[
    StrictStr,
    StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9_ -]*[A-Za-z0-9_-])?$"),
    FileName,
]


class DropColumnsProcessor(ConfigModel):
    """Excludes columns (names or `*` globs) from the finished dataset; they are stored in `dropped_columns/`."""

    processor_type: Literal["drop_columns"] = "drop_columns"
    name: ProcessorName
    column_names: Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)]


class SchemaTransformProcessor(ConfigModel):
    """Writes a second dataset in another shape, such as chat messages: one template per new column, nested as
    needed."""

    processor_type: Literal["schema_transform"] = "schema_transform"
    name: ProcessorName
    template: Annotated[JsonObject, Field(min_length=1)]


RuleName = Literal[
    "words",
    "mean_word_length",
    "symbol_to_word_ratio",
    "lines_ending_with_ellipsis",
    "lines_ending_with_punctuation",
    "bullet_lines",
    "alphabetic_words",
    "stop_words",
    "repeated_lines",
    "repeated_paragraphs",
    "uppercase",
    "urls",
    "repeated_ngrams",
    "language",
]
MAX_BOUNDS: dict[str, float] = {
    "words": math.inf,
    "mean_word_length": math.inf,
    "symbol_to_word_ratio": math.inf,
    "stop_words": 8,
}
"""The largest bound of rules that are not shares."""
WordCount = Annotated[PositiveInt, Field(le=100)]
Columns = Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)]


class QualityBounds(ConfigModel):
    """A rule of `sdg_core.filters.quality` with inclusive bounds. `n` is only for repeated_ngrams, `language` only
    for language."""

    rule: RuleName
    at_least: Annotated[Number, Field(ge=0)] | None = None
    at_most: Annotated[Number, Field(ge=0)] | None = None
    n: WordCount | None = None
    language: NonEmptyStr | None = None

    @model_validator(mode="after")
    def _usable(self) -> "QualityBounds":
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        if (
            self.at_least is not None
            and self.at_most is not None
            and self.at_least > self.at_most
        ):
            raise ValueError(
                f"at_least {self.at_least:g} is above at_most {self.at_most:g}: no text could pass"
            )
        most = MAX_BOUNDS.get(self.rule, 1)
        for name, value in (("at_least", self.at_least), ("at_most", self.at_most)):
            if value is not None and value > most:
                raise ValueError(
                    f"{name} of {self.rule} must be a number from 0 to {most:g}, got {value:g}"
                )
        if (self.n is not None) != (self.rule == "repeated_ngrams"):
            raise ValueError(
                "`n` is required for the rule repeated_ngrams and not valid for other rules"
            )
        if (self.language is not None) != (self.rule == "language"):
            raise ValueError(
                "`language` is required for the rule language and not valid for other rules"
            )
        return self


class FilterProcessor(ConfigModel):
    """Removes records from the finished dataset for which the template `keep` is not true, or whose text in `column`
    fails one of the `quality` rules."""

    processor_type: Literal["filter"] = "filter"
    name: ProcessorName
    keep: NonEmptyStr | None = None
    column: NonEmptyStr | None = None
    quality: tuple[QualityBounds, ...] = ()

    @model_validator(mode="after")
    def _one_criterion(self) -> "FilterProcessor":
        if (self.keep is None) == (not self.quality):
            raise ValueError(
                "give either keep, a template, or quality, a list of rules with the column they judge"
            )
        if (self.column is not None) != bool(self.quality):
            raise ValueError(
                "quality rules need `column`, the column of texts they judge; keep takes none"
            )
        return self


class DeduplicateProcessor(ConfigModel):
    """Keeps one record per cluster of duplicates: by equal text, by shared words (minhash), or by vector direction
    (embedding).

    threshold: similarity threshold, above 0 and up to 1; default 0.7 for minhash, 0.95 for embedding. keep: which
    record of a cluster stays; `best` has the highest `score`, a column or a template.
    """

    processor_type: Literal["deduplicate"] = "deduplicate"
    name: ProcessorName
    method: Literal["exact", "minhash", "embedding"] = "exact"
    columns: Columns
    threshold: Annotated[Number, Field(gt=0, le=1)] | None = None
    keep: Literal["first", "last", "best"] = "first"
    score: NonEmptyStr | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "DeduplicateProcessor":
        if self.method == "exact" and self.threshold is not None:
            raise ValueError("method exact has no threshold: texts are equal or not")
        if self.method == "embedding" and len(self.columns) != 1:
            raise ValueError(
                "method embedding compares the vectors of one column; give exactly one"
            )
        if (self.score is not None) != (self.keep == "best"):
            raise ValueError(
                "`score` is required with keep: best and not valid otherwise"
            )
        return self


class EvaluationSet(ConfigModel):
    """Texts that must not be in the dataset: columns of a seed source."""

    source: SeedSource
    columns: Columns


class DecontaminateProcessor(ConfigModel):
    """Removes records that share word n-grams with an evaluation record.

    threshold: minimum share of an evaluation record's n-grams that marks a record as a leak; 0 means a single shared
    n-gram.
    """

    processor_type: Literal["decontaminate"] = "decontaminate"
    name: ProcessorName
    columns: Columns
    evaluation_sets: Annotated[tuple[EvaluationSet, ...], Field(min_length=1)]
    n: WordCount = 13
    threshold: Annotated[Number, Field(ge=0, le=1)] = 0.0


RowProcessor = FilterProcessor | DeduplicateProcessor | DecontaminateProcessor
"""Processors that leave records out of the finished dataset."""
Processor = Annotated[
    DropColumnsProcessor | SchemaTransformProcessor | RowProcessor,
    Field(discriminator="processor_type"),
]
