"""Telling people what a run waits for while functions of theirs take long: nothing else shows that it has not stopped."""

import asyncio
from collections.abc import Awaitable, Callable

from sdg_core.dataset.events import Notice, Observer
from sdg_core.system.user_calls import long_calls

SECONDS = 30.0
"""After which a call is named."""
_POLL_INTERVAL = 5.0


async def watch_for_long_calls(
    observer: Observer, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Name each function that has been waited for over `SECONDS`, once, until it is cancelled."""
    told: set[str] = set()
    while True:
        await sleep(min(_POLL_INTERVAL, SECONDS))
        for what in long_calls(SECONDS):
            if what not in told:
                told.add(what)
                observer(
                    Notice(f"waiting for {what}, which has run for over {SECONDS:g} s")
                )
