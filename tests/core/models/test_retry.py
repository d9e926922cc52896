"""Retry decisions, as properties of a pure function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_core.errors import (
    ModelError,
    PermanentModelError,
    RateLimitedError,
    TransientModelError,
)
from sdg_core.models.retry import RetryPolicy, error_kind

attempts = st.integers(1, 10_000)
units = st.floats(0, 1, exclude_max=True)
seconds = st.floats(0, 1e6)
policies = st.builds(
    RetryPolicy,
    num_retries=st.integers(0, 10),
    base_delay=st.floats(0.001, 10),
    max_delay=st.floats(10, 100),
    retry_after_cap=st.floats(0, 1000),
)


@given(policies, attempts, units)
def test_permanent_and_unclassified_faults_are_never_retried(
    policy: RetryPolicy, attempt: int, unit: float
) -> None:
    for error in (PermanentModelError("no"), ModelError("?")):
        decision = policy.decide(error, attempt, unit)
        assert (decision.retry, decision.kind) == (False, "permanent")


@given(policies, attempts, units)
def test_transient_faults_are_retried_a_bounded_number_of_times(
    policy: RetryPolicy, attempt: int, unit: float
) -> None:
    decision = policy.decide(TransientModelError("reset"), attempt, unit)
    assert (
        decision.retry == (attempt <= policy.num_retries)
        and decision.kind == "transient"
    )
    assert 0 <= decision.delay <= policy.max_delay


@given(policies, attempts, units)
def test_rate_limits_are_always_retried(
    policy: RetryPolicy, attempt: int, unit: float
) -> None:
    decision = policy.decide(RateLimitedError("slow down"), attempt, unit)
    assert decision.retry and decision.kind == "rate_limited"
    assert 0 <= decision.delay <= policy.max_delay


@given(policies, attempts, units, seconds)
def test_retry_after_is_waited_for_up_to_its_cap(
    policy: RetryPolicy, attempt: int, unit: float, asked: float
) -> None:
    error = RateLimitedError("slow down", retry_after=asked)
    floor = min(asked, policy.retry_after_cap)
    assert policy.pause(error) == floor
    assert (
        floor <= policy.decide(error, attempt, unit).delay <= floor + policy.base_delay
    )


@given(policies, units)
def test_waits_grow_to_the_maximum(policy: RetryPolicy, unit: float) -> None:
    error = RateLimitedError("slow down")
    delays = [policy.decide(error, attempt, unit).delay for attempt in range(1, 40)]
    assert delays == sorted(delays)
    assert delays[-1] == unit * policy.max_delay


@given(policies, attempts, units, units)
def test_delay_follows_the_random_number(
    policy: RetryPolicy, attempt: int, one: float, two: float
) -> None:
    """Full jitter: the whole range from zero is used."""
    low, high = sorted((one, two))
    error = RateLimitedError("slow down")
    assert policy.decide(error, attempt, 0.0).delay == 0.0
    assert (
        policy.decide(error, attempt, low).delay
        <= policy.decide(error, attempt, high).delay
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RateLimitedError("x"), "rate_limited"),
        (TransientModelError("x"), "transient"),
        (PermanentModelError("x"), "permanent"),
        (ModelError("x"), "permanent"),
    ],
)
def test_kinds(error: ModelError, kind: str) -> None:
    assert error_kind(error) == kind
