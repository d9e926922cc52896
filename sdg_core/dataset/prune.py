"""Removing old versions: never the one last generated into, never the one that the config goes on with, never one at work."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress

from sdg_core.dataset.handle import Dataset
from sdg_core.dataset.ledger import open_ledger_readonly
from sdg_core.dataset.spending import paid_replies
from sdg_core.errors import MetadataError
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.leases import whole_version
from sdg_core.ledger.queries import delete_version
from sdg_core.store.atomic import remove_directory
from sdg_core.store.metadata import metadata_or_none, note_earlier_versions
from sdg_core.store.row_group_state import find_row_groups
from sdg_core.store.row_groups import Footer
from sdg_core.store.spending import earlier_spending
from sdg_core.store.version_list import VersionInfo, list_versions
from sdg_core.store.versions import matching_name, read_current_or_none
from sdg_core.system.commit_guard import CommitGuard


def _note_costs(dataset: Dataset, ledger: Ledger | None) -> None:
    """Write down, in each version, what those that its cells came from have cost, because they may be gone afterwards."""
    replies = paid_replies(ledger, dataset.name)
    models = dataset.plan.config.model_configs
    for name in dataset.layout.versions():
        version = dataset.layout.version(name)
        footers = [
            found
            for found in find_row_groups(version).values()
            if isinstance(found, Footer)
        ]
        earlier = earlier_spending(version, footers, models, replies=replies)
        if earlier and metadata_or_none(version) is not None:
            spent = {name: spent.to_dict() for name, spent in earlier.items()}
            note_earlier_versions(version.metadata, spent)


def describe_versions(dataset: Dataset) -> tuple[VersionInfo, ...]:
    """Every version of a dataset, the one changed last first."""
    matching: str | None = None
    with suppress(
        MetadataError
    ):  # current.json: which of several forced versions goes on is not known then
        matching = matching_name(dataset.layout, dataset.plan)
    return list_versions(dataset.layout, matching=matching)


def prunable(dataset: Dataset, *, keep: int = 0) -> tuple[VersionInfo, ...]:
    """The versions that may go: all old ones but the `keep` changed last. Raises a MetadataError if it is not known which
    version is the current one: then none may go."""
    matching = matching_name(dataset.layout, dataset.plan)
    versions = list_versions(dataset.layout, matching=matching)
    old = [
        version for version in versions if not version.current and not version.matches
    ]
    return tuple(old[keep:])


def remove_versions(
    dataset: Dataset,
    versions: Sequence[VersionInfo],
    *,
    keep: int = 0,
    then: Callable[[Sequence[VersionInfo]], None] = lambda removed: None,
    note_costs: Callable[[Dataset, Ledger | None], None] = _note_costs,
) -> tuple[VersionInfo, ...]:
    """Remove versions, each at once under its name, and what the ledger holds of them; returns those removed.

    Every version of the dataset is claimed first, also those that stay, because a run on one of them may take cells over from an
    old one. What may go is decided again then, and before each removal: a run may have returned to a version meanwhile. The
    claims are renewed until all is removed. note_costs: writes down what the versions have
    cost, before one of them goes. then: called with what was removed, while they are still held. Raises ClaimedError,
    before anything is removed, if a live run holds one of them; StoreError or LedgerError.
    """
    with open_ledger_readonly(dataset) as ledger, ExitStack() as held:
        guards: dict[str, CommitGuard] = {}
        if ledger is not None:
            matching = matching_name(dataset.layout, dataset.plan)
            names = {*dataset.layout.versions(), dataset.plan.fingerprint.version}
            if matching is not None:
                names.add(matching)
            for name in sorted(names):
                claim = whole_version(
                    ledger,
                    dataset=dataset.name,
                    version=name,
                    action="prune",
                    kind=dataset.layout.UNIT,
                )
                guards[name] = held.enter_context(claim)
        wanted = {version.name for version in versions}
        note_costs(dataset, ledger)
        removed: list[VersionInfo] = []
        for version in prunable(dataset, keep=keep):
            if version.name not in wanted or _is_in_use(dataset, version.name):
                continue
            if version.name in guards:
                with guards[version.name]():  # raises if the claim was lost
                    pass
            remove_directory(dataset.layout.version(version.name).directory)
            if ledger is not None:
                delete_version(ledger, dataset=dataset.name, version=version.name)
            removed.append(version)
        then(removed)
        return tuple(removed)


def _is_in_use(dataset: Dataset, name: str) -> bool:
    """Whether a run has gone back to a version since it was listed. One that finds nothing to do takes no claim, but says so in
    `current.json`."""
    return name in (
        read_current_or_none(dataset.layout),
        matching_name(dataset.layout, dataset.plan),
    )
