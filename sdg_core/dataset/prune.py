"""Removing old versions: never the one last generated into, never the one that the config goes on with, never one at work."""

import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from sdg_core.dataset.handle import Dataset
from sdg_core.dataset.ledger import open_ledger_readonly
from sdg_core.errors import MetadataError
from sdg_core.ledger.claims import WHOLE, Claims
from sdg_core.ledger.queries import delete_version
from sdg_core.store.atomic import remove_directory
from sdg_core.store.version_list import VersionInfo, list_versions
from sdg_core.store.versions import matching_name


def describe_versions(dataset: Dataset) -> tuple[VersionInfo, ...]:
    """Every version of a dataset, the one changed last first."""
    matching: str | None = None
    with suppress(MetadataError):  # current.json: which of several forced versions goes on is not known then
        matching = matching_name(dataset.layout, dataset.plan)
    return list_versions(dataset.layout, matching=matching)


def prunable(dataset: Dataset, *, keep: int = 0) -> tuple[VersionInfo, ...]:
    """The versions that may go: all old ones but the `keep` changed last. Raises a MetadataError if it is not known which
    version is the current one: then none may go."""
    matching = matching_name(dataset.layout, dataset.plan)
    versions = list_versions(dataset.layout, matching=matching)
    old = [version for version in versions if not version.current and not version.matches]
    return tuple(old[keep:])


def remove_versions(dataset: Dataset, versions: Sequence[VersionInfo]) -> None:
    """Remove versions, each at once under its name, and what the ledger holds of them.

    Raises ClaimedError, before anything is removed, if a live run holds one of them; StoreError or LedgerError.
    """
    with open_ledger_readonly(dataset) as ledger, ExitStack() as held:
        run_id = uuid.uuid4().hex
        if ledger is not None:
            for version in versions:
                claims = Claims(ledger, dataset=dataset.name, version=version.name, run_id=run_id, action="prune")
                held.callback(claims.release, claims.acquire(WHOLE))
        for version in versions:
            layout = dataset.layout.version(version.name)
            remove_directory(layout.directory)
            if ledger is not None:
                delete_version(ledger, dataset=dataset.name, version=version.name)
