"""Carry-over: what earlier versions hold of columns that have not changed, so that nothing paid for is paid for twice.

A cell of an earlier version is taken if its column still has the fingerprint that it was made under, the content of the seed data
apart, and if the values that the column reads are the ones that it was made from. So one changed seed row pays for the records
made from it. The second condition also matters where the same fingerprint gave two answers (a version that was forced, a function
that is not pure): cells of one record never mix what does not belong together.

Only what is worth it is carried: replies of models, functions called record by record, verdicts of endpoints. Everything else is
computed again, which costs nothing and gives the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.config.columns import ImageColumn, ModelColumn
from sdg_core.errors import CorruptFileError, UnrecognizedFileError
from sdg_core.generators.single_precision import python_values
from sdg_core.generators.skip import skip_rules
from sdg_core.ledger.journal import Journal
from sdg_core.plan.candidates import numbers_of
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.kinds import always_per_record, side_effects_of
from sdg_core.plan.models import later_aliases, tool_config_of
from sdg_core.plan.types.arrow_values import mask_of
from sdg_core.store.images import ImageFiles
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import Metadata, metadata_or_none
from sdg_core.store.rejected import read_rejected
from sdg_core.store.row_group_state import RowGroupStatus
from sdg_core.store.row_groups import Footer, read_dropped, read_footer, read_rows

Records = NDArray[np.int64]


@dataclass(frozen=True)
class CarriedCell:
    """A cell of an earlier version: its value, its side columns, and what it was made from, as far as that is known.

    images: where the images of its version lie. is_image: the value names some. reads_images: columns that it reads and
    that name some, which are compared by content.
    inputs: the journal's mark of what it was made from; empty if it comes from a file. version: the name of its version.
    """

    value: Any
    side_columns: Mapping[str, Any]
    values_read: Mapping[str, Any]
    images: ImageFiles
    is_image: bool = False
    reads_images: tuple[str, ...] = ()
    inputs: str = ""
    version: str = ""

    def matches_inputs(self, values: Mapping[str, Any], *, inputs: str) -> bool:
        """Whether it was made from these values, whose mark is `inputs`."""
        if self.inputs not in ("", inputs):
            return False
        return all(
            same(value, values.get(name)) for name, value in self.values_read.items()
        )


CarriedCells = Mapping[tuple[int, str], Sequence[CarriedCell]]
"""What there is for a record's column: of the newest version first."""


