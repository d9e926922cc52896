"""Running async work so that SIGINT and SIGTERM end it in order: cancelled, cleaned up, finished work on disk.

It works where an event loop runs already, as in a notebook: the work then has a loop of its own in a thread, with the caller's
context variables, while the caller waits. Signals are always taken in the main thread, by whichever handler fits: the loop's own
where the work runs there, a plain one where the main thread only waits.
"""

import asyncio
import contextvars
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

from sdg_core.system.gc_pause import relaxed_gc
from sdg_core.system.user_calls import Threads

Result = TypeVar("Result")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_signalled(main: Callable[[], Awaitable[Result]]) -> Result:
    """Run `main` in a new event loop. The first SIGINT or SIGTERM cancels it and, once it has cleaned up, raises
    KeyboardInterrupt; a second one acts at once, as it would have without this function.

    Called in a thread whose event loop runs, it blocks that loop until `main` is done; `main` runs in another thread. Outside the
    main thread signals cannot be watched, and `main` just runs.
    """
    received: list[int] = []
    stoppable: Future[Callable[[int], None]] = Future()

    async def supervised() -> Result | None:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        assert task is not None

        def stop(number: int) -> None:
            received.append(number)
            with suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(task.cancel)

        stoppable.set_result(stop)
        loop.set_default_executor(Threads())
        restore = _watch_in_loop(stop)
        try:
            return await main()
        except asyncio.CancelledError:
            if not received:
                raise
            return None
        finally:
            restore()

    result = (
        _in_thread(supervised, stoppable)
        if _loop_is_running()
        else asyncio.run(supervised())
    )
    if received:
        raise KeyboardInterrupt(f"stopped by {signal.Signals(received[0]).name}")
    return result  # type: ignore[return-value]


def run_long(main: Callable[[], Awaitable[Result]]) -> Result:
    """Run `main` as `run_until_signalled` does, with fewer collections of garbage while it lasts."""
    with relaxed_gc():
        return run_until_signalled(main)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_thread(
    work: Callable[[], Coroutine[Any, Any, Result]],
    stoppable: Future[Callable[[int], None]],
) -> Result:
    """Run `work` in a loop of another thread, and wait for it."""
    outcome: Future[Result] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            outcome.set_result(context.run(asyncio.run, work()))
        except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name="sdg-event-loop", daemon=True)
    restore = _watch_while_waiting(lambda number: stoppable.result()(number))
    try:
        thread.start()
        thread.join()
    finally:
        restore()
    return outcome.result()


Handler = Callable[[int, FrameType | None], Any] | int | None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _watch_in_loop(on_signal: Callable[[int], Any]) -> Callable[[], None]:
    """Call `on_signal` in the running loop for the first signal; returns what puts the previous handlers back."""
    if not _in_main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    previous: dict[int, Handler] = {
        number: signal.getsignal(number) for number in _SIGNALS
    }

    def restore() -> None:
        for number, handler in previous.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
        previous.clear()

    def first(number: int) -> None:
        restore()
        on_signal(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, first, number)
    return restore


def _watch_while_waiting(on_signal: Callable[[int], Any]) -> Callable[[], None]:
    """The same for a main thread that waits for another one."""
    if not _in_main_thread():
        return lambda: None
    previous: dict[int, Handler] = {
        number: signal.getsignal(number) for number in _SIGNALS
    }

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)
        previous.clear()

    def first(number: int, frame: FrameType | None) -> None:
        restore()
        on_signal(number)

    for number in _SIGNALS:
        signal.signal(number, first)
    return restore
