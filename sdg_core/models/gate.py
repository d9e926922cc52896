"""First come, first served waiting for a slot of an `Admission`.

Acquire and release are separate calls, not a context manager, so that nobody holds a slot while backing off. A freed slot is
handed straight to the longest waiter: it counts as taken from that moment, so a newcomer cannot overtake, and a limit that is
in demand is seen as full. Where a slot is free, acquiring makes no future and no task.

Invariants: every ticket handed out is given back by exactly one of `succeeded`, `refused`, `abandoned`; a waiter that is
cancelled after it was handed a slot passes the slot on. One event loop, no threads.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from sdg_core.models.admission import Admission, Ticket


class Cancellable(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None:
        """Do not call."""


CallLater = Callable[[float, Callable[[], None]], Cancellable]


class Gate:
    """Waits on one admission. `clock` is monotonic seconds; `call_later` defaults to the running loop's."""

    def __init__(
        self,
        admission: Admission,
        *,
        clock: Callable[[], float],
        call_later: CallLater | None = None,
    ) -> None:
        self.admission = admission
        self._clock = clock
        self._call_later = call_later
        self._waiters: deque[asyncio.Future[Ticket]] = deque()
        self._alarm: Cancellable | None = None

    async def acquire(self) -> Ticket:
        """Take a slot, waiting in line for it."""
        if not self._waiters:
            now = self._clock()
            if self.admission.may_start(now):
                return self.admission.start(now)
        return await self._wait()

    def succeeded(self, ticket: Ticket) -> None:
        """Give the slot back after a reply."""
        self.admission.finish_ok(ticket)
        self._admit()

    def refused(self, ticket: Ticket, retry_after: float | None) -> None:
        """Give the slot back after a rate limit; `retry_after` seconds, None if the server named no time."""
        self.admission.finish_limited(ticket, self._clock(), retry_after)
        self._admit()

    def abandoned(self, ticket: Ticket) -> None:
        """Give the slot back after any other end."""
        self.admission.finish_other(ticket)
        self._admit()

    def close(self) -> None:
        """Drop the alarm of a pause, so that a closed pool leaves no timer behind."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def _wait(self) -> Ticket:
        waiter: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._admit()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                while self._waiters and self._waiters[0].done():
                    self._waiters.popleft()
            else:
                self.abandoned(waiter.result())
            raise

    def _admit(self) -> None:
        """Hand out what is free; set an alarm if only the clock stands in the way."""
        if not self._waiters:
            return
        now = self._clock()
        while self._waiters:
            if self._waiters[0].done():
                self._waiters.popleft()
            elif self.admission.may_start(now):
                self._waiters.popleft().set_result(self.admission.start(now))
            else:
                self._set_alarm(now)
                return

    def _set_alarm(self, now: float) -> None:
        wakeup = self.admission.next_wakeup(now)
        if wakeup is not None and self._alarm is None:
            call_later = self._call_later or asyncio.get_running_loop().call_later
            self._alarm = call_later(wakeup - now, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._admit()
