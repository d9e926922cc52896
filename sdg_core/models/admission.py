"""How many requests one (endpoint, account, model) may have open: additive increase, multiplicative decrease.

Pure: no waiting and no clock; `now` is passed in (any monotonic seconds). The limit starts at the ceiling, because a user
who wrote `max_parallel_requests: 64` meant it, and a refusal costs little.

- A *rate-limit episode* is a share of refusals above `tolerance` among recent outcomes. It cuts the limit once: requests
  that started before the cut say nothing about the new limit and do not count. Refusals below that share do not cut: they
  each back off by themselves, and giving up parallelism would cost more than sending a few requests again. (Plain AIMD,
  `tolerance=0`, falls to about 5 of 64 slots when one request in ten is refused whatever the load.)
- Refusals in a row that name a time stop all starts until then: the server speaks for the account. "In a row" is judged by
  the order in which requests started, because refusals return long before replies do: a server that refuses one request in
  ten after 2 ms and answers the others after 50 would otherwise seem to refuse everything, some thirty times in 2,000
  requests. A request that is still open breaks the row. A single refusal is waited out by its own request only.
- Growth by one takes as many successes as the limit, each seen while every slot was taken and refusals were well below the
  tolerance. An idle limit proves nothing.

Invariants: `1 <= limit <= ceiling`; a ticket is finished exactly once; nothing starts during a pause or at the limit.
"""

from typing import NewType

Ticket = NewType("Ticket", int)
"""Identifies one started request; tickets ascend in the order of starting."""

_CUT = 0.75
_REFUSALS_IN_A_ROW = 4
"""Requests, started one after the other and all refused, that are taken to show that the whole account is limited."""
_NEIGHBOURHOOD = 64
"""Requests before and after one, or four ceilings if that is more, in which a row of refusals is looked for."""
_GROW_BELOW = 0.75
"""Part of the tolerance up to which refusals do not stand in the way of growth."""
_MIN_MEMORY = 32
"""The share of refusals is an exponential average over this many outcomes, or over two full limits if that is more: long
enough that chance does not look like an episode, short enough that a server that refuses everything is heard in one round."""


class Admission:
    """State of one account's admission. `tolerance` is the share of refused requests that does not cut the limit."""

    def __init__(self, ceiling: int, *, tolerance: float = 0.2) -> None:
        if ceiling < 1:
            raise ValueError(
                f"a ceiling of {ceiling} would admit nothing; it must be at least 1"
            )
        self.ceiling = ceiling
        self._tolerance = tolerance
        self._limit = ceiling
        self._open: set[Ticket] = set()
        self._next_ticket = 0
        self._first_after_cut = 0
        self._refused_share = 0.0
        self._full_successes = 0
        self._refused: dict[Ticket, bool] = {}
        self._neighbourhood = max(_NEIGHBOURHOOD, 4 * ceiling)
        self._paused_until = float("-inf")

    @property
    def limit(self) -> int:
        """Requests that may be open at once at present."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """Requests that are open; above the limit for a while after a cut."""
        return len(self._open)

    def may_start(self, now: float) -> bool:
        """Whether a slot is free and no pause is on."""
        return len(self._open) < self._limit and now >= self._paused_until

    def start(self, now: float) -> Ticket:
        """Take a slot. Raises RuntimeError unless `may_start(now)`."""
        if not self.may_start(now):
            raise RuntimeError(
                f"{self.in_flight} of {self._limit} slots taken, paused until {self._paused_until}"
            )
        ticket = Ticket(self._next_ticket)
        self._next_ticket += 1
        self._open.add(ticket)
        return ticket

    def finish_ok(self, ticket: Ticket) -> None:
        """The server did the work."""
        was_full = len(self._open) >= self._limit
        self._open.remove(ticket)
        self._remember(ticket, refused=False)
        if ticket < self._first_after_cut:
            return
        self._average(0.0)
        if (
            was_full
            and self._limit < self.ceiling
            and self._refused_share <= self._tolerance * _GROW_BELOW
        ):
            self._full_successes += 1
            if self._full_successes >= self._limit:
                self._limit += 1
                self._full_successes = 0

    def finish_limited(
        self, ticket: Ticket, now: float, retry_after: float | None
    ) -> None:
        """The server refused, asking for `retry_after` seconds (None: it named no time)."""
        self._open.remove(ticket)
        self._remember(ticket, refused=True)
        if retry_after is not None and self._row_of_refusals(ticket) >= min(
            _REFUSALS_IN_A_ROW, self._limit
        ):
            self._paused_until = max(self._paused_until, now + retry_after)
        if ticket < self._first_after_cut:
            return
        self._average(1.0)
        if self._refused_share > self._tolerance:
            self._limit = max(1, int(self._limit * _CUT))
            self._first_after_cut = self._next_ticket
            self._refused_share = 0.0
            self._full_successes = 0

    def finish_other(self, ticket: Ticket) -> None:
        """The request ended in a way that says nothing about the load: another fault, or cancellation."""
        self._open.remove(ticket)

    def next_wakeup(self, now: float) -> float | None:
        """When a pause ends; None when none is on, so that only a finished request can make room."""
        return self._paused_until if now < self._paused_until else None

    def _remember(self, ticket: Ticket, *, refused: bool) -> None:
        """Keep the latest outcomes; those that said nothing are not among them."""
        self._refused[ticket] = refused
        if len(self._refused) > 4 * self._neighbourhood:
            horizon = self._next_ticket - 2 * self._neighbourhood
            self._refused = {
                known: outcome
                for known, outcome in self._refused.items()
                if known >= horizon
            }

    def _row_of_refusals(self, ticket: Ticket) -> int:
        """How many requests that started around this one, without one in between that succeeded or is open, were refused."""
        return (
            1
            + self._refused_neighbours(ticket, step=-1)
            + self._refused_neighbours(ticket, step=1)
        )

    def _refused_neighbours(self, ticket: Ticket, *, step: int) -> int:
        count = 0
        for distance in range(1, self._neighbourhood):
            neighbour = Ticket(ticket + step * distance)
            beyond = not 0 <= neighbour < self._next_ticket
            if (
                beyond
                or neighbour in self._open
                or self._refused.get(neighbour) is False
            ):
                break
            count += neighbour in self._refused
            if count == _REFUSALS_IN_A_ROW:
                break
        return count

    def _average(self, refused: float) -> None:
        self._refused_share += (refused - self._refused_share) / max(
            _MIN_MEMORY, 2 * self._limit
        )
