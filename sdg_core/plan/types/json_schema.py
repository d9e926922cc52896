"""Arrow types of what JSON schemas describe: every schema has one, so that a structured column is the same in every row group.

What a schema leaves open (any value, mappings with free keys, alternatives of different kinds, recursion) is kept as JSON text;
read `as_text`, a text among it stays itself, and a number that may also be a decimal's text (pydantic's Decimal) is a number.
Objects become structs of their named properties; null stands for a property that is absent; keys that the schema does not name
are left out. The mapping is by shape: a shape knows which of its leaves are JSON text, which an Arrow type alone does not.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import pyarrow as pa

from sdg_core.plan.foreign import check_value, json_text
from sdg_core.plan.types.arrow import conform

MAX_PARTS = 5_000
"""Fields and lists of one type; more come from definitions that multiply each other."""


@dataclass(frozen=True)
class Leaf:
    """A scalar. reads_text: a number that may come as its text."""

    type: pa.DataType
    reads_text: bool = False


@dataclass(frozen=True)
class Open:
    """Any value, as JSON text. as_text: a text as it is."""

    type: pa.DataType = pa.string()
    as_text: bool = False


@dataclass(frozen=True)
class ListOf:
    """A list of one kind of item."""

    item: "Shape"

    @property
    def type(self) -> pa.DataType:
        """A list."""
        return pa.list_(self.item.type)


@dataclass(frozen=True)
class Fields:
    """An object with known properties, in the order of the schema."""

    fields: tuple[tuple[str, "Shape"], ...]

    @property
    def type(self) -> pa.DataType:
        """A struct."""
        fields = [pa.field(name, shape.type) for name, shape in self.fields]
        return pa.struct(fields)


Shape = Leaf | Open | ListOf | Fields
OPEN = Open()
_TEXT, _INTEGER, _NUMBER, _TRUTH = (
    Leaf(t) for t in (pa.string(), pa.int64(), pa.float64(), pa.bool_())
)
_NULL = Leaf(pa.null())
_DECIMAL = Leaf(pa.float64(), reads_text=True)
_DECIMAL_PATTERN = "^(?!^[-+.]*$)[+-]?0*"
"""How pydantic's patterns of a Decimal begin."""
_LEAVES: Mapping[Any, Leaf] = {
    "string": _TEXT,
    "integer": _INTEGER,
    "number": _NUMBER,
    "boolean": _TRUTH,
    "null": _NULL,
    str: _TEXT,
    int: _INTEGER,
    float: _NUMBER,
    bool: _TRUTH,
    type(None): _NULL,
}


def shape_of(schema: Mapping[str, Any], *, as_text: bool = False) -> Shape:
    """The shape of what satisfies a schema. Raises ValueError if it has too many parts."""
    shape = _closed(_Reader(schema, decimals=as_text).read(schema, frozenset({"#"})))
    return _as_text(shape) if as_text else shape


def _as_text(shape: Shape) -> Shape:
    match shape:
        case Open():
            return Open(as_text=True)
        case ListOf(item):
            return ListOf(_as_text(item))
        case Fields(fields):
            as_text = [(name, _as_text(part)) for name, part in fields]
            return Fields(tuple(as_text))
        case _:
            return shape


def fit(value: Any, shape: Shape, *, where: str = "") -> Any:
    """A JSON value as Arrow takes it for the shape's type. Raises ValueError naming the place that does not fit."""
    if value is None:
        return None
    match shape:
        case Open(as_text=True) if isinstance(value, str):
            check_value(value, where=where or "the value")
            return value
        case Open():
            return json_text(value, where=where or "the value")
        case ListOf(item):
            if not isinstance(value, list):
                raise ValueError(f"{where or 'the value'}: expected a list")
            return [
                fit(part, item, where=f"{where}[{place}]")
                for place, part in enumerate(value)
            ]
        case Fields(fields):
            if not isinstance(value, dict):
                raise ValueError(f"{where or 'the value'}: expected an object")
            prefix = f"{where}." if where else ""
            return {
                name: fit(value.get(name), part, where=f"{prefix}{name}")
                for name, part in fields
            }
        case Leaf(data_type, reads_text):
            try:
                given = _number_of(value) if reads_text else value
                return conform(given, data_type)
            except ValueError as error:
                raise ValueError(f"{where or 'the value'}: {error}") from None


def _number_of(value: Any) -> Any:
    """The number that a decimal's text spells. Raises ValueError if no real number of 64 bits has all of its digits."""
    if not isinstance(value, str):
        return value
    number = float(value)
    if Decimal(repr(number)) != Decimal(value):
        raise ValueError(f"{value!r} has more digits than a 64-bit number")
    return number


def _closed(shape: Shape | None) -> Shape:
    """What nothing is known of is open; what is always null is text."""
    match shape:
        case None:
            return OPEN
        case ListOf(item):
            return ListOf(_closed(item))
        case Fields(fields):
            closed = [(name, _closed(part)) for name, part in fields]
            return Fields(tuple(closed))
        case Leaf() if shape == _NULL:
            return _TEXT
        case _:
            return shape


