"""Admission against the best schedule that knows the server, in simulated time: refusals that say nothing, and a true limit.

A refusal comes back long before a reply does. Where it is drawn by lot, pausing the account wastes its slots; where requests
above a rate are refused, not pausing wastes requests.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_core.models.admission import Admission, Ticket

REFUSED_AFTER = 0.002
Refuses = Callable[[int, int, float], bool]
"""Whether a server refuses a request: its number, how often it was sent before, when it is sent."""


@dataclass
class Outcome:
    """What a run came to: seconds, requests sent, and the longest that one request had to wait for its own refusals."""

    seconds: float = 0.0
    sent: int = 0
    waited: dict[int, float] = field(default_factory=dict)


def run(
    requests: int, *, slots: int, latency: float, retry_after: float, refuses: Refuses
) -> Outcome:
    """Send requests through an admission until each has its reply. A refused one waits as long as it was told to."""
    admission = Admission(slots)
    outcome = Outcome()
    ready = [*range(requests)]
    attempts = [0] * requests
    events: list[tuple[float, int, str, int, Ticket | None]] = []
    now = 0.0
    done = 0
    while done < requests:
        while ready and admission.may_start(now):
            number = ready.pop(0)
            ticket = admission.start(now)
            outcome.sent += 1
            refused = refuses(number, attempts[number], now)
            attempts[number] += 1
            ends = now + (REFUSED_AFTER if refused else latency)
            heapq.heappush(
                events,
                (ends, outcome.sent, "refused" if refused else "reply", number, ticket),
            )
        wakeup = admission.next_wakeup(now)
        if wakeup is not None and (not events or wakeup < events[0][0]):
            now = wakeup
            continue
        now, _, what, number, ended = heapq.heappop(events)
        if what == "reply" and ended is not None:
            admission.finish_ok(ended)
            done += 1
        elif what == "refused" and ended is not None:
            admission.finish_limited(ended, now, retry_after)
            outcome.waited[number] = (
                outcome.waited.get(number, 0.0) + REFUSED_AFTER + retry_after
            )
            heapq.heappush(
                events, (now + retry_after, outcome.sent, "ready", number, None)
            )
        else:
            ready.append(number)
    outcome.seconds = now
    return outcome


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    share=st.floats(0.0, 0.1),
    slots=st.sampled_from([8, 64]),
    latency=st.sampled_from([0.05, 0.5]),
    retry_after=st.sampled_from([0.1, 1.0]),
)
def test_refusals_by_lot(
    seed: int, share: float, slots: int, latency: float, retry_after: float
) -> None:
    requests = 20 * slots
    lots = Random(seed)
    chances = [[lots.random() < share for _ in range(20)] for _ in range(requests)]
    outcome = run(
        requests,
        slots=slots,
        latency=latency,
        retry_after=retry_after,
        refuses=lambda number, attempt, now: attempt < 20 and chances[number][attempt],
    )
    longest = max(outcome.waited.values(), default=0.0)
    assert (
        outcome.seconds <= 1.35 * (requests * latency / slots + longest) + retry_after
    )


@settings(deadline=None, max_examples=25)
@given(
    rate=st.sampled_from([50, 200, 500]),
    slots=st.sampled_from([8, 64]),
    retry_after=st.sampled_from([0.1, 1.0]),
    latency=st.sampled_from([0.05, 0.5]),
)
def test_a_true_limit(
    rate: int, slots: int, retry_after: float, latency: float
) -> None:
    requests = 20 * slots
    tokens, filled_at = float(rate), 0.0

    def refuses(number: int, attempt: int, now: float) -> bool:
        nonlocal tokens, filled_at
        tokens = min(rate, tokens + (now - filled_at) * rate)
        filled_at = now
        if tokens < 1:
            return True
        tokens -= 1
        return False

    outcome = run(
        requests, slots=slots, latency=latency, retry_after=retry_after, refuses=refuses
    )
    best = max(requests * latency / slots, (requests - rate) / rate) + latency
    assert outcome.seconds <= 1.1 * best + retry_after
    assert outcome.sent <= requests * (2 if retry_after < 1 else 1.4), (
        "a pause spares the server"
    )
