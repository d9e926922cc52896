"""Checking a value against a schema, whose work may double with every level of the value or of the schema.

`anyOf: [{properties: {c: {$ref: "#"}}}, {properties: {c: {$ref: "#"}}}]` checks the same part twice on each level, definitions
that use each other twice do on every value, and errors hold those of all alternatives. The checker cannot be interrupted. So its
steps are counted first, each pair of schema and value once; a check of many steps is done in a process whose time and memory are
bounded. A schema that uses no definition twice needs no counting: most do not, and their valid values cost nothing more.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import orjson

from sdg_core.plan.foreign import dump_exactly
from sdg_core.plan.types.json_schema import compile_schema
from sdg_core.system.bounded_process import MEMORY, WorkEndedError, shared_pool

MAX_VIOLATIONS = 1_000
MAX_MESSAGE = 2_000
"""Characters of what is wrong at one place; the checker repeats the whole value."""
_SECONDS = 3.0
_MAX_STEPS = 10**6
"""Steps of a check in this process that says yes or no: a few milliseconds."""
_MAX_ERROR_STEPS = 5_000
"""The same for a list of errors, each of which takes a hundred times as long."""
_MAX_PAIRS = 20_000
"""Pairs of schema and value that are looked at to count steps."""
_LARGE = 2**16
"""Bytes of a value that errors may repeat in this process."""
_ENDLESS = float("inf")
_ELSEWHERE = frozenset(
    {"$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems"}
)
"""Keywords that refer in ways that are not followed here, or check what others have checked again; `$id` inside a schema, too."""


@dataclass(frozen=True)
class Violation:
    """What is wrong at a place of a value. unexpected: keys that are forbidden there."""

    path: tuple[str | int, ...]
    message: str
    unexpected: tuple[str, ...] = ()


def violations(value: Any, schema: Mapping[str, Any]) -> list[Violation]:
    """What is wrong with a JSON value, the first MAX_VIOLATIONS. Raises ValueError if checking it takes longer than it may."""
    key = orjson.dumps(dict(schema))
    steps = None if _is_linear(key) else _steps(value, schema)
    if steps is None or steps <= _MAX_STEPS:
        if _compiled(key).is_valid(value):
            return []
        if steps is None:
            steps = _steps(value, schema)
        if steps <= _MAX_ERROR_STEPS and len(dump_exactly(value)) <= _LARGE:
            return _listed(_compiled(key), value)
    try:
        pool = shared_pool(f"{__name__}:list_violations", seconds=_SECONDS)
        found = pool.call({"schema": key.decode(), "value": value})
    except WorkEndedError:
        raise ValueError(
            f"it takes more than {_SECONDS:g} s, or {MEMORY // 2**20:,} MiB, to check: parts of the "
            f"schema refer to each other, or the value has too many errors"
        ) from None
    return [
        Violation(tuple(each["path"]), each["message"], tuple(each["unexpected"]))
        for each in found
    ]


def list_violations(request: Any, ask: object = None) -> list[dict[str, Any]]:
    """What the process does for one value."""
    compiled = _compiled(request["schema"].encode())
    value = request["value"]
    if compiled.is_valid(value):
        return []
    return [asdict(violation) for violation in _listed(compiled, value)]


def is_linear(schema: Mapping[str, Any]) -> bool:
    """Whether checking takes no more steps than a schema and a value have parts: no definition is used from two places."""
    return _is_linear(orjson.dumps(dict(schema)))


@lru_cache(maxsize=256)
def _is_linear(schema: bytes) -> bool:
    nodes = [*_mappings(orjson.loads(schema))]
    if any("$id" in node for node in nodes[1:]):
        return False
    references = set()
    for node in nodes:
        if not _ELSEWHERE.isdisjoint(node):
            return False
        reference = node.get("$ref")
        if not isinstance(reference, str):
            continue
        if reference in references or not _is_definition(reference):
            return False
        references.add(reference)
    return True


def _is_definition(reference: str) -> bool:
    """Whether it is the whole schema or one of its definitions, in the one way to write that."""
    parts = reference.split("/")
    return reference == "#" or (
        len(parts) == 3
        and parts[:2] in (["#", "$defs"], ["#", "definitions"])
        and "%" not in reference
    )


def _mappings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for part in _parts(node):
        yield from _mappings(part)


@lru_cache(maxsize=64)
def _compiled(schema: bytes) -> jsonschema_rs.Validator:
    return compile_schema(orjson.loads(schema))


def _listed(compiled: jsonschema_rs.Validator, value: Any) -> list[Violation]:
    found = []
    for error in compiled.iter_errors(value):
        is_extra = isinstance(
            error.kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties
        )
        unexpected = tuple(getattr(error.kind, "unexpected", ())) if is_extra else ()
        found.append(
            Violation(
                tuple(error.instance_path), error.message[:MAX_MESSAGE], unexpected
            )
        )
        if len(found) == MAX_VIOLATIONS:
            break
    return found


def _steps(value: Any, schema: Mapping[str, Any]) -> float:
    """At least as many steps as the checker takes; infinite if they are too many to be counted."""
    try:
        return _Counter(schema).count(schema, value)
    except (RecursionError, _TooManyError):
        return _ENDLESS


class _TooManyError(Exception):
    """There are more pairs of schema and value than are looked at."""


class _Counter:
    """Counts steps, of each pair of schema and value once."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._known: dict[tuple[int, int], float] = {}

    def count(self, schema: Any, value: Any) -> float:
        """Steps of one pair."""
        if not isinstance(schema, Mapping):
            return 1.0
        pair = (id(schema), id(value))
        known = self._known.get(pair)
        if known is not None:
            return known
        leads_elsewhere = not _ELSEWHERE.isdisjoint(schema) or (
            "$id" in schema and schema is not self._root
        )
        if leads_elsewhere or len(self._known) >= _MAX_PAIRS:
            raise _TooManyError
        # of what leads back to it without going into the value
        self._known[pair] = _ENDLESS
        found = self._known[pair] = (
            1.0 + self._of_the_same(schema, value) + sum(self._of_parts(schema, value))
        )
        return found

    def _of_the_same(self, schema: Mapping[str, Any], value: Any) -> float:
        """Steps of schemas that hold for the value itself. Alternatives are tried, and again for what is wrong with them."""
        steps = 0.0
        for keyword in ("allOf", "dependentSchemas", "dependencies"):
            for part in _parts(schema.get(keyword)):
                steps += self.count(part, value)
        for keyword in ("anyOf", "oneOf"):
            for part in _parts(schema.get(keyword)):
                steps += 2 * self.count(part, value)
        for keyword in ("not", "if", "then", "else"):
            if keyword in schema:
                steps += 2 * self.count(schema[keyword], value)
        if isinstance(schema.get("$ref"), str):
            target = self._target(schema["$ref"])
            steps += self.count(target, value)
        return steps

    def _of_parts(self, schema: Mapping[str, Any], value: Any) -> Iterator[float]:
        """Steps of schemas that hold for parts of the value; a part is taken for one of each schema that may apply to it."""
        if isinstance(value, Mapping):
            properties = schema.get("properties")
            others = [
                *_parts(schema.get("patternProperties")),
                schema.get("additionalProperties"),
            ]
            for name, part in value.items():
                if isinstance(properties, Mapping) and name in properties:
                    yield self.count(properties[name], part)
                for other in others:
                    yield self.count(other, part)
                yield self.count(schema.get("propertyNames"), name)
        elif isinstance(value, list):
            keywords = ("items", "prefixItems", "additionalItems", "contains")
            given = [schema[keyword] for keyword in keywords if keyword in schema]
            for place, part in enumerate(value):
                for other in given:
                    at_place = (
                        other[place : place + 1] if isinstance(other, list) else [other]
                    )
                    for each in at_place:
                        yield self.count(each, part)

    def _target(self, reference: str) -> Any:
        """What a reference inside the schema points at. Raises _TooManyError if it is not a path."""
        found: Any = self._root
        if not reference.startswith("#") or (
            reference != "#" and not reference.startswith("#/")
        ):
            raise _TooManyError
        for part in reference.split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                raise _TooManyError
        return found


def _parts(keyword: Any) -> Iterable[Any]:
    """What a mapping or a list holds, such as the schemas of a keyword that has several."""
    if isinstance(keyword, Mapping):
        return keyword.values()
    return keyword if isinstance(keyword, list) else ()
