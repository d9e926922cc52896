"""What was paid for sources that are complete, kept for the day when such a source is made again: because its content has
changed, because it went and came back, or in a version in which a later stage is edited.

    <root>/<pipeline>/<version>/cells/00000.jsonl.zst            by source: the cells that models and functions made

The journal holds a cell until its source is complete. A pipeline's rows do not hold every cell (stages filter, explode and drop),
so its cells are kept beside them, under the fingerprints of their columns: a run that makes the source again takes those that its
columns would make from the same values, as it takes them from the journal. Losing these files loses nothing but that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO

import pyarrow as pa

from sdg_core.dataset.resume import carry_sources
from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.pipelines.handle import OpenPipeline
from sdg_core.pipelines.store import SourcesLayout
from sdg_core.pipelines.tasks import SourceResult, source_range
from sdg_core.plan.foreign import dump_exactly, load_exactly
from sdg_core.store.atomic import read_or_none
from sdg_core.store.publish_files import NewFile
from sdg_core.store.versions import Version

_SIZE = 8
"""Bytes in front of a file that say how large it is unpacked."""
CellsBySource = Mapping[str, Sequence[JournaledCell]]


@dataclass(frozen=True)
class SourceCells:
    """The cells of one version that is being made. earlier: the versions that may have some, the newest first. journaled: those
    that the journal has cells of. hashes: fingerprints of the columns. Methods are called in threads."""

    layout: SourcesLayout
    earlier: Sequence[SourcesLayout]
    journal: Journal
    journaled: frozenset[str]
    hashes: Mapping[str, str]

    @staticmethod
    def of(pipeline: OpenPipeline, version: Version, journal: Journal) -> "SourceCells":
        """Look up which versions the journal has cells of. Raises LedgerError."""
        layout = pipeline.layout.version(version.layout.name)
        earlier = [
            pipeline.layout.version(other.name)
            for other in carry_sources(pipeline.layout, version)
        ]
        return SourceCells(
            layout,
            earlier,
            journal,
            journal.other_versions(),
            pipeline.plan.fingerprint.column_hashes,
        )

    def carried(
        self, index: int, sources: Iterable[str]
    ) -> dict[str, list[JournaledCell]]:
        """What this version and earlier ones have for these sources of a partition. Raises LedgerError, StoreError."""
        wanted = frozenset(sources)
        found: dict[str, dict[tuple[int, str], JournaledCell]] = {
            key: {} for key in wanted
        }
        here = read_cells(self.layout, index)
        for key in wanted & here.keys():
            self._add(found[key], here[key])
        for version in self.earlier:
            there = read_cells(version, index)
            for key in wanted & there.keys():
                self._add(found[key], there[key], version=version.name)
            if version.name in self.journaled:
                for key in wanted:
                    start, stop = source_range(key)
                    cells = self.journal.load(
                        start=start,
                        stop=stop,
                        column_hashes=self.hashes,
                        version=version.name,
                    )
                    self._add(found[key], cells, version=version.name)
        return {key: [*cells.values()] for key, cells in found.items()}

    def journaled_of(self, key: str, *, counted: Sequence[str]) -> list[JournaledCell]:
        """The cells of a source in the journal of this version; without their usage where the file counts it already, which it
        does for the runs `counted`. Raises LedgerError."""
        cells = []
        for cell in self._load([key])[key]:
            if cell.run_id in counted:
                cell = replace(cell, usage={})
            cells.append(cell)
        return cells

    def _load(self, keys: Iterable[str]) -> dict[str, list[JournaledCell]]:
        wanted = [*keys]
        ranges = [source_range(key) for key in wanted]
        found = self.journal.load_ranges(ranges, column_hashes=self.hashes)
        return dict(zip(wanted, found, strict=True))

    def _add(
        self,
        found: dict[tuple[int, str], JournaledCell],
        cells: Iterable[JournaledCell],
        *,
        version: str = "",
    ) -> None:
        for cell in cells:
            if self.hashes.get(cell.column) == cell.column_hash:
                found.setdefault(
                    (cell.record, cell.column),
                    replace(cell, usage={}, run_id="", version=version),
                )

    def file(
        self, index: int, results: Mapping[str, SourceResult], carried: CellsBySource
    ) -> NewFile | None:
        """The file that keeps the cells of the sources of a partition that are complete now, to be written before the partition's
        own; None if there is nothing new to keep. Cells of other sources of the partition stay as they are.

        Raises LedgerError, StoreError.
        """
        complete = _complete(results)
        if not complete:
            return None
        before = read_cells(self.layout, index)
        kept = {key: cells for key, cells in before.items() if key not in results}
        for key, cells in self._load(complete).items():
            found: dict[tuple[int, str], JournaledCell] = {}
            self._add(found, cells)
            self._add(found, carried.get(key, ()))
            kept[key] = [*found.values()]
        return cells_file(self.layout, index, kept)

    def forget(self, results: Iterable[Mapping[str, SourceResult]]) -> None:
        """The files of some partitions are durable: take what is kept out of the journal. Cells of partial sources stay there,
        because their ancestors are made again. Raises LedgerError."""
        ranges = []
        for made in results:
            ranges += [source_range(key) for key in _complete(made)]
        self.journal.discard_ranges(ranges, columns=[*self.hashes])


def _complete(results: Mapping[str, SourceResult]) -> list[str]:
    return [key for key, result in results.items() if result.state == "complete"]


def cells_file(layout: SourcesLayout, index: int, cells: CellsBySource) -> NewFile:
    """The file of a partition's cells."""
    lines = []
    for key, found in cells.items():
        for cell in found:
            line = [
                key,
                cell.record,
                cell.column,
                cell.column_hash,
                cell.value,
                cell.inputs,
            ]
            lines.append(dump_exactly(line))
    content = b"\n".join(lines)

    def write(file: IO[bytes]) -> None:
        file.write(len(content).to_bytes(_SIZE, "big"))
        file.write(pa.compress(content, "zstd", asbytes=True))

    return NewFile(layout.cells(index), write)


def read_cells(layout: SourcesLayout, index: int) -> dict[str, list[JournaledCell]]:
    """A partition's cells by source; none if the file is not there, or cannot be understood. Raises StoreError."""
    content = read_or_none(layout.cells(index))
    found: dict[str, list[JournaledCell]] = {}
    if content is None:
        return found
    try:
        size = int.from_bytes(content[:_SIZE], "big")
        if not size:
            return found
        text = pa.decompress(content[_SIZE:], size, "zstd", asbytes=True)
        for line in text.split(b"\n"):
            key, record, column, column_hash, value, inputs = load_exactly(line)
            cell = JournaledCell(record, column, column_hash, value, {}, inputs)
            found.setdefault(key, []).append(cell)
    except (
        ValueError,
        TypeError,
        OSError,
        OverflowError,
        RecursionError,
        MemoryError,
        pa.ArrowException,
    ):
        return {}
    return found
