"""The first rows of a pipeline, in memory: nothing is read from the store, nothing is written to it."""

import asyncio
import time
from dataclasses import dataclass

import pyarrow as pa

from sdg_core.dataset.shown_tables import as_html
from sdg_core.execution.stop_rules import FailureBudget
from sdg_core.models.pool import ModelPool
from sdg_core.pipelines.executors.local import local_executor
from sdg_core.pipelines.handle import OpenPipeline
from sdg_core.pipelines.publish import sink_columns
from sdg_core.pipelines.readers.base import SourceError, opened
from sdg_core.pipelines.source_records import SourceRecords
from sdg_core.pipelines.source_run import SourceRun, row_values
from sdg_core.pipelines.stages import StageRunner
from sdg_core.pipelines.store import stage_label, to_table
from sdg_core.pipelines.tasks import FailedTask, Task


@dataclass(frozen=True)
class PipelinePreview:
    """Rows of the first sources, and what failed there, with the source's locator."""

    table: pa.Table
    failures: tuple[tuple[str, FailedTask], ...]

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        remarks = [f"{locator} failed, {stage_label(each.stage)}: {each.message}" for locator, each in self.failures]
        rows = [list(record.values()) for record in self.table.to_pylist()]
        return as_html(self.table.column_names, enumerate(rows), remarks)


async def preview_pipeline(pipeline: OpenPipeline, *, rows: int, models: ModelPool) -> PipelinePreview:
    """Make sources until there are so many rows; no stage is given more than `rows` tasks of a source."""
    budget = FailureBudget(pipeline.plan.config.run, began=time.monotonic())
    found: list[dict[str, object]] = []
    failures: list[tuple[str, FailedTask]] = []
    async with local_executor(pipeline.plan.stages) as executor:
        runner = StageRunner(pipeline.plan.stages, models, executor=executor, journal=None, budget=budget)
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
            result = await run.run(source, records, runner, version=version, paid=(), keep=made.extend)
            found += [row_values(task, source.key, lineage=pipeline.plan.config.sink.lineage) for task in made]
            failures += [(source.locator, failure) for failure in result.failed]
    found = found[:rows]
    table = to_table(found, sink_columns(pipeline, found), pipeline.plan.types)
    return PipelinePreview(table, tuple(failures))
