"""The dataset file as a whole. Rules that span several parts (references, cycles) are in `sdg_core.plan.checks.config`."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Discriminator, Field, Tag

from sdg_core.config.base import (
    ConfigModel,
    DatasetName,
    NonEmptyStr,
    PositiveInt,
    Seed,
)
from sdg_core.config.columns import Column
from sdg_core.config.constraints import Constraint
from sdg_core.config.models import ModelConfig, ModelProvider
from sdg_core.config.processors import Processor
from sdg_core.config.run import RunSettings
from sdg_core.config.seeds import SeedConfig
from sdg_core.config.select import SelectConfig
from sdg_core.config.tools import McpProvider, ToolConfig

DEFAULT_ROW_GROUP_SIZE = 1000
AS_SEED: Literal["seed"] = "seed"
"""What `num_records` says where there are as many records as seed rows."""


def _kind_of_number(value: Any) -> str:
    return "word" if value == AS_SEED else "number"


NumRecords = Annotated[
    Annotated[PositiveInt, Tag("number")] | Annotated[Literal["seed"], Tag("word")],
    Discriminator(_kind_of_number),
]


class DatasetConfig(ConfigModel):
    """A dataset: its name, number of records, and columns.

    num_records: a number, or `seed` for the number of seed rows after `where` and the selection. Optional in a file
    that only describes columns; the caller then has to pass the number.
    row_group_size: records per row group (parquet file, Dagster partition); `buffer_size` is an alias.
    seed: random seed; the same seed gives the same samples.
    license: license of the data for the dataset card, such as `cc-by-4.0`.
    """

    name: DatasetName
    description: NonEmptyStr | None = None
    license: NonEmptyStr | None = None
    num_records: NumRecords | None = None
    row_group_size: Annotated[
        PositiveInt,
        Field(validation_alias=AliasChoices("row_group_size", "buffer_size")),
    ] = DEFAULT_ROW_GROUP_SIZE
    seed: Seed = 0
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    seed_config: SeedConfig | None = None
    constraints: tuple[Constraint, ...] = ()
    select: SelectConfig | None = None
    processors: tuple[Processor, ...] = ()
    model_providers: tuple[ModelProvider, ...] = ()
    model_configs: tuple[ModelConfig, ...] = ()
    mcp_providers: tuple[McpProvider, ...] = ()
    tool_configs: tuple[ToolConfig, ...] = ()
    run: RunSettings = RunSettings()
