"""Waiting in line: order, hand-over, pauses, cancellation. Time is a number here; nothing sleeps."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sdg_core.models.admission import Admission, Ticket
from sdg_core.models.gate import Gate


@dataclass
class Timer:
    """A clock that moves when told to, and calls what is due."""

    now: float = 0.0
    alarms: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> "Alarm":
        assert delay > 0
        entry = (self.now + delay, call)
        self.alarms.append(entry)
        return Alarm(self, entry)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [alarm for alarm in self.alarms if alarm[0] <= self.now]
        self.alarms = [alarm for alarm in self.alarms if alarm[0] > self.now]
        for _, call in due:
            call()


@dataclass
class Alarm:
    timer: Timer
    entry: tuple[float, Callable[[], None]]

    def cancel(self) -> None:
        self.timer.alarms.remove(self.entry)


@pytest.fixture
def timer() -> Timer:
    return Timer()


def make_gate(timer: Timer, ceiling: int, *, tolerance: float = 0.0) -> Gate:
    return Gate(
        Admission(ceiling, tolerance=tolerance),
        clock=timer.clock,
        call_later=timer.call_later,
    )


async def turn_over() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def take_all(gate: Gate) -> list[Ticket]:
    return [await gate.acquire() for _ in range(gate.admission.limit)]


async def test_a_free_slot_is_taken_without_leaving_the_task(timer: Timer) -> None:
    coroutine = make_gate(timer, 1).acquire()
    with pytest.raises(StopIteration):
        coroutine.send(None)


async def test_first_come_first_served(timer: Timer) -> None:
    gate, order = make_gate(timer, 2), list[int]()

    async def visit(number: int) -> None:
        ticket = await gate.acquire()
        order.append(number)
        await asyncio.sleep(0)
        gate.succeeded(ticket)

    await asyncio.gather(*map(visit, range(20)))
    assert order == list(range(20)) and gate.admission.in_flight == 0


async def test_a_newcomer_does_not_overtake(timer: Timer) -> None:
    gate = make_gate(timer, 1)
    held = await gate.acquire()
    waiting = asyncio.create_task(gate.acquire())
    await turn_over()
    gate.succeeded(held)
    newcomer = asyncio.create_task(gate.acquire())
    await turn_over()
    assert waiting.done() and not newcomer.done()
    gate.succeeded(await waiting)
    await newcomer


async def test_pause_holds_everyone_and_its_end_wakes_them(timer: Timer) -> None:
    gate = make_gate(timer, 4)
    for ticket in await take_all(gate):
        gate.refused(ticket, 10.0)
    waiting = [asyncio.create_task(gate.acquire()) for _ in range(4)]
    await turn_over()
    assert not any(task.done() for task in waiting) and len(timer.alarms) == 1
    timer.advance(10.0)
    await turn_over()
    assert [task.done() for task in waiting] == [True, True, True, False], (
        "the cut left three slots"
    )
    gate.succeeded(waiting[0].result())
    await waiting[3]


async def test_a_longer_pause_sets_the_alarm_again(timer: Timer) -> None:
    gate = make_gate(timer, 3)
    one, two, three = await take_all(gate)
    gate.refused(one, 5.0)
    gate.refused(two, 5.0)
    waiting = asyncio.create_task(gate.acquire())
    await turn_over()
    assert len(timer.alarms) == 1
    gate.refused(three, 9.0)
    timer.advance(5.0)
    await turn_over()
    assert not waiting.done() and len(timer.alarms) == 1
    timer.advance(4.0)
    await asyncio.wait_for(waiting, 10)


async def test_growth_wakes_one_more_than_was_released(timer: Timer) -> None:
    gate = make_gate(timer, 2)
    one, two = await take_all(gate)
    gate.refused(one, None)
    gate.abandoned(two)
    assert gate.admission.limit == 1
    held = await gate.acquire()
    waiting = [asyncio.create_task(gate.acquire()) for _ in range(2)]
    await turn_over()
    gate.succeeded(held)
    await asyncio.wait_for(asyncio.gather(*waiting), 10)
    assert gate.admission.limit == 2


async def test_cancelled_while_waiting(timer: Timer) -> None:
    gate = make_gate(timer, 1)
    held = await gate.acquire()
    waiting = [asyncio.create_task(gate.acquire()) for _ in range(3)]
    await turn_over()
    waiting[0].cancel()
    waiting[1].cancel()
    await turn_over()
    gate.succeeded(held)
    gate.succeeded(await asyncio.wait_for(waiting[2], 10))
    assert gate.admission.in_flight == 0


async def test_cancelled_after_the_hand_over_passes_the_slot_on(timer: Timer) -> None:
    gate = make_gate(timer, 1)
    held = await gate.acquire()
    first, second = (
        asyncio.create_task(gate.acquire()),
        asyncio.create_task(gate.acquire()),
    )
    await turn_over()
    gate.succeeded(held)  # the slot is the first waiter's now, which has not run yet
    first.cancel()
    gate.succeeded(await asyncio.wait_for(second, 10))
    assert first.cancelled() and gate.admission.in_flight == 0


async def test_slots_are_free_again_when_all_waiters_were_cancelled(
    timer: Timer,
) -> None:
    gate = make_gate(timer, 1)
    held = await gate.acquire()
    waiting = [asyncio.create_task(gate.acquire()) for _ in range(3)]
    await turn_over()
    for task in reversed(waiting):
        task.cancel()
    gate.succeeded(held)
    await turn_over()
    gate.succeeded(await asyncio.wait_for(gate.acquire(), 10))
    assert gate.admission.in_flight == 0


async def test_close_drops_the_alarm(timer: Timer) -> None:
    gate = make_gate(timer, 1)
    gate.refused(await gate.acquire(), 5.0)
    waiting = asyncio.create_task(gate.acquire())
    await turn_over()
    assert timer.alarms
    gate.close()
    gate.close()
    assert not timer.alarms
    waiting.cancel()


@pytest.mark.parametrize("seed", range(20))
async def test_no_slot_is_lost_in_a_storm_of_cancellations(
    timer: Timer, seed: int
) -> None:
    draw, gate = random.Random(seed), make_gate(timer, 5)
    done = list[int]()

    async def visit(number: int) -> None:
        ticket = await gate.acquire()
        try:
            for _ in range(draw.randrange(4)):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            gate.abandoned(ticket)
            raise
        match draw.randrange(3):
            case 0:
                gate.succeeded(ticket)
            case 1:
                gate.refused(ticket, 1.0)
            case _:
                gate.abandoned(ticket)
        done.append(number)

    tasks = [asyncio.create_task(visit(number)) for number in range(200)]
    cancelled = 0
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        victim = draw.choice(tasks)
        cancelled += draw.random() < 0.3 and victim.cancel()
        timer.advance(0.5)
    assert gate.admission.in_flight == 0 and cancelled > 0
    assert sorted(done) == [
        number for number, task in enumerate(tasks) if not task.cancelled()
    ]
