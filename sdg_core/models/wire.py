"""The OpenAI chat format, both ways, without I/O: request to body, answer to reply, answer or exception to fault.

Every fault of a server or connection is classified here and nowhere else (`sdg_core.errors` says what the classes mean).
Invariant: text that comes from a server passes through `Caller.redact`, so an API key that a server repeats is not shown.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from sdg_core.config.models import ModelProvider
from sdg_core.errors import ModelError, PermanentModelError, RateLimitedError, TransientModelError
from sdg_core.models.types import ChatReply, ChatRequest, Usage

_TRANSIENT_STATUS = frozenset({408, 409, 425})
_OVERLOADED = 529
_EXCERPT = 300


@dataclass(frozen=True)
class Caller:
    """Who asks, for error texts: the provider's name, its endpoint as shown to people, and how the key is configured."""

    provider: str
    endpoint: str
    key_variable: str | None
    key: str | None = field(default=None, repr=False)

    def redact(self, text: str) -> str:
        """The text without the API key."""
        return text if not self.key else text.replace(self.key, "[API key]")

    def key_remedy(self) -> str:
        """What to do about a key that was not accepted."""
        if self.key_variable is None:
            return f"set model_providers[{self.provider}].api_key to the name of the environment variable with the key"
        return f"check the key in environment variable {self.key_variable} (provider {self.provider!r})"


def encode_request(request: ChatRequest, provider: ModelProvider) -> bytes:
    """The JSON body. Later wins: parameters that are set, the provider's `extra_body`, the model's `extra_body`.

    The request's seed is left out on purpose: servers that honour it would tie replies to our numbering.
    """
    parameters = request.parameters
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
    }
    for name in ("temperature", "top_p", "max_tokens"):
        value = getattr(parameters, name)
        if value is not None:
            body[name] = value
    body |= provider.extra_body or {}
    body |= parameters.extra_body or {}
    try:
        return orjson.dumps(body)
    except TypeError as error:
        raise PermanentModelError(
            f"the request to model {request.model!r} cannot be written as JSON: {error}"
        ) from None


def decode_reply(body: bytes, *, caller: Caller, model: str) -> ChatReply:
    """The reply in the body of a 200. Raises TransientModelError if there is none."""
    where = f"{caller.endpoint} (model {model!r})"
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise TransientModelError(
            f"{where} answered 200 with a body that is not JSON: {_excerpt(body, caller)}"
        ) from None
    choice = _first(answer.get("choices")) if isinstance(answer, dict) else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise TransientModelError(f"{where} answered 200 without a message: {_server_words(body, caller)}")
    reason = choice.get("finish_reason")
    finish_reason = reason if isinstance(reason, str) else None
    text = _text(message.get("content"))
    if not text:
        raise TransientModelError(f"empty reply from {where}, finish_reason {finish_reason}")
    return ChatReply(text=text, finish_reason=finish_reason, usage=_usage(answer.get("usage")))


def status_fault(
    status: int, headers: Mapping[str, str], body: bytes, *, caller: Caller, model: str, now: float
) -> ModelError:
    """The fault that an answer other than 200 stands for; `now` is the time of day that HTTP dates are compared with."""
    words = f"{caller.endpoint} answered {status} for model {model!r}: {_server_words(body, caller)}"
    wait = retry_after(headers, now=now)
    if status in (429, _OVERLOADED) or (status == 503 and wait is not None):
        return RateLimitedError(words, retry_after=wait)
    if status in _TRANSIENT_STATUS or status >= 500:
        return TransientModelError(words)
    if status in (401, 403):
        return PermanentModelError(words, remedy=caller.key_remedy())
    if status == 404:
        remedy = (
            f"check the model name {model!r} and model_providers[{caller.provider}].endpoint, which ends before /chat"
        )
        return PermanentModelError(words, remedy=remedy)
    if 300 <= status < 400:
        target = caller.redact(headers.get("Location", "another address"))
        return PermanentModelError(words, remedy=f"put the address it redirects to into the config: {target}")
    return PermanentModelError(words)


def connection_fault(error: Exception, *, caller: Caller, model: str, timeout: float) -> ModelError:
    """The fault that an exception of the HTTP client stands for."""
    where = f"{caller.endpoint} (model {model!r})"
    if isinstance(error, TimeoutError):
        return TransientModelError(f"{where} gave no complete answer within {timeout:g} s")
    words = caller.redact(f"{type(error).__name__}: {error}")
    if isinstance(error, ValueError | aiohttp.ClientSSLError):  # a URL, header or certificate that will not do
        remedy = f"check model_providers[{caller.provider}].endpoint"
        return PermanentModelError(f"{where} cannot be reached: {words}", remedy=remedy)
    return TransientModelError(f"the connection to {where} failed: {words}")


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds that the server asks to wait, never negative; None if it says nothing that can be understood."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    if value is None or seconds is not None:
        return seconds if seconds is None else max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None


def _usage(raw: object) -> Usage:
    usage = raw if isinstance(raw, dict) else {}
    return Usage(
        requests=1,
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
        cached_tokens=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(raw: object, name: str) -> int:
    value = raw.get(name) if isinstance(raw, dict) else None
    return max(0, value) if isinstance(value, int) else 0


def _text(content: object) -> str:
    """Content is a string, or a list of parts of which the textual ones count."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str))


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None


def _server_words(body: bytes, caller: Caller) -> str:
    """The server's own message where the body has one, else the beginning of the body."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _excerpt(body, caller)
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return caller.redact(message) if isinstance(message, str) and message else _excerpt(body, caller)


def _excerpt(body: bytes, caller: Caller) -> str:
    # Redact before cutting: a key that straddles the cut must not leave its first half behind.
    text = caller.redact(body.decode("utf-8", errors="replace")).strip()
    return text[:_EXCERPT] or "(empty body)"
