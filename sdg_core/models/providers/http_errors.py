"""Faults of servers and connections, without I/O: answer or exception to an error of ours.

Every fault is classified here and nowhere else (`sdg_core.errors` says what the classes mean).
Invariant: text that comes from a server passes through `Caller.redact`, so a key that a server repeats is not shown.
"""

import errno
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

import aiohttp

from sdg_core.errors import (
    ModelError,
    PermanentModelError,
    RateLimitedError,
    TransientModelError,
)
from sdg_core.plan.foreign import read_json
from sdg_core.redaction import Redaction
from sdg_core.system import descriptors

_TRANSIENT_STATUS = frozenset({408, 409, 425})
_OVERLOADED = 529
_USED_UP = re.compile(
    r"insufficient_quota|exceeded your current quota|billing|credit balance|payment required|out of credits"
    r"|insufficient (?:balance|credits?)",
    re.IGNORECASE,
)
"""Words of servers for a quota that is used up, which no waiting brings back."""
_LOADING = re.compile(
    r"loading model|model\b.{0,40}\bloading|warming up|is starting", re.IGNORECASE
)
"""Words of servers for a model that will answer once it is loaded."""
_EXCERPT = 300


@dataclass(frozen=True)
class Caller:
    """Who asks, for error texts: the provider's name, its endpoint as shown to people, and how the key is configured."""

    provider: str
    endpoint: str
    key_variable: str | None
    key: str | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def redaction(self) -> Redaction:
        """What takes the API key and the other secrets out of answers."""
        stand_ins = dict.fromkeys(self.secrets, "[secret]")
        if self.key:
            stand_ins[self.key] = "[API key]"
        return Redaction(stand_ins)

    def redact(self, text: str) -> str:
        """The text without the API key and the other secrets."""
        return self.redaction.text(text)

    def where(self, model: str) -> str:
        """The endpoint and the model, for the beginning of a message."""
        return f"{self.endpoint} (model {model!r})"

    def key_remedy(self) -> str:
        """What to do about a key that was not accepted."""
        if self.key_variable is None:
            return f"set model_providers[{self.provider}].api_key to the name of the environment variable with the key"
        return f"check the key in environment variable {self.key_variable} (provider {self.provider!r})"


def error_from_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    caller: Caller,
    model: str,
    now: float,
) -> ModelError:
    """The fault that an answer other than 200 stands for; `now` is the time of day that HTTP dates are compared with."""
    fault = _classified(status, headers, body, caller=caller, model=model, now=now)
    fault.status = status
    return fault


def _classified(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    caller: Caller,
    model: str,
    now: float,
) -> ModelError:
    said = server_words(body, caller)
    words = f"{caller.endpoint} answered {status} for model {model!r}: {said}"
    wait = retry_after(headers, now=now)
    if status == 402 or (
        status in (403, 429) and _USED_UP.search(f"{said} {error_code(body)}")
    ):
        fault = PermanentModelError(
            words,
            remedy=f"add credit to the account at provider {caller.provider!r}, then resume",
        )
        fault.ends_run = True
        return fault
    if status == 503 and _LOADING.search(said):
        return RateLimitedError(words, retry_after=wait)
    if status in (429, _OVERLOADED) or (status == 503 and wait is not None):
        return RateLimitedError(words, retry_after=wait)
    if status in _TRANSIENT_STATUS or status >= 500:
        return TransientModelError(words)
    if status in (401, 403):
        fault = PermanentModelError(words, remedy=caller.key_remedy())
        fault.ends_run = status == 401  # a 403 may be about one prompt
        return fault
    if status == 404:
        place = f"model_providers[{caller.provider}].endpoint"
        remedy = f"check the model name {model!r} and {place}, which must not include the route, such as /chat"
        return PermanentModelError(words, remedy=remedy)
    if 300 <= status < 400:
        target = caller.redact(headers.get("Location", "another address"))
        return PermanentModelError(
            words, remedy=f"use the address it redirects to: {target}"
        )
    return PermanentModelError(words)


def error_from_exception(
    error: Exception, *, caller: Caller, model: str, timeout: float
) -> ModelError:
    """The fault that an exception of the HTTP client stands for."""
    where = f"{caller.endpoint} (model {model!r})"
    if isinstance(error, TimeoutError):
        return TransientModelError(
            f"{where} gave no complete answer within {timeout:g} s"
        )
    if isinstance(error, aiohttp.ClientResponseError):
        return TransientModelError(
            f"{where} returned an invalid HTTP response: {caller.redact(error.message)}"
        )
    words = caller.redact(f"{type(error).__name__}: {error}")
    if isinstance(
        error, ValueError | aiohttp.ClientSSLError
    ):  # a URL, header or certificate that will not do
        remedy = f"check model_providers[{caller.provider}].endpoint"
        if "WRONG_VERSION_NUMBER" in words or "RECORD_LAYER_FAILURE" in words:
            plain = caller.endpoint.replace("https://", "http://", 1)
            remedy = f"the server does not speak TLS: write {plain} in model_providers[{caller.provider}].endpoint"
        return PermanentModelError(f"{where} cannot be reached: {words}", remedy=remedy)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return TransientModelError(
            f"the connection to {where} failed: too many open files",
            remedy=descriptors.REMEDY,
        )
    nobody = isinstance(error, aiohttp.ClientConnectorError)
    advice = (
        f"start the server, or correct model_providers[{caller.provider}].endpoint"
        if nobody
        else None
    )
    return TransientModelError(
        f"the connection to {where} failed: {words}", remedy=advice
    )


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


def server_words(body: bytes, caller: Caller) -> str:
    """The server's own message where the body has one, else the beginning of the body; on one line."""
    try:
        answer = read_json(body)
    except ValueError:
        return excerpt(body, caller)
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    if not isinstance(message, str) or not message.strip():
        return excerpt(body, caller)
    return " ".join(caller.redact(message).split())


def error_code(body: bytes) -> str:
    """The code and the type that the server gives its error, as far as it does."""
    error = error_object(body)
    given = [error.get("code"), error.get("type")]
    return " ".join(str(value) for value in given if value is not None)


def error_object(body: bytes) -> Mapping[str, Any]:
    """The `error` object of a body; empty if there is none."""
    try:
        answer = read_json(body)
    except ValueError:
        return {}
    error = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, dict) else {}


def excerpt(body: bytes, caller: Caller) -> str:
    """The beginning of a body, for a message."""
    # Redact before cutting: a key that straddles the cut must not leave its first half behind.
    redacted = caller.redact(body.decode("utf-8", errors="replace"))
    text = " ".join(redacted.split())
    return text[:_EXCERPT] or "(empty body)"
