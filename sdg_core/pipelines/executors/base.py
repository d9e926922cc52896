"""The seam between a pipeline and what carries its heavy stages: this process, or the machines of a Ray cluster.

An executor runs stages and nothing else. Claims, the journal, model calls, accounts, staging and the switch stay in the process
that runs the pipeline, so no executor can lose or repeat a source. All of them pass `tests/contracts/test_stage_executor.py`.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from sdg_core.config.pipeline import FilterStage, FunctionStage
from sdg_core.config.run import RunSettings
from sdg_core.pipelines.plan import StagePlan
from sdg_core.pipelines.tasks import Outcome, Task


class StageExecutor(Protocol):
    """Runs the stages for which `is_heavy` holds, all of them set up."""

    async def run(
        self, plan: StagePlan, tasks: Sequence[Task], *, handed_to_next: bool
    ) -> list[Outcome]:
        """One outcome per task. handed_to_next: nothing but this executor looks at the values next, so they may stay where they
        are. Raises FunctionError for code of the user that breaks the rules."""


def is_heavy(plan: StagePlan) -> bool:
    """Whether a stage computes for long enough to be worth another process: code of the user, and rules of quality."""
    match plan.stage:
        case FunctionStage():
            return True
        case FilterStage(quality=rules):
            return bool(rules)
        case _:
            return False


@asynccontextmanager
async def open_executor(
    stages: Sequence[StagePlan],
    settings: RunSettings,
    *,
    on_notice: Callable[[str], None],
) -> AsyncIterator[StageExecutor]:
    """The executor that the settings name, its stages set up; torn down at the end.

    Raises FunctionError if a stage cannot be set up or torn down, RunAbortedError if there is no place for it.
    """
    heavy = [plan for plan in stages if is_heavy(plan)]
    if settings.executor == "ray" and heavy:
        from sdg_core.pipelines.executors.ray import ray_executor

        async with ray_executor(
            heavy, patience=settings.stall_timeout, on_notice=on_notice
        ) as executor:
            yield executor
        return
    from sdg_core.pipelines.executors.local import local_executor

    async with local_executor(heavy) as executor:
        yield executor
