"""What a dataset has cost so far, for people and for the budget of a run: its version, what was carried over, its upstream."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sdg_core.config.models import ModelConfig
from sdg_core.config.run import RunSettings
from sdg_core.dataset.handle import Dataset
from sdg_core.dataset.ledger import open_ledger_readonly
from sdg_core.dataset.resume import carry_sources
from sdg_core.errors import MetadataError
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.queries import journaled_usage
from sdg_core.models.spending import Budget, tokens_of
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.usage import Cost, exact_amount, sum_costs
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.metadata import metadata_or_none, read_current
from sdg_core.store.row_group_state import RowGroupStatus, find_row_groups
from sdg_core.store.row_groups import Footer
from sdg_core.store.spending import (
    PaidReply,
    Spent,
    config_of_version,
    earlier_spending,
    priced,
    spent_in,
)
from sdg_core.store.versions import Version

SAMPLES = "samples"
"""What stands for a version in the journal where replies were asked for by previews and estimates."""

Replies = dict[str, list[PaidReply]]
"""What the journal has, by version."""


@dataclass(frozen=True)
class DatasetSpending:
    """The cost of a dataset. own: this version, including replies in the journal and samples that no row uses yet.
    earlier: the versions that cells were reused from, by name. upstream: the datasets that provide its seed rows, by
    name, each over all its versions."""

    own: Spent = field(default_factory=Spent)
    earlier: dict[str, Spent] = field(default_factory=dict)
    upstream: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def total(self) -> dict[str, float]:
        """The total per currency over all versions, without upstream datasets."""
        spent = (self.own, *self.earlier.values())
        return _money(spent)

    @property
    def upstream_total(self) -> dict[str, float]:
        """The total per currency over all upstream datasets."""
        sums: list[Cost] = []
        for cost in self.upstream.values():
            sums += [Cost(amount, currency) for currency, amount in cost.items()]
        return sum_costs(sums)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `--json` has it."""
        earlier = {name: spent.to_dict() for name, spent in self.earlier.items()}
        return {
            "total_cost": self.total,
            "earlier_versions": earlier,
            "upstream_cost": self.upstream,
        }


def _money(spent: Iterable[Spent]) -> dict[str, float]:
    """What several versions have cost, per currency."""
    costs: list[Cost] = []
    for item in spent:
        costs += item.cost.values()
    return sum_costs(costs)


def spending_of(
    dataset: Dataset, version: VersionLayout, footers: Sequence[Footer]
) -> DatasetSpending:
    """What a dataset has cost, as its files and the journal say. footers: of the version. Raises LedgerError, StoreError."""
    models = dataset.plan.config.model_configs
    asked_models = any(footer.usage or footer.carried for footer in footers)
    if not models and not asked_models:
        return DatasetSpending(upstream=upstream_cost(dataset))
    with open_ledger_readonly(dataset) as ledger:
        replies = paid_replies(ledger, dataset.name)
    mine = [*replies.get(version.name, ()), *replies.get(SAMPLES, ())]
    own = spent_in(version, footers, models, replies=mine)
    earlier = earlier_spending(version, footers, models, replies=replies)
    return DatasetSpending(own, earlier, upstream_cost(dataset))


def paid_replies(ledger: Ledger | None, dataset: str) -> Replies:
    """What the journal has of every version of a dataset."""
    found: Replies = {}
    if ledger is not None:
        for version, run_id, column, record, usage in journaled_usage(
            ledger, dataset=dataset
        ):
            found.setdefault(version, []).append(
                PaidReply(run_id, column, record, usage)
            )
    return found


def upstream_cost(dataset: Dataset) -> dict[str, dict[str, float]]:
    """Money per currency, by name of the datasets and pipelines above this one that lie below the same root.

    Those whose replies are simulated have cost nothing.
    """
    found: dict[str, dict[str, float]] = {}
    todo = _seed_datasets(dataset.plan.config.model_dump(mode="json"))
    while todo:
        name = todo.pop()
        if name in found or name == dataset.name:
            continue
        version = _current(DatasetLayout(dataset.layout.root, name))
        if version is None:
            continue
        metadata = metadata_or_none(version)
        if metadata is None:
            continue
        found[name] = {}
        if not metadata.simulated:
            own = priced(version, metadata.usage, ())
            earlier = earlier_spending(version, (), (), replies={})
            found[name] = _money([own, *earlier.values()])
        todo += _seed_datasets(config_of_version(version))
    return {name: cost for name, cost in found.items() if cost}


def _seed_datasets(config: Any) -> list[str]:
    """The datasets that a config names as its seed data or its sources."""
    match config:
        case {
            "seed_config": {"source": {"seed_type": "dataset", "dataset": str(name)}}
        }:
            return [name]
        case {"sources": {"reader": "dataset", "dataset": str(name)}}:
            return [name]
        case _:
            return []


def _current(layout: DatasetLayout) -> VersionLayout | None:
    try:
        name = read_current(layout.current)
    except MetadataError:
        return None
    return layout.version(name) if name is not None else None


def budget_of(
    dataset: Dataset,
    version: Version,
    plan: DatasetPlan,
    statuses: Sequence[RowGroupStatus],
    ledger: Ledger,
) -> Budget:
    """The limits of a run, with what was used of them before: in its version, in those that its cells were carried over from, and
    in those that it may yet take cells from. A version that `never` started takes nothing over, so its budget is its own."""
    run = plan.config.run
    if not is_limited(run):
        return Budget()
    models = plan.config.model_configs
    replies = paid_replies(ledger, dataset.name)
    footers = [status.footer for status in statuses if status.footer is not None]
    spent = earlier_spending(version.layout, footers, models, replies=replies)
    hashes = plan.fingerprint.config_column_hashes
    ours = {name: hashes[name] for name in plan.graph.per_record if name in hashes}
    for source in carry_sources(dataset.layout, version):
        if source.name not in spent and shares_columns(source, ours):
            found = find_row_groups(source).values()
            of_files = [footer for footer in found if isinstance(footer, Footer)]
            theirs = replies.get(source.name, ())
            spent[source.name] = spent_in(source, of_files, models, replies=theirs)
    mine = [*replies.get(version.layout.name, ()), *replies.get(SAMPLES, ())]
    spent[version.layout.name] = spent_in(version.layout, footers, models, replies=mine)
    asked = [model for model, _ in plan.models.values()]
    return budget_after(run, asked, [*spent.values()])


def is_limited(run: RunSettings) -> bool:
    """Whether a run may use so much only."""
    return run.max_cost is not None or run.max_tokens is not None


def budget_after(
    run: RunSettings, models: Sequence[ModelConfig], spent: Sequence[Spent]
) -> Budget:
    """The limits of a run, with what was used of them before. models: those that it asks; their prices say the currency."""
    currencies = [model.prices.currency for model in models if model.prices is not None]
    currency = currencies[0] if currencies else ""
    tokens = 0
    money = Decimal(0)
    for item in spent:
        tokens += tokens_of(item.usage)
        for cost in item.cost.values():
            if cost.currency == currency:
                money += exact_amount(cost.amount)
    return Budget(
        run.max_cost,
        run.max_tokens,
        spent_tokens=tokens,
        spent_cost=money,
        currency=currency,
    )


def shares_columns(source: VersionLayout, hashes: Mapping[str, str]) -> bool:
    """Whether a version has one of these columns as it is today, so that a run may take cells from it. hashes: by column."""
    metadata = metadata_or_none(source)
    if metadata is None:
        return False
    theirs = metadata.config_column_hashes
    return any(theirs.get(name) == own for name, own in hashes.items())
