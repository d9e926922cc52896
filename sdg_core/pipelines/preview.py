"""The first rows of a pipeline, in memory: nothing is read from the store, nothing is written to it."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from sdg_core.dataset.shown_tables import MAX_LENGTH, as_html, shown_value
from sdg_core.execution.preview import shown_messages
from sdg_core.execution.stop_rules import FailureBudget
from sdg_core.models.pool import ModelPool
from sdg_core.models.types import Message
from sdg_core.pipelines.executors.local import local_executor
from sdg_core.pipelines.handle import OpenPipeline
from sdg_core.pipelines.publish import sink_columns
from sdg_core.pipelines.readers.base import SourceError, opened
from sdg_core.pipelines.source_records import SourceRecords
from sdg_core.pipelines.source_run import SourceRun, row_values
from sdg_core.pipelines.stages import StageRunner
from sdg_core.pipelines.store import stage_label, to_table
from sdg_core.pipelines.tasks import FailedTask, Task, task_number
from sdg_core.plan.usage import UsageByModel

Prompts = Mapping[str, tuple[Message, ...]]
"""By column, the messages that a model was sent first, for a task or one that it is a piece of."""


@dataclass(frozen=True)
class PipelinePreview:
    """Rows of the first sources, and what failed there, with the source's locator.

    usage: of what was asked for. prompts: of each row. failure_prompts: of each failure.
    """

    table: pa.Table
    failures: tuple[tuple[str, FailedTask], ...]
    usage: UsageByModel = field(default_factory=dict)
    prompts: tuple[Prompts, ...] = ()
    failure_prompts: tuple[Prompts, ...] = ()

    def shown(self, *, longest: int | None = MAX_LENGTH) -> list[list[tuple[str, str]]]:
        """Names and texts of each row as people read them: below a column the prompt that it was asked with, at last the prompts
        of columns that are not written.

        longest: maximum characters of a text; None for all of it.
        """
        found = []
        for record, prompts in zip(self.table.to_pylist(), self.prompts, strict=True):
            lines: list[tuple[str, str]] = []
            for name, value in record.items():
                lines.append((name, shown_value(value, longest=longest)))
                lines += shown_messages(prompts.get(name, ()), longest=longest)
            not_written = {
                name: messages
                for name, messages in prompts.items()
                if name not in record
            }
            found.append(
                [*lines, *_shown_prompts(not_written, "(not written)", longest=longest)]
            )
        return found

    def shown_failures(
        self, *, longest: int | None = MAX_LENGTH
    ) -> list[tuple[str, list[tuple[str, str]]]]:
        """What failed, in words, and the prompts that led to it."""
        found = []
        for (locator, failure), prompts in zip(
            self.failures, self.failure_prompts, strict=True
        ):
            where = (
                f"{locator}, task {failure.task or 'all'}, {stage_label(failure.stage)}"
            )
            lines = _shown_prompts(
                prompts, "(prompt of a failed task)", longest=longest
            )
            found.append((f"{where}: {failure.message}", [*lines]))
        return found

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        remarks = [
            f"{locator} failed, {stage_label(each.stage)}: {each.message}"
            for locator, each in self.failures
        ]
        rows = [list(record.values()) for record in self.table.to_pylist()]
        return as_html(self.table.column_names, enumerate(rows), remarks)


def _shown_prompts(
    prompts: Prompts, remark: str, *, longest: int | None
) -> Iterator[tuple[str, str]]:
    for name, messages in prompts.items():
        yield name, remark
        yield from shown_messages(messages, longest=longest)


class _Seen:
    """The prompts that are seen while sources are made, by the numbers of their tasks."""

    def __init__(self) -> None:
        self._prompts: dict[int, dict[str, tuple[Message, ...]]] = {}

    def asked(self, number: int, column: str, messages: tuple[Message, ...]) -> None:
        self._prompts.setdefault(number, {})[column] = messages

    def of(self, key: str, path: tuple[int, ...]) -> Prompts:
        """The prompts of a task of a source, and of those that it is a piece of."""
        found: dict[str, tuple[Message, ...]] = {}
        for length in range(1, len(path) + 1):
            found |= self._prompts.get(task_number(key, path[:length]), {})
        return found


async def preview_pipeline(
    pipeline: OpenPipeline, *, rows: int, models: ModelPool
) -> PipelinePreview:
    """Make sources until there are so many rows; no stage is given more than `rows` tasks of a source."""
    budget = FailureBudget(pipeline.plan.config.run, began=time.monotonic())
    lineage = pipeline.plan.config.sink.lineage
    seen = _Seen()
    found: list[dict[str, object]] = []
    prompts: list[Prompts] = []
    failures: list[tuple[str, FailedTask]] = []
    failure_prompts: list[Prompts] = []
    async with local_executor(pipeline.plan.stages) as executor:
        runner = StageRunner(
            pipeline.plan.stages,
            models,
            executor=executor,
            journal=None,
            budget=budget,
            on_prompt=seen.asked,
        )
        for source in pipeline.sources.values():
            if len(found) >= rows:
                break
            run = SourceRun(
                pipeline.plan.stages,
                max_attempts=1,
                run_id="",
                at_most=rows - len(found),
            )
            made: list[Task] = []
            now, version = await asyncio.to_thread(opened, source)
            records = now if isinstance(now, SourceError) else SourceRecords(now)
            result = await run.run(
                source, records, runner, version=version, reusable=(), keep=made.extend
            )
            for task in made:
                found.append(row_values(task, source.key, lineage=lineage))
                prompts.append(seen.of(source.key, task.path))
            for failure in result.failed:
                failures.append((source.locator, failure))
                failure_prompts.append(seen.of(source.key, failure.path))
    found = found[:rows]
    return PipelinePreview(
        to_table(found, sink_columns(pipeline, found), pipeline.plan.types),
        tuple(failures),
        models.spending.used,
        tuple(prompts[:rows]),
        tuple(failure_prompts),
    )
