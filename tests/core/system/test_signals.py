"""Async work of the caller's thread: under a running event loop, as in a notebook, and ended by signals."""

import asyncio
import contextvars
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from sdg_core.system.signals import run_until_signalled

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


async def look() -> tuple[str, str]:
    await asyncio.sleep(0)
    return threading.current_thread().name, VARIABLE.get()


def under_a_loop(work: Callable[[], Any]) -> Any:
    """What `work` returns when an event loop runs in this thread already."""

    async def main() -> Any:
        return work()

    return asyncio.run(main())


def test_without_a_loop_the_work_stays_in_the_thread() -> None:
    assert run_until_signalled(look)[0] == threading.current_thread().name


def test_under_a_loop_the_work_has_a_thread_and_the_context_of_the_caller() -> None:
    token = VARIABLE.set("of the caller")
    try:
        name, value = under_a_loop(lambda: run_until_signalled(look))
    finally:
        VARIABLE.reset(token)
    assert (name, value) == ("sdg-event-loop", "of the caller")
    assert not [thread for thread in threading.enumerate() if thread.name == name]


def test_errors_come_out_as_they_are() -> None:
    async def fail() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        under_a_loop(lambda: run_until_signalled(fail))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "run", [under_a_loop, lambda work: work()], ids=["under a loop", "without"]
)
def test_a_signal_cancels_the_work_and_then_interrupts_the_caller(
    run: Any, number: signal.Signals
) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    steps: list[str] = []

    async def wait() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    def call() -> None:
        try:
            run_until_signalled(wait)
        except KeyboardInterrupt as interrupt:
            steps.append(str(interrupt))

    run(call)
    assert steps == ["cleaned up", f"stopped by {number.name}"]
    assert {each: signal.getsignal(each) for each in before} == before


def test_outside_the_main_thread_it_just_runs() -> None:
    found: list[Any] = []
    thread = threading.Thread(
        target=lambda: found.append(under_a_loop(lambda: run_until_signalled(look)))
    )
    thread.start()
    thread.join()
    assert found == [("sdg-event-loop", "unset")]