def same(first: Any, second: Any) -> bool:
    """Whether two values of one column are the same; not-a-number is, here, the same as itself."""
    if isinstance(first, float) and isinstance(second, float):
        return repr(first) == repr(second)  # zeros have signs, which show in a prompt
    if isinstance(first, dict) and isinstance(second, dict):
        if first.keys() != second.keys():
            return False
        return all(same(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


def carried_columns(plan: DatasetPlan) -> tuple[str, ...]:
    """The columns whose cells are worth carrying, in computable order; none where rows are not records."""
    if plan.resizes:
        return ()
    names = [name for name in plan.graph.order if always_per_record(plan.column(name))]
    return tuple(names)


def carried_hashes(plan: DatasetPlan) -> dict[str, str]:
    """The columns worth carrying, with their fingerprints."""
    return {
        name: plan.fingerprint.column_hashes[name] for name in carried_columns(plan)
    }


def unchanged(
    hashes: Mapping[str, str],
    footer: Footer,
    *,
    dataset: str,
    reseeded: Collection[str] = (),
) -> tuple[str, ...]:
    """Those columns whose cells a row-group file has under the same fingerprint, or the same but for seed data (`reseeded`)."""
    if footer.resized or footer.dataset != dataset:
        return ()
    names = []
    for name, wanted in hashes.items():
        if name in reseeded or footer.column_hashes.get(name) == wanted:
            names.append(name)
    return tuple(names)


def same_but_for_seed_data(
    plan: DatasetPlan, metadata: Metadata | None
) -> frozenset[str]:
    """The columns made from seed data whose fingerprint in another version (by its metadata) differs by that data's content at
    most, and whose cells depend on nothing but the values they read."""
    if metadata is None:
        return frozenset()
    theirs = metadata.config_column_hashes
    ours = plan.fingerprint.config_column_hashes
    whole = plan.fingerprint.column_hashes
    rules = skip_rules(plan)
    found = set()
    for name in carried_columns(plan):
        if name in rules and rules[name].skip_sources:
            continue  # whether others were skipped is not written down
        if theirs.get(name) == ours[name] != whole[name] and _sees_only_values(
            name, plan
        ):
            found.add(name)
    return frozenset(found)


def _sees_only_values(name: str, plan: DatasetPlan) -> bool:
    """Whether a cell is made from the values that its column reads alone: by a model, without tools, images or user clients.

    Functions, tools and clients may open the file that a seed row names; an image is drawn again under its old path.
    """
    column = plan.column(name)
    if (
        not isinstance(column, ModelColumn)
        or tool_config_of(column, plan.config) is not None
    ):
        return False
    fallbacks = {alias: model.fallback for alias, (model, _) in plan.models.items()}
    for alias in (column.model_alias, *later_aliases(column.model_alias, fallbacks)):
        _, provider = plan.models[alias]
        if provider.provider_type == "custom":
            return False
    above = [plan.column(other) for other in plan.graph.ancestors(name)]
    return not any(isinstance(other, ImageColumn) for other in above)


class CarryOver:
    """What earlier versions, the newest first, have for a plan. Its methods are called in threads, one at a time.

    journal: where replies of earlier versions are looked up that never got into a file.
    """

    def __init__(
        self,
        plan: DatasetPlan,
        versions: Sequence[VersionLayout],
        *,
        journal: Journal | None = None,
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._hashes = carried_hashes(plan)
        self._side_columns = {
            name: side_effects_of(plan.column(name)) for name in self._hashes
        }
        made = {
            column.name
            for column in plan.config.columns
            if isinstance(column, ImageColumn)
        }
        self._image_inputs = {}
        for name in self._hashes:
            read = tuple(
                other for other in plan.graph.dependencies[name] if other in made
            )
            self._image_inputs[name] = (name in made, read)
        self._versions: list[_EarlierFiles] = []
        if self._hashes:
            self._versions = [
                _EarlierFiles(version, plan, self._hashes) for version in versions
            ]
        self._journaled: frozenset[str] = frozenset()
        if journal is not None and self._versions:
            self._journaled = journal.other_versions()

    def cells(self, status: RowGroupStatus, *, candidate: int = 0) -> CarriedCells:
        """What there is for the records that a row group lacks: for one candidate of each."""
        remaining = np.array(status.remaining, dtype=np.int64)
        found: dict[tuple[int, str], list[CarriedCell]] = {}
        if len(remaining):
            for files in self._versions:
                for names, rows in files.rows(remaining, candidate=candidate):
                    self._take_rows(names, rows, files, found)
                if files.version.name in self._journaled:
                    self._take_journal(files, numbers_of(remaining, candidate), found)
        return found

    def _take_rows(
        self,
        names: Sequence[str],
        rows: "_Rows",
        files: "_EarlierFiles",
        found: dict[tuple[int, str], list[CarriedCell]],
    ) -> None:
        for name in names:
            reads = self._plan.graph.dependencies[name]
            is_image, reads_images = self._image_inputs[name]
            for place, record in enumerate(rows.numbers.tolist()):
                # it may not have been made
                if rows.rejected and rows.values[name][place] is None:
                    continue
                side_columns = {
                    other: rows.values[other][place]
                    for other in self._side_columns[name]
                }
                values_read = {other: rows.read[other][place] for other in reads}
                cell = CarriedCell(
                    rows.values[name][place],
                    side_columns,
                    values_read,
                    files.images,
                    is_image,
                    reads_images,
                    version=files.version.name,
                )
                found.setdefault((record, name), []).append(cell)

    def _take_journal(
        self,
        files: "_EarlierFiles",
        remaining: Records,
        found: dict[tuple[int, str], list[CarriedCell]],
    ) -> None:
        assert self._journal is not None
        start = int(remaining[0])
        stop = int(remaining[-1]) + 1
        cells = self._journal.load(
            start=start,
            stop=stop,
            column_hashes=self._hashes,
            version=files.version.name,
        )
        wanted = frozenset(remaining.tolist())
        for cell in cells:
            if cell.record in wanted:
                is_image, reads_images = self._image_inputs[cell.column]
                value = cell.value["value"]
                carried = CarriedCell(
                    value,
                    cell.value["also"],
                    {},
                    files.images,
                    is_image,
                    reads_images,
                    cell.inputs,
                    files.version.name,
                )
                found.setdefault((cell.record, cell.column), []).append(carried)


@dataclass(frozen=True)
class _Rows:
    """Some rows of an earlier file. numbers: of their candidates. values: of columns to carry. read: of what they read, as a row
    group hands it out. rejected: they are rejected candidates, which have null where a column was not made."""

    numbers: Records
    values: Mapping[str, list[Any]]
    read: Mapping[str, list[Any]]
    rejected: bool


@dataclass(frozen=True)
class _Candidates:
    """Candidates in a file of an earlier version: whose they are, which of the record's, and how to read them."""

    records: Records
    candidates: Records
    table: Callable[[], pa.Table | None]
    rejected: bool


class _EarlierFiles:
    """The row-group files of an earlier version, whatever their size, by record. The file used last is kept."""

    def __init__(
        self, version: VersionLayout, plan: DatasetPlan, hashes: Mapping[str, str]
    ) -> None:
        self.version = version
        self._plan = plan
        self._hashes = hashes
        self.images = ImageFiles(version)
        self._footers: dict[int, Footer | None] = {}
        self._last: tuple[Footer, pa.Table] | None = None

    def rows(
        self, remaining: Records, *, candidate: int
    ) -> Iterator[tuple[Sequence[str], _Rows]]:
        """From each file that has this candidate of some of the records, kept or rejected: the columns that can be carried, and
        those rows."""
        for footer in self._overlapping(int(remaining[0]), int(remaining[-1])):
            names = unchanged(
                self._hashes,
                footer,
                dataset=self._plan.config.name,
                reseeded=self._reseeded,
            )
            if not names:
                continue
            for there in self._candidates(footer):
                mask = np.isin(there.records, remaining) & (
                    there.candidates == candidate
                )
                if not mask.any():
                    continue
                whole = there.table()
                if whole is None:
                    continue
                has = tuple(name for name in names if self._has(whole, name))
                numbers = numbers_of(there.records[mask], candidate)
                chosen = whole.filter(mask_of(mask))
                yield has, self._rows(has, numbers, chosen, rejected=there.rejected)

    def _candidates(self, footer: Footer) -> Iterator["_Candidates"]:
        """The rows of a row group, and then its rejected ones."""
        records = footer.records()
        selection = footer.selection
        chosen = np.zeros(len(records), dtype=np.int64)
        if selection is not None:
            chosen = selection.candidates_of(records)
        yield _Candidates(records, chosen, lambda: self._table(footer), rejected=False)
        if selection is not None and selection.rejected:
            path = self.version.rejected_candidates(footer.row_group)
            try:
                rejected = read_rejected(path, self._plan.schema)
            except CorruptFileError:
                return
            yield _Candidates(
                rejected.records,
                rejected.candidates,
                lambda: rejected.table,
                rejected=True,
            )

    def _rows(
        self, names: Sequence[str], records: Records, table: pa.Table, *, rejected: bool
    ) -> _Rows:
        made: set[str] = set()
        read: set[str] = set()
        for name in names:
            made.add(name)
            made.update(side_effects_of(self._plan.column(name)))
            read.update(self._plan.graph.dependencies[name])
        values = {name: table.column(name).to_pylist() for name in made}
        values_read: dict[str, list[Any]] = {}
        for name in read:
            series = pl.Series(pl.from_arrow(table.column(name)))
            values_read[name] = python_values(series)
        return _Rows(records, values, values_read, rejected)

    def _has(self, table: pa.Table, name: str) -> bool:
        """Whether a file has everything that belongs to a cell, with the types of the plan."""
        made = (name, *side_effects_of(self._plan.column(name)))
        reads = self._plan.graph.dependencies[name]
        types = {field.name: field.type for field in table.schema}
        for other in (*made, *reads):
            if types.get(other) != self._plan.schema.field(other).type:
                return False
        return True

    def _table(self, footer: Footer) -> pa.Table | None:
        """All columns of a row group, dropped ones included; None if its files are damaged: then there is nothing to carry."""
        if self._last is None or self._last[0] is not footer:
            try:
                table = read_rows(self.version.row_group(footer.row_group))
                if not set(footer.column_hashes) <= set(table.schema.names):
                    dropped = read_dropped(
                        self.version.dropped(footer.row_group), footer.records()
                    )
                    for name in dropped.schema.names:
                        table = table.append_column(name, dropped.column(name))
            except CorruptFileError:
                return None
            self._last = footer, table
        return self._last[1]

    def _overlapping(self, first: int, last: int) -> Iterator[Footer]:
        """The footers of files that can be read and may have some of the records `[first, last]`."""
        everything = self._existing
        size = self._size
        if size is not None:
            everything = everything[
                bisect_left(everything, first // size) : bisect_right(
                    everything, last // size
                )
            ]
        for index in everything:
            footer = self._footer(index)
            if (
                footer is not None
                and footer.start <= last
                and first < footer.start + footer.size
            ):
                yield footer

    def _footer(self, index: int) -> Footer | None:
        if index not in self._footers:
            try:
                self._footers[index] = read_footer(self.version.row_group(index))
            except (CorruptFileError, UnrecognizedFileError):
                self._footers[index] = None
        return self._footers[index]

    @cached_property
    def _reseeded(self) -> frozenset[str]:
        return same_but_for_seed_data(self._plan, self._metadata)

    @cached_property
    def _existing(self) -> list[int]:
        return self.version.existing_row_groups()

    @cached_property
    def _size(self) -> int | None:
        """The size of its row groups; None if that is not known, so that every file has to be looked at."""
        return self._metadata.buffer_size if self._metadata is not None else None

    @cached_property
    def _metadata(self) -> Metadata | None:
        return metadata_or_none(self.version)
