"""The column kinds of a dataset: a union tagged by `column_type`."""

from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr, model_validator

from sdg_core.config.base import (
    Bool,
    ConfigModel,
    FileName,
    JsonObject,
    Name,
    NonEmptyStr,
    PositiveInt,
    Scalar,
)
from sdg_core.config.replies import (
    AnyMediaContext,
    CodeLanguage,
    OutputFormat,
    Scores,
    Trace,
)
from sdg_core.config.samplers import SamplerParams, SamplerType
from sdg_core.config.skip import SkipConfig, without_skip
from sdg_core.config.validators import ValidatorParams, ValidatorType


class ColumnBase(ConfigModel):
    """What every column has. `drop` keeps the column out of the finished dataset (it is stored beside it)."""

    name: Name
    drop: Bool = False
    description: NonEmptyStr | None = None


class SkippableColumn(ColumnBase):
    """A column that may be skipped record by record: where `skip.when` holds, or where a column that it reads was skipped.

    propagate_skip: false makes a cell even if a column that it reads was skipped; it finds null (or `skip.value`) there.
    """

    skip: SkipConfig | None = None
    propagate_skip: Bool = True


class UnskippableColumn(ColumnBase):
    """A column that every record has; `skip: null` may be written, because another program does."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_skip(cls, data: Any) -> Any:
        return without_skip(data)


class SamplerColumn(UnskippableColumn):
    """A value drawn from a distribution, reproducible per record.

    conditional_params: condition (an expression without braces) to parameters; the first that holds replaces `params`.
    """

    column_type: Literal["sampler"] = "sampler"
    sampler_type: SamplerType
    params: SamplerParams
    conditional_params: dict[NonEmptyStr, SamplerParams] = {}
    convert_to: NonEmptyStr | None = None

    @model_validator(mode="before")
    @classmethod
    def _tag_params(cls, data: Any) -> Any:
        """Repeat `sampler_type` inside every set of parameters, where the tagged union looks for it."""
        if not isinstance(data, dict):
            return data
        kind = data.get("sampler_type")
        tagged = {**data, "params": _tagged(data.get("params", {}), kind)}
        branches = data.get("conditional_params", {})
        if branches is None:
            del tagged["conditional_params"]
        if isinstance(branches, dict):
            tagged["conditional_params"] = {
                condition: _tagged(params, kind)
                for condition, params in branches.items()
            }
        return tagged

    @property
    def every_params(self) -> tuple[SamplerParams, ...]:
        """The parameters of every branch: those of each condition in order, then the default."""
        return (*self.conditional_params.values(), self.params)


def _tagged(params: Any, kind: Any) -> Any:
    if not isinstance(params, dict):
        return params
    if params.get("sampler_type", kind) != kind:
        raise ValueError(
            f"params.sampler_type {params['sampler_type']!r} differs from {kind!r}"
        )
    return {**params, "sampler_type": kind}


class ExpressionColumn(SkippableColumn):
    """A template rendered per record and cast to `dtype`.

    cast: `exact` fails a cell whose text is not of the type; `lenient` cuts 1.87 to 1, takes any text but `true` and numbers
    other than 0 for false, and makes null of `nan`, as Data Designer does.
    """

    column_type: Literal["expression"] = "expression"
    expr: NonEmptyStr
    dtype: Literal["str", "int", "float", "bool"] = "str"
    cast: Literal["exact", "lenient"] = "exact"


class ModelColumn(SkippableColumn):
    """A column whose cells a model answers."""

    model_alias: NonEmptyStr


class ChatColumn(ModelColumn):
    """A column written by a language model.

    multi_modal_context: columns whose images, audio or video go with the prompt.
    tool_alias: the entry of `tool_configs` whose tools the model may call.
    with_trace: a further column `<name>__trace` with the last message, or all messages, of the conversation.
    extract_reasoning_content: a further column `<name>__reasoning_content` with what the model thought.
    on_truncated: what becomes of a reply that was cut off at max_tokens or by a content filter: its cell fails, or it is kept.
    """

    prompt: StrictStr
    system_prompt: StrictStr | None = None
    multi_modal_context: tuple[AnyMediaContext, ...] | None = None
    tool_alias: NonEmptyStr | None = None
    with_trace: Trace = "none"
    extract_reasoning_content: Bool = False
    on_truncated: Literal["fail", "keep"] = "fail"


class LlmTextColumn(ChatColumn):
    """Free text written by a language model."""

    column_type: Literal["llm-text"] = "llm-text"


class LlmCodeColumn(ChatColumn):
    """Source text in one language, taken out of the reply."""

    column_type: Literal["llm-code"] = "llm-code"
    code_lang: CodeLanguage


class LlmStructuredColumn(ChatColumn):
    """A value that satisfies a JSON schema; a pydantic model stands for its schema, which takes its place when it is loaded.

    open_values: what the schema leaves open (unions of kinds, any value) is JSON text, or with `text` a text as it is, JSON
    for the rest, and a decimal a number.
    """

    column_type: Literal["llm-structured"] = "llm-structured"
    output_format: OutputFormat
    open_values: Literal["json", "text"] = "json"


class LlmJudgeColumn(ChatColumn):
    """Scores, each with the reasons for it."""

    column_type: Literal["llm-judge"] = "llm-judge"
    scores: Scores


class EmbeddingColumn(ModelColumn):
    """Vectors of a text, or of each text in a list."""

    column_type: Literal["embedding"] = "embedding"
    target_column: Name


class ImageColumn(ModelColumn):
    """Images made by a model, stored as files beside the row groups; the cell lists their paths."""

    column_type: Literal["image"] = "image"
    name: Annotated[Name, FileName]
    prompt: NonEmptyStr
    multi_modal_context: tuple[AnyMediaContext, ...] | None = None


class CustomColumn(SkippableColumn):
    """A column computed by a function of the user, given as `module:function` or `./file.py:function`.

    required_columns, side_effect_columns, model_aliases, version: default what the function's decorator says.
    output_type, side_effect_types: a scalar type's name, `[type]` for a list, `{name: type}` for a struct; default the type
    that the function is annotated to return, else text.
    allow_resize: a whole-column function may return another number of rows; its row group is then made all or nothing.
    source_hash: found when the function is loaded; what is written in a file is not looked at.
    """

    column_type: Literal["custom"] = "custom"
    generator_function: NonEmptyStr
    generation_strategy: Literal["cell_by_cell", "full_column"] = "cell_by_cell"
    generator_params: JsonObject | None = None
    required_columns: tuple[Name, ...] | None = None
    side_effect_columns: tuple[Name, ...] | None = None
    side_effect_types: JsonObject | None = None
    model_aliases: tuple[NonEmptyStr, ...] | None = None
    output_type: Any = None
    allow_resize: Bool = False
    version: Scalar | None = None
    source_hash: NonEmptyStr | None = None


class ValidationColumn(SkippableColumn):
    """A verdict on other columns: a struct with `is_valid` and what the validator has to say.

    batch_size: cells per call of a validator that is worth calling for several at once.
    """

    column_type: Literal["validation"] = "validation"
    target_columns: Annotated[tuple[Name, ...], Field(min_length=1)]
    validator_type: ValidatorType
    validator_params: ValidatorParams
    batch_size: PositiveInt = 10

    @model_validator(mode="before")
    @classmethod
    def _tag_params(cls, data: Any) -> Any:
        """Repeat `validator_type` inside `validator_params`, where the tagged union looks for it."""
        if not isinstance(data, dict) or not isinstance(
            params := data.get("validator_params", {}), dict
        ):
            return data
        kind = data.get("validator_type")
        if params.get("validator_type", kind) != kind:
            raise ValueError(
                f"validator_params.validator_type {params['validator_type']!r} differs from {kind!r}"
            )
        return {**data, "validator_params": {**params, "validator_type": kind}}


class SeedColumn(UnskippableColumn):
    """Places a column of the seed data among the others; seed columns that are not listed come first."""

    column_type: Literal["seed-dataset"] = "seed-dataset"


Column = Annotated[
    SamplerColumn
    | ExpressionColumn
    | LlmTextColumn
    | LlmCodeColumn
    | LlmStructuredColumn
    | LlmJudgeColumn
    | EmbeddingColumn
    | ImageColumn
    | CustomColumn
    | ValidationColumn
    | SeedColumn,
    Field(discriminator="column_type"),
]
