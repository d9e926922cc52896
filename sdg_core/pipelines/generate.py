"""A run of a pipeline: choose the version, claim partitions, make their sources, publish each by one fenced switch.

Killed before the switch, nothing is left but the journal; killed after it, the sources are complete. There is no third case.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.events import Notice, Observer
from sdg_core.dataset.ledger import ledger_notices, open_ledger_for
from sdg_core.dataset.resume import choose_version, create_or_resume, notices
from sdg_core.errors import RunAbortedError
from sdg_core.execution.run_history import in_history
from sdg_core.execution.summary import RunCounter
from sdg_core.ledger.database import Ledger
from sdg_core.models.pool import open_models_of
from sdg_core.pipelines.context import RunContext
from sdg_core.pipelines.events import PipelineSummary
from sdg_core.pipelines.executors.installed import check_executor
from sdg_core.pipelines.handle import (
    OpenPipeline,
    PartitionStatus,
    Versions,
    check_partition_keys,
    empty_notice,
    partitions_of,
    scan,
)
from sdg_core.pipelines.partition_results import OnPartition
from sdg_core.pipelines.prune import note_checkpoints
from sdg_core.pipelines.run import run_partitions
from sdg_core.pipelines.spending import pipeline_budget, spending_counted
from sdg_core.pipelines.store import Partition, record_partitions
from sdg_core.pipelines.summary import summarize
from sdg_core.plan.row_groups import Shard
from sdg_core.store.atomic import ensure_writable
from sdg_core.store.cleanup import remove_stale_temp_files
from sdg_core.system.former_names import takes_former_names


@takes_former_names(begun_by="created_by_run")
async def agenerate_pipeline(
    pipeline: OpenPipeline,
    *,
    partitions: Sequence[str] | None = None,
    shard: Shard | None = None,
    resume: ResumeMode | None = None,
    retry: bool = False,
    sources: Sequence[str] | None = None,
    on_event: Observer = lambda event: None,
    on_partition: OnPartition = lambda event: None,
    run_id: str | None = None,
    created_by_run: str | None = None,
) -> PipelineSummary:
    """Make sources that are missing, partial or changed; complete ones stay as they are.

    partitions: keys; default all. shard: only this slice of them. retry: also try the sources that were given up; `sources`
    narrows that to some of them, by locator or key.
    on_partition: called in the event loop once a partition is durable, also for those that were complete before.
    Everything that can be checked is checked before anything is written. Raises errors of `sdg_core.errors`.
    """
    pipeline.check_loaded()
    check_executor(pipeline.plan.config.run)
    run_id = run_id or uuid.uuid4().hex
    mode = resume or pipeline.plan.config.run.resume
    given_up = _given_up(pipeline, sources) if retry else frozenset()
    plan = pipeline.as_dataset().plan
    version = choose_version(
        pipeline.layout, plan, mode=mode, created_by_run=created_by_run or run_id
    )
    layout = pipeline.layout.version(version.layout.name)
    counter = RunCounter(on_event)
    planned = partitions_of(pipeline)
    versions = Versions(pipeline.sources)
    before = scan(pipeline, layout, planned, retry=given_up, versions=versions)
    wanted = frozenset(_chosen(planned, partitions, shard))
    needed = any(not status.is_settled for status in _of(before, wanted))
    async with open_models_of(
        plan,
        env=pipeline.env,
        needed=needed,
        on_notice=lambda message: counter(Notice(message)),
    ) as models:
        if needed:
            await models.check()
        context = RunContext(
            pipeline,
            version,
            layout,
            run_id,
            models,
            counter,
            retry=given_up,
            versions=versions,
        )
        ensure_writable(pipeline.layout.directory)
        with open_ledger_for(pipeline.layout.root, env=pipeline.env) as ledger:
            known = _record_sources(pipeline)
            context = _create_or_resume(context, known)
            found = scan(
                pipeline, context.layout, known, retry=given_up, versions=versions
            )
            models.spending.keep_to(
                pipeline_budget(pipeline, context.version, before, ledger)
            )
            with _accounted(context, ledger, resume=mode):
                results = await run_partitions(
                    context,
                    _of(found, wanted),
                    ledger=ledger,
                    on_partition=on_partition,
                )
    after = scan(
        pipeline, context.layout, known, versions=versions, known=results.footers
    )
    counts = {**results.counts, "cost": models.spending.cost}
    return summarize(
        pipeline, context.layout, after, wanted=wanted, run_id=run_id, counts=counts
    )


def _record_sources(pipeline: OpenPipeline) -> list[Partition]:
    """The partitions of all sources, those that are there now added to those of earlier runs."""
    return record_partitions(
        pipeline.layout,
        [*pipeline.sources.values()],
        per_partition=pipeline.plan.config.sources.sources_per_partition,
    )


@contextmanager
def _accounted(
    context: RunContext, ledger: Ledger, *, resume: ResumeMode
) -> Iterator[None]:
    """The block is in the ledger's history as a run, and what it spends is counted."""
    history = in_history(
        ledger,
        dataset=context.pipeline.name,
        version=context.layout.name,
        run_id=context.run_id,
        resume=resume,
        counter=context.counter,
    )
    with history, spending_counted(context.layout, context.models.spending):
        yield


def _create_or_resume(context: RunContext, known: Sequence[Partition]) -> RunContext:
    """Make the chosen version ready to be written to. The context returned has it as it is on disk."""
    pipeline = context.pipeline
    version = create_or_resume(
        pipeline.layout, context.version, pipeline.as_dataset(known).plan
    )
    layout = pipeline.layout.version(version.layout.name)
    note_checkpoints(pipeline, layout)
    remove_stale_temp_files(pipeline.layout, layout, pipeline.layout.partitions)
    for message in notices(version, pipeline.as_dataset().plan):
        context.counter(Notice(message))
    nothing = empty_notice(pipeline)
    if nothing is not None:
        context.counter(Notice(nothing))
    for message in ledger_notices(pipeline.layout.root, env=pipeline.env):
        context.counter(Notice(message))
    return replace(context, version=version, layout=layout)


def _chosen(
    planned: Sequence[Partition], partitions: Sequence[str] | None, shard: Shard | None
) -> Sequence[int]:
    """The places of the partitions of a run. Raises StoreError for keys that do not exist."""
    if partitions is not None:
        chosen = check_partition_keys(planned, partitions)
    else:
        chosen = [partition.index for partition in planned]
    return shard.of(chosen) if shard is not None else chosen


def _of(
    statuses: Sequence[PartitionStatus], wanted: frozenset[int]
) -> list[PartitionStatus]:
    return [status for status in statuses if status.index in wanted]


def _given_up(pipeline: OpenPipeline, sources: Sequence[str] | None) -> frozenset[str]:
    """The keys of the sources to try again: those named, or all."""
    if sources is None:
        return frozenset(pipeline.sources)
    by_locator = {source.locator: key for key, source in pipeline.sources.items()}
    keys: set[str] = set()
    unknown: dict[str, None] = {}
    for name in sources:
        if name in pipeline.sources:
            keys.add(name)
        elif name in by_locator:
            keys.add(by_locator[name])
        else:
            unknown[name] = None
    if unknown:
        raise RunAbortedError(
            f"unknown source {', '.join(map(repr, unknown))}",
            remedy="use a name that `sdg status FILE --json` lists",
        )
    return frozenset(keys)
