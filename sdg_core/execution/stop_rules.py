"""When a run has to stop: a pure judgement over what has settled so far. The clock is passed in."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from sdg_core.config.run import RunSettings
from sdg_core.errors import RunAbortedError
from sdg_core.models.pool import ModelPool
from sdg_core.store.failures import Failure

MIN_SETTLED = 20
"""Records judged before a failure rate means anything."""
MIN_DROPPED = 100
"""Records of which none was kept, from the first on, after which a condition counts as one that never holds."""


@dataclass
class FailureBudget:
    """Counts records of one run. `began` and `now` are seconds of one monotonic clock.

    Columns that need no model are computed for a whole row group at once, so their failures are known before any record of the
    group can succeed. They are judged by themselves: `opened` records have been through them, `failed_at_once` did not pass.
    """

    settings: RunSettings
    began: float
    made: int = 0
    failed: int = 0
    opened: int = 0
    failed_at_once: int = 0
    first: Failure | None = None
    kept: int = 0
    dropped: int = 0
    last_success: float = field(init=False)
    _own_work: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.last_success = self.began

    def group_opened(self, records: int, failures: Sequence[Failure]) -> None:
        """The columns that need no model are computed for so many more records; these failed."""
        self.opened += records
        self.failed_at_once += len(failures)
        if failures and self.first is None:
            self.first = min(failures)

    def cells_made(self, now: float, *, whole: bool) -> None:
        """A record has its cells of a phase; `whole`: it has all of them."""
        self.made += whole
        self.last_success = now

    def reply_deferred(self, now: float) -> None:
        """A model has taken a request and answers later: nothing is made, and nothing is stalled."""
        self.last_success = now

    @contextmanager
    def own_work(self, clock: Callable[[], float]) -> Iterator[None]:
        """Work of this process while it lasts (computing, writing, callbacks), during which no model is waited for."""
        self._own_work += 1
        try:
            yield
        finally:
            self._own_work -= 1
            self.last_success = clock()

    def record_failed(self, failure: Failure) -> None:
        """A record failed permanently."""
        self.failed += 1
        self.first = self.first or failure

    def records_selected(self, *, kept: int, dropped: int) -> None:
        """So many more records have their row, and so many have none because none of their candidates was kept."""
        self.kept += kept
        self.dropped += dropped

    def stop_reason(self, *, remaining: int) -> str | None:
        """Why the run must stop now, or None. `remaining` is the number of records not settled yet.

        Failure rates are judged from 20 settled records on, and never at the very end, when there is nothing left to save.
        """
        if remaining == 0:
            return None
        if self.dropped >= MIN_DROPPED and not self.kept:
            return f"select kept no record: all candidates of the first {self.dropped} records were rejected"
        if self.first is None:
            return None
        for failed, judged in (
            (self.failed_at_once, self.opened),
            (self.failed, self.made + self.failed),
        ):
            if (
                judged >= MIN_SETTLED
                and failed > self.settings.max_failure_rate * judged
            ):
                return (
                    f"{failed} of the first {judged} records failed, more than run.max_failure_rate "
                    f"{self.settings.max_failure_rate:g} allows; the first: record {self.first.record}, column "
                    f"{self.first.column!r}: {self.first.message}"
                )
        return None

    def stall_reason(self, now: float, last_error: str | None = None) -> str | None:
        """Why the run must stop because nothing has succeeded for `run.stall_timeout` seconds, or None.

        last_error: what a model refuses or breaks off with at present, if nothing has failed permanently.
        """
        if self._own_work:
            self.last_success = now
        waited = now - self.last_success
        if waited < self.settings.stall_timeout:
            return None
        fault = last_error
        if not fault and self.first is not None:
            fault = self.first.message
        reason = f"; the last failure: {fault}" if fault is not None else ""
        return f"nothing has succeeded for {waited:.0f} s (run.stall_timeout is {self.settings.stall_timeout:g} s){reason}"


Result = TypeVar("Result")


async def watch_for_stall(
    budget: FailureBudget,
    models: ModelPool,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Raise RunAbortedError once nothing has succeeded for `run.stall_timeout` seconds; until then, wait to be cancelled."""
    while True:
        if models.starting:  # a server that comes up again has a time limit of its own
            budget.last_success = clock()
        reason = budget.stall_reason(clock(), models.last_error)
        if reason is not None:
            break
        await sleep(budget.last_success + budget.settings.stall_timeout - clock())
    raise RunAbortedError(
        f"stopped: {reason}",
        remedy="rerun the same command later to resume; nothing is lost",
    )


async def unless_stalled(
    work: Coroutine[None, None, Result], watch: Coroutine[None, None, None]
) -> Result:
    """The result of `work`, or the error of `watch` if that ends first. Nothing of either runs on."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(watch)
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await watching
        return await working
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.wait((working, watching))
