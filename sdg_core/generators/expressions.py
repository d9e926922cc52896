"""Expression columns: a template rendered per record and cast to the column's type.

`evaluate_group` and `evaluate_cell` agree on every record: the same value, or the same reason for having none. A cell that fails
costs its own record only.

Templates that only join text with columns, or with fields inside them (`{{ first }} {{ customer.city }}`), are compiled to a
polars expression, 50 times as fast. That is done for column types whose text is the same in both; tests hold the two paths
together. Other templates are rendered once per distinct combination of the values they read.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import polars as pl

from sdg_core.config.columns import ExpressionColumn
from sdg_core.errors import CellError
from sdg_core.generators.base import Frame, GroupColumn
from sdg_core.generators.single_precision import python_values
from sdg_core.plan.sampling.rng import RandomSource, RecordChoices
from sdg_core.plan.templates.render import Template, compiled

Dtype = Literal["str", "int", "float", "bool"]

_POLARS = {
    "str": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_REFERENCE = re.compile(
    r"\{\{[ \t\r\n]*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)[ \t\r\n]*\}\}"
)
_INTEGERS = frozenset(
    {pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64}
)
_UNAMBIGUOUS_DIGITS = 15
_INT64 = 2**63
_NULL = "\x00null"


def cast_text(
    text: str, dtype: Dtype, *, lenient: bool = False
) -> str | int | float | bool | None:
    """A rendered text as a value of the column's type. Raises CellError. Text is kept as it is, empty or not."""
    if lenient:
        text = _leniently(text, dtype)
    if text == _NULL and lenient:
        return None
    match dtype:
        case "str":
            return text
        case "int":
            return _cast_int(text)
        case "float":
            return _cast_float(text)
        case "bool":
            truth = _TRUTH.get(text.strip().lower())
            if truth is None:
                raise CellError(
                    f"{_shown(text)} is not a bool: true, false, yes, no, 1 or 0"
                )
            return truth


@dataclass(frozen=True)
class Chooser:
    """What the filter `random` draws from in an expression: the dataset's random words, for these records."""

    random: RandomSource
    records: Sequence[int]

    def choices(self, column: str, position: int) -> RecordChoices:
        """Those of the record at a position."""
        return RecordChoices(
            self.random, f"{column}/expr/random", int(self.records[position])
        )


def _leniently(text: str, dtype: Dtype) -> str:
    """A text in a form that the type takes, where Data Designer takes it: 1.87 as 1, `maybe` as false, `nan` as null."""
    stripped = text.strip()
    try:
        number = float(text)
    except ValueError:
        if dtype == "bool" and stripped.lower() not in ("true", "yes"):
            return "false"
        return text
    if not math.isfinite(number):
        return {"float": _NULL, "bool": "false"}.get(dtype, text)
    if dtype == "bool":
        return str(math.trunc(number) != 0)
    if dtype == "int" and not stripped.lstrip("+-").isdigit():
        return str(math.trunc(number))
    return text


def evaluate_cell(
    column: ExpressionColumn,
    values: Mapping[str, Any],
    *,
    chooser: Chooser | None = None,
) -> str | int | float | bool | None:
    """The value of one record from the columns it reads. Raises CellError."""
    template, choices = _of_one_record(column, chooser)
    return cast_text(
        template.render(values, choices), column.dtype, lenient=column.cast == "lenient"
    )


async def evaluate_cell_in_loop(
    column: ExpressionColumn,
    values: Mapping[str, Any],
    *,
    chooser: Chooser | None = None,
) -> str | int | float | bool | None:
    """`evaluate_cell` for an event loop, which goes on where the expression takes long."""
    template, choices = _of_one_record(column, chooser)
    text = await template.render_in_loop(values, choices)
    return cast_text(text, column.dtype, lenient=column.cast == "lenient")


def _of_one_record(
    column: ExpressionColumn, chooser: Chooser | None
) -> tuple[Template, RecordChoices | None]:
    template = compiled(column.expr)
    if chooser is None or not template.chooses:
        return template, None
    return template, chooser.choices(column.name, 0)


