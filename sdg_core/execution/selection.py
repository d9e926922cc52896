"""Selecting among candidates: which rows of a row group are kept, which records are drawn again, and what was rejected.

A row group is made in rounds. A round makes one candidate of every record that is not decided yet; then each row is judged by its
own values. So a record's outcome depends on its candidates alone, whatever else is in the row group or was made before.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sdg_core.config.select import SelectConfig
from sdg_core.counts import counted
from sdg_core.errors import CellError
from sdg_core.plan.checks.processors import as_template
from sdg_core.plan.templates.criteria import not_true, score_of, why_not
from sdg_core.plan.templates.render import compiled
from sdg_core.plan.templates.skip import truth_template
from sdg_core.plan.types.arrow_values import array_of
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.store.rejected import RejectedRows
from sdg_core.store.row_groups import SelectedRows

Records = NDArray[np.int64]
SELECT = "select"
"""What failures of the selection itself name as their column."""


@dataclass
class Verdicts:
    """What became of a round's rows. again: records to be drawn once more. faults: why rows have failed, by place, and whether
    that is because no candidate of theirs was kept."""

    again: list[int] = field(default_factory=list)
    faults: dict[int, tuple[str, bool]] = field(default_factory=dict)


class Selection:
    """The selection of one row group's records: each is kept, exhausted, failed or not decided yet.

    Judged rows are numbered in the order in which they were judged; what is known of one stands at its number in several lists.
    """

    def __init__(self, config: SelectConfig, schema: pa.Schema) -> None:
        self._config = config
        self._schema = schema
        self._keep = (
            compiled(truth_template(config.keep)) if config.keep is not None else None
        )
        self._best = (
            compiled(as_template(config.best)) if config.best is not None else None
        )
        self._not_kept = (
            not_true(config.keep)
            if config.keep is not None
            else "another candidate is better"
        )
        self._tables: list[pa.Table] = [schema.empty_table()]
        self._candidates: list[int] = []
        self._reasons: list[str | None] = []
        self._scores: list[float] = []
        self._usages: list[UsageByModel] = []
        self._kept: dict[int, int] = {}
        self._rejected: dict[int, list[int]] = {}
        self._exhausted: set[int] = set()
        self._fallback: set[int] = set()

    @property
    def num_kept(self) -> int:
        """Records that have their row."""
        return len(self._kept)

    @property
    def reads(self) -> Sequence[str]:
        """The columns that the templates read."""
        return sorted({*self._names(self._keep), *self._names(self._best)})

    @property
    def exhausted(self) -> Collection[int]:
        """Records that have no row, and shall not be drawn again, because none of their candidates was kept."""
        return self._exhausted

    def evaluate(
        self,
        records: Records,
        table: pa.Table,
        *,
        candidate: int,
        usage_by_row: Sequence[UsageByModel],
        rejected: Mapping[int, str],
        given: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    ) -> Verdicts:
        """Judge rows: one candidate of each of these records, and what each of them used. rejected: by place, why rows were
        rejected before they were whole. given: values of columns that are read and not part of the rows."""
        names = [name for name in self.reads if name not in given]
        verdicts = Verdicts()
        first = len(self._reasons)
        self._tables.append(table)
        self._candidates += [candidate] * len(records)
        self._usages += usage_by_row
        rows = table.select(names).to_pylist()
        for place, (record, values) in enumerate(
            zip(records.tolist(), rows, strict=True)
        ):
            for name, column in given.items():
                values[name] = column[place]
            self._reasons.append(None)
            self._scores.append(-math.inf)
            try:
                self._reasons[-1] = (
                    rejected[place] if place in rejected else self._why_not(values)
                )
                self._scores[-1] = self._score(values)
            except CellError as error:
                verdicts.faults[place] = error.message, False
                continue
            if self._reasons[-1] is None:
                self._kept[record] = first + place
                continue
            self._rejected.setdefault(record, []).append(first + place)
            if candidate + 1 < self._config.candidates:
                verdicts.again.append(record)
            elif not self._decide_without(record):
                message = f"none of {counted(self._config.candidates, 'candidate')} was kept; {self._not_kept}"
                verdicts.faults[place] = message, True
        return verdicts

    def _decide_without(self, record: int) -> bool:
        """Decide a record that has no candidates left; False if it has failed."""
        match self._config.otherwise:
            case "fail":
                return False
            case "drop":
                self._exhausted.add(record)
            case "best":
                rejected = self._rejected[record]
                best = max(rejected, key=lambda row: (self._scores[row], -row))
                rejected.remove(best)
                self._kept[record] = best
                if self._keep is not None:
                    self._fallback.add(record)
        return True

    def _why_not(self, values: Mapping[str, Any]) -> str | None:
        """Why a row is not kept, None if it is."""
        if self._keep is None:
            return self._not_kept
        assert self._config.keep is not None
        try:
            return why_not(self._keep, self._config.keep, values)
        except CellError as error:
            raise CellError(f"keep: {error.message}") from error

    def _score(self, values: Mapping[str, Any]) -> float:
        """A row's score; below every number where there is none."""
        if self._best is None:
            return -math.inf
        if any(values[name] is None for name in self._best.names):
            return -math.inf
        try:
            score = score_of(self._best, values)
        except CellError as error:
            raise CellError(f"best: {error.message}") from error
        return -math.inf if score is None else score

    def _names(self, template: Any) -> Sequence[str]:
        return template.names if template is not None else ()

    def kept(self) -> tuple[Records, pa.Table]:
        """The kept rows, by record."""
        records = sorted(self._kept)
        rows = [self._kept[record] for record in records]
        return np.array(records, dtype=np.int64), self._rows(rows)

    def rejected(self, *, failed: Collection[int]) -> RejectedRows:
        """The rejected rows of records that are decided or have `failed`, by record and candidate."""
        ended = {*self._kept, *self._exhausted, *failed}
        records: list[int] = []
        rows: list[int] = []
        for record in sorted(ended & {*self._rejected}):
            for row in self._rejected[record]:
                records.append(record)
                rows.append(row)
        candidates = [self._candidates[row] for row in rows]
        reasons = [str(self._reasons[row]) for row in rows]
        return RejectedRows(
            np.array(records, dtype=np.int64),
            np.array(candidates, dtype=np.int64),
            reasons,
            self._rows(rows),
        )

    def _rows(self, rows: Sequence[int]) -> pa.Table:
        return pa.concat_tables(self._tables).take(array_of(rows, pa.int64()))

    def summary(self, records: Collection[int] | None = None) -> SelectedRows:
        """What the footer says of the decided records, or of those among them that are given."""
        decided = {*self._kept, *self._exhausted}
        if records is not None:
            decided &= {*records}
        rejected: list[int] = []
        for record in decided:
            rejected += self._rejected.get(record, ())
        usage: UsageByModel = {}
        for row in sorted(rejected):
            usage = add_usage(usage, self._usages[row])
        candidates: dict[str, list[int]] = {}
        for record, row in sorted(self._kept.items()):
            if self._candidates[row] and record in decided:
                candidates.setdefault(str(self._candidates[row]), []).append(record)
        return SelectedRows(
            rejected=len(rejected),
            usage=usage,
            exhausted=sorted(self._exhausted & decided),
            candidates=candidates,
            fallback=sorted(self._fallback & decided),
        )
