"""What a generator returns: a column over many records, or one cell, which is made (`Cell`), failed (`CellError`) or deferred."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from sdg_core.errors import CellError
from sdg_core.models.usage import Usage
from sdg_core.store.failures import FailureKind

Frame = Mapping[str, pl.Series]
"""Columns computed so far, all of the same length, one row per record."""


@dataclass(frozen=True)
class GroupColumn:
    """A column computed over many records at once.

    values: one per record; null where the cell failed. failed: position in `values` to reason.
    unformatted: times and numbers that became text in `values`, as constraints compare them and timedeltas count from them.
    kind: of the failures. side_columns: side-effect columns. usage_by_alias: what the models used, by alias.
    """

    values: pl.Series
    failed: Mapping[int, str]
    unformatted: pl.Series | None = None
    kind: FailureKind = "expression"
    side_columns: Mapping[str, pl.Series] = field(default_factory=dict)
    usage_by_alias: Mapping[str, Usage] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One computed value and what the models used for it.

    usage: of the one model of the column. usage_by_alias: where a column may ask several.
    side_columns: side-effect columns.
    """

    value: Any
    usage: Usage = Usage()
    usage_by_alias: Mapping[str, Usage] = field(default_factory=dict)
    side_columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DeferredCell:
    """A cell that is neither made nor failed: a model has taken the request and answers later.

    usage_by_alias: what replies so far have used, by alias. They are given again, unpaid, when the cell is made, and count then.
    """

    usage_by_alias: Mapping[str, Usage] = field(default_factory=dict)


class CellFailedError(CellError):
    """A cell that could not be computed: kind of failure, requests tried, and what they used.

    ends_run: no other cell can be computed either (a quota that is used up). reply, finish_reason: of the last reply, where
    there was one and it is why.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: FailureKind,
        attempts: int = 0,
        usage: Usage = Usage(),  # noqa: B008 - frozen
        usage_by_alias: Mapping[str, Usage] | None = None,
        ends_run: bool = False,
        reply: str | None = None,
        finish_reason: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.kind = kind
        self.attempts = attempts
        self.reply = reply
        self.finish_reason = finish_reason
        self.ends_run = ends_run
        self.usage = usage
        self.usage_by_alias = usage_by_alias or {}