def evaluate_group(
    column: ExpressionColumn,
    *,
    frame: Frame,
    length: int,
    chooser: Chooser | None = None,
) -> GroupColumn:
    """The column over `length` records; failed cells are null in `values` and have their reason in `failed`."""
    template = compiled(column.expr)
    if template.chooses:
        return _cast_all(
            column,
            _chosen(column, template, frame=frame, length=length, chooser=chooser),
            template=template,
        )
    texts = _joined(template, frame=frame, length=length)
    if texts is not None and column.dtype == "str":
        return GroupColumn(values=texts.alias(column.name), failed={})
    if texts is not None:
        return _cast_all(column, texts, template=template)
    if (distinct := _distinct(template, frame=frame)) is None:
        return _cast_all(
            column, _rows(template, frame=frame, length=length), template=template
        )
    smaller, places = distinct
    group = _cast_all(
        column, _rows(template, frame=smaller, length=len(smaller)), template=template
    )
    return _spread(group, places)


def _chosen(
    column: ExpressionColumn,
    template: Template,
    *,
    frame: Frame,
    length: int,
    chooser: Chooser | None,
) -> Iterator[str | CellError]:
    """The text of each record, every one with choices of its own."""
    for position, row in enumerate(_rows(template, frame=frame, length=length)):
        choices = (
            chooser.choices(column.name, position) if chooser is not None else None
        )
        try:
            yield template.render(row, choices)
        except CellError as error:
            yield error


def _cast_all(
    column: ExpressionColumn,
    rows: Iterable[str | CellError | dict[str, Any]],
    *,
    template: Template,
) -> GroupColumn:
    """One value per row; a row is the rendered text, why there is none, or the values to render it from."""
    values: list[str | int | float | bool | None] = []
    failed: dict[int, str] = {}
    for position, row in enumerate(rows):
        try:
            if isinstance(row, CellError):
                raise row
            text = row if isinstance(row, str) else template.render(row)
            values.append(
                cast_text(text, column.dtype, lenient=column.cast == "lenient")
            )
        except CellError as error:
            values.append(None)
            failed[position] = error.message
    return GroupColumn(
        values=pl.Series(column.name, values, dtype=_POLARS[column.dtype]),
        failed=failed,
    )


