"""What the versions of a dataset have cost: its own, and those that its cells were carried over from.

A version's usage is that of its files, and of replies in the journal that no file counts yet. Which versions cells came from is
in the footers (`carried`); `metadata.json` keeps what those have cost (`earlier_versions`), so that the sum survives `sdg prune`.
Prices are those of today's config where it still asks the same model under the alias, else those in the version's `config.yaml`.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import yaml
from pydantic import ValidationError

from sdg_core.config.models import ModelConfig
from sdg_core.plan.candidates import record_and_candidate
from sdg_core.plan.usage import Cost, UsageByModel, add_usage, costs, totals
from sdg_core.store.atomic import read_or_none
from sdg_core.store.layout import DatasetLayout, VersionLayout
from sdg_core.store.metadata import metadata_or_none
from sdg_core.store.row_group_state import find_row_groups
from sdg_core.store.row_groups import Footer, total_usage


@dataclass(frozen=True)
class PaidReply:
    """A reply in the journal: the run that paid, the column, its row there, and what models used for it."""

    run_id: str
    column: str
    record: int
    usage: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Spent:
    """What a version, or several, have used, and what that costs per model alias."""

    usage: UsageByModel = field(default_factory=dict)
    cost: Mapping[str, Cost] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as files and `--json` have it."""
        cost = {alias: vars(cost) for alias, cost in self.cost.items()}
        return {"usage": self.usage, "cost": cost}

    @property
    def total(self) -> dict[str, float]:
        """The sum of money per currency."""
        return totals(self.cost)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Spent":
        """What `to_dict` gave."""
        cost = {
            alias: Cost(item["amount"], item["currency"])
            for alias, item in data.get("cost", {}).items()
        }
        return cls(data.get("usage", {}), cost)


def spent_in(
    version: VersionLayout,
    footers: Sequence[Footer],
    models: Sequence[ModelConfig],
    *,
    replies: Iterable[PaidReply],
) -> Spent:
    """What a version has used. replies: those that the journal has of it."""
    metadata = metadata_or_none(version)
    abandoned = metadata.abandoned_usage if metadata is not None else {}
    usage = add_usage(usage_of(footers, replies), abandoned)
    return priced(version, usage, models)


def usage_of(footers: Sequence[Footer], replies: Iterable[PaidReply]) -> UsageByModel:
    """The usage of files, and of replies in the journal that they do not count."""
    usage = total_usage(footers)[0]
    counted: set[tuple[str, str, int]] = set()
    for footer in footers:
        for run_id, columns in footer.counted.items():
            for column, numbers in columns.items():
                counted.update((run_id, column, number) for number in numbers)
    ordered = sorted(footers, key=lambda footer: footer.start)
    starts = [footer.start for footer in ordered]
    missing = [frozenset(footer.missing) for footer in ordered]

    def is_in_file(record: int) -> bool:
        place = bisect_right(starts, record) - 1
        if place < 0 or record >= starts[place] + ordered[place].size:
            return False
        return record not in missing[place]

    for reply in replies:
        record = record_and_candidate(reply.record)[0]
        key = (reply.run_id, reply.column, reply.record)
        if key not in counted and not is_in_file(record):
            usage = add_usage(usage, reply.usage)
    return usage


def priced(
    version: VersionLayout, usage: UsageByModel, models: Sequence[ModelConfig]
) -> Spent:
    """A usage of a version with what it costs."""
    if not usage:
        return Spent(usage, {})
    today = {model.alias: model for model in models}
    chosen = []
    for model in models_of_version(version) or models:
        now = today.get(model.alias)
        if now is not None and now.prices is not None and now.model == model.model:
            chosen.append(now)
        else:
            chosen.append(model)
    return Spent(usage, costs(usage, chosen))


def models_of_version(version: VersionLayout) -> list[ModelConfig]:
    """The models in the config that a version was last generated with; none if it cannot be read."""
    try:
        return [
            ModelConfig.model_validate(item)
            for item in config_of_version(version).get("model_configs", [])
        ]
    except ValidationError:
        return []


def config_of_version(version: VersionLayout) -> Mapping[str, Any]:
    """The resolved config that a version was last generated with; empty if it cannot be read."""
    content = read_or_none(version.config)
    try:
        data = (
            yaml.load(content, Loader=yaml.CSafeLoader) if content is not None else None
        )
    except yaml.YAMLError:
        return {}
    return data if isinstance(data, dict) else {}


def earlier_spending(
    version: VersionLayout,
    footers: Iterable[Footer],
    models: Sequence[ModelConfig],
    *,
    replies: Mapping[str, Sequence[PaidReply]],
) -> dict[str, Spent]:
    """By name, what each version has used that cells of `version` were carried over from, directly or through others.

    replies: by version, those that the journal has. A version that is no more counts as it was written down.
    """
    layout = DatasetLayout(
        version.directory.parent.parent, version.directory.parent.name
    )

    def look(name: str) -> tuple[Spent, set[str]]:
        earlier = layout.version(name)
        found = find_row_groups(earlier).values()
        of_files = [footer for footer in found if isinstance(footer, Footer)]
        if not of_files:  # of a pipeline, whose files are others
            metadata = metadata_or_none(earlier)
            usage = metadata.usage if metadata is not None else {}
            return priced(earlier, usage, models), set()
        spent = spent_in(earlier, of_files, models, replies=replies.get(name, ()))
        return spent, carried_from(of_files)

    return follow_carried(version, carried_from(footers), look=look)


class NamesCarried(Protocol):
    """A footer that says by version what was carried over into its file."""

    @property
    def carried(self) -> Mapping[str, Mapping[str, int]]:
        """Cells by version and column."""


def carried_from(footers: Iterable[NamesCarried]) -> set[str]:
    """The versions that cells of these files came from."""
    names: set[str] = set()
    for footer in footers:
        names.update(footer.carried)
    return names


def follow_carried(
    version: VersionLayout,
    carried_from: set[str],
    *,
    look: Callable[[str], tuple[Spent, set[str]]],
) -> dict[str, Spent]:
    """By name, what each version has used that cells of `version` came from, directly or through others. look: what a version
    that exists has used, and which its cells came from. One that is no more counts as it was written down."""
    layout = DatasetLayout(
        version.directory.parent.parent, version.directory.parent.name
    )
    existing = set(layout.versions())
    written: dict[str, Mapping[str, Any]] = {}
    found: dict[str, Spent] = {}
    todo = [(version, carried_from)]
    while todo:
        place, names = todo.pop()
        metadata = metadata_or_none(place)
        if metadata is not None:
            for name, spent in metadata.earlier_versions.items():
                written.setdefault(name, spent)
            names |= set(metadata.earlier_versions)
        for name in sorted(names - set(found) - {version.name}):
            if name in existing:
                found[name], further = look(name)
                todo.append((layout.version(name), further))
            elif name in written:
                found[name] = Spent.from_dict(written[name])
    return found
