"""Statistics in words: the same ones on the page, on the command line and in Dagster."""

from collections.abc import Iterator

from sdg_core.counts import counted
from sdg_core.profiling.model import ColumnProfile, Numbers, Scalar, Tokens, Verdicts

_MAX_LENGTH = 60


def number(value: float | int | None) -> str:
    """A number for people: whole ones in full, others to four digits."""
    if value is None:
        return "unknown"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 10**9):
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e4:
        return f"{value:,.4g}"
    return f"{value:,.1f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def percent(share: float) -> str:
    """A share; a little is not nothing, and nearly all is not all."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    return (
        "> 99.9 %"
        if 0.999 < share < 1
        else f"{share * 100:.1f} %".replace(".0 %", " %")
    )


def count_with_share(count: int, rows: int) -> str:
    """A count with its share."""
    return f"{count:,} ({percent(count / rows)})" if count and rows else f"{count:,}"


def distinct(column: ColumnProfile) -> str:
    """The number of distinct values, as text."""
    if column.distinct is None:
        return ""
    count = f"{column.distinct.count:,}"
    if column.distinct.approximate:
        return f"about {count}"
    return count


def shown_value(value: Scalar, *, longest: int = _MAX_LENGTH) -> str:
    """A value on one line."""
    match value:
        case bool():
            text = str(value).lower()
        case str():
            text = " ".join(value.split()) or '""'
        case _:
            text = number(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def one_line_summary(column: ColumnProfile) -> str:
    """A one-line summary of a column: its range, lengths or values, whichever is most informative."""
    return "; ".join(_summaries(column))


def _summaries(column: ColumnProfile) -> Iterator[str]:
    yield from _verdict_texts(column)
    if column.numbers is not None and column.numbers.values:
        yield _range(column.numbers)
    elif column.times is not None:
        yield f"{column.times.earliest} to {column.times.latest}"
    elif lists_values(column):
        most_frequent = []
        for value in column.top[:3]:
            text = shown_value(value.value, longest=24)
            most_frequent.append(f"{text} {percent(value.share)}")
        yield ", ".join(most_frequent)
    elif column.lengths is not None and column.lengths.values:
        yield _range(column.lengths, unit=f" {_unit(column)}")
    if column.kind == "struct":
        yield f"{counted(len(column.fields) + column.fields_left_out, 'field')}"
    if column.kind == "embedding":
        for part in column.fields:
            if part.numbers is not None and part.name.endswith(".dimension"):
                yield f"dimension {_range(part.numbers)}"


def _verdict_texts(column: ColumnProfile) -> Iterator[str]:
    if column.verdicts is not None:
        judged = (
            column.verdicts.valid + column.verdicts.invalid + column.verdicts.unknown
        )
        yield f"valid {count_with_share(column.verdicts.valid, judged)}"
    for score in column.scores:
        given = [value for value in score.values if value.count]
        if score.mean is not None:
            yield f"{score.name} {number(score.mean)} on average"
        elif given:
            most = max(given, key=lambda value: value.count)
            yield f"{score.name} mostly {shown_value(most.value)} ({percent(most.share)})"


def lists_values(column: ColumnProfile) -> bool:
    """Whether `top` holds every value of a column, which then tells more than lengths or a histogram."""
    if not column.top or column.distinct is None:
        return False
    return column.distinct.count == len(column.top)


def _range(numbers: Numbers, *, unit: str = "") -> str:
    low = number(numbers.minimum)
    high = number(numbers.maximum)
    return (
        f"{low}{unit}"
        if low == high
        else f"{low} to {high}{unit}, mean {number(numbers.mean)}"
    )


def _unit(column: ColumnProfile) -> str:
    return "items" if column.kind in ("list", "image") else "characters"


def facts_of(column: ColumnProfile, *, rows: int) -> Iterator[tuple[str, str]]:
    """The statistics of a column or field by name."""
    duplicates = 0 if lists_values(column) else column.duplicates
    for name, count in (
        ("null", column.nulls),
        ("skipped", column.skipped),
        ("repeat another", duplicates),
        ("empty", column.empty),
    ):
        if count:
            yield name, count_with_share(count, rows)
    if column.distinct is not None:
        yield "distinct", distinct(column)
    if column.numbers is not None:
        yield from _number_facts(column.numbers)
    if (
        column.lengths is not None
        and column.lengths.values
        and not lists_values(column)
    ):
        yield from _length_facts(column.lengths, unit=_unit(column))
    if column.tokens is not None:
        yield from _token_facts(column.tokens)
    if column.times is not None:
        yield "earliest", column.times.earliest
        yield "latest", column.times.latest
    if column.verdicts is not None:
        yield from _verdict_facts(column.verdicts)
    if column.fields_left_out:
        yield "not shown", f"{counted(column.fields_left_out, 'more field')}"


def _length_facts(lengths: Numbers, *, unit: str) -> Iterator[tuple[str, str]]:
    low = number(lengths.minimum)
    high = number(lengths.maximum)
    if low == high:
        yield unit, low
    else:
        yield unit, f"{low} to {high}"
        yield from _spread(lengths)
    yield f"{unit} in total", f"{lengths.total:,}"


def _token_facts(tokens: Tokens) -> Iterator[tuple[str, str]]:
    """Estimates, so they are said to be about right."""
    yield "tokens, about", number(tokens.mean)
    yield "tokens, 95 %", f"{tokens.p95:,}"
    yield "tokens, maximum", f"{tokens.maximum:,}"
    yield "tokens in total, about", f"{tokens.total:,}"


def _number_facts(numbers: Numbers) -> Iterator[tuple[str, str]]:
    if numbers.values:
        yield "min", number(numbers.minimum)
        yield "max", number(numbers.maximum)
        yield from _spread(numbers)
    if numbers.nan:
        yield "NaN", f"{numbers.nan:,}"
    if numbers.infinite:
        yield "infinite", f"{numbers.infinite:,}"


def _spread(numbers: Numbers) -> Iterator[tuple[str, str]]:
    yield "mean", number(numbers.mean)
    if numbers.stddev is not None:
        yield "stddev", number(numbers.stddev)
    names = {"p05": "5 %", "p25": "25 %", "p50": "median", "p75": "75 %", "p95": "95 %"}
    note = " (of a sample)" if numbers.sampled else ""
    for name, value in numbers.quantiles.items():
        yield names[name] + note, number(value)


def _verdict_facts(found: Verdicts) -> Iterator[tuple[str, str]]:
    judged = found.valid + found.invalid + found.unknown
    yield "valid", count_with_share(found.valid, judged)
    yield "not valid", count_with_share(found.invalid, judged)
    if found.unknown:
        yield "no verdict", count_with_share(found.unknown, judged)
    for target, valid in found.targets.items():
        yield f"valid {target}", count_with_share(valid, judged)
