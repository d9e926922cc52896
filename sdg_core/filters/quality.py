"""Rules on the quality of texts, computed for a whole column at once.

A rule is a number per text and bounds on it. Definitions are those of the collections they come from:
Gopher (Rae et al. 2021, arXiv 2112.11446, appendix A), C4 (Raffel et al. 2020, arXiv 1910.10683, section 2.2), FineWeb (Penedo
et al. 2024, arXiv 2406.17557, section 3.6) and RefinedWeb (Penedo et al. 2023, arXiv 2306.01116, appendix G).
Bounds are the user's.

Invariants: the number of a text does not depend on the texts beside it; a share of nothing (an empty text) is 0; a null has no
number (NaN) and passes no rule. White space is Unicode's White_Space; a line ends at "\\n" (a "\\r" before it is white space);
lines without anything but white space do not count. Matching takes linear time whatever the text.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sdg_core.config.processors import QualityBounds
from sdg_core.errors import FilterError
from sdg_core.filters.language import language_probability
from sdg_core.filters.words import as_texts, ngrams, words_of
from sdg_core.plan.names import did_you_mean

Values = NDArray[np.float64]

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
BULLETS = "•‣▪▫◦●○■□–*-"
TERMINAL = ".!?\"'”’»…。！？．؟۔।॥"
NULL_REASON = "null"
_SPACE = r"[\s&&[^\n]]"
_LINE = r"\S[^\n]*"
_PARAGRAPH = rf"\S[^\n]*(?:\n{_SPACE}*\S[^\n]*)*"
_URL = r"(?i-u:https?://|www\.)\S+"


@dataclass(frozen=True)
class QualityRule:
    """One rule: its name, bounds (inclusive; None for none), and the parameter that `repeated_ngrams` or `language` needs."""

    name: str
    at_least: float | None = None
    at_most: float | None = None
    n: int | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        _check(self)


def rules_of(bounds: Sequence[QualityBounds]) -> list[QualityRule]:
    """The rules of a `quality` section. Raises FilterError for one that cannot be."""
    return [
        QualityRule(
            each.rule,
            at_least=each.at_least,
            at_most=each.at_most,
            n=each.n,
            language=each.language,
        )
        for each in bounds
    ]


def rule_value(rule: QualityRule, texts: Any) -> Values:
    """The number of each text under a rule, NaN for a null. Raises FilterError if `texts` holds anything but texts."""
    series = as_texts(texts)
    if rule.name == "repeated_ngrams":
        assert rule.n is not None
        values = _repeated_ngrams(series, rule.n)
    elif rule.name == "language":
        assert rule.language is not None
        values = language_probability(series, rule.language)
    else:
        number = _RULES[rule.name](pl.col("text")).cast(pl.Float64)
        numbers = pl.DataFrame({"text": series}).select(number.alias("value"))["value"]
        values = numbers.fill_null(0.0).to_numpy()
    return np.where(series.is_null().to_numpy(), np.nan, values)


def failed_rule(rules: Sequence[QualityRule], texts: Any) -> list[str | None]:
    """Why each text is refused, by the first rule that it fails, as in `words 3 is below 50`; None for a text that passes.

    Later rules look only at what passed the earlier ones. A null fails as `null`.
    """
    series = as_texts(texts)
    nulls = series.is_null().to_numpy()
    reasons: list[str | None] = [NULL_REASON if null else None for null in nulls]
    passing = np.flatnonzero(~nulls)
    for rule in rules:
        values = rule_value(rule, series.gather(passing))
        good = np.ones(len(values), dtype=np.bool_)
        if rule.at_least is not None:
            good &= values >= rule.at_least
        if rule.at_most is not None:
            good &= values <= rule.at_most
        for row, value in zip(passing[~good], values[~good], strict=True):
            reasons[row] = _reason(rule, float(value))
        passing = passing[good]
    return reasons


def _reason(rule: QualityRule, value: float) -> str:
    if rule.at_least is not None and value < rule.at_least:
        return f"{rule.name} {value:.6g} is below {rule.at_least:.6g}"
    return f"{rule.name} {value:.6g} is above {rule.at_most:.6g}"


def words(text: pl.Expr) -> pl.Expr:
    """How many words: runs of characters that are not white space (Gopher A.1.1 asks for 50 to 100,000)."""
    return text.str.count_matches(r"\S+")


def mean_word_length(text: pl.Expr) -> pl.Expr:
    """Characters per word (Gopher A.1.1: 3 to 10)."""
    return _share(text.str.len_chars() - text.str.count_matches(r"\s"), words(text))


def symbol_to_word_ratio(text: pl.Expr) -> pl.Expr:
    """Hash signs per word or ellipses per word, whichever is more (Gopher A.1.1: at most 0.1 for either)."""
    hashes = text.str.count_matches("#", literal=True)
    return _share(
        pl.max_horizontal(hashes, text.str.count_matches(r"\.\.\.|…")), words(text)
    )


def lines_ending_with_ellipsis(text: pl.Expr) -> pl.Expr:
    """Share of lines that end with `...` or `…` (Gopher A.1.1: at most 0.3)."""
    return _share(text.str.count_matches(rf"(?m)(?:\.\.\.|…){_SPACE}*$"), _lines(text))


def lines_ending_with_punctuation(text: pl.Expr) -> pl.Expr:
    """Share of lines that end with a terminal punctuation or closing quotation mark of any script (C4 keeps such lines only;
    FineWeb asks for more than 0.12)."""
    marks = _any_of(TERMINAL)
    return _share(text.str.count_matches(rf"(?m){marks}{_SPACE}*$"), _lines(text))


def bullet_lines(text: pl.Expr) -> pl.Expr:
    """Share of lines that start with a bullet point (Gopher A.1.1: at most 0.9)."""
    return _share(
        text.str.count_matches(rf"(?m)^{_SPACE}*{_any_of(BULLETS)}"), _lines(text)
    )


def alphabetic_words(text: pl.Expr) -> pl.Expr:
    """Share of words with at least one letter of any script (Gopher A.1.1: at least 0.8)."""
    return _share(text.str.count_matches(r"\p{L}\S*"), words(text))


def stop_words(text: pl.Expr) -> pl.Expr:
    """How many of the words the, be, to, of, and, that, have, with occur, in any case (Gopher A.1.1: at least 2)."""
    edge = r"[^\p{L}\p{N}]"
    found = [
        text.str.contains(rf"(?:^|{edge})(?i-u:{word})(?:{edge}|$)").cast(pl.UInt32)
        for word in STOP_WORDS
    ]
    return pl.sum_horizontal(found)


def repeated_lines(text: pl.Expr) -> pl.Expr:
    """Share of lines that repeat an earlier line of the text (Gopher A.1.2: at most 0.3)."""
    return _repeated(text, _LINE)


def repeated_paragraphs(text: pl.Expr) -> pl.Expr:
    """Share of paragraphs (lines between blank lines) that repeat an earlier one (Gopher A.1.2: at most 0.3)."""
    return _repeated(text, _PARAGRAPH)


def uppercase(text: pl.Expr) -> pl.Expr:
    """Share of uppercase letters among letters (RefinedWeb G.2 drops lines that are mainly uppercase)."""
    return _share(text.str.count_matches(r"\p{Lu}"), text.str.count_matches(r"\p{L}"))


def urls(text: pl.Expr) -> pl.Expr:
    """Share of all characters, white space included, that belong to URLs (NeMo Curator's UrlsFilter: 0.2)."""
    return _share(
        text.str.len_chars() - text.str.replace_all(_URL, "").str.len_chars(),
        text.str.len_chars(),
    )


def _repeated_ngrams(texts: pl.Series, n: int) -> Values:
    """Share of the characters of words that stand in an n-gram of words which occurred earlier in the text; characters in several
    such n-grams count once (Gopher A.1.2: at most 0.15 for n = 5 down to 0.10 for n = 10)."""
    found = words_of(texts)
    places, hashes = ngrams(found, n)
    rows = found.row[places]
    order = np.lexsort((places, hashes, rows))
    again = np.zeros(len(places), dtype=np.bool_)
    same = (rows[order][1:] == rows[order][:-1]) & (
        hashes[order][1:] == hashes[order][:-1]
    )
    again[order[1:][same]] = True
    covered = np.zeros(len(found.row), dtype=np.bool_)
    for step in range(n):
        covered[places[again] + step] = True
    total = np.bincount(found.row, weights=found.length, minlength=len(texts))
    repeated = np.bincount(
        found.row, weights=found.length * covered, minlength=len(texts)
    )
    return np.divide(repeated, total, out=np.zeros(len(texts)), where=total > 0)


_RULES: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    rule.__name__: rule
    for rule in (
        words,
        mean_word_length,
        symbol_to_word_ratio,
        lines_ending_with_ellipsis,
        lines_ending_with_punctuation,
        bullet_lines,
        alphabetic_words,
        stop_words,
        repeated_lines,
        repeated_paragraphs,
        uppercase,
        urls,
    )
}
RULE_NAMES = (*_RULES, "repeated_ngrams", "language")
_UNBOUNDED = ("words", "mean_word_length", "symbol_to_word_ratio")


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return (
        pl.when(whole > 0)
        .then(part.cast(pl.Float64) / whole.cast(pl.Float64))
        .otherwise(0.0)
    )


