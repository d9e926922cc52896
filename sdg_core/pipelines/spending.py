"""What a pipeline has used of its budget before a run: by its partitions, and by replies in the journal that none counts yet."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal

from sdg_core.dataset.spending import paid_replies
from sdg_core.errors import StoreError
from sdg_core.ledger.database import Ledger
from sdg_core.models.spending import Budget, Spending, tokens_of
from sdg_core.pipelines.handle import OpenPipeline, PartitionStatus
from sdg_core.pipelines.tasks import source_range
from sdg_core.plan.usage import UsageByModel, add_usage, exact_costs
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import count_run, metadata_or_none
from sdg_core.store.spending import PaidReply


def pipeline_budget(
    pipeline: OpenPipeline, version: VersionLayout, statuses: Sequence[PartitionStatus], ledger: Ledger
) -> Budget:
    """The limits of a run, with what was used of them before in its version. Raises LedgerError."""
    run = pipeline.plan.config.run
    if run.max_cost is None and run.max_tokens is None:
        return Budget()
    spent = _used(statuses, paid_replies(ledger, pipeline.name).get(version.name, ()))
    metadata = metadata_or_none(version)
    spent = add_usage(spent, metadata.abandoned_usage if metadata is not None else {})
    models = [model for model, _ in pipeline.plan.shell.models.values()]
    amounts = [amount for amount, _ in exact_costs(spent, models).values()]
    return Budget(
        run.max_cost,
        run.max_tokens,
        spent_tokens=tokens_of(spent),
        spent_cost=sum(amounts, Decimal(0)),
        currency=next((model.prices.currency for model in models if model.prices is not None), ""),
    )


@contextmanager
def spending_counted(version: VersionLayout, spending: Spending) -> Iterator[None]:
    """Write down, however the block ends, what only the run itself knows of its requests."""
    try:
        yield
    finally:
        if spending.used:
            with suppress(StoreError):  # the reason for stopping matters more
                count_run(version.metadata, retry_reasons=spending.retry_reasons, abandoned=spending.unaccounted)


def _used(statuses: Sequence[PartitionStatus], replies: Sequence[PaidReply]) -> UsageByModel:
    usage: UsageByModel = {}
    counted: list[tuple[int, int, frozenset[str]]] = []
    for status in statuses:
        if status.footer is not None:
            usage = add_usage(usage, status.footer.usage)
            counted += [(*source_range(entry.key), frozenset(entry.runs)) for entry in status.footer.sources]
    counted.sort(key=lambda source: source[0])
    starts = [start for start, _, _ in counted]
    for reply in replies:
        place = bisect_right(starts, reply.record) - 1
        if place < 0 or reply.record >= counted[place][1] or reply.run_id not in counted[place][2]:
            usage = add_usage(usage, reply.usage)
    return usage
