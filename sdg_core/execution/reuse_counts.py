"""How many cells of a coming run are there already, counted without reading any: from footers and from the ledger's keys."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdg_core.dataset.handle import Dataset
from sdg_core.dataset.ledger import open_ledger_readonly
from sdg_core.dataset.resume import carry_sources
from sdg_core.dataset.spending import SAMPLES
from sdg_core.execution.carry_over import carried_hashes, unchanged
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.queries import journaled_records
from sdg_core.store.layout import VersionLayout
from sdg_core.store.row_group_state import find_row_groups
from sdg_core.store.row_groups import Footer
from sdg_core.store.versions import Version


@dataclass(frozen=True)
class Reused:
    """Cells of one column that a run need not make. journaled: in the journal of its version. carried: by earlier version."""

    journaled: int
    carried: Mapping[str, int]

    @property
    def count(self) -> int:
        """All of them."""
        return self.journaled + sum(self.carried.values())


def count_reused(
    dataset: Dataset, version: Version, remaining: NDArray[np.int64]
) -> dict[str, Reused]:
    """The cells of the remaining records (ascending) that a run in this version would take over, by column."""
    hashes = carried_hashes(dataset.plan)
    if not hashes or not len(remaining):
        return {}
    count = _Count(dataset, remaining, hashes)
    with open_ledger_readonly(dataset) as ledger:
        journaled = count.replies(ledger, version.layout.name)
        if not version.is_forced:
            for name, more in count.replies(ledger, SAMPLES).items():
                journaled[name] = journaled.get(name, 0) + more
        carried: dict[str, dict[str, int]] = {name: {} for name in hashes}
        for source in carry_sources(dataset.layout, version):
            of_files = count.files(source)
            of_journal = count.replies(ledger, source.name)
            for name in hashes:
                if found := of_files.get(name, 0) + of_journal.get(name, 0):
                    carried[name][source.name] = found
    return {name: Reused(journaled.get(name, 0), carried[name]) for name in hashes}


class _Count:
    """Counts each cell once: at the first place that has it."""

    def __init__(
        self, dataset: Dataset, remaining: NDArray[np.int64], hashes: Mapping[str, str]
    ) -> None:
        self._dataset = dataset
        self._remaining = remaining
        self._hashes = hashes
        self._open = {name: np.ones(len(remaining), dtype=bool) for name in hashes}

    def files(self, version: VersionLayout) -> dict[str, int]:
        """The cells that the files of an earlier version have, by column."""
        counts: dict[str, int] = {}
        for footer in find_row_groups(version).values():
            if not isinstance(footer, Footer):
                continue
            first, last = np.searchsorted(
                self._remaining, [footer.start, footer.start + footer.size]
            )
            have = ~np.isin(self._remaining[first:last], footer.missing)
            if not have.any():
                continue
            for name in unchanged(self._hashes, footer, dataset=self._dataset.name):
                counts[name] = counts.get(name, 0) + self._take(name, int(first), have)
        return counts

    def replies(self, ledger: Ledger | None, version: str) -> dict[str, int]:
        """The cells that the journal of a version has, by column."""
        if ledger is None or not self._dataset.plan.models:
            return {}
        found = journaled_records(
            ledger,
            dataset=self._dataset.name,
            version=version,
            column_hashes=self._hashes,
        )
        counts = {}
        for name, records in found.items():
            numbers = np.fromiter(records, np.int64, len(records))
            counts[name] = self._take(name, 0, np.isin(self._remaining, numbers))
        return counts

    def _take(self, name: str, first: int, have: NDArray[np.bool_]) -> int:
        part = self._open[name][first : first + len(have)]
        taken = int((part & have).sum())
        part &= ~have
        return taken
