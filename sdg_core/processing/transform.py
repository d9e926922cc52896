"""Schema transform: records of one shape into records of another, by templates."""

import hashlib
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa

from sdg_core.config.processors import SchemaTransformProcessor
from sdg_core.errors import CellError, SdgError
from sdg_core.plan.checks.processors import text_leaves
from sdg_core.plan.templates.engine import template_references
from sdg_core.plan.templates.render import NestedTemplate
from sdg_core.plan.templates.rewrite import printing_json

TEMPLATE_KEY = b"sdg_template"
"""Parquet key-value metadata of an output: which template made it."""


class SchemaTransform:
    """One schema-transform processor. Strings in the template are rendered, everything else stays as it is written."""

    def __init__(self, processor: SchemaTransformProcessor) -> None:
        self.name = processor.name
        self._template = NestedTemplate(_printing(processor.template))
        self.columns: frozenset[str] = frozenset()
        for _, source in text_leaves(processor.template):
            self.columns |= template_references(source)
        self.mark = (
            hashlib.sha256(orjson.dumps(processor.template)).hexdigest().encode()
        )
        fields = [
            pa.field(name, _type_of(value))
            for name, value in processor.template.items()
        ]
        self.schema = pa.schema(fields, metadata={TEMPLATE_KEY: self.mark})

    def apply(self, table: pa.Table) -> pa.Table:
        """The transformed rows. Raises SdgError naming the processor if a record cannot be rendered."""
        rows = list(self._rows(table))
        return pa.Table.from_pylist(rows, schema=self.schema)

    def _rows(self, table: pa.Table) -> Iterator[dict[str, Any]]:
        records: list[dict[str, Any]] = [{}] * table.num_rows
        if self.columns:
            records = table.select(sorted(self.columns)).to_pylist()
        for values in records:
            try:
                yield self._template.render(values)
            except CellError as error:
                raise SdgError(
                    f"processor {self.name!r}: {error.message}",
                    remedy="fix its template (if a value may be missing, use `| default('')`), then process again",
                ) from error


def _printing(template: Any) -> Any:
    """The template with objects, lists and truth values printed as JSON, which readers of the output can parse."""
    if isinstance(template, str):
        return printing_json(template)
    if isinstance(template, dict):
        return {key: _printing(child) for key, child in template.items()}
    if isinstance(template, list):
        return [_printing(child) for child in template]
    return template


def _type_of(value: Any) -> pa.DataType:
    """The Arrow type of a template: fixed by its shape, so that every part has the same schema."""
    if isinstance(value, dict):
        fields = [pa.field(name, _type_of(child)) for name, child in value.items()]
        return pa.struct(fields)
    if isinstance(value, list):
        types = [_type_of(child) for child in value]
        if len(set(types)) == 1:
            return pa.list_(types[0])
        return pa.list_(_common_struct(types))
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64()
    if isinstance(value, float):
        return pa.float64()
    return pa.string()


def _common_struct(types: list[pa.DataType]) -> pa.DataType:
    """Items of a list may be objects with different keys; absent ones are null. An empty list holds text."""
    fields: dict[str, pa.Field] = {}
    for data_type in types:
        if pa.types.is_struct(data_type):
            fields.update((field.name, field) for field in data_type)
    if not fields:
        return pa.string()
    return pa.struct(list(fields.values()))
