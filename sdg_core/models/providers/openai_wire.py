"""OpenAI's formats, both ways, without I/O: request to body, body of an answer to reply."""

import json
import math
import re
from typing import Any

import orjson

from sdg_core.config.models import ModelProvider
from sdg_core.errors import ModelError, PermanentModelError, TransientModelError
from sdg_core.models.providers.event_stream import answer_of_stream, is_event_stream
from sdg_core.models.providers.http_errors import (
    Caller,
    error_from_status,
    excerpt,
    server_words,
)
from sdg_core.models.providers.reasoning_text import split_reasoning
from sdg_core.models.structured import native_schema
from sdg_core.models.types import (
    AudioPart,
    ChatRequest,
    ChatResponse,
    ImagePart,
    Message,
    Part,
    TextPart,
    Tool,
    ToolCall,
    has_visible_text,
    is_count,
    normalized_finish_reason,
)
from sdg_core.models.usage import Usage
from sdg_core.plan.foreign import check_value, dump_exactly
from sdg_core.plan.foreign import read_json as read_json_value

_MAX_NAME_LENGTH = 200
_COUNT = re.compile(r"[0-9]{1,15}(\.[0-9]+)?", re.ASCII)
_STATUS = re.compile(r"[45]\d\d", re.ASCII)


def encode_request(request: ChatRequest, provider: ModelProvider) -> bytes:
    """The JSON body. Later wins: parameters that are set, the provider's `extra_body`, the model's `extra_body`.

    The request's seed is left out on purpose: servers that honour it would tie replies to our numbering.
    """
    parameters = request.parameters
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_message(message) for message in request.messages],
    }
    for name in ("temperature", "top_p", "max_tokens"):
        value = getattr(parameters, name)
        if value is not None:
            body[name] = value
    if request.response_schema is not None:
        schema, strict = native_schema(request.response_schema)
        named = {"name": request.schema_name, "schema": schema, "strict": strict}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice_none:
            body["tool_choice"] = "none"
    body |= provider.extra_body or {}
    body |= parameters.extra_body or {}
    return write_json(body, model=request.model)


def write_json(body: dict[str, Any], *, model: str) -> bytes:
    """The body as bytes. Raises PermanentModelError for what JSON cannot say, which names its place in the body."""
    try:
        return orjson.dumps(body)
    except TypeError as error:
        reason = str(error)
    try:
        check_value(body, where="the body")
    except ValueError as error:
        reason = str(error)
    raise PermanentModelError(
        f"the request to model {model!r} cannot be written as JSON: {reason}"
    )


def read_json(body: bytes, *, caller: Caller, model: str) -> Any:
    """The body of a 200, of which a stream of events is put together. Raises TransientModelError if it is not JSON."""
    try:
        if not is_event_stream(body):
            return read_json_value(body)
    except ValueError:
        raise TransientModelError(
            f"{caller.where(model)} returned 200 with a body that is not JSON: {excerpt(body, caller)}"
        ) from None
    try:
        answer = answer_of_stream(body)
        return read_json_value(
            caller.redaction.body(dump_exactly(answer))
        )  # a secret may have come in several pieces
    except ValueError as error:
        raise TransientModelError(
            f"{caller.where(model)} returned 200 with an event stream, which was not requested, and {error}: "
            f"{excerpt(body, caller)}"
        ) from None


def decode_reply(
    body: bytes, *, caller: Caller, model: str, asked: bytes = b""
) -> ChatResponse:
    """The reply in the body of a 2xx. asked: the body of the request.

    Raises the fault that an error object in it stands for, PermanentModelError for a refusal, TransientModelError if there
    is no reply.
    """
    answer = read_json(body, caller=caller, model=model)
    choices = _list(answer.get("choices")) if isinstance(answer, dict) else []
    choice = choices[0] if choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    for place in (answer, choice):
        if isinstance(place, dict) and place.get("error"):
            raise _error_inside(place["error"], caller=caller, model=model)
    if isinstance(answer, dict) and answer.get("object") == "error":
        raise _error_inside(answer, caller=caller, model=model)
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise TransientModelError(
            f"{caller.where(model)} returned 200 without a message: {server_words(body, caller)}"
        )
    finish_reason = normalized_finish_reason(name_or_none(choice.get("finish_reason")))
    thought, text = split_reasoning(
        _text(message.get("content"), caller=caller), asked_for=asked
    )
    reasoning = (
        text_or_none(message.get("reasoning_content"))
        or text_or_none(message.get("reasoning"))
        or thought
    )
    calls = _calls(message.get("tool_calls"))
    images = _image_urls(message)
    refusal = text_or_none(message.get("refusal"))
    usage = usage_of(answer.get("usage"))
    if refusal is not None and not calls:
        refused = (
            f"{caller.where(model)} refused to answer: {caller.redact(refusal)[:300]}"
        )
        raise billed(PermanentModelError(refused), usage)
    if not has_visible_text(text) and not calls and not images:
        more = (
            "; the model reasoned but did not answer: raise max_tokens"
            if reasoning and finish_reason == "length"
            else ""
        )
        empty = f"empty reply from {caller.where(model)}, finish_reason {finish_reason}{more}"
        raise billed(TransientModelError(empty), usage)
    return ChatResponse(
        text=text,
        finish_reason=finish_reason,
        usage=usage,
        reasoning=reasoning,
        tool_calls=calls,
        image_urls=images,
        model=name_or_none(answer.get("model")),
    )


