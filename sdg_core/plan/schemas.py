"""JSON schemas, compiled. A schema is self-contained: nothing is fetched while data is checked."""

from collections.abc import Mapping
from typing import Any

import jsonschema_rs


def compile_schema(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """A validator that lists every error. Raises ValueError for a schema that is none or that refers elsewhere."""
    try:
        return jsonschema_rs.validator_for(dict(schema), retriever=_refuse)
    except jsonschema_rs.ValidationError as error:
        where = "/".join(map(str, error.instance_path))
        raise ValueError(f"{error.message}{f' (at {where})' if where else ''}") from error


def _refuse(uri: str) -> Any:
    raise ValueError(f"$ref {uri!r} is outside this schema; put what it refers to under $defs")
