"""Cells that wait for company: batches are full or a tick old, in order, and nobody waits for ever."""

import asyncio
from collections.abc import Sequence

import pytest

from sdg_core.system.batcher import Batcher


class Work:
    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = self.most_open = 0

    async def __call__(self, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append(items)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0.001)
        self.open -= 1
        return [ValueError(str(item)) if item < 0 else item * 10 for item in items]


async def test_every_caller_gets_its_own_result() -> None:
    work = Work()
    batcher = Batcher(work, size=4, parallel=2)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(10))) == [
        n * 10 for n in range(10)
    ]
    assert [len(batch) for batch in work.batches] == [4, 4, 2] and work.most_open == 2


async def test_a_lonely_item_waits_for_a_tick_only() -> None:
    work = Work()
    assert await Batcher(work, size=1000, tick=0.001).submit(1) == 10


async def test_one_failure_is_its_callers_only() -> None:
    batcher = Batcher(Work(), size=3)
    found = await asyncio.gather(
        *(batcher.submit(n) for n in (1, -2, 3)), return_exceptions=True
    )
    assert found[0] == 10 and found[2] == 30 and isinstance(found[1], ValueError)


async def test_a_failure_of_the_work_is_everybodys() -> None:
    async def fail(items: list[int]) -> Sequence[int]:
        raise RuntimeError("broken")

    batcher = Batcher(fail, size=2)
    found = await asyncio.gather(
        batcher.submit(1), batcher.submit(2), return_exceptions=True
    )
    assert [str(item) for item in found] == ["broken", "broken"]


async def test_who_is_gone_is_left_out() -> None:
    work = Work()
    batcher = Batcher(work, size=10, tick=0.01)
    gone = asyncio.create_task(batcher.submit(1))
    await asyncio.sleep(0)
    gone.cancel()
    assert await batcher.submit(2) == 20
    assert work.batches == [[2]]
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_items_join_those_that_wait_for_a_slot_and_drain_waits_for_all() -> None:
    work = Work()
    batcher = Batcher(work, size=4, tick=0.0)
    waiting = [asyncio.create_task(batcher.submit(n)) for n in range(9)]
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(batcher.submit(9)))
    await asyncio.sleep(0)
    await batcher.drain()
    assert [task.result() for task in waiting] == [n * 10 for n in range(10)]
    assert work.most_open == 1 and len(work.batches) == 3
