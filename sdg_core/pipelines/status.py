"""A pipeline's state for people and programs: what `sdg status` and `sdg plan` show. Nothing is made by looking."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.resume import choose_version
from sdg_core.dataset.spending import DatasetSpending
from sdg_core.dataset.status import StoredStatus
from sdg_core.errors import RefusedError
from sdg_core.pipelines.handle import (
    OpenPipeline,
    PartitionStatus,
    empty_notice,
    measured,
    partitions_of,
    scan,
)
from sdg_core.pipelines.rejected import selection_of
from sdg_core.pipelines.spending import footers_of, spending_of_pipeline
from sdg_core.pipelines.store import SourceEntry, stage_label
from sdg_core.plan.row_groups import Shard
from sdg_core.plan.usage import Cost, UsageByModel, add_usage, costs
from sdg_core.store.row_groups import SelectionCounts

STATES = ("missing", "partial", "complete", "failed", "corrupt", "stale")


@dataclass(frozen=True, kw_only=True)
class PipelineStatus(StoredStatus):
    """What is on disk. partitions: every one with its state.

    selection: counts of `select`; None without it. rejected_cost: cost of rejected candidates, included in `cost`.
    carried: cells reused from earlier versions, by version and column. retry_reasons: why requests were sent again,
    by model alias. spending: what the pipeline has cost, replies in the journal and earlier versions included.
    """

    pipeline: OpenPipeline
    partitions: tuple[PartitionStatus, ...]
    selection: SelectionCounts | None = None
    rejected_cost: Mapping[str, Cost] = field(default_factory=dict)
    carried: UsageByModel = field(default_factory=dict)
    retry_reasons: UsageByModel = field(default_factory=dict)
    spending: DatasetSpending = field(default_factory=DatasetSpending)

    @property
    def entries(self) -> list[SourceEntry]:
        """What the files say of every source that is in one."""
        entries: list[SourceEntry] = []
        for status in self.partitions:
            if status.footer is not None:
                entries += status.footer.sources
        return entries

    def source_states(self) -> dict[str, list[str]]:
        """Locators of sources by state; `missing` are those that no file has, or has of another version."""
        found: dict[str, list[str]] = {
            "missing": [],
            "partial": [],
            "complete": [],
            "failed": [],
            "removed": [],
        }
        for status in self.partitions:
            states: dict[str, str] = {}
            if status.footer is not None:
                states = {entry.key: entry.state for entry in status.footer.sources}
            for key, locator in status.partition.sources:
                state = states.get(key, "missing")
                if key not in self.pipeline.sources:
                    state = "removed"
                elif key in status.to_make and state != "partial":
                    state = "missing"
                found[state].append(locator)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `sdg status --json` prints it."""
        rows = 0
        filtered: Counter[str] = Counter()
        failures = []
        for entry in self.entries:
            rows += entry.rows
            filtered.update(entry.filtered)
            for failure in entry.failed:
                described = {**asdict(failure), "stage": stage_label(failure.stage)}
                failures.append({"source": entry.locator, **described})
        selection = None
        if self.selection is not None:
            cost = {alias: vars(cost) for alias, cost in self.rejected_cost.items()}
            selection = {**vars(self.selection), "cost": cost}
        keys: dict[str, list[str]] = {state: [] for state in STATES}
        for status in self.partitions:
            keys[status.state].append(status.key)
        states = {
            state: {"count": len(found), "keys": found} for state, found in keys.items()
        }
        sources = {}
        for state, locators in self.source_states().items():
            sources[state] = {"count": len(locators), "locators": locators}
        return {
            "kind": "pipeline",
            "pipeline": self.pipeline.name,
            **self.common_dict(),
            "states": states,
            "sources": sources,
            "records": {"actual": rows},
            "filtered": dict(filtered),
            "selection": selection,
            "failures": {"count": len(failures), "tasks": failures},
            "carried": self.carried,
            "retry_reasons": self.retry_reasons,
            **self.spending.to_dict(),
            "sources_current": self.pipeline.is_current,
        }


def describe_pipeline(pipeline: OpenPipeline) -> PipelineStatus:
    """Put together what the files say, and the ledger of earlier runs. Raises a MetadataError, LedgerError, StoreError."""
    version, layout, statuses = measured(pipeline)
    usage: UsageByModel = {}
    carried: UsageByModel = {}
    footers = footers_of(statuses)
    for footer in footers:
        usage = add_usage(usage, footer.usage)
        carried = add_usage(carried, footer.carried)
    entries: list[SourceEntry] = []
    for footer in footers:
        entries += footer.sources
    metadata = version.metadata if version is not None else None
    retry_reasons = metadata.retry_reasons if metadata is not None else {}
    models = pipeline.plan.config.model_configs
    selection = selection_of(entries)
    rejected_cost: dict[str, Cost] = {}
    if selection is not None:
        rejected_cost = costs(selection.usage, models)
    faults = [
        f"partition {each.key}: {each.reason}"
        for each in statuses
        if each.reason is not None
    ]
    return PipelineStatus(
        **StoredStatus.common(pipeline.as_dataset(), layout, metadata),
        pipeline=pipeline,
        partitions=tuple(statuses),
        usage=usage,
        cost=costs(usage, models),
        selection=selection,
        carried=carried,
        retry_reasons=retry_reasons,
        spending=spending_of_pipeline(pipeline, layout, footers),
        rejected_cost=rejected_cost,
        faults=tuple(faults),
    )


def sources_notice(pipeline: OpenPipeline) -> str | None:
    """What to say where there are no sources yet, or where they are not those that there are now."""
    if pipeline.is_current:
        return empty_notice(pipeline)
    reader = pipeline.plan.config.sources.reader
    return (
        f"sources are as of the last run: the reader {reader} needs code or a connection, which this "
        f"command does not use"
    )


@dataclass(frozen=True)
class PipelineRunPlan:
    """What `generate` would do. refused: why it would not run."""

    version: str
    notice: str | None
    to_make: dict[str, tuple[str, ...]]
    removed: dict[str, tuple[str, ...]]
    adopted: int
    refused: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `sdg plan --json` prints it."""
        return asdict(self)


def plan_pipeline_run(
    pipeline: OpenPipeline,
    *,
    resume: ResumeMode | None = None,
    shard: Shard | None = None,
) -> PipelineRunPlan:
    """What `generate` with the same arguments would do. Calls no models and writes nothing."""
    partitions = partitions_of(pipeline)
    mode = resume or pipeline.plan.config.run.resume
    try:
        version = choose_version(
            pipeline.layout, pipeline.as_dataset(partitions).plan, mode=mode
        )
    except RefusedError as error:
        return PipelineRunPlan(
            pipeline.plan.fingerprint.version, None, {}, {}, 0, refused=str(error)
        )
    chosen = shard.of(partitions) if shard is not None else partitions
    statuses = scan(pipeline, pipeline.layout.version(version.layout.name), chosen)
    notes = [note for note in (version.notice, sources_notice(pipeline)) if note]
    to_make = {}
    removed = {}
    adopted = 0
    for status in statuses:
        if status.to_make:
            to_make[status.key] = status.to_make
        if status.removed:
            removed[status.key] = status.removed
        if status.is_settled and status.footer is not None:
            adopted += 1
    return PipelineRunPlan(
        version=version.layout.name,
        notice="; ".join(notes) or None,
        to_make=to_make,
        removed=removed,
        adopted=adopted,
    )
