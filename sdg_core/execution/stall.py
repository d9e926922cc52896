"""The end of work in which nothing succeeds: an exhausted quota, a server that refuses everything."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from sdg_core.errors import RunStoppedError
from sdg_core.execution.budget import FailureBudget
from sdg_core.models.pool import ModelPool

Result = TypeVar("Result")


async def watch_for_stall(
    budget: FailureBudget,
    models: ModelPool,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Raise RunStoppedError once nothing has succeeded for `run.stall_timeout` seconds; until then, wait to be cancelled."""
    while (reason := budget.stall(clock(), models.last_fault)) is None:
        await sleep(budget.last_success + budget.settings.stall_timeout - clock())
    raise RunStoppedError(f"stopped: {reason}", remedy="run the same command later to go on; nothing is lost")


async def unless_stalled(work: Coroutine[None, None, Result], watch: Coroutine[None, None, None]) -> Result:
    """The result of `work`, or the error of `watch` if that ends first. Nothing of either runs on."""
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(watch)
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await watching
        return await working
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.wait((working, watching))
