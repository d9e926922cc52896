"""The `quality` rules of a filter stage, for many tasks at once."""

from collections.abc import Sequence

import polars as pl

from sdg_core.config.pipeline import FilterStage
from sdg_core.custom import Failed, Filtered
from sdg_core.filters.quality import failed_rule, rules_of
from sdg_core.pipelines.tasks import Outcome, Task
from sdg_core.plan.foreign import shortened


def apply_quality(stage: FilterStage, tasks: Sequence[Task]) -> list[Outcome]:
    """One outcome per task: tasks whose text passes every quality rule, all of them judged at once."""
    rules = rules_of(stage.quality)
    texts = [task.values.get(stage.column) for task in tasks]
    judged = [text if isinstance(text, str) else None for text in texts]
    reasons = failed_rule(rules, pl.Series(judged, dtype=pl.String))
    outcomes: list[Outcome] = []
    for task, text, reason in zip(tasks, texts, reasons, strict=True):
        if not isinstance(text, str):
            message = f"{stage.column} is {shortened(text)}, not text; convert it in an earlier stage"
            outcomes.append(Failed(message, retryable=False, kind="input"))
        elif reason is not None:
            rule = reason.split()[0]
            outcomes.append(Filtered(stage.reason or rule))
        else:
            outcomes.append(task.values)
    return outcomes
