"""About how many tokens texts have: training is billed and cut in tokens, and each model has a tokenizer of its own.

Counted are words of up to eight Latin letters, or four of another alphabet, numbers of up to three digits, single characters of
scripts without spaces, and every other sign; tokenizers of current models come to about as many. Of rows at equal distances, so
that time and memory are bounded.
"""

import math

import polars as pl

from sdg_core.profiling.measure import collected
from sdg_core.profiling.model import Tokens

MAX_ROWS = 10_000
MAX_CHARACTERS = 20_000_000
_TOKEN = r"[A-Za-z]{1,8}|\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Hangul}|\p{Thai}|\p{L}{1,4}|\d{1,3}|\r?\n\s*|[^\s\p{L}\d]"


def estimated_tokens(text: pl.Expr) -> pl.Expr:
    """The estimate for each text; null for null."""
    return text.str.count_matches(_TOKEN)


def measure_tokens(
    frame: pl.LazyFrame, text: pl.Expr, *, rows: int, mean_length: float = 1.0
) -> Tokens | None:
    """The tokens of a column of texts; None without a text. mean_length: of the texts, in characters."""
    rows_of_characters = int(MAX_CHARACTERS / max(1.0, mean_length))
    most = max(1, min(MAX_ROWS, rows_of_characters))
    step = math.ceil(rows / most)
    counted = frame.select(estimated_tokens(text).alias("n")).gather_every(step)
    measured = counted.select(
        pl.len().alias("rows"),
        pl.col("n").mean().alias("mean"),
        pl.col("n").quantile(0.5, "nearest").alias("median"),
        pl.col("n").quantile(0.95, "nearest").alias("p95"),
        pl.col("n").max().alias("maximum"),
        pl.col("n").cast(pl.Int64).sum().alias("total"),
    )
    found = collected(measured).row(0, named=True)
    if found["mean"] is None:
        return None
    return Tokens(
        mean=float(f"{found['mean']:.10g}"),
        median=int(found["median"]),
        p95=int(found["p95"]),
        maximum=int(found["maximum"]),
        total=round(found["total"] * rows / found["rows"]),
        sampled=found["rows"],
    )
