"""JSON and JSON lines as columns. A column has one type: whole numbers of 64 bits, real numbers, texts, or nested values.

`.json` is a list of records, one record, or JSON lines. Blank lines are no rows; a key that a record does not have is null.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from sdg_core.errors import SeedError
from sdg_core.plan.types.arrow_values import array_of
from sdg_core.seeds.text_options import ARROW_TYPES, TextOptions, TypeName, check_names

_INT64 = 2**63
_SURROGATES = re.compile(
    r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""An escaped backslash or a whole pair, which stay; or half of one."""
Record = dict[str, Any]


class _RepeatedKeyError(ValueError):
    """An object has two values of one name."""


def read_json(
    text: str, suffix: str, *, source: str, options: TextOptions
) -> pl.DataFrame:
    """One row per object. Raises SeedError naming the line or column that cannot be kept."""
    records = _records(_without_lone_surrogates(text), suffix, source=source)
    says_infinity = "Infinity" in text
    if not records:
        raise SeedError(f"{source} has no records", remedy="write one object per row")
    seen: dict[str, None] = {}
    for record in records:
        seen.update(dict.fromkeys(record))
    names = [*seen]
    check_names(names, source=source, options=options)
    arrays = []
    for name in names:
        values = [record.get(name) for record in records]
        if options.null_values:
            for place, value in enumerate(values):
                if isinstance(value, str) and value in options.null_values:
                    values[place] = None
        where = f"{source}: column {name!r}"
        array = _array(values, options.types.get(name), where=where)
        if not says_infinity and any(map(_is_infinite, _leaves(values))):
            raise SeedError(
                f"{where} holds a number that does not fit in 64 bits, such as 1e400",
                remedy="write it as text, in quotes",
            )
        _check_keys(array.type, where=where)
        arrays.append(array)
    frame = pl.from_arrow(pa.table(arrays, names=names))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _check_keys(data_type: pa.DataType, *, where: str) -> None:
    """Raise SeedError for a key with a zero character, which would end there."""
    for place in range(data_type.num_fields):
        field = data_type.field(place)
        if "\0" in field.name:
            raise SeedError(
                f"{where}: the key {field.name!r} contains a NUL character",
                remedy="rename it",
            )
        _check_keys(field.type, where=where)


def _without_lone_surrogates(text: str) -> str:
    """JSON in which an escaped half of a surrogate pair is U+FFFD, as decoders of text have it."""
    return _SURROGATES.sub(
        lambda match: match[0] if match[1] is not None else r"\ufffd", text
    )


def _records(text: str, suffix: str, *, source: str) -> list[Record]:
    if suffix == ".json":
        try:
            found = json.loads(text, object_pairs_hook=_unique)
        except _RepeatedKeyError as error:
            raise SeedError(
                f"{source}: {error}", remedy="rename one of them"
            ) from error
        except json.JSONDecodeError as error:
            if "Extra data" not in error.msg:
                raise SeedError(f"{source} cannot be read as json: {error}") from error
        except RecursionError as error:
            raise SeedError(f"{source} is nested too deeply") from error
        else:
            _refuse_columns(found, source)
            rows = found if isinstance(found, list) else [found]
            return [
                _record(row, f"{source}, row {place}")
                for place, row in enumerate(rows, 1)
            ]
    lines = enumerate(text.split("\n"), 1)
    return [
        _line(line, suffix, f"{source}, line {number}")
        for number, line in lines
        if line.strip()
    ]


def _refuse_columns(found: Any, source: str) -> None:
    """Raise SeedError for what pandas writes unless it is asked for records: columns by name, or names beside data."""
    if not isinstance(found, dict) or not found:
        return
    columns = list(found.values())
    is_split = (
        {"columns", "data"} <= found.keys() <= {"columns", "index", "data", "schema"}
    )
    is_split = is_split and all(isinstance(column, list) for column in columns)
    if is_split or all(_is_by_number(column) for column in columns):
        raise SeedError(
            f"{source} is column-oriented, not one object per row",
            remedy="write it with df.to_json(path, orient='records', lines=True), or as parquet",
        )


def _is_by_number(column: Any) -> bool:
    """Whether an object's keys are the numbers of rows."""
    if not isinstance(column, dict) or not column:
        return False
    numbers = [str(number) for number in range(len(column))]
    return [*column] == numbers


def _line(line: str, suffix: str, where: str) -> Record:
    try:
        return _record(json.loads(line, object_pairs_hook=_unique), where)
    except _RepeatedKeyError as error:
        raise SeedError(f"{where}: {error}", remedy="rename one of them") from error
    except json.JSONDecodeError as error:
        raise SeedError(
            f"{where}, cannot be read as {suffix[1:]}: {error.msg} at column {error.colno}"
        ) from error
    except RecursionError as error:
        raise SeedError(f"{where} is nested too deeply") from error


def _record(value: Any, where: str) -> Record:
    if not isinstance(value, dict):
        raise SeedError(
            f"{where} is not an object",
            remedy='every row must be an object, as in {"name": "Ann"}',
        )
    return value


def _unique(pairs: Sequence[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _RepeatedKeyError(f"an object has the key {repeated!r} twice")
    return record


def _is_infinite(leaf: Any) -> bool:
    return isinstance(leaf, float) and math.isinf(leaf)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield name
            yield from _leaves(child)
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(child)
    else:
        yield value


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _array(values: list[Any], type_name: TypeName | None, *, where: str) -> pa.Array:
    if type_name == "str":
        values = [_as_text(value) for value in values]
    for leaf in _leaves(values):
        if type(leaf) is int and not -_INT64 <= leaf < _INT64:
            raise SeedError(
                f"{where} holds {leaf}, an integer that does not fit in 64 bits",
                remedy="write it as text, in quotes, or set types in seed_config.source to str for it",
            )
    data_type = ARROW_TYPES[type_name] if type_name is not None else None
    try:
        array = array_of(values, data_type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        expected = "holds values of several types"
        if type_name is not None:
            expected = f"is {type_name} by seed_config.source.types"
        raise SeedError(
            f"{where} {expected}: {reason}",
            remedy="give it one type, or set types in seed_config.source to str for it",
        ) from error
    return array
