"""The `quality` rules of a filter stage, for many tasks at once."""

from collections.abc import Sequence

import polars as pl

from sdg_core.config.pipeline import FilterStage
from sdg_core.custom import Failed, Filtered
from sdg_core.filters.quality import failed_rule, rules_of
from sdg_core.pipelines.tasks import Outcome, Task
from sdg_core.plan.foreign import shortened


def judge(stage: FilterStage, tasks: Sequence[Task]) -> list[Outcome]:
    """One outcome per task: tasks whose text passes every quality rule, all of them judged at once."""
    rules = rules_of(stage.quality)
    texts = [task.values.get(stage.column) for task in tasks]
    wrong = {at for at, text in enumerate(texts) if not isinstance(text, str)}
    judged = pl.Series(
        [None if at in wrong else text for at, text in enumerate(texts)], dtype=pl.String
    )
    outcomes: list[Outcome] = []
    for at, reason in enumerate(failed_rule(rules, judged)):
        if at in wrong:
            outcomes.append(
                Failed(
                    f"{stage.column} is {shortened(texts[at])}, not text; make it text in a stage before",
                    retryable=False,
                    kind="input",
                )
            )
        elif reason is not None:
            outcomes.append(Filtered(stage.reason or reason.split()[0]))
        else:
            outcomes.append(tasks[at].values)
    return outcomes
