"""Rejection sampling: samplers that constraints tie together are drawn again, record by record, until they satisfy them.

Attempt k of a record reads the words that belong to (record, attempt k), and the first attempt that satisfies every constraint
counts. So a record stays a pure function of its index, whatever else is drawn with it. Work is done for all records that are
still open at once; as they get fewer, several attempts of each are tried side by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sdg_core.config.constraints import Constraint
from sdg_core.counts import counted
from sdg_core.errors import ConstraintError
from sdg_core.generators.base import Frame, GroupColumn
from sdg_core.generators.samplers.datetimes import time_values
from sdg_core.generators.samplers.sampler import merge_pieces
from sdg_core.plan.sampling.constraint_groups import (
    ConstraintGroup,
    describe_constraint,
    operands,
)

MAX_ATTEMPTS = 1000
"""Attempts per record. At an acceptance rate of 3 %, one record in 10**13 needs more."""
_BATCH_SIZE = 1 << 13
_MAX_FRUITLESS_DRAWS = 200_000
"""Draws without a single accepted one after which nobody goes on."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class DrawStep(Protocol):
    """How one step (a sampler, or an expression between samplers) is computed for some records, each in one attempt."""

    def __call__(
        self,
        name: str,
        *,
        indices: Ints,
        frame: Frame,
        unformatted: Frame,
        attempts: Ints,
    ) -> GroupColumn:
        """The column; `frame` and `unformatted` hold what it reads."""


@dataclass
class RejectionStats:
    """What was drawn for one constraint group: draws in all, accepted ones, and per constraint how many satisfied it."""

    drawn: int
    accepted: int
    satisfied: list[int]

    @property
    def rate(self) -> float:
        """The share of draws that satisfied every constraint."""
        return self.accepted / self.drawn if self.drawn else 1.0


@dataclass(frozen=True)
class _Attempts:
    """One round: several attempts of each open record, attempt after attempt. failed: no value for another reason."""

    columns: Mapping[str, GroupColumn]
    failed: Bools
    good: Bools


