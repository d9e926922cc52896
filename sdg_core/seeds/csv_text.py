"""csv (RFC 4180) as columns: text, unless one notation prints every value of a column back as it is written.

Blank lines are no rows; an empty field is null, and `""` is the empty text. A header without a name at place N is `column_N`, as
for the index that pandas writes; one that repeats a name gets a number (`name_2`), which is announced.
"""

import csv
import io
import re

import polars as pl
import pyarrow as pa
import pyarrow.csv

from sdg_core.errors import SeedError
from sdg_core.seeds.text_options import TextOptions, TypeName, check_names

SEPARATORS = (";", "\t", "|")
"""What may separate columns where a header has no comma."""
STATED_SEPARATOR = re.compile(
    r"\A\"?sep=([^\w\s\"]|\t)\"?(?:\r\n|\n|\r)", re.IGNORECASE
)
"""The line with which spreadsheets say what separates the columns."""
_INTEGER = r"^(?:0|-?[1-9][0-9]*)$"
_PLAIN_NUMBER = r"^(?:0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]+)$"
_EXACT_DIGITS = 15
"""Decimal digits that a real number of 64 bits always gives back."""
_TRUTH = (frozenset({"true", "false"}), frozenset({"True", "False"}))
_DATA_TYPES = {"int": pl.Int64, "float": pl.Float64, "bool": pl.Boolean}


def read_csv(
    text: str, *, source: str, options: TextOptions
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The rows below the header, and notices of columns that got another name. Raises SeedError naming the line or column that
    cannot be kept."""
    stated = STATED_SEPARATOR.match(text)
    separator = options.separator
    if stated is not None:
        text = text[stated.end() :]
        separator = separator or stated[1]
    if not separator:
        separator = _separator_of(text, source=source)
    given = _header(text, separator, source=source)
    header = [name or f"column_{place}" for place, name in enumerate(given)]
    names = _distinct(header)
    notices = []
    for number, (old, new) in enumerate(zip(header, names, strict=True), start=1):
        if new != old:
            notices.append(
                f"{source}: column {number} repeats the name {old!r} and is read as {new!r}"
            )
    check_names(names, source=source, options=options)
    table = _texts(text, separator, width=len(names), source=source)
    frame = pl.from_arrow(table.slice(1))
    assert isinstance(frame, pl.DataFrame)
    frame.columns = names
    if options.null_values:
        to_null = dict.fromkeys(options.null_values)
        frame = frame.with_columns(pl.all().replace(to_null))
    columns = []
    for column in frame:
        stated_type = options.types.get(column.name)
        if stated_type is None:
            columns.append(_as_printed(column))
        else:
            columns.append(_as_stated(column, stated_type, source=source))
    return pl.DataFrame(columns), tuple(notices)


def _distinct(header: list[str]) -> list[str]:
    """A name of its own for every column: the second `name` is `name_2`, or the next number that no column has."""
    names: list[str] = []
    for given in header:
        name = given
        number = 2
        while name in names or (name != given and name in header):
            name = f"{given}_{number}"
            number = number + 1
        names.append(name)
    return names


def _separator_of(text: str, *, source: str) -> str:
    """A comma; where the header has none, a character that every line has equally often."""
    header = _header(text, ",", source=source)
    if len(header) > 1:
        return ","
    lines = [line for line in text.splitlines() if line]
    for separator in SEPARATORS:
        if separator not in header[0]:
            continue
        counts = {line.count(separator) for line in lines}
        if len(counts) == 1:
            return separator
        raise SeedError(
            f"{source}: the header is the single name {header[0]!r}, so {separator!r} may not be the separator",
            remedy=f"set separator in seed_config.source: {separator!r}, or ',' if this is a single column",
        )
    return ","


def _header(text: str, separator: str, *, source: str) -> list[str]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for row in rows:
            if row:
                return row
    except csv.Error as error:
        raise SeedError(
            f"{source} cannot be read as csv: {error} in the header"
        ) from error
    raise SeedError(
        f"{source} is empty and cannot be read as csv",
        remedy="its first line must name the columns",
    )


def _texts(text: str, separator: str, *, width: int, source: str) -> pa.Table:
    """Every line, the header included, as texts and nulls."""
    content = text.encode()
    reading = pyarrow.csv.ReadOptions(
        use_threads=False,  # or errors would not say which row
        block_size=min(len(content) + 1, 2**31 - 1),
        autogenerate_column_names=True,
    )
    parsing = pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    converting = pyarrow.csv.ConvertOptions(
        column_types={f"f{place}": pa.large_string() for place in range(width)},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    try:
        return pyarrow.csv.read_csv(
            pa.BufferReader(content),
            read_options=reading,
            parse_options=parsing,
            convert_options=converting,
        )
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise SeedError(
            f"{source} cannot be read as csv: {reason}",
            remedy="every row must have as many fields as the header",
        ) from error


def _as_stated(column: pl.Series, type_name: TypeName, *, source: str) -> pl.Series:
    """The column as the type that the dataset file gives it."""
    if type_name == "str":
        return column
    if type_name == "bool":
        places = {"true": True, "false": False}
        values = column.str.to_lowercase().replace_strict(
            places, default=None, return_dtype=pl.Boolean
        )
    else:
        values = column.cast(_DATA_TYPES[type_name], strict=False)
        if type_name == "float":  # a number that is too large is no infinity
            endless = values.is_infinite() & ~column.str.to_lowercase().str.contains(
                "inf", literal=True
            )
            values = values.set(endless.fill_null(False), None)
    refused = column.filter(values.is_null() & column.is_not_null())
    if len(refused):
        raise SeedError(
            f"{source}: column {column.name!r} is {type_name} by seed_config.source.types, but holds {refused[0]!r}",
            remedy="use str, or list the text in null_values",
        )
    return values


def _as_printed(column: pl.Series) -> pl.Series:
    """Numbers or truth values if these print back as the texts; else the texts."""
    texts = column.drop_nulls()
    if texts.is_empty():
        return column
    first = texts[0]
    if first in ("true", "false", "True", "False"):
        for notation in _TRUTH:
            if texts.is_in(list(notation)).all():
                is_true = column.str.to_lowercase() == "true"
                return is_true.alias(column.name)
        return column
    if (
        re.match(_PLAIN_NUMBER, first) is None
        or not texts.str.contains(_PLAIN_NUMBER).all()
    ):
        return column
    if texts.str.contains(_INTEGER).all():
        numbers = column.cast(pl.Int64, strict=False)
        all_fit = numbers.null_count() == column.null_count()
        return numbers if all_fit else column
    if _notation_of(texts) is None:
        return column
    return column.cast(pl.Float64)


def _notation_of(texts: pl.Series) -> str | None:
    """How every number of these is printed: with as many decimals, as Python does (1.0), or as short as can be (1); None if in
    no one way, as for versions (1.9, 1.10), or with more digits than a real number keeps."""
    digits = (
        texts.str.replace_all(r"[-.]", "").str.strip_chars_start("0").str.len_bytes()
    )
    long = texts.filter(digits > _EXACT_DIGITS)
    if any(repr(float(text)) != text for text in long):
        return None
    decimals = texts.str.extract(r"\.([0-9]+)$")
    if decimals.str.len_bytes().n_unique() == 1 and not len(long):
        return "fixed"
    if not decimals.is_null().any() and not decimals.str.contains(r"[0-9]0$").any():
        return "repr"
    if decimals.str.ends_with("0").any():
        return None
    return "short"
