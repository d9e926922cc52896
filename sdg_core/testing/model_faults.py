"""The misbehaviours of the model servers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FaultKind = Literal[
    "limited",  # 429
    "status",  # any other status
    "reset",  # connection cut before the answer
    "truncated",  # connection cut in the middle of the answer
    "html",  # 200 with a page of a proxy
    "broken_json",
    "no_choices",
    "null_content",
    "no_usage",
    "length",  # finish_reason length
    "cut",  # finish_reason length, and half of the text
    "another_model",  # the reply names a model that was not asked for
    "slow",  # answered after `delay` seconds
    # answered when the test calls `server.let_go()`, cut off when the server stops
    "hang",
]


@dataclass(frozen=True)
class Fault:
    """One misbehaviour. `status`, `headers` and `message` go with the statuses; `delay` with slow."""

    kind: FaultKind
    status: int = 429
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "injected"
    delay: float = 0.0


def limited(retry_after: str | None = None) -> Fault:
    """A 429, with that value of Retry-After."""
    headers = {}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return Fault("limited", headers=headers, message="slow down")


def status(
    code: int, *, message: str = "injected", headers: Mapping[str, str] | None = None
) -> Fault:
    """An answer with that status and an error object with that message."""
    return Fault("status", status=code, message=message, headers=headers or {})


def alter(reply: dict[str, Any], kind: FaultKind) -> dict[str, Any]:
    """A completion as a server that misbehaves in that way would send it."""
    choice = reply["choices"][0]
    match kind:
        case "no_choices":
            return {"error": {"message": "upstream failed"}}
        case "null_content":
            choice["message"]["content"] = None
        case "no_usage":
            del reply["usage"]
        case "length":
            choice["finish_reason"] = "length"
        case "cut":
            choice["finish_reason"] = "length"
            text = choice["message"]["content"]
            choice["message"]["content"] = text[: len(text) // 2]
        case "another_model":
            reply["model"] = "the-only-one"
    return reply