def draw_constraint_group(
    group: ConstraintGroup,
    *,
    indices: Ints,
    frame: Frame,
    unformatted: Frame,
    draw_step: DrawStep,
) -> tuple[dict[str, GroupColumn], RejectionStats]:
    """The columns of `group.samplers`. `frame` and `unformatted` hold its inputs.

    A record that no attempt satisfies fails, with the constraint and the acceptance rate as its reason; so does one whose
    constraint compares with null, which no draw could satisfy. If no record at all
    was satisfied, the config is to blame: raises ConstraintError.
    """
    rejection = _Rejection(
        group,
        indices,
        frame,
        unformatted,
        draw_step,
        RejectionStats(0, 0, [0] * len(group.constraints)),
    )
    open_rows = np.arange(len(indices))
    without_value = rejection.rows_without_value()
    pieces: dict[str, list[GroupColumn]] = {name: [] for name in group.samplers}
    places: list[Ints] = []
    attempt = 0
    while attempt == 0 or len(open_rows) and attempt < MAX_ATTEMPTS:
        width = (
            1
            if attempt == 0
            else min(
                max(1, _BATCH_SIZE // len(open_rows)),
                2 * attempt,
                MAX_ATTEMPTS - attempt,
            )
        )
        draws = rejection.draw(open_rows, range(attempt, attempt + width))
        settled = (draws.good | draws.failed).reshape(width, -1)
        first = settled.argmax(axis=0) * len(open_rows) + np.arange(len(open_rows))
        found = settled.any(axis=0) | np.isin(open_rows, list(without_value))
        attempt += width
        kept = found | (attempt == MAX_ATTEMPTS)
        for name in group.samplers:
            pieces[name].append(_select(draws.columns[name], first[kept]))
        places.append(open_rows[kept])
        open_rows = open_rows[~found]
        if not rejection.stats.accepted and (
            attempt == MAX_ATTEMPTS or rejection.stats.drawn >= _MAX_FRUITLESS_DRAWS
        ):
            if len(open_rows):
                raise ConstraintError(
                    rejection.reason(int(indices[open_rows[0]]), attempts=attempt),
                    remedy=_REMEDY,
                )
    columns = {name: merge_pieces(pieces[name], places) for name in group.samplers}
    reasons = {
        row: rejection.reason(int(indices[row]), attempts=attempt)
        for row in open_rows.tolist()
    }
    return _without(columns, {**reasons, **without_value}), rejection.stats


_REMEDY = "widen the parameters of the samplers, or relax the constraint"


@dataclass(frozen=True)
class _Rejection:
    group: ConstraintGroup
    indices: Ints
    frame: Frame
    unformatted: Frame
    draw_step: DrawStep
    stats: RejectionStats

    def rows_without_value(self) -> dict[int, str]:
        """Rows in which a constraint compares with null, with the reason."""
        found: dict[int, str] = {}
        for constraint in self.group.constraints:
            for name in operands(constraint):
                if name in self.group.inputs and name in self.frame:
                    reason = f"constraint {describe_constraint(constraint)}: {name!r} is null in this record"
                    rows = self.frame[name].is_null().arg_true()
                    found |= dict.fromkeys(rows.to_list(), reason)
        return found

    def draw(self, open_rows: Ints, attempts: range) -> _Attempts:
        """Every attempt for every open record."""
        rows = np.tile(open_rows, len(attempts))
        tried = np.repeat(np.arange(attempts.start, attempts.stop), len(open_rows))
        frame = {
            name: self.frame[name].gather(rows)
            for name in self.group.inputs
            if name in self.frame
        }
        unformatted = {
            name: self.unformatted[name].gather(rows)
            for name in self.group.inputs
            if name in self.unformatted
        }
        columns: dict[str, GroupColumn] = {}
        failed = np.zeros(len(rows), bool)
        for name in self.group.steps:
            column = self.draw_step(
                name,
                indices=self.indices[rows],
                frame=frame,
                unformatted=unformatted,
                attempts=tried,
            )
            columns[name] = column
            frame[name] = column.values
            if column.unformatted is not None:
                unformatted[name] = column.unformatted
            failed[list(column.failed)] = True
        good = ~failed
        for place, constraint in enumerate(self.group.constraints):
            holds = satisfied(constraint, {**frame, **unformatted})
            self.stats.satisfied[place] += int(holds.sum())
            good &= holds
        self.stats.drawn += len(rows)
        self.stats.accepted += int(good.sum())
        return _Attempts(columns, failed, good)

    def reason(self, record: int, *, attempts: int) -> str:
        """Which constraint is hardest to satisfy, for which record, and how often draws are accepted."""
        hardest = int(np.argmin(self.stats.satisfied))
        what = describe_constraint(self.group.constraints[hardest])
        others = (
            ""
            if len(self.group.constraints) == 1
            else " (with the other constraints on these columns)"
        )
        return (
            f"constraint {what}{others} was not satisfied by any of {counted(attempts, 'draw')} of record {record}; "
            f"acceptance rate {self.stats.rate:.2g} ({self.stats.accepted:,} of {counted(self.stats.drawn, 'draw')})"
        )


def satisfied(constraint: Constraint, values: Frame) -> Bools:
    """Whether each row satisfies a constraint; one whose seed value is null, or no time, does not."""
    names = operands(constraint)
    sides = [values[name] for name in names]
    if any(side.dtype.is_temporal() for side in sides):
        sides = [time_values(side) for side in sides]
    left = sides[0]
    right = sides[1] if len(sides) == 2 else float(constraint.rhs)
    match constraint.operator:
        case "lt":
            holds = left < right
        case "le":
            holds = left <= right
        case "gt":
            holds = left > right
        case "ge":
            holds = left >= right
    return holds.fill_null(False).to_numpy()


def _select(column: GroupColumn, rows: Ints) -> GroupColumn:
    failed = {}
    if column.failed:
        failed = {
            place: column.failed[row]
            for place, row in enumerate(rows.tolist())
            if row in column.failed
        }
    unformatted = (
        None if column.unformatted is None else column.unformatted.gather(rows)
    )
    return GroupColumn(column.values.gather(rows), failed, unformatted=unformatted)


def _without(
    columns: dict[str, GroupColumn], reasons: Mapping[int, str]
) -> dict[str, GroupColumn]:
    """Records that no attempt satisfied lose their values; each column says why."""
    if not reasons:
        return columns
    return {
        name: replace(
            column,
            values=column.values.scatter(list(reasons), None),
            failed={**column.failed, **reasons},
        )
        for name, column in columns.items()
    }
