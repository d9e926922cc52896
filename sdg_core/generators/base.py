"""What a generator returns: a column over many records, or one cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from sdg_core.errors import CellError
from sdg_core.models.types import Usage
from sdg_core.store.failures import FailureKind

Frame = Mapping[str, pl.Series]
"""Columns computed so far, all of the same length, one row per record."""


@dataclass(frozen=True)
class GroupColumn:
    """A column computed over many records at once.

    values: one per record; null where the cell failed. failed: position in `values` to reason.
    """

    values: pl.Series
    failed: Mapping[int, str]


@dataclass(frozen=True)
class Cell:
    """One computed value and what the models used for it."""

    value: Any
    usage: Usage = Usage()


class FailedCellError(CellError):
    """A cell that could not be computed: kind of failure, requests tried, and what they used."""

    def __init__(self, message: str, *, kind: FailureKind, attempts: int, usage: Usage) -> None:
        super().__init__(message)
        self.kind = kind
        self.attempts = attempts
        self.usage = usage