def _distinct(
    template: Template, *, frame: Frame
) -> tuple[pl.DataFrame, pl.Series] | None:
    """The distinct combinations of what a template reads and the place of each record among them, if that halves the work.

    Only for types where equal values have equal text (0.0 and -0.0 do not).
    """
    columns = [frame[name].alias(name) for name in template.names if name in frame]
    if not columns:
        return None
    for series in columns:
        if series.dtype != pl.String and series.dtype not in _INTEGERS:
            return None
    table = pl.DataFrame(columns)
    if any(2 * series.n_unique() > table.height for series in columns):
        return None
    smaller = table.unique(maintain_order=True)
    if 2 * smaller.height > table.height:
        return None
    places = table.join(
        smaller.with_row_index("#"),
        on=table.columns,
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    return smaller, places["#"]


def _spread(group: GroupColumn, places: pl.Series) -> GroupColumn:
    """The values of distinct combinations, and their failures, at every record that has them."""
    values = group.values.gather(places)
    if not group.failed:
        return GroupColumn(values, {})
    failing = pl.Series(list(group.failed), dtype=places.dtype)
    positions = places.is_in(failing.implode()).arg_true()
    failed = {
        position: group.failed[places[position]] for position in positions.to_list()
    }
    return GroupColumn(values, failed)


def _rows(
    template: Template, *, frame: Frame | pl.DataFrame, length: int
) -> Iterator[dict[str, Any]]:
    """The values a template reads, record by record; only the columns it names become Python values."""
    known = frame.columns if isinstance(frame, pl.DataFrame) else frame
    names = [name for name in template.names if name in known]
    if not names:
        return ({} for _ in range(length))
    columns = [python_values(frame[name]) for name in names]
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def _joined(template: Template, *, frame: Frame, length: int) -> pl.Series | None:
    """The texts of a template that is nothing but text and plain references; None where it, or a column, is anything else."""
    parts = _plain_parts(template)
    if parts is None:
        return None
    columns: dict[str, pl.Series] = {}
    for reference in dict.fromkeys(parts[1::2]):
        series = _resolve(reference, frame)
        texts = _texts(series) if series is not None else None
        if texts is None:
            return None
        columns[reference] = texts
    if not columns:
        return pl.repeat(parts[0], length, dtype=pl.String, eager=True)
    pieces: list[pl.Expr | pl.Series] = []
    for place, part in enumerate(parts):
        if place % 2:
            pieces.append(columns[part])
        elif part:
            pieces.append(pl.lit(part))
    return pl.select(pl.concat_str(pieces)).to_series()


def _resolve(reference: str, frame: Frame) -> pl.Series | None:
    """The column, or the field inside it, that `customer` or `customer.first_name` names; None if some record has none."""
    root, *fields = reference.split(".")
    series = frame.get(root)
    for field in fields:
        if (
            series is None
            or not isinstance(series.dtype, pl.Struct)
            or series.null_count()
        ):
            return None
        known = {inner.name for inner in series.dtype.fields}
        if field not in known:
            return None
        series = series.struct.field(field)
    return series


def _plain_parts(template: Template) -> list[str] | None:
    """Text, reference, text, reference, ..., text; None for a template that does more than join.

    A name counts only if the engine takes it for a column (not `true` or `loop`); a brace right before a reference would
    belong to another tag.
    """
    parts = _REFERENCE.split(template.source)
    *before_references, last = parts[::2]
    for literal in (*before_references, last):
        if "{{" in literal or "{%" in literal or "{#" in literal:
            return None
    if any(literal.endswith("{") for literal in before_references):
        return None
    roots = {reference.partition(".")[0] for reference in parts[1::2]}
    if not roots <= set(template.names):
        return None
    return parts


def _texts(series: pl.Series) -> pl.Series | None:
    """A column as the text that the template engine gives its values, None where that is not certain."""
    dtype = series.dtype
    if dtype == pl.Boolean:
        words = pl.when(series).then(pl.lit("True")).when(~series).then(pl.lit("False"))
        text = pl.select(words).to_series()
    elif dtype == pl.String or dtype in _INTEGERS:
        text = series.cast(pl.String)
    elif dtype == pl.Float64:
        floats = _float_texts(series)
        return None if floats is None else floats.fill_null("None")
    else:
        return None
    return text.fill_null("None")


def _float_texts(series: pl.Series) -> pl.Series | None:
    """Real numbers as the engine writes them, None where that is no gain.

    Both write the shortest digits that read back as the same number. Of up to 15 digits there is only one such text; of
    more there may be two (983512413520.2812 and ...13), and exponents differ: those numbers go to the engine.
    """
    text = series.cast(pl.String)
    is_long = text.str.len_bytes() > 1 + _UNAMBIGUOUS_DIGITS
    has_exponent = text.str.contains("[a-zA-Z]")
    places = (is_long | has_exponent).fill_null(False).arg_true()
    if 2 * len(places) > len(series):
        return None
    single = compiled("{{ number }}")
    unsure = series.gather(places).to_list()
    written = [single.render({"number": number}) for number in unsure]
    return text.scatter(places, written)


def _cast_int(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = _whole_number(text)
    if not -_INT64 <= number < _INT64:
        raise CellError(f"{_shown(text)} does not fit into 64 bits")
    return number


def _whole_number(text: str) -> int:
    """`3.0`, `3e2`. The size is checked before it is written out: 1e999999999 has a billion digits."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        raise CellError(f"{_shown(text)} is not an int") from None
    if not number.is_finite() or number != number.to_integral_value():
        raise CellError(f"{_shown(text)} is not an int")
    if number and number.adjusted() > 18:
        raise CellError(f"{_shown(text)} does not fit into 64 bits")
    return int(number)


def _cast_float(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise CellError(f"{_shown(text)} is not a float") from None
    if not math.isfinite(number):
        raise CellError(f"{_shown(text)} is not a finite float")
    return number


def _shown(text: str) -> str:
    if len(text) > 60:
        text = f"{text[:57]}..."
    return repr(text)
