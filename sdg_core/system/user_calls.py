"""Calls of the user's functions: whatever they raise is an error of theirs, and never an order to this process.

A function may raise anything: `SystemExit` from a library's `main`, `CancelledError` from an event loop of its own,
`KeyboardInterrupt`, `StopIteration`. Let through, these end the process without a word, cancel a task that nobody cancelled, or
are lost in a future. So what is no ordinary exception becomes one; what really interrupts this process or ends its tasks passes.
A function that never returns cannot be ended, so once the run is over nothing waits for it (`Threads`, `calls_under_way`), and
while the run waits for it, it says so (`long_calls`).
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import contextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")
_CALLING: set[int] = set()
_WAITED_FOR: dict[object, tuple[str, float]] = {}
"""What is waited for, and since when, by call."""
_GRACE_PERIOD = 1.0
"""Seconds that functions of the user have to return once a run is over."""
_POLL_INTERVAL = 0.05


def is_interruption(error: BaseException) -> bool:
    """Whether something other than the user's function raised this in it: Ctrl-C in the main thread, or the end of its task."""
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without a loop, in which nothing is cancelled
        return False
    return task is None or task.cancelling() > 0


def as_exception(error: BaseException) -> Exception:
    """What a user's function raised, as an exception that a future can hold and `except Exception` takes."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    text = " ".join(str(error).split())
    if isinstance(error, StopIteration) and not text:
        text = "an iterator ended early"
    name = type(error).__name__
    return RuntimeError(f"{name}: {text}" if text else name)


def what_raised(error: BaseException) -> str:
    """An exception of the user's in words: its class, and what it says if it can be asked."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - __str__ of the user's class may raise anything
        return name
    return f"{name}: {text}" if text else name


@contextmanager
def under_way() -> Iterator[None]:
    """Mark this thread as one in which code of the user runs."""
    ident = threading.get_ident()
    outer = ident in _CALLING
    _CALLING.add(ident)
    try:
        yield
    finally:
        if not outer:
            _CALLING.discard(ident)


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Wait for a call of the user's. what: for people, such as the column and the function."""
    call = object()
    _WAITED_FOR[call] = (what, time.monotonic())
    try:
        yield
    finally:
        del _WAITED_FOR[call]


def long_calls(seconds: float) -> list[str]:
    """What has been waited for that long, each once."""
    latest = time.monotonic() - seconds
    waited_for = list(_WAITED_FOR.values())
    long = [what for what, since in waited_for if since <= latest]
    return list(dict.fromkeys(long))


def calls_under_way() -> int:
    """How many threads but the main one run code of the user."""
    return len(_CALLING - {threading.main_thread().ident})


class Threads(ThreadPoolExecutor):
    """The threads of an event loop. Shutting them down waits for all work but functions of the user that do not return."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="sdg-thread")
        self._open: set[Future[Any]] = set()

    def submit(
        self, function: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """As in the base class."""
        future = super().submit(function, *args, **kwargs)
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in the base class, except for functions of the user."""
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        ends = time.monotonic() + _GRACE_PERIOD
        while wait and self._open:
            remaining = [*self._open]
            wait_for(remaining, timeout=_POLL_INTERVAL)
            if time.monotonic() > ends and len(self._open) <= calls_under_way():
                break


def call_user(function: Callable[..., Result], *arguments: Any) -> Result:
    """What a function of the user returns; what it raises is an Exception."""
    try:
        with under_way():
            return function(*arguments)
    except BaseException as error:
        if is_interruption(error):
            raise
        raise as_exception(error) from error


async def await_user(awaitable: Awaitable[Result]) -> Result:
    """The same of what a user's async function returned."""
    try:
        return await awaitable
    except BaseException as error:
        if is_interruption(error):
            raise
        raise as_exception(error) from error
