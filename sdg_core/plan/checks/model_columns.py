"""Checks of model columns: schemas are compiled once here, and templates that look into a struct name fields that it has."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pyarrow as pa

from sdg_core.config.columns import (
    Column,
    LlmJudgeColumn,
    LlmStructuredColumn,
    SamplerColumn,
    SeedColumn,
)
from sdg_core.config.people import PeopleParams
from sdg_core.config.yaml_document import Path, Problems
from sdg_core.plan.kinds import column_type, templates_of
from sdg_core.plan.names import did_you_mean
from sdg_core.plan.sampling.people import PERSON_TYPE
from sdg_core.plan.sampling.personas import CENSUS_TYPE, where_from
from sdg_core.plan.templates.engine import TemplateSyntaxError, nested_references
from sdg_core.plan.types.replies import reply_schema, reply_shape

_TYPE_WORDS = frozenset(
    {
        "str",
        "string",
        "text",
        "int",
        "integer",
        "float",
        "number",
        "bool",
        "boolean",
        "list",
        "array",
        "dict",
        "object",
    }
)
_JSON_TYPES = {
    **{
        "str": "string",
        "text": "string",
        "int": "integer",
        "float": "number",
        "bool": "boolean",
    },
    **{"list": "array", "dict": "object", "none": "null"},
}
_TYPE_NAMED = re.compile(r'"(\w+)" is not valid under any of the schemas')
_METHODS = frozenset({"items", "keys", "values", "get"})


def check_model_column(column: Column) -> Problems:
    """Problems of a column if it is a model column, by path inside the column."""
    if not isinstance(column, LlmStructuredColumn | LlmJudgeColumn):
        return
    path: Path = ("scores",)
    if isinstance(column, LlmStructuredColumn):
        path = ("output_format",)
        if isinstance(column.output_format, str):
            return  # a class that could not be loaded, which has been said
        names = _names_taken_for_a_schema(column.output_format)
        if names:
            properties = ", ".join(f"{name}: {{type: string}}" for name in names)
            required = ", ".join(names)
            yield (
                path,
                "not a JSON schema: it does not constrain the reply; write a schema, as in "
                f"{{type: object, properties: {{{properties}}}, required: [{required}]}}",
            )
            return
    from sdg_core.plan.types.json_schema import compile_schema

    try:
        # so far nobody has said how large a number may be
        schema = orjson.loads(orjson.dumps(reply_schema(column)))
        compile_schema(schema)
        reply_shape(column)
    except (ValueError, TypeError) as error:
        named = _TYPE_NAMED.match(str(error))
        meant = ""
        if named is not None and named[1] in _JSON_TYPES:
            meant = f"; did you mean {_JSON_TYPES[named[1]]!r}?"
        yield path, f"not a usable JSON schema: {error}{meant}"


def _names_taken_for_a_schema(schema: Any) -> list[str]:
    """The keys of a mapping that names fields and their types, as in {title: str}, where a JSON schema is wanted."""
    if not isinstance(schema, dict) or not schema or "type" in schema:
        return []
    if any(str(value) not in _TYPE_WORDS for value in schema.values()):
        return []
    return [str(key) for key in schema]


def struct_types(columns: tuple[Column, ...]) -> dict[str, pa.DataType]:
    """The types of those columns that have fields: structured values, scores, people, verdicts."""
    found: dict[str, pa.DataType] = {}
    for column in columns:
        if isinstance(column, SeedColumn):
            continue
        if isinstance(column, SamplerColumn) and not isinstance(
            column.params, PeopleParams
        ):
            continue
        try:
            kind = column_type(column)
        except (ValueError, TypeError):
            continue  # reported with the column
        if isinstance(kind, pa.StructType):
            found[column.name] = kind
    return found


def check_fields(column: Column, structs: Mapping[str, pa.DataType]) -> Problems:
    """Fields that a column's templates read and that the struct columns do not have."""
    for path, source in templates_of(column).items():
        for message in unknown_fields(source, structs):
            yield path, message


def unknown_fields(source: str, structs: Mapping[str, pa.DataType]) -> Iterator[str]:
    """What is wrong with the fields that one template reads."""
    try:
        names = nested_references(source) if structs else frozenset()
    except TemplateSyntaxError:
        return  # reported with the templates
    for dotted in sorted(names):
        name, *parts = dotted.split(".")
        kind = structs.get(name)
        where = name
        for part in parts:
            if not isinstance(kind, pa.StructType) or part in _METHODS:
                break
            fields = {field.name: field.type for field in kind}
            if part not in fields:
                remedy = where_from(part) if kind in (PERSON_TYPE, CENSUS_TYPE) else ""
                hint = f"; {remedy}" if remedy else did_you_mean(part, fields)
                yield f"{where!r} has no field {part!r}{hint}"
                break
            kind = fields[part]
            where = f"{where}.{part}"
