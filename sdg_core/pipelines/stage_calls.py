"""Stages that run code of the user: a function, or a class with `setup` and `teardown`.

One outcome per task, by position: what a batch returns has as many slots as it was given, or the stage is wrong. Whatever is
raised fails the tasks of that batch. A class is used by one batch at a time unless it says more (`concurrency`), so a model that
it holds needs no lock.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any

from sdg_core.config.pipeline import FunctionStage
from sdg_core.counts import counted
from sdg_core.custom import Failed, Filtered, Stage
from sdg_core.errors import FunctionError
from sdg_core.pipelines.plan import StagePlan
from sdg_core.pipelines.tasks import Outcome, Task, why_no_row
from sdg_core.plan.foreign import shortened
from sdg_core.system.user_calls import await_user, call_user, waiting_for, what_raised

_SLOTS = "return a list with one slot per record: a record, a list of records, Filtered or Failed"


class UserCode:
    """What runs the stages that are code of the user, in one event loop."""

    def __init__(self, stages: Sequence[StagePlan]) -> None:
        self._room: dict[int, asyncio.Semaphore] = {}
        for plan in stages:
            if plan.concurrency is not None:
                self._room[plan.place] = asyncio.Semaphore(plan.concurrency)

    async def run(
        self, plan: StagePlan, stage: FunctionStage, tasks: Sequence[Task]
    ) -> list[Outcome]:
        """One outcome per task. Raises FunctionError for code that breaks the rules."""
        outcomes: list[Outcome] = []
        size = plan.batch_size
        for start in range(0, len(tasks), size or 1):
            batch = [dict(task.values) for task in tasks[start : start + (size or 1)]]
            async with self._room.get(plan.place, nullcontext()):
                if plan.own is not None:
                    outcomes += await _own_batch(plan, plan.own, batch)
                else:
                    outcomes += await _function_batch(plan, stage, batch)
        return outcomes


async def _function_batch(
    plan: StagePlan, stage: FunctionStage, batch: list[dict[str, Any]]
) -> list[Outcome]:
    call = plan.call
    assert call is not None
    more = (stage.params,) if _takes_params(call) else ()
    given: Any = batch if stage.batch_size is not None else batch[0]
    try:
        made = await _invoke(call, given, *more, what=f"{plan.label}: {stage.function}")
    except Exception as error:  # noqa: BLE001 - whatever the user's function raises fails the tasks it was given
        return [Failed(what_raised(error))] * len(batch)
    slots = made if stage.batch_size is not None else [made]
    return _slots(plan, stage.function, slots, batch)


async def _own_batch(
    plan: StagePlan, own: Stage, batch: list[dict[str, Any]]
) -> list[Outcome]:
    """A batch through a class. Without a `process_batch` of its own, every record fails or succeeds by itself."""
    name = own.name or type(own).__name__
    what = f"{plan.label}: {name}"
    if type(own).process_batch is not Stage.process_batch:
        try:
            slots = await _invoke(own.process_batch, batch, what=what)
            return _slots(plan, name, slots, batch)
        except FunctionError:
            raise
        except Exception as error:  # noqa: BLE001 - as for functions
            return [Failed(what_raised(error))] * len(batch)
    outcomes: list[Outcome] = []
    for record in batch:
        try:
            slot = await _invoke(own.process, record, what=what)
            outcomes += _slots(plan, name, [slot], [record])
        except FunctionError:
            raise
        except Exception as error:  # noqa: BLE001 - as for functions
            outcomes.append(Failed(what_raised(error)))
    return outcomes


def _slots(
    plan: StagePlan, name: str, slots: Any, batch: Sequence[Any]
) -> list[Outcome]:
    if not isinstance(slots, list | tuple) or len(slots) != len(batch):
        found = shortened(slots)
        if isinstance(slots, list | tuple):
            found = counted(len(slots), "slot")
        raise FunctionError(
            f"{plan.label}: {name} returned {found} for {counted(len(batch), 'record')}",
            remedy=_SLOTS,
        )
    return [_slot(slot, f"{plan.label}: {name}") for slot in slots]


def _slot(slot: Any, what: str) -> Outcome:
    match slot:
        case Filtered() | Failed():
            return slot
        case None:
            return Filtered(f"{what} returned nothing")
        case Mapping():
            fault = why_no_row(slot)
            return _no_row(fault) if fault is not None else dict(slot)
        case list() | tuple() if not slot:
            return Filtered(f"{what} returned no record")
        case list() | tuple() if all(isinstance(item, Mapping) for item in slot):
            fault = next(filter(None, map(why_no_row, slot)), None)
            return (
                _no_row(fault) if fault is not None else [dict(item) for item in slot]
            )
        case _:
            raise FunctionError(
                f"{what} returned {shortened(slot)}",
                remedy="return a record, a list of records, Filtered(reason) or Failed(reason)",
            )


def _no_row(fault: str) -> Failed:
    return Failed(
        f"the function returned a record that cannot be stored in a row: {fault}",
        retryable=False,
        kind="output",
    )


def _takes_params(call: Callable[..., Any]) -> bool:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(call).parameters.values()
    by_place = [parameter for parameter in parameters if parameter.kind in kinds]
    return len(by_place) > 1


async def _invoke(call: Callable[..., Any], *arguments: Any, what: str) -> Any:
    with waiting_for(what):
        if inspect.iscoroutinefunction(call):
            return await await_user(call(*arguments))
        return await asyncio.to_thread(call_user, call, *arguments)


@asynccontextmanager
async def set_up(stages: Sequence[StagePlan]) -> AsyncIterator[None]:
    """Set up the classes among stages, in order, before anything is read; tear down, in reverse, those that were set up.

    Raises FunctionError if one cannot be set up or torn down.
    """
    async with AsyncExitStack() as stack:
        for plan in stages:
            if plan.own is not None:
                await _prepare(plan, "setup", plan.own.setup)
                stack.push_async_callback(_prepare, plan, "teardown", plan.own.teardown)
        yield


async def _prepare(plan: StagePlan, what: str, call: Callable[[], Any]) -> None:
    try:
        await _invoke(call, what=f"{plan.label}: {what} of {type(plan.own).__name__}")
    except Exception as error:
        name = type(plan.own).__name__
        state = (
            "nothing has been generated yet"
            if what == "setup"
            else "finished work is kept"
        )
        raise FunctionError(
            f"{plan.label}: {what} of {name} raised {what_raised(error)}",
            remedy=f"fix it and run again; {state}",
        ) from error
