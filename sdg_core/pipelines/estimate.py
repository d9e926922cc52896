"""What the remaining sources will ask for, judged by a few of them: requests, tokens, money, time. Nothing is paid for it.

The sample is spread over the sources that a run would make. Each is read, and its first records go through all stages, with
simulated replies in the place of the models': how many tasks a source becomes and what its prompts hold is then as in a run, as
far as it does not hang on what models say. What is there already (in the journal, in earlier versions) is taken, not asked for.
How long replies are is known where the pipeline has files: as long as those of its models so far. Else it is a guess.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from sdg_core.dataset.ledger import open_ledger_readonly
from sdg_core.dataset.resume import choose_version
from sdg_core.execution.estimate import Estimate, spread
from sdg_core.execution.extrapolation import Scaled, scaled_to
from sdg_core.execution.stop_rules import FailureBudget
from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.models.pool import ModelPool, open_models_of
from sdg_core.pipelines.executors.local import local_executor
from sdg_core.pipelines.handle import OpenPipeline, PartitionStatus, partitions_of, scan
from sdg_core.pipelines.readers.base import OpenSource, Record, SourceError, opened
from sdg_core.pipelines.source_cells import SourceCells
from sdg_core.pipelines.source_records import SourceRecords
from sdg_core.pipelines.source_run import SourceRun
from sdg_core.pipelines.spending import footers_in, footers_of
from sdg_core.pipelines.stages import StageRunner
from sdg_core.pipelines.store import SourceEntry, stage_label
from sdg_core.plan.models import simulated_models
from sdg_core.plan.usage import UsageByModel, add_usage, costs, totals
from sdg_core.store.versions import Version, earlier_versions

RECORDS = 100
"""Records of a source that go through the stages; the others are counted."""
SECONDS_A_REPLY = 0.5
TOKENS_A_SECOND = 50
"""How fast a model is taken to be that was not asked: a usual rate of hosted models."""
_Used = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class PipelineEstimate(Estimate):
    """As of a dataset (`Estimate`), in sources: `remaining` are those to be made, `sampled` those that were read for this,
    `failed` those of them that would not be complete. `used` is empty, because nothing was asked.

    tasks: expected at each stage, by what stages are called in messages. rows: expected. measured: aliases whose replies are
    taken to be as long as those in the pipeline's files. speed_assumed: whether `seconds` holds replies of models that were not
    asked, at `SECONDS_A_REPLY` and `TOKENS_A_SECOND`.
    """

    tasks: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    measured: tuple[str, ...] = ()
    speed_assumed: bool = False

    @property
    def assumed_speed(self) -> str:
        """How fast models are taken to be that were not asked, for people; `speed_assumed` says whether it counts."""
        return f"{SECONDS_A_REPLY:g} s a reply and {TOKENS_A_SECOND} tokens a second"


@dataclass(frozen=True)
class _SampledSource:
    """What a source of the sample came to, scaled to all its records. counts: under `tasks` those of each stage, under `results`
    rows, and cells that were there already (`replayed`). seconds: of this process."""

    usage: _Used
    counts: _Used
    seconds: float
    failure: str | None


class _FirstRecords(OpenSource):
    """The first records of a source; the others are only counted."""

    def __init__(self, source: OpenSource, *, at_most: int | None) -> None:
        self._source = source
        self._at_most = at_most
        self._records: Iterator[Record] = iter(())
        self._read = 0

    @property
    def version(self) -> str:
        """The version of the source."""
        return self._source.version

    def records(self) -> Iterator[Record]:
        """The first of them. Raises SourceError."""
        self._records = iter(self._source.records())
        for record in islice(self._records, self._at_most):
            self._read += 1
            yield record

    def count_all(self) -> float:
        """Read on to the end. Returns how many records each of the first stands for; where reading fails, of those that could be
        read."""
        rest = 0
        with suppress(SourceError):
            for _ in self._records:
                rest += 1
        return (self._read + rest) / self._read if self._read else 1.0


def rehearsed(pipeline: OpenPipeline) -> OpenPipeline:
    """The pipeline with simulated models in the place of all others, which answer at once and never fail."""
    stages = []
    for plan in pipeline.plan.stages:
        columns = plan.columns
        if columns is not None:
            columns = replace(
                columns, models=simulated_models(columns.models), clients={}
            )
        stages.append(replace(plan, columns=columns))
    models = simulated_models(pipeline.plan.shell.models)
    shell = replace(pipeline.plan.shell, models=models, clients={})
    rehearsal = replace(pipeline.plan, stages=tuple(stages), shell=shell)
    return replace(pipeline, plan=rehearsal)


async def estimate_pipeline(pipeline: OpenPipeline, *, sample: int) -> PipelineEstimate:
    """Read a sample of the remaining sources and reckon what all of them will take. No model is asked, nothing is written.

    Functions and classes of the pipeline are run. Raises RefusedError where a run would be refused, FunctionError for a stage
    that breaks its rules, LedgerError, StoreError.
    """
    pipeline.check_loaded()
    partitions = partitions_of(pipeline)
    plan = pipeline.as_dataset(partitions).plan
    version = choose_version(
        pipeline.layout, plan, mode=pipeline.plan.config.run.resume
    )
    statuses = scan(pipeline, pipeline.layout.version(version.layout.name), partitions)
    remaining = [(status, key) for status in statuses for key in status.to_make]
    chosen = [remaining[place] for place in spread(range(len(remaining)), sample)]
    with open_ledger_readonly(pipeline.as_dataset()) as ledger:
        cells = None
        if ledger is not None:
            journal = Journal(
                ledger, dataset=pipeline.name, version=version.layout.name
            )
            cells = await asyncio.to_thread(SourceCells.of, pipeline, version, journal)
        rehearsal = rehearsed(pipeline)
        async with open_models_of(rehearsal.plan.shell, env=pipeline.env) as models:
            tried = await _try_all(rehearsal, chosen, models, cells)
            capacity = models.capacity
    return _extrapolated(
        pipeline,
        _used_so_far(pipeline, version, statuses),
        tried,
        remaining=len(remaining),
        capacity=capacity,
    )


def _used_so_far(
    pipeline: OpenPipeline, version: Version, statuses: Sequence[PartitionStatus]
) -> UsageByModel:
    """What models have used by the files of the version, or of the latest that has any."""
    found = [footers_of(statuses)]
    others = (
        pipeline.layout.version(other.name)
        for other in earlier_versions(pipeline.layout, version.layout)
    )
    for footers in chain(found, map(footers_in, others)):
        usage: UsageByModel = {}
        for footer in footers:
            usage = add_usage(usage, footer.usage)
        if usage:
            return usage
    return {}


async def _try_all(
    pipeline: OpenPipeline,
    chosen: Sequence[tuple[PartitionStatus, str]],
    models: ModelPool,
    cells: SourceCells | None,
) -> list[_SampledSource]:
    budget = FailureBudget(pipeline.plan.config.run, began=time.monotonic())
    if not chosen:
        return []
    async with local_executor(pipeline.plan.stages) as executor:
        runner = StageRunner(
            pipeline.plan.stages, models, executor=executor, journal=None, budget=budget
        )
        return [
            await _try(pipeline, status, key, runner, cells) for status, key in chosen
        ]


async def _try(
    pipeline: OpenPipeline,
    status: PartitionStatus,
    key: str,
    runner: StageRunner,
    cells: SourceCells | None,
) -> _SampledSource:
    began = time.monotonic()
    now, version = await asyncio.to_thread(opened, pipeline.sources[key])
    before = _kept_of(pipeline, status, key, version)
    first = None
    records: SourceRecords | SourceError
    if isinstance(now, SourceError):
        records = now
    else:
        at_most = RECORDS if before is None else None
        first = _FirstRecords(now, at_most=at_most)
        records = SourceRecords(first)
    reusable = (
        await asyncio.to_thread(_paid_for, cells, status, key)
        if cells is not None
        else []
    )
    run = SourceRun(pipeline.plan.stages, max_attempts=1, run_id="", before=before)
    done = [
        (account.tasks_in, account.handed_on + account.made) for account in run.accounts
    ]
    result = await run.run(
        pipeline.sources[key],
        records,
        runner,
        version=version,
        reusable=reusable,
        keep=lambda tasks: None,
    )
    weight = 1.0
    if first is not None and result.was_read:
        weight = await asyncio.to_thread(first.count_all)
    tasks = {}
    rows = 0
    stages = zip(result.accounts, done, _labels(pipeline), strict=True)
    for account, (tasks_before, rows_before), label in stages:
        tasks[label] = weight * (account.tasks_in - tasks_before)
        rows = account.handed_on + account.made - rows_before
    usage: dict[str, dict[str, float]] = {}
    for alias, counts in result.usage.items():
        usage[alias] = {name: weight * count for name, count in counts.items()}
    words = None
    if result.failed:
        failure = result.failed[0]
        words = f"{result.locator}, {stage_label(failure.stage)}: {failure.message}"
    seconds = weight * (time.monotonic() - began)
    results = {"rows": weight * rows, "replayed": weight * result.replayed}
    return _SampledSource(usage, {"tasks": tasks, "results": results}, seconds, words)


def _kept_of(
    pipeline: OpenPipeline, status: PartitionStatus, key: str, version: str
) -> SourceEntry | None:
    """What earlier runs got done of a source, whose rest is to be done; None if all of it is."""
    if status.footer is None or not pipeline.plan.config.sink.lineage:
        return None
    for entry in status.footer.sources:
        if entry.key == key and entry.version == version:
            return entry
    return None


def _paid_for(
    cells: SourceCells, status: PartitionStatus, key: str
) -> list[JournaledCell]:
    """The cells of a source that are there already, and cost nothing any more."""
    found = [
        *cells.carried(status.index, [key])[key],
        *cells.journaled_of(key, counted=()),
    ]
    return [replace(cell, usage={}) for cell in found]


def _labels(pipeline: OpenPipeline) -> list[str]:
    stages = [f"{plan.label} {plan.stage.stage}" for plan in pipeline.plan.stages]
    return ["read", *stages]


def _extrapolated(
    pipeline: OpenPipeline,
    seen: UsageByModel,
    tried: Sequence[_SampledSource],
    *,
    remaining: int,
    capacity: int,
) -> PipelineEstimate:
    """What the sample stands for. seen: what the models have used so far, by the pipeline's files."""
    measured = _measured(pipeline, seen)
    used = [_with_lengths(one.usage, measured) for one in tried]
    expected = scaled_to(used, remaining)
    expected = replace(expected, high=_with_longest(pipeline, expected, measured))
    counts = scaled_to([one.counts for one in tried], remaining).usage
    tasks = counts.get("tasks", {})
    results = counts.get("results", {})
    prices = pipeline.plan.config.model_configs
    least = totals(costs(expected.low, prices))
    most = totals(costs(expected.high, prices))
    providers = {
        alias: provider for alias, (_, provider) in pipeline.plan.shell.models.items()
    }
    cost_range = {
        currency: (least.get(currency, 0.0), high) for currency, high in most.items()
    }
    is_simulated = [
        providers[alias].provider_type == "simulated" for alias in expected.usage
    ]
    local = sum(one.seconds for one in tried) / max(1, len(tried)) * remaining
    replies = _seconds_of_replies(pipeline, expected.usage) / max(1, capacity)
    failures = [one.failure for one in tried if one.failure is not None]
    return PipelineEstimate(
        remaining=remaining,
        sampled=len(tried),
        failed=len(failures),
        first_failure=failures[0] if failures else None,
        used={},
        usage=expected.usage,
        cost=costs(expected.usage, prices),
        seconds=local + replies,
        simulated=bool(pipeline.plan.shell.models),
        reused=results.get("replayed", 0),
        low=expected.low,
        high=expected.high,
        cost_range=cost_range,
        tasks={label: tasks.get(label, 0) for label in _labels(pipeline)},
        rows=results.get("rows", 0),
        measured=tuple(sorted(measured)),
        speed_assumed=not all(is_simulated),
    )


