"""Work that arrives one item at a time, but costs less together: collected for a moment, then worked on as a batch."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

TICK = 0.01
"""Seconds that a cell waits for company."""


class Batcher(Generic[Item, Result]):
    """Collects items until there are `size` of them or a tick has passed, and hands them to `work`; while as many batches as
    may be are worked on, more items join those that wait.

    `work` gives one outcome per item, in order: a result, or the exception that the item's caller gets. What `work` itself
    raises goes to every caller of the batch. At most `parallel` batches are worked on at once. An item whose caller is gone
    before its batch begins is left out.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        size: int,
        parallel: int = 1,
        tick: float = TICK,
    ) -> None:
        self._work = work
        self._size = size
        self._tick = tick
        self._slots = asyncio.Semaphore(parallel)
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._is_queued = False

    async def submit(self, item: Item) -> Result:
        """The result for one item."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if len(self._waiting) >= self._size:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._tick, self._send)
        return await future

    async def drain(self) -> None:
        """Wait until everything that was submitted has been worked on, whatever comes of it."""
        if self._waiting:
            self._send()
        while self._running:
            await asyncio.wait(self._running)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_queued:  # a batch that waits for a slot takes the new items, too
            return
        self._is_queued = True
        task = asyncio.get_running_loop().create_task(self._run())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self) -> None:
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        try:
            async with self._slots:
                self._is_queued = False
                waiting = self._waiting[: self._size]
                batch = [
                    (item, future) for item, future in waiting if not future.done()
                ]
                del self._waiting[: self._size]
                if self._waiting:
                    self._send()
                if not batch:
                    return
                items = [item for item, _ in batch]
                outcomes: Sequence[Result | Exception] = await self._work(items)
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait for it
            outcomes = [error] * len(batch)
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
