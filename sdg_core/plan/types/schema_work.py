"""Checking a value against a schema whose alternatives lead back into it: work may double with every level of the value.

`anyOf: [{properties: {c: {$ref: "#"}}}, {properties: {c: {$ref: "#"}}}]` checks the same part twice on each level, and the
checker cannot be interrupted. So a value that is deep for such a schema is tried in a process whose time is bounded first.
"""

import atexit
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from sdg_core.plan.types.json_schema import compile_schema
from sdg_core.system.bounded_process import BoundedProcess, WorkEndedError

_SECONDS = 3.0
_MOST_PATHS = 10**6


def check_work(value: Any, schema: Mapping[str, Any]) -> None:
    """Raise ValueError if checking a JSON value against the schema takes longer than it may."""
    repeated = _repeated(orjson.dumps(dict(schema)))
    if repeated < 2 or repeated ** _depth(value) <= _MOST_PATHS:
        return
    try:
        _process().call({"schema": dict(schema), "value": value})
    except WorkEndedError:
        raise ValueError(
            f"it takes more than {_SECONDS:g} s to check: its alternatives lead back into the schema, level by level"
        ) from None


def try_schema(request: Any, ask: object = None) -> int:
    """What the process does for one value."""
    return len(list(compile_schema(request["schema"]).iter_errors(request["value"])))


@lru_cache(maxsize=1024)
def _repeated(schema: bytes) -> int:
    """How often the schema refers to the definition that it refers to most: by so much a level may multiply the work."""
    counts = Counter(_references(orjson.loads(schema)))
    return max(counts.values(), default=0)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for part in node.values():
            yield from _references(part)
    elif isinstance(node, list):
        for part in node:
            yield from _references(part)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@lru_cache(maxsize=1)
def _process() -> BoundedProcess:
    process = BoundedProcess(f"{__name__}:try_schema", seconds=_SECONDS)
    atexit.register(process.close)
    return process
