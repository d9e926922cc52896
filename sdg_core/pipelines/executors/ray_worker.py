"""What a worker of Ray does: one stage, set up once, for one chunk of tasks after the other, exactly as this process would do it.

A worker answers with verdicts, which are small and go to the driver, and with a payload, the values, which stays in Ray's object
store until somebody needs it. It never raises for what the user's code does.
"""

import asyncio
import pickle
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from sdg_core.custom import Failed, Filtered
from sdg_core.errors import FunctionError
from sdg_core.pipelines.executors.base import StageExecutor
from sdg_core.pipelines.executors.local import local_executor
from sdg_core.pipelines.plan import StagePlan
from sdg_core.pipelines.tasks import Outcome, Task

Values = Mapping[str, Any]
Verdict = None | int | Filtered | Failed
"""What became of a task: one record (None), a number of pieces, or nothing, and why. Records and pieces follow each other in the
payload."""
Pick = tuple[int, int]
"""Which values a task has: the number of a payload among those that were given, and the place in it."""


@dataclass(frozen=True)
class StageFault:
    """A FunctionError on its way to the driver."""

    message: str
    remedy: str | None

    def error(self) -> FunctionError:
        """The error as it was."""
        return FunctionError(self.message, remedy=self.remedy)


class StageWorker:
    """One worker of a stage. Its methods are called one at a time."""

    def __init__(self, plan: bytes) -> None:
        self._plan: StagePlan = pickle.loads(plan)
        self._loop = asyncio.Runner()
        self._open = AsyncExitStack()
        self._executor: StageExecutor

    def set_up(self) -> StageFault | None:
        """Set the stage up."""
        try:
            opening = self._open.enter_async_context(local_executor([self._plan]))
            self._executor = self._loop.run(opening)
        except FunctionError as error:
            return StageFault(error.message, error.remedy)
        return None

    def run(
        self, picks: Sequence[Pick], *payloads: bytes
    ) -> tuple[list[Verdict] | StageFault, bytes]:
        """Do a chunk of tasks: a verdict for each, and a payload."""
        given: list[list[Values]] = [pickle.loads(payload) for payload in payloads]
        tasks = [Task((), given[payload][place]) for payload, place in picks]
        try:
            outcomes = self._loop.run(
                self._executor.run(self._plan, tasks, handed_to_next=False)
            )
        except FunctionError as error:
            return StageFault(error.message, error.remedy), b""
        return split_outcomes(outcomes)

    def tear_down(self) -> StageFault | None:
        """Tear the stage down; the worker is of no use afterwards."""
        try:
            self._loop.run(self._open.aclose())
        except FunctionError as error:
            return StageFault(error.message, error.remedy)
        finally:
            self._loop.close()
        return None


def pack(values: Sequence[Values]) -> bytes:
    """Values as a payload. Raises whatever a value raises that cannot be sent to another process."""
    from ray import cloudpickle

    data: bytes = cloudpickle.dumps(values, protocol=5)  # type: ignore[no-untyped-call]
    return data


def unpack(payload: bytes) -> list[Values]:
    """The values of a payload."""
    found: list[Values] = pickle.loads(payload)
    return found


def split_outcomes(outcomes: Sequence[Outcome]) -> tuple[list[Verdict], bytes]:
    """Outcomes as verdicts and a payload; one that cannot be sent fails its own task."""
    try:
        return [_verdict(outcome) for outcome in outcomes], pack(_all_values(outcomes))
    except Exception:  # noqa: BLE001 - a value of the user may raise anything; the next line finds out which
        sendable = [_sendable(outcome) for outcome in outcomes]
        return [_verdict(outcome) for outcome in sendable], pack(_all_values(sendable))


def _sendable(outcome: Outcome) -> Outcome:
    try:
        pack(_all_values([outcome]))
    except Exception as error:  # noqa: BLE001 - as above
        message = f"the stage's result cannot be sent to another process: {type(error).__name__}: {error}"
        return Failed(message, retryable=False, kind="output")
    return outcome


def _verdict(outcome: Outcome) -> Verdict:
    match outcome:
        case Filtered() | Failed():
            return outcome
        case list():
            return len(outcome)
        case _:
            return None


def _all_values(outcomes: Sequence[Outcome]) -> list[Values]:
    found: list[Values] = []
    for outcome in outcomes:
        match outcome:
            case Filtered() | Failed():
                pass
            case list():
                found += outcome
            case _:
                found.append(outcome)
    return found
