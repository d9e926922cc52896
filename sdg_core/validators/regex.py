"""Regular expressions of the linear-time kind: no text, however made, can keep the matcher busy for long."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from sdg_core.validators.base import Validator, Verdict, as_text


def regex_validator(pattern: str) -> Validator:
    """A validator of texts by a pattern that is found anywhere in them; null matches nothing."""

    def validate(values: Sequence[Any]) -> list[Verdict]:
        texts = pl.Series([as_text(value) for value in values], dtype=pl.String)
        found = texts.str.contains(pattern, literal=False).fill_null(False)
        return [{"is_valid": valid} for valid in found.to_list()]

    return validate
