"""Running async work so that SIGINT and SIGTERM end it in order: cancelled, cleaned up, finished work on disk."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any, TypeVar

Result = TypeVar("Result")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_signalled(main: Callable[[], Awaitable[Result]]) -> Result:
    """Run `main` in a new event loop. The first SIGINT or SIGTERM cancels it and, once it has cleaned up, raises
    KeyboardInterrupt; a second one acts at once, as it would have without this function.

    Outside the main thread signals cannot be watched, and `main` just runs.
    """
    received: list[int] = []

    async def supervised() -> Result | None:
        task = asyncio.current_task()
        assert task is not None

        def stop(number: int) -> None:
            received.append(number)
            task.cancel()

        restore = _watch(stop)
        try:
            return await main()
        except asyncio.CancelledError:
            if not received:
                raise
            return None
        finally:
            restore()

    result = asyncio.run(supervised())
    if received:
        raise KeyboardInterrupt(f"stopped by {signal.Signals(received[0]).name}")
    return result  # type: ignore[return-value]


Handler = Callable[[int, FrameType | None], Any] | int | None


def _watch(on_signal: Callable[[int], Any]) -> Callable[[], None]:
    """Call `on_signal` in the running loop for the first signal; returns what puts the previous handlers back."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    previous: dict[int, Handler] = {number: signal.getsignal(number) for number in _SIGNALS}

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