def _measured(pipeline: OpenPipeline, seen: UsageByModel) -> dict[str, float]:
    """Tokens of a reply, of the real models whose replies are in the pipeline's files."""
    found = {}
    for alias, (_, provider) in pipeline.plan.shell.models.items():
        requests = seen.get(alias, {}).get("requests", 0)
        if requests and provider.provider_type != "simulated":
            found[alias] = seen[alias].get("completion_tokens", 0) / requests
    return found


def _with_lengths(usage: _Used, measured: Mapping[str, float]) -> _Used:
    """A usage with replies as long as they were measured to be."""
    found = dict(usage)
    for alias in usage.keys() & measured.keys():
        found[alias] = {
            **usage[alias],
            "completion_tokens": usage[alias].get("requests", 0) * measured[alias],
        }
    return found


def _with_longest(
    pipeline: OpenPipeline, expected: Scaled, measured: Mapping[str, float]
) -> UsageByModel:
    """The upper end, with replies as long as `max_tokens` lets them be where nothing is known of them."""
    found = dict(expected.high)
    for alias, counts in expected.high.items():
        model, provider = pipeline.plan.shell.models[alias]
        longest = model.inference_parameters.max_tokens
        if (
            alias not in measured
            and provider.provider_type != "simulated"
            and longest is not None
        ):
            tokens = max(
                counts.get("completion_tokens", 0), counts.get("requests", 0) * longest
            )
            found[alias] = {**counts, "completion_tokens": tokens}
    return found


def _seconds_of_replies(pipeline: OpenPipeline, usage: UsageByModel) -> float:
    """How long all replies take, one after the other."""
    seconds = 0.0
    for alias, counts in usage.items():
        _, provider = pipeline.plan.shell.models[alias]
        requests = counts.get("requests", 0)
        if provider.provider_type == "simulated":
            seconds += requests * provider.simulation.latency.mean
        else:
            seconds += (
                requests * SECONDS_A_REPLY
                + counts.get("completion_tokens", 0) / TOKENS_A_SECOND
            )
    return seconds