def _lines(text: pl.Expr) -> pl.Expr:
    return text.str.count_matches(_LINE)


def _repeated(text: pl.Expr, pattern: str) -> pl.Expr:
    parts = text.str.extract_all(pattern).list.eval(pl.element().str.strip_chars_end())
    return _share(
        parts.list.len().cast(pl.Int64) - parts.list.n_unique().cast(pl.Int64),
        parts.list.len(),
    )


def _any_of(characters: str) -> str:
    codes = [f"\\x{{{ord(character):x}}}" for character in characters]
    return f"[{''.join(codes)}]"


def _most(rule_name: str) -> float:
    """The largest number that a rule can give."""
    if rule_name == "stop_words":
        return float(len(STOP_WORDS))
    if rule_name in _UNBOUNDED:
        return math.inf
    return 1.0


def _check(rule: QualityRule) -> None:
    """Raises FilterError if a rule could not be applied, or could refuse nothing or everything."""
    if rule.name not in RULE_NAMES:
        raise FilterError(
            f"unknown quality rule {rule.name!r}{did_you_mean(rule.name, RULE_NAMES)}"
        )
    if rule.at_least is None and rule.at_most is None:
        raise FilterError(
            f"quality rule {rule.name!r} has no bound",
            remedy="give `at_least`, `at_most` or both",
        )
    most = _most(rule.name)
    for bound, value in (("at_least", rule.at_least), ("at_most", rule.at_most)):
        if value is not None and not _between(value, 0, most):
            raise FilterError(
                f"quality rule {rule.name!r}: {bound} is {value!r}, not a number from 0 to {most:g}"
            )
    if (
        rule.at_least is not None
        and rule.at_most is not None
        and rule.at_least > rule.at_most
    ):
        raise FilterError(
            f"quality rule {rule.name!r}: at_least {rule.at_least:g} is above at_most {rule.at_most:g}: no text could pass"
        )
    _check_parameters(rule)


def _check_parameters(rule: QualityRule) -> None:
    if (rule.n is not None) != (rule.name == "repeated_ngrams"):
        raise FilterError(
            f"quality rule {rule.name!r}: `n` is required for `repeated_ngrams` and not valid for other rules"
        )
    if rule.n is not None and (
        isinstance(rule.n, bool)
        or not isinstance(rule.n, int)
        or not 1 <= rule.n <= 100
    ):
        raise FilterError(
            f"quality rule {rule.name!r}: n is {rule.n!r}, not a whole number from 1 to 100"
        )
    if (rule.language is not None) != (rule.name == "language"):
        raise FilterError(
            f"quality rule {rule.name!r}: `language` is required for the rule `language` and not valid for other rules"
        )


def _between(value: object, low: float, high: float) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and low <= value <= high
        and value < math.inf
    )
