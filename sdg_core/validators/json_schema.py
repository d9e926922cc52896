"""JSON documents against a JSON schema, compiled once; errors are listed with their paths."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from sdg_core.plan.types.json_schema import compile_schema
from sdg_core.plan.types.schema_work import violations
from sdg_core.validators.base import Validator, Verdict


def json_schema_validator(schema: Mapping[str, Any]) -> Validator:
    """A validator of texts that hold JSON, and of lists and mappings as they are."""
    compile_schema(schema)  # a schema that is none is refused here

    def validate(values: Sequence[Any]) -> list[Verdict]:
        verdicts = []
        for value in values:
            faults = _faults(value)
            verdicts.append({"is_valid": not faults, "errors": faults})
        return verdicts

    def _faults(value: Any) -> list[dict[str, str]]:
        if isinstance(value, str):
            try:
                value = orjson.loads(value)
            except ValueError as error:
                return [{"path": "", "message": f"not JSON: {error}"}]
        try:
            return [
                {"path": _path(each.path), "message": each.message}
                for each in violations(value, schema)
            ]
        except (ValueError, TypeError, RecursionError) as error:
            return [{"path": "", "message": f"cannot be checked: {error}"}]

    return validate


def _path(parts: Sequence[str | int]) -> str:
    """`items[0].name`; empty for the document itself."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
