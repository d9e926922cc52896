"""When a run has to stop: a pure judgement over what has settled so far. The clock is passed in."""

from dataclasses import dataclass, field

from sdg_core.config.run import RunSettings
from sdg_core.store.failures import Failure

MIN_SETTLED = 20
"""Records judged before a failure rate means anything."""


@dataclass
class FailureBudget:
    """Counts settled records of one run. `began` and `now` are seconds of one monotonic clock."""

    settings: RunSettings
    began: float
    made: int = 0
    failed: int = 0
    first: Failure | None = None
    last_success: float = field(init=False)

    def __post_init__(self) -> None:
        self.last_success = self.began

    def record_made(self, now: float) -> None:
        """A record is complete."""
        self.made += 1
        self.last_success = now

    def record_failed(self, failure: Failure) -> None:
        """A record failed for good."""
        self.failed += 1
        self.first = self.first or failure

    def verdict(self, *, remaining: int) -> str | None:
        """Why the run must stop now, or None. `remaining` is the number of records not settled yet.

        Failure rates are judged from 20 settled records on, and never at the very end, when there is nothing left to save.
        """
        settled = self.made + self.failed
        if self.first is None or settled < MIN_SETTLED or remaining == 0:
            return None
        if self.failed <= self.settings.max_failure_rate * settled:
            return None
        return (
            f"{self.failed} of the first {settled} records failed, more than run.max_failure_rate "
            f"{self.settings.max_failure_rate:g} allows; the first: record {self.first.record}, column "
            f"{self.first.column!r}: {self.first.message}"
        )

    def stall(self, now: float) -> str | None:
        """Why the run must stop because nothing has succeeded for `run.stall_timeout` seconds, or None."""
        waited = now - self.last_success
        if waited < self.settings.stall_timeout:
            return None
        reason = f"; the last failure: {self.first.message}" if self.first is not None else ""
        return (
            f"nothing has succeeded for {waited:.0f} s (run.stall_timeout is {self.settings.stall_timeout:g} s){reason}"
        )
