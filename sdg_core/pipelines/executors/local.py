"""Stages in this process: coroutines in its event loop, everything else in threads. A worker of Ray does it like this, too."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sdg_core.config.pipeline import FilterStage, FunctionStage
from sdg_core.pipelines.executors.base import StageExecutor
from sdg_core.pipelines.plan import StagePlan
from sdg_core.pipelines.quality import apply_quality
from sdg_core.pipelines.stage_calls import UserCode, set_up
from sdg_core.pipelines.tasks import Outcome, Task


@asynccontextmanager
async def local_executor(stages: Sequence[StagePlan]) -> AsyncIterator[StageExecutor]:
    """Stages of this process, set up. Raises FunctionError."""
    async with set_up(stages):
        yield LocalExecutor(stages)


class LocalExecutor:
    """Runs stages where it is called."""

    def __init__(self, stages: Sequence[StagePlan]) -> None:
        self._own = UserCode(stages)

    async def run(
        self, plan: StagePlan, tasks: Sequence[Task], *, handed_to_next: bool
    ) -> list[Outcome]:
        """See `StageExecutor`."""
        match plan.stage:
            case FunctionStage() as stage:
                return await self._own.run(plan, stage, tasks)
            case FilterStage() as stage:
                return await asyncio.to_thread(apply_quality, stage, tasks)
            case _:
                raise TypeError(f"{plan.label} is not a stage for an executor")