_STATUS_OF_WORDS = {
    **dict.fromkeys(
        (
            "invalid_request_error",
            "context_length_exceeded",
            "bad_request",
            "badrequesterror",
        ),
        400,
    ),
    **dict.fromkeys(
        ("invalid_api_key", "authentication_error", "unauthorized", "unauthenticated"),
        401,
    ),
    **dict.fromkeys(("permission_error", "permission_denied", "forbidden"), 403),
    **dict.fromkeys(
        ("model_not_found", "not_found_error", "not_found", "notfounderror"), 404
    ),
    **dict.fromkeys(
        (
            "rate_limit_exceeded",
            "rate_limit_error",
            "too_many_requests",
            "resource_exhausted",
            "insufficient_quota",
        ),
        429,
    ),
    **dict.fromkeys(("overloaded_error", "overloaded"), 529),
}
"""Codes and types of errors, where they are words, to the status that goes with them."""


def _error_inside(error: object, *, caller: Caller, model: str) -> ModelError:
    """The fault that an error object in a 2xx stands for, by its code; transient where it has none."""
    given = error if isinstance(error, dict) else {"message": error}
    codes = [str(given.get(name)) for name in ("code", "status", "status_code", "type")]
    numbers = [int(code) for code in codes if _STATUS.fullmatch(code)]
    meant = [
        _STATUS_OF_WORDS[code.lower()]
        for code in codes
        if code.lower() in _STATUS_OF_WORDS
    ]
    status = next(iter([*numbers, *meant]), 500)
    words = {name: value for name, value in given.items() if isinstance(value, str)}
    body = json.dumps({"error": words or repr(given)[:_MAX_NAME_LENGTH]}).encode()
    return error_from_status(status, {}, body, caller=caller, model=model, now=0.0)


def billed(error: ModelError, usage: Usage) -> ModelError:
    """The error of an answer that is of no use, and that the server counts all the same."""
    error.used = vars(usage)
    return error


def usage_of(raw: object) -> Usage:
    """The usage of one request, as the server counts; zeros where it does not."""
    usage = raw if isinstance(raw, dict) else {}
    return Usage(
        requests=1,
        prompt_tokens=count_of(usage, "prompt_tokens"),
        completion_tokens=count_of(usage, "completion_tokens"),
        cached_tokens=count_of(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=count_of(
            usage.get("completion_tokens_details"), "reasoning_tokens"
        ),
    )


def count_of(raw: object, name: str) -> int:
    """A count of a mapping, also as text or as a real number; 0 if it is not there, or is none that one request can have."""
    value = raw.get(name) if isinstance(raw, dict) else None
    if isinstance(value, str) and _COUNT.fullmatch(value):
        value = float(value)
    if isinstance(value, float) and math.isfinite(value):
        value = math.ceil(value)
    return value if is_count(value) else 0


def text_or_none(value: object) -> str | None:
    """The value if it is text that says something."""
    return value if isinstance(value, str) and value else None


def name_or_none(value: object) -> str | None:
    """A name that the server gives, such as that of a model; what is longer than any name is cut."""
    name = text_or_none(value)
    return name if name is None else name[:_MAX_NAME_LENGTH]


def _message(message: Message) -> dict[str, Any]:
    content: Any = message.content
    if not isinstance(content, str):
        content = [_part(part) for part in content]
    encoded: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        calls = []
        for call in message.tool_calls:
            function = {"name": call.name, "arguments": call.arguments}
            calls.append({"id": call.id, "type": "function", "function": function})
        encoded["content"] = content or None
        encoded["tool_calls"] = calls
    if message.tool_call_id is not None:
        encoded["tool_call_id"] = message.tool_call_id
    return encoded


def _part(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ImagePart):
        return {"type": "image_url", "image_url": {"url": part.address}}
    if isinstance(part, AudioPart):
        if part.data is None or part.media_type is None:
            return {"type": "audio_url", "audio_url": {"url": part.address}}
        return {
            "type": "input_audio",
            "input_audio": {
                "data": part.data,
                "format": _audio_format(part.media_type),
            },
        }
    return {"type": "video_url", "video_url": {"url": part.address}}


def _audio_format(media_type: str) -> str:
    """`audio/mpeg` as `mp3`, which is what servers call it."""
    name = media_type.partition("/")[2].removeprefix("x-")
    return {"mpeg": "mp3", "wave": "wav", "mp4": "m4a"}.get(name, name)


def _tool(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}


def _calls(raw: object) -> tuple[ToolCall, ...]:
    calls = []
    for place, call in enumerate(_list(raw)):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            continue
        name = function.get("name")
        if not isinstance(name, str):
            continue
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = dump_exactly(arguments or {}).decode().strip()
        call_id = text_or_none(call.get("id")) or f"call_{place}"
        calls.append(ToolCall(call_id, name, arguments))
    return tuple(calls)


def _image_urls(message: dict[str, Any]) -> tuple[str, ...]:
    """Images of a chat model: `images` of the message, or parts of its content."""
    parts = [*_list(message.get("images")), *_list(message.get("content"))]
    urls = [_url(part.get("image_url")) for part in parts if isinstance(part, dict)]
    return tuple(url for url in urls if url is not None)


def _url(value: object) -> str | None:
    if isinstance(value, dict):
        value = value.get("url")
    return text_or_none(value)


def _text(content: object, *, caller: Caller) -> str:
    """Content is a string, or a list of parts of which the textual ones count. A secret may have been in two of them."""
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in _list(content) if isinstance(part, dict)]
    return caller.redaction.reply(
        "".join(text for text in texts if isinstance(text, str))
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
