"""What model columns hold: their Arrow types, their side columns, and the schema that a judge's reply has to satisfy."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, assert_never

import pyarrow as pa

from sdg_core.config.columns import (
    ChatColumn,
    Column,
    EmbeddingColumn,
    ImageColumn,
    LlmCodeColumn,
    LlmJudgeColumn,
    LlmStructuredColumn,
    LlmTextColumn,
)
from sdg_core.config.distributions import Distribution
from sdg_core.config.models import InferenceParameters
from sdg_core.config.replies import Score

if TYPE_CHECKING:
    from sdg_core.plan.types.json_schema import Shape

AnyModelColumn = (
    LlmTextColumn
    | LlmCodeColumn
    | LlmStructuredColumn
    | LlmJudgeColumn
    | EmbeddingColumn
    | ImageColumn
)
REASONING = "__reasoning_content"
TRACE = "__trace"

_FUNCTION = pa.struct(
    [pa.field("name", pa.string()), pa.field("arguments", pa.string())]
)
_CALL = pa.struct(
    [
        pa.field("id", pa.string()),
        pa.field("type", pa.string()),
        pa.field("function", _FUNCTION),
    ]
)
_BLOCK = pa.struct([pa.field("type", pa.string()), pa.field("text", pa.string())])
MESSAGES = pa.list_(
    pa.struct(
        [
            pa.field("role", pa.string()),
            pa.field("content", pa.list_(_BLOCK)),
            pa.field("reasoning_content", pa.string()),
            pa.field("tool_calls", pa.list_(_CALL)),
            pa.field("tool_call_id", pa.string()),
        ]
    )
)
_EMBEDDINGS = pa.struct(
    [
        pa.field("embeddings", pa.list_(pa.list_(pa.float64()))),
        pa.field("num_embeddings", pa.int64()),
        pa.field("dimension", pa.int64()),
    ]
)


def reply_type(column: AnyModelColumn) -> pa.DataType:
    """The Arrow type of a model column."""
    match column:
        case LlmTextColumn() | LlmCodeColumn():
            return pa.string()
        case LlmStructuredColumn() | LlmJudgeColumn():
            return reply_shape(column).type
        case EmbeddingColumn():
            return _EMBEDDINGS
        case ImageColumn():
            return pa.list_(pa.string())
        case _:
            assert_never(column)


def reply_schema(column: LlmStructuredColumn | LlmJudgeColumn) -> Mapping[str, Any]:
    """The JSON schema of a reply."""
    if isinstance(column, LlmJudgeColumn):
        return judge_schema(column.scores)
    # not loaded, which is a problem of its own
    if isinstance(column.output_format, str):
        return {}
    return column.output_format


def reply_shape(column: LlmStructuredColumn | LlmJudgeColumn) -> "Shape":
    """How a reply becomes a cell. Raises ValueError for a schema with too many parts."""
    as_text = isinstance(column, LlmStructuredColumn) and column.open_values == "text"
    return _shape_of_text(json.dumps(reply_schema(column)), as_text)


@lru_cache(maxsize=256)
def _shape_of_text(schema: str, as_text: bool) -> "Shape":
    from sdg_core.plan.types.json_schema import shape_of

    return shape_of(json.loads(schema), as_text=as_text)


def judge_schema(scores: tuple[Score, ...]) -> dict[str, Any]:
    """Per score the reasons first, so that the model thinks before it decides."""
    properties = {}
    for score in scores:
        are_whole = all(isinstance(option, int) for option in score.options)
        kind = "integer" if are_whole else "string"
        properties[score.name] = {
            "type": "object",
            "description": score.description,
            "properties": {
                "reasoning": {
                    "type": "string",
                    "description": "the reasons for the score",
                },
                "score": {"type": kind, "enum": list(score.options)},
            },
            "required": ["reasoning", "score"],
            "additionalProperties": False,
        }
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def side_columns(column: Column) -> dict[str, pa.DataType]:
    """The further columns that a model column makes, in output order."""
    if not isinstance(column, ChatColumn):
        return {}
    made: dict[str, pa.DataType] = {}
    if column.with_trace != "none":
        made[f"{column.name}{TRACE}"] = MESSAGES
    if column.extract_reasoning_content:
        made[f"{column.name}{REASONING}"] = pa.string()
    return made


def is_drawn(parameters: InferenceParameters) -> bool:
    """Whether some parameters are drawn for every record."""
    draws_temperature = isinstance(parameters.temperature, Distribution)
    return draws_temperature or isinstance(parameters.top_p, Distribution)


def order_sensitive_part(column: Column) -> Any:
    """What the order of mappings in a column decides: the prompt, and the order of fields. Canonical JSON does not keep it."""
    match column:
        case LlmStructuredColumn():
            return json.dumps(column.output_format)
        case LlmJudgeColumn():
            return [list(score.options) for score in column.scores]
        case _:
            return None
