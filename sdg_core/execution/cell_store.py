"""Where cells that were paid for are looked up, and where new ones are put until a row-group file has them.

A cell is found in the journal, where an earlier run of this version has left it, or in an earlier version. Either counts only if
the cell was made from the values that its column reads now. One that is put is paid for: it counts as made once it is durable.
"""

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from sdg_core.config.columns import ModelColumn
from sdg_core.generators.base import Cell
from sdg_core.ledger.journal import Journal, JournaledCell
from sdg_core.models.usage import Usage
from sdg_core.plan.dataset_plan import DatasetPlan

if TYPE_CHECKING:
    from sdg_core.execution.carry_over import CarriedCell, CarriedCells
    from sdg_core.generators.models.media import ImageStore


@dataclass(frozen=True)
class ReusableCells:
    """What is known of the cells of some records. journaled: by record and column. carried: those of earlier versions."""

    journaled: Mapping[tuple[int, str], JournaledCell]
    carried: "CarriedCells"

    @staticmethod
    def of(
        journaled: Iterable[JournaledCell], carried: "CarriedCells"
    ) -> "ReusableCells":
        """The cells of the journal by their places, and those of earlier versions."""
        return ReusableCells(
            {(cell.record, cell.column): cell for cell in journaled}, carried
        )


@dataclass(frozen=True)
class FoundCell:
    """A cell that needs no request. journaled: as the journal had it. version: the earlier version that had it."""

    cell: Cell
    journaled: JournaledCell | None = None
    version: str | None = None


class CellStore:
    """The cells of one version. journal: keeps the columns `kept`. images: where images of this version lie."""

    def __init__(
        self,
        plan: DatasetPlan,
        *,
        journal: Journal | None,
        kept: Collection[str] | None,
        images: "ImageStore | None",
    ) -> None:
        """`kept` is, by default, every column that a model writes."""
        if kept is None:
            kept = [
                each.name
                for each in plan.config.columns
                if isinstance(each, ModelColumn)
            ]
        self._kept = frozenset(kept)
        self._journal = journal
        self._images = images
        self._hashes = plan.fingerprint.column_hashes
        self._reads = plan.graph.dependencies

    @property
    def run_id(self) -> str:
        """The run whose cells are put."""
        return self._journal.run_id if self._journal is not None else ""

    def keeps(self, column: str) -> bool:
        """Whether cells of a column are to be put here."""
        return self._journal is not None and column in self._kept

    def mark(self, column: str, values: Mapping[str, Any]) -> str:
        """A mark of the values that a cell is made from; empty for columns that are not kept."""
        if column not in self._kept:
            return ""
        return _digest([values.get(other) for other in self._reads[column]])

    async def look_up(
        self,
        reusable: ReusableCells,
        *,
        record: int,
        column: str,
        values: Mapping[str, Any],
        inputs: str,
    ) -> FoundCell | None:
        """The cell if it was paid for before and made from these values, whose mark is `inputs`."""
        journaled = reusable.journaled.get((record, column))
        if journaled is not None and journaled.inputs in ("", inputs):
            kept = _kept(journaled)
            if kept is not None:
                return FoundCell(kept, journaled)
        for carried in reusable.carried.get((record, column), ()):
            if carried.matches_inputs(values, inputs=inputs):
                cell = await self._with_images(
                    carried, record=record, column=column, values=values
                )
                if cell is not None:
                    return FoundCell(cell, version=carried.version)
        return None

    def put(
        self,
        cell: Cell,
        *,
        record: int,
        column: str,
        usage_by_alias: Mapping[str, Usage],
        inputs: str,
    ) -> "asyncio.Future[None]":
        """Keep a cell that was paid for; done once it is durable. Raises ValueError at once for a value that cannot be kept; the
        future raises LedgerError."""
        assert self._journal is not None
        value = {"value": cell.value, "also": dict(cell.side_columns)}
        used = {alias: vars(usage) for alias, usage in usage_by_alias.items()}
        return self._journal.append(
            JournaledCell(record, column, self._hashes[column], value, used, inputs)
        )

    async def _with_images(
        self,
        found: "CarriedCell",
        *,
        record: int,
        column: str,
        values: Mapping[str, Any],
    ) -> Cell | None:
        """A cell of an earlier version with its images, None if they are not what it was made from, or gone."""
        value = found.value
        images = self._images
        if images is not None and found.reads_images:
            paths: list[str] = []
            for name in found.reads_images:
                paths += values.get(name) or ()
            if not await asyncio.to_thread(_are_same, found.images, images, paths):
                return None
        if images is not None and found.is_image and value:
            value = await asyncio.to_thread(
                _copied, found.images, images, column, record, value
            )
            if value is None:
                return None
        return Cell(value, side_columns=found.side_columns)


def _digest(values: Sequence[Any]) -> str:
    """A mark of the values that a cell is made from."""
    try:
        content = orjson.dumps(values, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # text that is not Unicode, numbers beyond 64 bits
        content = repr(values).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _copied(
    source: "ImageStore",
    target: "ImageStore",
    column: str,
    record: int,
    paths: Sequence[str],
) -> list[str] | None:
    """Copy the images of a cell; their paths, or None if one is gone."""
    images: list[bytes] = []
    for path in paths:
        content = source.read(path)
        if content is None:
            return None
        images.append(content)
    return target.save(column, record, images)


def _are_same(first: "ImageStore", second: "ImageStore", paths: Sequence[str]) -> bool:
    """Whether images of two versions have the same content."""
    return all(first.read(path) == second.read(path) for path in paths)


def _kept(journaled: JournaledCell) -> Cell | None:
    """The cell that the journal holds; None for what cannot be understood, which counts as absent."""
    try:
        usage_by_alias = {
            alias: Usage(**counts) for alias, counts in journaled.usage.items()
        }
        found = Cell(
            journaled.value["value"],
            usage_by_alias=usage_by_alias,
            side_columns=journaled.value["also"],
        )
    except (AttributeError, KeyError, TypeError):
        return None
    return found if isinstance(found.side_columns, dict) else None
