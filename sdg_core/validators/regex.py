"""Regular expressions of the linear-time kind: no text, however made, can keep the matcher busy for long."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from sdg_core.validators.base import Validator, Verdict, as_text


def regex_judge(pattern: str, *, full_match: bool) -> Validator:
    """A judge of texts; null matches nothing."""
    whole = rf"\A(?:{pattern})\z" if full_match else pattern

    def judge(values: Sequence[Any]) -> list[Verdict]:
        texts = pl.Series([as_text(value) for value in values], dtype=pl.String)
        found = texts.str.contains(whole, literal=False).fill_null(False)
        return [{"is_valid": valid} for valid in found.to_list()]

    return judge
