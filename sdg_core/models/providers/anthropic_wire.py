"""Anthropic's Messages format, both ways, without I/O: request to body, body of an answer to reply.

It differs from OpenAI's in that the system prompt stands apart, turns alternate, `max_tokens` is required, results of tools are
blocks of the user's turn, and `output_config` holds a model to a part of JSON Schema only. Where a schema or a server does not go
with `output_config`, the model is made to call a tool that has the schema.
"""

from typing import Any

import orjson

from sdg_core.config.models import ModelProvider
from sdg_core.errors import PermanentModelError, TransientModelError
from sdg_core.models.providers.http_errors import Caller, server_words
from sdg_core.models.providers.openai_wire import (
    billed,
    count_of,
    name_or_none,
    read_json,
    text_or_none,
    write_json,
)
from sdg_core.models.structured import native_schema
from sdg_core.models.types import (
    OUTPUT_CONFIG,
    ChatRequest,
    ChatResponse,
    ImagePart,
    Message,
    Part,
    TextPart,
    Tool,
    ToolCall,
)
from sdg_core.models.usage import Usage
from sdg_core.plan.foreign import dump_exactly

_MAX_TOKENS = 32_000
"""Sent where the file sets no `max_tokens`, because the API wants one. A model that takes less says so, and is asked for that
(`sdg_core.models.parameter_support`)."""
_SAMPLING = ("temperature", "top_p", "top_k")
_UNSUPPORTED = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "$schema",
        "$id",
    }
)
"""Keywords that `output_config` refuses; the reply is checked against them here."""
_SIGNED = ("thinking", "redacted_thinking")
"""Blocks that have to be sent back unchanged before the calls that they led to."""
_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}


def encode_message(request: ChatRequest, provider: ModelProvider) -> bytes:
    """The JSON body. Later wins: parameters that are set, the provider's `extra_body`, the model's `extra_body`."""
    parameters = request.parameters
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": parameters.max_tokens or _MAX_TOKENS,
        "messages": _turns(request),
    }
    system_texts = [
        message.text for message in request.messages if message.role == "system"
    ]
    system = "\n\n".join(system_texts)
    if system:
        body["system"] = system
    for name in ("temperature", "top_p"):
        value = getattr(parameters, name)
        if value is not None:
            body[name] = value
    tools = [_tool(tool) for tool in request.tools]
    output_format = _output_format(request)
    if request.response_schema is not None and output_format is None:
        answer = Tool(
            request.schema_name,
            "Give the answer by calling this tool.",
            request.response_schema,
        )
        tools.append(_tool(answer))
        if not request.tools or request.tool_choice_none:
            body["tool_choice"] = {
                "type": "tool",
                "name": request.schema_name,
                "disable_parallel_tool_use": True,
            }
    elif request.tool_choice_none:
        body["tool_choice"] = {"type": "none"}
    if tools:
        body["tools"] = tools
    body |= _extra(request, provider)
    if output_format is not None:
        body["output_config"] = {
            "format": output_format,
            **(body.get("output_config") or {}),
        }
    return write_json(body, model=request.model)


def sets_sampling(request: ChatRequest, provider: ModelProvider) -> bool:
    """Whether a request sets a sampling parameter, which the current version of the API refuses."""
    parameters = request.parameters
    if parameters.temperature is not None or parameters.top_p is not None:
        return True
    extra = _extra(request, provider)
    return any(name in extra for name in _SAMPLING)


def _extra(request: ChatRequest, provider: ModelProvider) -> dict[str, Any]:
    return (provider.extra_body or {}) | (request.parameters.extra_body or {})


def _output_format(request: ChatRequest) -> dict[str, Any] | None:
    """What `output_config` is to hold the model to; None without a schema, and where a tool has to do it. Beside other tools it
    always has to, because servers that hold a model to a format may let it call none."""
    if (
        request.response_schema is None
        or request.tools
        or OUTPUT_CONFIG in request.without
    ):
        return None
    schema, strict = native_schema(request.response_schema)
    if not strict:  # every object has to be closed
        return None
    return {"type": "json_schema", "schema": _supported(schema)}


def _supported(node: Any) -> Any:
    """A schema without the keywords that the API refuses."""
    if isinstance(node, list):
        return [_supported(item) for item in node]
    if not isinstance(node, dict):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("properties", "$defs", "definitions") and isinstance(value, dict):
            made[key] = {name: _supported(part) for name, part in value.items()}
        elif key in ("enum", "const", "default", "examples", "required"):
            made[key] = value
        elif key not in _UNSUPPORTED:
            made["anyOf" if key == "oneOf" else key] = _supported(value)
    return made


