"""The misbehaviours of the model servers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

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
    """One fault of a model server. `status`, `headers` and `message` apply to HTTP statuses; `delay` applies to slow
    replies.

    Raises ValueError for a kind that there is not: it would do nothing, and the test would pass.
    """

    kind: FaultKind
    status: int = 429
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "injected"
    delay: float = 0.0

    def __post_init__(self) -> None:
        kinds = get_args(FaultKind)
        if self.kind not in kinds:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(kinds)}")


def limited(retry_after: str | None = None) -> Fault:
    """A 429 fault with this Retry-After value."""
    headers = {}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return Fault("limited", headers=headers, message="slow down")


def status(
    code: int, *, message: str = "injected", headers: Mapping[str, str] | None = None
) -> Fault:
    """A fault with this status and an error object with this message."""
    return Fault("status", status=code, message=message, headers=headers or {})
