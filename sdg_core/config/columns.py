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

    propagate_skip: false generates the cell even if a column that it reads was skipped; it then reads null (or
    `skip.value`).
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

    conditional_params: maps a condition (an expression without braces) to parameters; the first true condition
    replaces `params`.
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

    cast: `exact` fails a cell whose text is not of the type; `lenient` truncates 1.87 to 1, reads any text except
    `true` and numbers other than 0 as false, and turns `nan` into null, as Data Designer does.
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

    multi_modal_context: columns with images, audio or video to send with the prompt.
    tool_alias: the `tool_configs` entry with the tools that the model may call.
    with_trace: adds a column `<name>__trace` with the last message, or all messages, of the conversation.
    extract_reasoning_content: adds a column `<name>__reasoning_content` with the model's reasoning.
    on_truncated: what to do with a reply that was cut off at `max_tokens` or by a content filter: fail its cell, or
    keep it.
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
    """Source code in one language, extracted from the reply."""

    column_type: Literal["llm-code"] = "llm-code"
    code_lang: CodeLanguage


class LlmStructuredColumn(ChatColumn):
    """A value that satisfies a JSON schema; a pydantic model is replaced by its schema when the file is loaded.

    open_values: how to store values whose type the schema leaves open (unions, any value): as JSON text, or with
    `text`, strings as is, other values as JSON, and decimals as numbers.
    """

    column_type: Literal["llm-structured"] = "llm-structured"
    output_format: OutputFormat
    open_values: Literal["json", "text"] = "json"


class LlmJudgeColumn(ChatColumn):
    """Scores, each with its reasoning."""

    column_type: Literal["llm-judge"] = "llm-judge"
    scores: Scores


class EmbeddingColumn(ModelColumn):
    """Vectors of a text, or of each text in a list."""

    column_type: Literal["embedding"] = "embedding"
    target_column: Name


class ImageColumn(ModelColumn):
    """Images generated by a model, stored as files next to the row groups; the cell lists their paths."""

    column_type: Literal["image"] = "image"
    name: Annotated[Name, FileName]
    prompt: NonEmptyStr
    multi_modal_context: tuple[AnyMediaContext, ...] | None = None


class CustomColumn(SkippableColumn):
    """A column computed by a user function, `module:function` or `./file.py:function`.

    required_columns, side_effect_columns, model_aliases, version: taken from the function's decorator by default.
    output_type, side_effect_types: a scalar type name, `[type]` for a list, `{name: type}` for a struct; default: the
    function's return annotation, otherwise text.
    allow_resize: a whole-column function may return a different number of rows; its row group is then generated all
    or nothing.
    source_hash: computed when the function is loaded; a value in a file is ignored.
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
    """A verdict on other columns: a struct with `is_valid` and the validator's details.

    batch_size: cells per call, for validators that process batches.
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
    """Sets the position of a seed column among the other columns; seed columns that are not listed come first."""

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