def _is_signed(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in _SIGNED


def decode_message(
    body: bytes, request: ChatRequest, *, caller: Caller
) -> ChatResponse:
    """The reply in the body of a 200. Raises TransientModelError if there is none."""
    where = caller.where(request.model)
    answer = read_json(body, caller=caller, model=request.model)
    blocks = answer.get("content") if isinstance(answer, dict) else None
    if not isinstance(blocks, list):
        raise TransientModelError(
            f"{where} returned 200 without a message: {server_words(body, caller)}"
        )
    usage = _usage(answer.get("usage"))
    reason = name_or_none(answer.get("stop_reason"))
    finish_reason = None if reason is None else _REASONS.get(reason, reason)
    text = _of_type(blocks, "text", "text", caller=caller)
    calls = _calls(blocks)
    if request.response_schema is not None:
        answers = [call for call in calls if call.name == request.schema_name]
        calls = tuple(call for call in calls if call.name != request.schema_name)
        if answers:
            text = answers[0].arguments
            if finish_reason == "tool_calls" and not calls:
                finish_reason = "stop"
    if finish_reason == "refusal":
        refused = f"{where} refused to answer: {caller.redact(text)[:300] or 'it gave no reason'}"
        raise billed(PermanentModelError(refused), usage)
    if not text.strip() and not calls:
        raise billed(
            TransientModelError(f"empty reply from {where}, stop_reason {reason}"),
            usage,
        )
    return ChatResponse(
        text=text,
        finish_reason=finish_reason,
        usage=usage,
        reasoning=_of_type(blocks, "thinking", "thinking", caller=caller) or None,
        tool_calls=calls,
        model=name_or_none(answer.get("model")),
        provider_blocks=tuple(filter(_is_signed, blocks)),
    )


def _turns(request: ChatRequest) -> list[dict[str, Any]]:
    """Messages as turns of user and assistant; neighbours of one role are one turn. Blank text is refused by the API."""
    turns: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, request.model)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message, model: str) -> list[dict[str, Any]]:
    if message.role == "tool":
        return [
            {
                "type": "tool_result",
                "tool_use_id": message.tool_call_id,
                "content": message.text,
            }
        ]
    parts = (
        (TextPart(message.content),)
        if isinstance(message.content, str)
        else message.content
    )
    blocks: list[dict[str, Any]] = []
    for part in parts:
        is_blank = isinstance(part, TextPart) and not part.text.strip()
        if not is_blank:
            blocks.append(_part(part, model))
    for call in message.tool_calls:
        blocks.append(
            {
                "type": "tool_use",
                "id": call.id,
                "name": call.name,
                "input": _arguments(call.arguments),
            }
        )
    if not blocks:
        blocks.append({"type": "text", "text": "."})
    return [*map(dict, message.provider_blocks), *blocks]


def _part(part: Part, model: str) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        source = {"type": "url", "url": part.url}
        if part.data is not None:
            source = {
                "type": "base64",
                "media_type": part.media_type,
                "data": part.data,
            }
        return {"type": "image", "source": source}
    kind = type(part).__name__.removesuffix("Part").lower()
    raise PermanentModelError(
        f"model {model!r} takes text and images only, not {kind}",
        remedy="remove that context, or use a provider of type openai",
    )


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": dict(tool.parameters),
    }


def _arguments(text: str) -> Any:
    """The API wants an object, whatever the model wrote."""
    try:
        arguments = orjson.loads(text)
    except orjson.JSONDecodeError:
        arguments = None
    return arguments if isinstance(arguments, dict) else {}


def _calls(blocks: list[Any]) -> tuple[ToolCall, ...]:
    calls = []
    for place, block in enumerate(blocks):
        if not isinstance(block, dict) or block.get("type") != "tool_use":
            continue
        name = block.get("name")
        if isinstance(name, str):
            call_id = text_or_none(block.get("id")) or f"call_{place}"
            arguments = dump_exactly(block.get("input") or {}).decode().strip()
            calls.append(ToolCall(call_id, name, arguments))
    return tuple(calls)


def _of_type(blocks: list[Any], kind: str, field: str, *, caller: Caller) -> str:
    """The texts of such blocks as one. A secret may have been in two of them."""
    texts = []
    for block in blocks:
        if isinstance(block, dict) and block.get("type") == kind:
            text = block.get(field)
            if isinstance(text, str):
                texts.append(text)
    return caller.redaction.reply("".join(texts))


def _usage(raw: object) -> Usage:
    """Anthropic counts cached input apart; here it is part of the prompt, as everywhere else."""
    read = count_of(raw, "cache_read_input_tokens")
    written = count_of(raw, "cache_creation_input_tokens")
    return Usage(
        requests=1,
        prompt_tokens=count_of(raw, "input_tokens") + read + written,
        completion_tokens=count_of(raw, "output_tokens"),
        cached_tokens=read,
    )
