"""What a pipeline has cost: by its partitions, by replies in the journal that no partition counts yet, and in the versions that
its cells were carried over from.

A reply in the journal is counted by its source's entry if that names the run that paid. Which versions cells came from is in the
footers (`carried`); `metadata.json` keeps what those have cost, so that the sum survives `sdg prune`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from sdg_core.config.models import ModelConfig
from sdg_core.dataset.handle import Dataset
from sdg_core.dataset.ledger import open_ledger_readonly
from sdg_core.dataset.resume import carry_sources
from sdg_core.dataset.spending import (
    DatasetSpending,
    Replies,
    budget_after,
    is_limited,
    paid_replies,
    shares_columns,
    upstream_cost,
)
from sdg_core.errors import CorruptFileError, StoreError
from sdg_core.ledger.database import Ledger
from sdg_core.models.spending import Budget, Spending
from sdg_core.pipelines.handle import OpenPipeline, PartitionStatus
from sdg_core.pipelines.store import (
    PartitionFooter,
    PipelineLayout,
    SourcesLayout,
    read_footer,
)
from sdg_core.pipelines.tasks import source_range
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.store.metadata import count_run, metadata_or_none, note_earlier_versions
from sdg_core.store.spending import (
    PaidReply,
    Spent,
    carried_from,
    follow_carried,
    priced,
)
from sdg_core.store.versions import Version


def footers_of(statuses: Sequence[PartitionStatus]) -> list[PartitionFooter]:
    """The footers of the partitions that have a file."""
    return [status.footer for status in statuses if status.footer is not None]


def spending_of_pipeline(
    pipeline: OpenPipeline, version: SourcesLayout, footers: Sequence[PartitionFooter]
) -> DatasetSpending:
    """What a pipeline has cost, as its files and the journal say. footers: of the version. Raises LedgerError, StoreError."""
    dataset = pipeline.as_dataset()
    models = pipeline.plan.config.model_configs
    asked_models = any(footer.usage or footer.carried for footer in footers)
    if not models and not asked_models:
        return DatasetSpending(upstream=upstream_cost(dataset))
    with open_ledger_readonly(dataset) as ledger:
        replies = paid_replies(ledger, pipeline.name)
    own = _spent(version, footers, models, replies)
    earlier = _earlier(pipeline.layout, version, footers, models, replies)
    return DatasetSpending(own, earlier, upstream_cost(dataset))


def pipeline_budget(
    pipeline: OpenPipeline,
    version: Version,
    statuses: Sequence[PartitionStatus],
    ledger: Ledger,
) -> Budget:
    """The limits of a run, with what was used of them before: in its version, in those that its cells were carried over from, and
    in those that it may yet take cells from. Raises LedgerError."""
    run = pipeline.plan.config.run
    if not is_limited(run):
        return Budget()
    models = pipeline.plan.config.model_configs
    hashes = pipeline.plan.fingerprint.config_column_hashes
    layout = pipeline.layout.version(version.layout.name)
    replies = paid_replies(ledger, pipeline.name)
    footers = footers_of(statuses)
    spent = _earlier(pipeline.layout, layout, footers, models, replies)
    for source in carry_sources(pipeline.layout, version):
        other = pipeline.layout.version(source.name)
        if source.name not in spent and shares_columns(other, hashes):
            spent[source.name] = _spent(other, footers_in(other), models, replies)
    spent[layout.name] = _spent(layout, footers, models, replies)
    used = [model for model, _ in pipeline.plan.shell.models.values()]
    return budget_after(run, used, [*spent.values()])


@contextmanager
def spending_counted(version: SourcesLayout, spending: Spending) -> Iterator[None]:
    """Write down, however the block ends, what only the run itself knows of its requests."""
    try:
        yield
    finally:
        if spending.used:
            with suppress(StoreError):  # the reason for stopping matters more
                count_run(
                    version.metadata,
                    retry_reasons=spending.retry_reasons,
                    abandoned=spending.unaccounted,
                )


def note_costs(pipeline: OpenPipeline, dataset: Dataset, ledger: Ledger | None) -> None:
    """Write down, in each version, what those that its cells came from have cost, because they may be gone afterwards."""
    models = dataset.plan.config.model_configs
    replies = paid_replies(ledger, pipeline.name)
    for name in pipeline.layout.versions():
        version = pipeline.layout.version(name)
        earlier = _earlier(
            pipeline.layout, version, footers_in(version), models, replies
        )
        if earlier and metadata_or_none(version) is not None:
            written = {other: spent.to_dict() for other, spent in earlier.items()}
            note_earlier_versions(version.metadata, written)


def _earlier(
    layout: PipelineLayout,
    version: SourcesLayout,
    footers: Sequence[PartitionFooter],
    models: Sequence[ModelConfig],
    replies: Replies,
) -> dict[str, Spent]:
    def look(name: str) -> tuple[Spent, set[str]]:
        earlier = layout.version(name)
        there = footers_in(earlier)
        return _spent(earlier, there, models, replies), carried_from(there)

    return follow_carried(version, carried_from(footers), look=look)


def footers_in(version: SourcesLayout) -> list[PartitionFooter]:
    """The footers of a version's files; a damaged one says nothing."""
    found = []
    for index in version.existing_row_groups():
        with suppress(CorruptFileError):
            found.append(read_footer(version.row_group(index)))
    return found


def _spent(
    version: SourcesLayout,
    footers: Sequence[PartitionFooter],
    models: Sequence[ModelConfig],
    replies: Replies,
) -> Spent:
    """What a version has used: in its files, in its journal, and in cells under way when a run ended."""
    metadata = metadata_or_none(version)
    used = _used(footers, replies.get(version.name, ()))
    abandoned = metadata.abandoned_usage if metadata is not None else {}
    return priced(version, add_usage(used, abandoned), models)


def _used(
    footers: Sequence[PartitionFooter], replies: Sequence[PaidReply]
) -> UsageByModel:
    usage: UsageByModel = {}
    counted: list[tuple[int, int, frozenset[str]]] = []
    for footer in footers:
        usage = add_usage(usage, footer.usage)
        for entry in footer.sources:
            start, stop = source_range(entry.key)
            counted.append((start, stop, frozenset(entry.runs)))
    counted.sort(key=lambda source: source[0])
    starts = [start for start, _, _ in counted]
    for reply in replies:
        place = bisect_right(starts, reply.record) - 1
        if (
            place < 0
            or reply.record >= counted[place][1]
            or reply.run_id not in counted[place][2]
        ):
            usage = add_usage(usage, reply.usage)
    return usage