class _Reader:
    """Reads one schema. A shape of None says nothing: any value may be there, as far as that part is concerned."""

    def __init__(self, root: Mapping[str, Any], *, decimals: bool) -> None:
        self._root = root
        self._decimals = decimals
        self._parts = 0

    def read(self, schema: Any, inside: frozenset[str]) -> Shape | None:
        """The shape of a schema; `inside` holds the references that led here."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ValueError(
                f"it has more than {MAX_PARTS:,} parts; check for definitions that multiply each other"
            )
        if not isinstance(schema, Mapping):
            return None
        found = [shape for shape in self._claims(schema, inside) if shape is not None]
        return reduce(_both, found) if found else None

    def _claims(
        self, schema: Mapping[str, Any], inside: frozenset[str]
    ) -> Iterator[Shape | None]:
        """What each keyword says; all of it holds."""
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target = self._target(reference)
            yield (
                OPEN if reference in inside else self.read(target, inside | {reference})
            )
        values = schema.get("enum")
        if isinstance(values, list):
            yield _either([_LEAVES.get(type(value)) for value in values])
        if "const" in schema:
            yield _LEAVES.get(type(schema["const"]), OPEN)
        yield self._by_type(schema, inside)
        for part in _list(schema.get("allOf")):
            yield self.read(part, inside)
        for keyword in ("anyOf", "oneOf"):
            parts = _list(schema.get(keyword))
            if parts:
                yield self._alternatives(parts, inside)

    def _alternatives(self, parts: list[Any], inside: frozenset[str]) -> Shape | None:
        others = [part for part in parts if not _is_decimal_text(part)]
        has_decimal_text = len(others) < len(parts)
        if self._decimals and has_decimal_text:
            rest = _either([self.read(part, inside) for part in others])
            if rest in (_NUMBER, _INTEGER):
                return _DECIMAL
        return _either([self.read(part, inside) for part in parts])

    def _by_type(
        self, schema: Mapping[str, Any], inside: frozenset[str]
    ) -> Shape | None:
        named = schema.get("type")
        kinds = [named] if isinstance(named, str) else _list(named)
        if kinds:
            return _either([self._of_kind(kind, schema, inside) for kind in kinds])
        if schema.get("properties"):
            return self._of_kind("object", schema, inside)
        if "items" in schema or "prefixItems" in schema:
            return self._of_kind("array", schema, inside)
        return None

    def _of_kind(
        self, kind: Any, schema: Mapping[str, Any], inside: frozenset[str]
    ) -> Shape | None:
        if kind == "object":
            properties = schema.get("properties")
            if not isinstance(properties, Mapping) or not properties:
                return None
            fields = []
            for name, part in properties.items():
                shape = self.read(part, inside)
                fields.append((name, _closed(shape)))
            return Fields(tuple(fields))
        if kind == "array":
            return self._array(schema, inside)
        return _LEAVES.get(kind)

    def _array(self, schema: Mapping[str, Any], inside: frozenset[str]) -> Shape:
        items = schema.get("items")
        first = _list(schema.get("prefixItems"))
        if isinstance(items, list):  # the tuples of drafts before 2020
            first = items
            items = schema.get("additionalItems")
        shapes = [self.read(part, inside) for part in first]
        length = schema.get("maxItems")
        has_no_more = bool(first) and isinstance(length, int) and length <= len(first)
        if items is not False and not has_no_more:
            shapes.append(self.read(items, inside))
        item = _either(shapes) if shapes else None
        return ListOf(_closed(item))

    def _target(self, reference: str) -> Any:
        """What a reference inside the schema points at; None if it is written in another way than as a path."""
        if not reference.startswith("#"):
            return None
        found: Any = self._root
        for part in reference[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                found = found.get(key) if isinstance(found, Mapping) else None
        return found if reference == "#" or "/" in reference else None


def _is_decimal_text(schema: Any) -> bool:
    return isinstance(schema, Mapping) and str(schema.get("pattern", "")).startswith(
        _DECIMAL_PATTERN
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _both(first: Shape, second: Shape) -> Shape:
    """The shape of what satisfies two parts of a schema."""
    match first, second:
        case Fields(one), Fields(other):
            return _merged(one, other, lambda shapes: reduce(_both, shapes))
        case ListOf(one), ListOf(other):
            return ListOf(_both(one, other))
        case (Leaf(), Leaf()) if {first, second} == {_INTEGER, _NUMBER}:
            return _INTEGER
        case _:
            return first if first == second else OPEN


def _either(shapes: Sequence[Shape | None]) -> Shape | None:
    """The shape of what satisfies one of several alternatives; null, as an alternative, needs no shape of its own."""
    if not shapes or None in shapes:
        return OPEN if len(shapes) > 1 else None
    kept = [
        shape for shape in dict.fromkeys(shapes) if shape is not None and shape != _NULL
    ]
    return reduce(_one_of, kept) if kept else _NULL


def _one_of(first: Shape, second: Shape) -> Shape:
    match first, second:
        case Fields(one), Fields(other):
            return _merged(one, other, lambda shapes: reduce(_one_of, shapes))
        case ListOf(one), ListOf(other):
            return ListOf(_one_of(one, other))
        case (Leaf(), Leaf()) if {first, second} == {_INTEGER, _NUMBER}:
            return _NUMBER
        case _:
            return first if first == second else OPEN


def _merged(one: Any, other: Any, combine: Any) -> Fields:
    """The properties of both; those that both have are combined."""
    shapes: dict[str, list[Shape]] = {}
    for name, shape in (*one, *other):
        shapes.setdefault(name, []).append(shape)
    merged = [(name, combine(found)) for name, found in shapes.items()]
    return Fields(tuple(merged))


def compile_schema(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """A validator that lists every error. Raises ValueError for a schema that is none or that refers elsewhere."""
    try:
        return jsonschema_rs.validator_for(dict(schema), retriever=_refuse)
    except jsonschema_rs.ValidationError as error:
        message = error.message
        where = "/".join(map(str, error.instance_path))
        if where:
            message = f"{message} (at {where})"
        raise ValueError(message) from error


def _refuse(uri: str) -> Any:
    raise ValueError(f"$ref {uri!r} is outside this schema; put its target under $defs")
