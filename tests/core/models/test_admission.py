"""Admission as a state machine: examples of each rule, and hypothesis looking for a sequence that breaks an invariant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sdg_core.models.admission import Admission, Ticket


def fill(admission: Admission, *, now: float = 0.0) -> list[Ticket]:
    tickets = []
    while admission.may_start(now):
        tickets.append(admission.start(now))
    return tickets


def refuse_all(
    admission: Admission, tickets: list[Ticket], *, retry_after: float | None = None
) -> None:
    for ticket in tickets:
        admission.finish_limited(ticket, 0.0, retry_after)


def keep_full(admission: Admission, successes: int) -> None:
    """Finish requests one at a time while demand takes every freed slot at once."""
    open_tickets = fill(admission)
    for _ in range(successes):
        admission.finish_ok(open_tickets.pop(0))
        open_tickets += fill(admission)
    for ticket in open_tickets:
        admission.finish_other(ticket)


def test_starts_at_the_ceiling() -> None:
    admission = Admission(64)
    assert len(fill(admission)) == 64 and admission.limit == 64
    with pytest.raises(RuntimeError, match="64 of 64"):
        admission.start(0.0)


def test_an_episode_cuts_once() -> None:
    admission = Admission(64, tolerance=0.0)
    refuse_all(admission, fill(admission))
    assert admission.limit == 48
    refuse_all(admission, fill(admission))
    assert admission.limit == 36


def test_successes_of_requests_from_before_the_cut_do_not_grow() -> None:
    admission = Admission(8, tolerance=0.0)
    first, *rest = fill(admission)
    admission.finish_limited(first, 0.0, None)
    assert admission.limit == 6
    for ticket in rest:
        admission.finish_ok(ticket)
    assert admission.limit == 6


def test_single_refusals_below_the_tolerance_do_not_cut() -> None:
    admission = Admission(64)
    for number in range(5_000):
        ticket = admission.start(0.0)
        if number % 10 == 0:
            admission.finish_limited(ticket, 0.0, None)
        else:
            admission.finish_ok(ticket)
    assert admission.limit == 64


def test_a_server_that_refuses_everything_is_asked_by_one_at_a_time() -> None:
    admission = Admission(64)
    for _ in range(500):
        refuse_all(admission, fill(admission))
    assert admission.limit == 1 and admission.may_start(0.0)


@pytest.mark.parametrize("tolerance", [0.0, 0.2])
def test_grows_back_by_one_for_a_limit_of_successes(tolerance: float) -> None:
    admission = Admission(8, tolerance=tolerance)
    while admission.limit > 2:
        refuse_all(admission, fill(admission))
    keep_full(admission, successes=1)
    assert admission.limit == 2
    keep_full(admission, successes=1)
    assert admission.limit == 3
    keep_full(admission, successes=1_000)
    assert admission.limit == 8


def test_an_idle_limit_does_not_grow() -> None:
    admission = Admission(8, tolerance=0.0)
    refuse_all(admission, fill(admission))
    for _ in range(1_000):
        admission.finish_ok(admission.start(0.0))
    assert admission.limit == 6


def test_refusals_in_a_row_pause_until_the_latest_time_asked_for() -> None:
    admission = Admission(8)
    tickets = fill(admission)
    for ticket in tickets[:4]:
        admission.finish_limited(ticket, 10.0, 5.0)
    admission.finish_limited(tickets[4], 11.0, 1.0)
    assert admission.next_wakeup(11.0) == 15.0
    assert not admission.may_start(14.9) and admission.may_start(15.0)
    assert admission.next_wakeup(15.0) is None


def test_a_refusal_among_successes_stops_nobody_else() -> None:
    admission = Admission(8)
    for _ in range(100):
        refused, done, *rest = fill(admission)
        admission.finish_limited(refused, 0.0, 60.0)
        admission.finish_ok(done)
        for ticket in rest:
            admission.finish_ok(ticket)
    assert admission.may_start(0.0) and admission.next_wakeup(0.0) is None


def test_refusals_that_return_before_the_replies_around_them_pause_nothing() -> None:
    """One request in ten is refused within milliseconds; the others are answered later."""
    admission = Admission(64)
    for _ in range(40):
        tickets = fill(admission)
        refused = tickets[::10]
        for ticket in refused:
            admission.finish_limited(ticket, 0.0, 1.0)
        assert admission.next_wakeup(0.0) is None
        for ticket in tickets:
            if ticket not in refused:
                admission.finish_ok(ticket)
    assert admission.limit == 64


def test_refusals_in_a_row_pause_in_whatever_order_they_return() -> None:
    admission = Admission(8)
    tickets = fill(admission)
    for ticket in (tickets[5], tickets[2], tickets[4]):
        admission.finish_limited(ticket, 0.0, 7.0)
    assert admission.next_wakeup(0.0) is None, "the request between them is still open"
    admission.finish_limited(tickets[3], 0.0, 7.0)
    assert admission.next_wakeup(0.0) == 7.0


def test_an_end_that_says_nothing_about_the_load_does_not_break_a_row() -> None:
    admission = Admission(8)
    tickets = fill(admission)
    admission.finish_other(tickets[2])
    for ticket in (tickets[0], tickets[1], tickets[3], tickets[4]):
        admission.finish_limited(ticket, 0.0, 7.0)
    assert admission.next_wakeup(0.0) == 7.0


def test_with_one_slot_every_refusal_pauses() -> None:
    admission = Admission(1)
    admission.finish_limited(admission.start(0.0), 0.0, 60.0)
    assert admission.next_wakeup(0.0) == 60.0


def test_a_ticket_ends_once() -> None:
    admission = Admission(2)
    ticket = admission.start(0.0)
    admission.finish_ok(ticket)
    for finish in (
        admission.finish_ok,
        admission.finish_other,
        lambda t: admission.finish_limited(t, 0.0, None),
    ):
        with pytest.raises(KeyError):
            finish(ticket)
    assert admission.in_flight == 0


def test_a_ceiling_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="ceiling of 0"):
        Admission(0)


@given(st.integers(1, 64), st.integers(1, 64))
def test_settles_near_a_server_that_allows_only_so_many_at_once(
    ceiling: int, allowed: int
) -> None:
    """Goodput is kept: the limit does not fall far below what the server takes, and does not stay far above."""
    admission = Admission(ceiling)
    limits = []
    for turn in range(400):
        open_tickets = fill(admission)
        for ticket in open_tickets[allowed:]:
            admission.finish_limited(ticket, 0.0, None)
        for ticket in open_tickets[:allowed]:
            admission.finish_ok(ticket)
        if turn >= 200:
            limits.append(admission.limit)
    target = min(ceiling, allowed)
    assert min(limits) >= int(target * 0.75) and max(limits) <= min(
        ceiling, 2 * target + 1
    )


class AnySequence(RuleBasedStateMachine):
    """Requests start, end in every way, and time passes, in any order."""

    @initialize(
        ceiling=st.integers(1, 20), tolerance=st.sampled_from([0.0, 0.1, 0.2, 0.5])
    )
    def create(self, ceiling: int, tolerance: float) -> None:
        self.admission = Admission(ceiling, tolerance=tolerance)
        self.now = 0.0
        self.open: list[Ticket] = []
        self.paused_until = 0.0
        self.outcomes: dict[Ticket, str] = {}
        self.newest_at_cut = -1

    @precondition(lambda self: self.admission.may_start(self.now))
    @rule()
    def start(self) -> None:
        ticket = self.admission.start(self.now)
        assert all(ticket > other for other in self.open)
        self.open.append(ticket)

    @precondition(lambda self: self.open)
    @rule(
        data=st.data(),
        end=st.sampled_from(["ok", "other", "limited"]),
        wait=st.none() | st.floats(0, 10),
    )
    def finish(self, data: st.DataObject, end: str, wait: float | None) -> None:
        ticket = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        before = self.admission.limit
        if end == "limited":
            self.admission.finish_limited(ticket, self.now, wait)
            self.outcomes[ticket] = end
            if wait is not None and self.refused_around(ticket) >= min(4, before):
                self.paused_until = max(self.paused_until, self.now + wait)
        elif end == "ok":
            self.admission.finish_ok(ticket)
            self.outcomes[ticket] = end
        else:
            self.admission.finish_other(ticket)
            self.outcomes[ticket] = end
        self.check_step(ticket, before=before, end=end)

    def refused_around(self, ticket: Ticket) -> int:
        """The row of refusals that a ticket is in, by the order of starting; what said nothing is passed over."""
        said = [
            self.outcomes.get(Ticket(number), "open")
            for number in range(max(self.outcomes) + 1)
        ]
        row = 1
        for step in (-1, 1):
            place = ticket + step
            while 0 <= place < len(said) and said[place] in ("limited", "other"):
                row += said[place] == "limited"
                place += step
        return row

    def check_step(self, ticket: Ticket, *, before: int, end: str) -> None:
        after = self.admission.limit
        if after < before or (
            end == "limited" and ticket > self.newest_at_cut and before == 1
        ):
            assert end == "limited" and ticket > self.newest_at_cut
            assert after == max(1, int(before * 0.75))
        elif after > before:
            assert end == "ok" and after == before + 1
        if after < before:
            self.newest_at_cut = max([ticket, *self.open])

    @rule(passed=st.floats(0, 20))
    def wait(self, passed: float) -> None:
        self.now += passed

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "admission"):
            return
        admission = self.admission
        assert 1 <= admission.limit <= admission.ceiling
        assert admission.in_flight == len(self.open)
        paused = self.now < self.paused_until
        assert admission.may_start(self.now) == (
            not paused and len(self.open) < admission.limit
        )
        assert admission.next_wakeup(self.now) == (
            self.paused_until if paused else None
        )


TestAnySequence = AnySequence.TestCase
