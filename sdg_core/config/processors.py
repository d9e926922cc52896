"""Processors: what happens to a dataset's columns and rows besides generating them."""

from typing import Annotated, Literal

from pydantic import Field, StrictStr, StringConstraints

from sdg_core.config.base import ConfigModel, JsonObject, NonEmptyStr

ProcessorName = Annotated[StrictStr, StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9_ -]*[A-Za-z0-9_-])?$")]


class DropColumnsProcessor(ConfigModel):
    """Keeps columns (names or `*` globs) out of the finished dataset; they are stored in `dropped_columns/`."""

    processor_type: Literal["drop_columns"] = "drop_columns"
    name: ProcessorName
    column_names: Annotated[tuple[NonEmptyStr, ...], Field(min_length=1)]


class SchemaTransformProcessor(ConfigModel):
    """Writes a second dataset in another shape, such as chat messages: a template per new column, nested as you like."""

    processor_type: Literal["schema_transform"] = "schema_transform"
    name: ProcessorName
    template: Annotated[JsonObject, Field(min_length=1)]


Processor = Annotated[DropColumnsProcessor | SchemaTransformProcessor, Field(discriminator="processor_type")]
