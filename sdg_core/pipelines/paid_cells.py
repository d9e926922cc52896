"""What was paid for sources that are complete, kept for versions in which a later stage is edited.

    <root>/<pipeline>/<version>/cells/00000.jsonl.zst            by source: the cells that models and functions made

The journal holds a cell until its source is complete. A pipeline's rows do not hold every cell (stages filter, explode and drop),
so its cells are kept beside them, under the fingerprints of their columns: another version takes those that its own columns
would have made from the same values, as it takes them from the journal. Losing these files loses nothing but that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.pipelines.store import SourcesLayout
from sdg_core.pipelines.tasks import SourceResult, source_range
from sdg_core.plan.foreign import dump_exactly, load_exactly
from sdg_core.store.atomic import atomic_file, read_or_none
from sdg_core.system.commit_guard import CommitGuard

_SIZE = 8
"""Bytes in front of a file that say how large it is unpacked."""
CellsBySource = Mapping[str, Sequence[JournaledCell]]


@dataclass(frozen=True)
class PaidCells:
    """The cells of one version that is being made. earlier: the versions that may have some, the newest first. journaled: those
    that the journal has cells of. hashes: fingerprints of the columns. Methods are called in threads."""

    layout: SourcesLayout
    earlier: Sequence[SourcesLayout]
    journal: Journal
    journaled: frozenset[str]
    hashes: Mapping[str, str]

    @staticmethod
    def of(
        layout: SourcesLayout, earlier: Sequence[SourcesLayout], journal: Journal, hashes: Mapping[str, str]
    ) -> "PaidCells":
        """Look up which versions the journal has cells of. Raises LedgerError."""
        return PaidCells(layout, earlier, journal, journal.other_versions(), hashes)

    def carried(self, index: int, sources: Iterable[str]) -> dict[str, list[JournaledCell]]:
        """What earlier versions have for these sources of a partition. Raises LedgerError, StoreError."""
        wanted = frozenset(sources)
        found: dict[str, dict[tuple[int, str], JournaledCell]] = {key: {} for key in wanted}
        for version in self.earlier:
            there = read_cells(version, index)
            for key in wanted & there.keys():
                self._add(found[key], there[key])
            if version.name in self.journaled:
                for key in wanted:
                    start, stop = source_range(key)
                    cells = self.journal.load(start=start, stop=stop, column_hashes=self.hashes, version=version.name)
                    self._add(found[key], cells)
        return {key: [*cells.values()] for key, cells in found.items()}

    def journaled_of(self, key: str, *, counted: Sequence[str]) -> list[JournaledCell]:
        """The cells of a source in the journal of this version; without their usage where the file counts it already, which it
        does for the runs `counted`. Raises LedgerError."""
        start, stop = source_range(key)
        cells = self.journal.load(start=start, stop=stop, column_hashes=self.hashes)
        return [replace(cell, usage={}) if cell.run_id in counted else cell for cell in cells]

    def _add(self, found: dict[tuple[int, str], JournaledCell], cells: Iterable[JournaledCell]) -> None:
        for cell in cells:
            if self.hashes.get(cell.column) == cell.column_hash:
                found.setdefault((cell.record, cell.column), replace(cell, usage={}, run_id=""))

    def keep(
        self, index: int, results: Mapping[str, SourceResult], carried: CellsBySource, *, commit_guard: CommitGuard
    ) -> None:
        """Keep the cells of the sources of a partition that are complete now; called before the partition's file is switched.

        Cells of other sources of the partition stay as they are. Raises LedgerError, StoreError, and what `commit_guard` raises.
        """
        complete = [key for key, result in results.items() if result.state == "complete"]
        if not complete:
            return
        kept = {key: cells for key, cells in read_cells(self.layout, index).items() if key not in results}
        for key in complete:
            start, stop = source_range(key)
            found: dict[tuple[int, str], JournaledCell] = {}
            self._add(found, self.journal.load(start=start, stop=stop, column_hashes=self.hashes))
            self._add(found, carried.get(key, ()))
            kept[key] = [*found.values()]
        write_cells(self.layout, index, kept, commit_guard=commit_guard)

    def forget(self, results: Mapping[str, SourceResult]) -> None:
        """The partition's file is durable: take what is kept out of the journal. Cells of partial sources stay there, because
        their ancestors are made again. Raises LedgerError."""
        for key, result in results.items():
            if result.state == "complete":
                start, stop = source_range(key)
                self.journal.discard_committed(start=start, stop=stop, columns=[*self.hashes])


def write_cells(layout: SourcesLayout, index: int, cells: CellsBySource, *, commit_guard: CommitGuard) -> None:
    """Write a partition's cells, atomically. Raises StoreError, and what `commit_guard` raises."""
    lines = [
        dump_exactly([key, cell.record, cell.column, cell.column_hash, cell.value, cell.inputs])
        for key, found in cells.items()
        for cell in found
    ]
    content = b"\n".join(lines)
    with atomic_file(layout.cells(index), commit_guard=commit_guard) as file:
        file.write(len(content).to_bytes(_SIZE, "big"))
        file.write(pa.compress(content, "zstd", asbytes=True))


def read_cells(layout: SourcesLayout, index: int) -> dict[str, list[JournaledCell]]:
    """A partition's cells by source; none if the file is not there, or cannot be understood. Raises StoreError."""
    content = read_or_none(layout.cells(index))
    found: dict[str, list[JournaledCell]] = {}
    if content is None:
        return found
    try:
        size = int.from_bytes(content[:_SIZE], "big")
        for line in pa.decompress(content[_SIZE:], size, "zstd", asbytes=True).split(b"\n") if size else ():
            key, record, column, column_hash, value, inputs = load_exactly(line)
            cell = JournaledCell(record, column, column_hash, value, {}, inputs)
            found.setdefault(key, []).append(cell)
    except (ValueError, TypeError, OSError, OverflowError, RecursionError, pa.ArrowException):
        return {}
    return found
