"""Columns of polars by their exact name: to polars itself, `*` is every column, and `^...$` a pattern."""

import re

import polars as pl

_META = re.compile(r"[\\.+*?()|\[\]{}^$#&~-]")
"""What a pattern of polars gives a meaning to (https://docs.rs/regex, `escape`)."""


def exact_column(name: str) -> pl.Expr:
    """The column with this name, whatever the name looks like."""
    is_pattern = name.startswith("^") and name.endswith("$")
    if name != "*" and not is_pattern:
        return pl.col(name)
    escaped = _META.sub(lambda found: "\\" + found[0], name)
    return pl.col(f"^{escaped}$")
