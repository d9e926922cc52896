"""Whether and when a failed request is sent again: a function of the fault, how often it happened, and one random number.

Invariants: a permanent fault is never retried. A rate limit always is, because the server did no work and lost nothing;
a run that meets nothing else is stopped by its stall timeout, not here. Everything else is retried `num_retries` times.
Waits use full jitter, so that requests refused together do not come back together.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from sdg_core.errors import ModelError, RateLimitedError, TransientModelError

ErrorKind = Literal["rate_limited", "transient", "permanent"]


@dataclass(frozen=True)
class RetryDecision:
    """`retry` after `delay` seconds, or give up; `kind` says what sort of fault was judged."""

    retry: bool
    delay: float
    kind: ErrorKind


@dataclass(frozen=True)
class RetryPolicy:
    """Limits of retrying; all times in seconds.

    num_retries: further attempts after transient faults. base_delay: upper end of the first wait; it doubles up to max_delay.
    retry_after_cap: longest wait that a server's Retry-After can ask for.
    """

    num_retries: int
    base_delay: float = 0.5
    max_delay: float = 30.0
    retry_after_cap: float = 120.0

    def decide(
        self, error: ModelError, attempt: int, rng_value: float
    ) -> RetryDecision:
        """Judge the `attempt`-th fault of its kind (from 1) that one request has met; `rng_value` lies in `[0, 1)`."""
        kind = error_kind(error)
        match kind:
            case "rate_limited":
                return RetryDecision(
                    retry=True,
                    delay=self._limited_delay(error, attempt, rng_value),
                    kind=kind,
                )
            case "transient":
                retry = attempt <= self.num_retries
                delay = rng_value * self._backoff(attempt) if retry else 0.0
                return RetryDecision(retry=retry, delay=delay, kind=kind)
            case "permanent":
                return RetryDecision(retry=False, delay=0.0, kind=kind)

    def pause(self, error: ModelError) -> float | None:
        """What the server asked everyone to wait, capped; None when it gave no time."""
        asked = error.retry_after if isinstance(error, RateLimitedError) else None
        return None if asked is None else min(max(asked, 0.0), self.retry_after_cap)

    def _limited_delay(
        self, error: ModelError, attempt: int, rng_value: float
    ) -> float:
        asked = self.pause(error)
        if asked is None:
            return rng_value * self._backoff(attempt)
        return asked + rng_value * self.base_delay

    def _backoff(self, attempt: int) -> float:
        exponent = min(
            attempt - 1, 60
        )  # 2**60 seconds is beyond any max_delay; larger powers overflow a float
        return min(self.max_delay, self.base_delay * 2.0**exponent)


def retry_reason(error: ModelError) -> str:
    """Why a request is sent again, in a word or two that are the same for all faults of one sort."""
    if error.status is not None:
        return f"{error.status} {_status_name(error.status)}".strip()
    match error:
        case RateLimitedError():
            return "asked to wait"
        case _ if error.used:
            return "empty reply"
        case _ if "no complete answer" in error.message:
            return "timed out"
        case _ if "connection to" in error.message:
            return "connection failed"
        case _:
            return "unusable answer"


def _status_name(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.lower()
    except ValueError:
        return ""


def error_kind(error: ModelError) -> ErrorKind:
    """The kind of a fault; an unclassified ModelError counts as permanent, so that it is never repeated blindly."""
    match error:
        case RateLimitedError():
            return "rate_limited"
        case TransientModelError():
            return "transient"
        case _:
            return "permanent"
