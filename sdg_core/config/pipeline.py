"""The pipeline file as a whole: a reader of sources, stages, a sink. Told from a dataset file by `kind: pipeline`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sdg_core.config.base import (
    Bool,
    ConfigModel,
    DatasetName,
    JsonObject,
    Name,
    NonEmptyStr,
    NonNegativeInt,
    PositiveInt,
    Scalar,
    Seed,
)
from sdg_core.config.columns import Column
from sdg_core.config.models import ModelConfig, ModelProvider
from sdg_core.config.processors import Processor, QualityBounds
from sdg_core.config.run import RunSettings
from sdg_core.config.select import SelectConfig
from sdg_core.config.sources import Sources
from sdg_core.config.tools import McpProvider, ToolConfig


class StageBase(ConfigModel):
    """What all stages have. checkpoint: store the stage's output per source, so that it is reused after an
    interruption and when a later stage changes."""

    checkpoint: Bool = False


class SplitStage(StageBase):
    """Splits the text of a column into pieces and creates one task per piece. size, overlap: number of units.

    tokenizer: for unit tokens, the tokenizer.json of the model that will read the pieces, relative to the pipeline
    file. Without it, tokens are estimated from words with their leading space, numbers and punctuation, as in GPT-2's
    pre-tokenization.
    """

    stage: Literal["split"]
    column: Name
    unit: Literal["characters", "words", "tokens", "sentences", "markdown"] = (
        "characters"
    )
    size: PositiveInt | None = None
    overlap: NonNegativeInt = 0
    tokenizer: NonEmptyStr | None = None

    @model_validator(mode="after")
    def _tokenizer_counts_tokens(self) -> "SplitStage":
        if self.tokenizer is not None and self.unit != "tokens":
            raise ValueError(
                f"tokenizer is valid only with unit: tokens, but unit is {self.unit}; change the unit "
                f"or remove tokenizer"
            )
        return self


class FilterStage(StageBase):
    """Keeps the tasks for which the template renders true, or whose text in `column` passes every `quality` rule.

    reason: label for the filtered tasks; for quality rules, the name of the failed rule.
    """

    stage: Literal["filter"]
    keep: NonEmptyStr | None = None
    quality: tuple[QualityBounds, ...] = ()
    column: NonEmptyStr = "content"
    reason: NonEmptyStr | None = None

    @model_validator(mode="after")
    def _one_criterion(self) -> "FilterStage":
        if (self.keep is None) == (not self.quality):
            raise ValueError(
                "give either keep, a template that renders true for what stays, or quality, a list of rules"
            )
        return self


class ColumnsStage(StageBase):
    """Adds columns of any dataset column type.

    select: redraws the columns of a task until a candidate is kept, as in a dataset; a task with no candidate kept is
    filtered.
    """

    stage: Literal["columns"]
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    select: SelectConfig | None = None


class ExplodeStage(StageBase):
    """Creates one task per item of a list. Mappings become columns; other items replace the list."""

    stage: Literal["explode"]
    column: Annotated[
        str,
        Field(
            strict=True, pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
        ),
    ]


class StageResources(ConfigModel):
    """Resources of one worker of a stage, for an executor that places stages (`run.executor: ray`)."""

    cpus: Annotated[float, Field(ge=0)] = 1.0
    gpus: Annotated[float, Field(ge=0)] = 0.0


class FunctionStage(StageBase):
    """Calls a user function with one record, or with `batch_size` records; see `sdg_core.custom`.

    concurrency: number of batches in parallel. resources: resources per worker. Both default to the values of the
    class, if the function is one.
    """

    stage: Literal["function"]
    function: NonEmptyStr
    batch_size: PositiveInt | None = None
    params: JsonObject = {}
    version: Scalar | None = None
    concurrency: PositiveInt | None = None
    resources: StageResources | None = None


class SelectStage(StageBase):
    """Keeps only these columns."""

    stage: Literal["select"]
    columns: Annotated[tuple[Name, ...], Field(min_length=1)]


class RenameStage(StageBase):
    """Renames columns: old name to new name."""

    stage: Literal["rename"]
    columns: Annotated[dict[Name, Name], Field(min_length=1)]


Stage = Annotated[
    SplitStage
    | FilterStage
    | ColumnsStage
    | ExplodeStage
    | FunctionStage
    | SelectStage
    | RenameStage,
    Field(discriminator="stage"),
]


class Sink(ConfigModel):
    """The output. columns: columns to write; default: every column that is not dropped. lineage: whether to add
    `_source` and `_task`."""

    columns: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    lineage: Bool = True


class PipelineConfig(ConfigModel):
    """A pipeline: sources through stages to a sink."""

    kind: Literal["pipeline"]
    name: DatasetName
    description: NonEmptyStr | None = None
    sources: Sources
    stages: tuple[Stage, ...] = ()
    sink: Sink = Sink()
    seed: Seed = 0
    processors: tuple[Processor, ...] = ()
    model_providers: tuple[ModelProvider, ...] = ()
    model_configs: tuple[ModelConfig, ...] = ()
    mcp_providers: tuple[McpProvider, ...] = ()
    tool_configs: tuple[ToolConfig, ...] = ()
    run: RunSettings = RunSettings()
