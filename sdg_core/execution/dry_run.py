"""What a run would do, said before it does it: nothing is written, no model is asked.

The same functions decide as in the run itself: which version, which row groups, what is taken over. Reused cells are counted from
footers and the ledger without reading values; a cell is asked for all the same if what it reads turns out to have changed (a
function that is not pure, another answer under the same fingerprint). Where seed data changed, what was made from rows that are
as before is taken over; how much that is, only the run finds out, so all of it counts as to be made.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sdg_core.config.columns import ModelColumn, SkippableColumn
from sdg_core.config.run_settings import ResumeMode
from sdg_core.dataset.drift import describe_drift
from sdg_core.dataset.handle import Dataset, scan_version
from sdg_core.dataset.ledger import open_ledger_readonly
from sdg_core.dataset.resume import carry_sources, choose_version, notices
from sdg_core.errors import RefusedError, SdgError, StoreError, UnrecognizedFileError
from sdg_core.execution.carry_over import same_but_for_seed_data
from sdg_core.execution.open_row_group import expand_to_whole_group
from sdg_core.execution.reuse_counts import Reused, count_reused
from sdg_core.ledger.claims import Claims
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.fingerprint import split_version
from sdg_core.plan.kinds import aliases_of, always_per_record, is_whole_column
from sdg_core.plan.row_groups import chosen_row_groups
from sdg_core.store.metadata import metadata_or_none
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus, keys_by_state
from sdg_core.store.versions import Version, previous_version, read_current_or_none

Action = Literal["start", "resume", "new version", "forced version", "refused"]


@dataclass(frozen=True)
class ColumnPlan:
    """Where a column's cells come from. journaled: replies in the journal of this version. carried: cells reused from
    earlier versions, by version. to_make: the remaining cells; an upper bound if cells can be skipped (`skippable`).
    """

    column: str
    column_type: str
    models: tuple[str, ...]
    journaled: int
    carried: Mapping[str, int]
    to_make: int
    skippable: bool


@dataclass(frozen=True)
class RejectedPlan:
    """Why a run would be refused, and the way out."""

    error: str
    message: str
    remedy: str | None


@dataclass(frozen=True)
class RunPlan:
    """What a run would do.

    version: the version it would write; empty if refused. reasons: why that version. drift: changes since `previous`.
    states: keys of the chosen row groups by state. records: number to generate. columns: columns that cost money.
    requests: minimum per model alias; unknown for columns whose function calls models itself. held: row groups
    currently claimed by other runs, with their holders. candidates: maximum draws per record; cells and requests are
    counted for the first draw.
    """

    dataset: str
    action: Action
    version: str
    directory: str
    previous: str | None
    reasons: tuple[str, ...]
    drift: tuple[str, ...]
    states: Mapping[RowGroupState, tuple[str, ...]]
    records: int
    columns: tuple[ColumnPlan, ...]
    requests: Mapping[str, int]
    simulated: bool
    held: tuple[str, ...] = ()
    candidates: int = 1
    refused: RejectedPlan | None = None

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything exists already."""
        if self.refused is not None:
            return False
        to_make = [
            keys
            for state, keys in self.states.items()
            if state is not RowGroupState.COMPLETE
        ]
        return not any(to_make)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `sdg plan --json` prints it."""
        states = {}
        for state, keys in self.states.items():
            states[state.value] = {"count": len(keys), "keys": list(keys)}
        refused = vars(self.refused) if self.refused is not None else None
        return {
            **vars(self),
            "states": states,
            "columns": [vars(column) for column in self.columns],
            "refused": refused,
            "nothing_to_do": self.nothing_to_do,
        }


def plan_run(
    dataset: Dataset,
    *,
    row_groups: Sequence[int] | None = None,
    resume: ResumeMode | None = None,
) -> RunPlan:
    """What `generate` with the same arguments would do. A refusal is part of the answer, not an error.

    Raises PlanError for row groups that do not exist, LedgerError if a ledger cannot be read.
    """
    plan = dataset.plan
    layout = dataset.layout
    indices = chosen_row_groups(plan.row_groups, row_groups)
    try:
        version = choose_version(layout, plan, mode=resume or plan.config.run.resume)
        statuses = scan_version(dataset, version.layout)
        work = [expand_to_whole_group(statuses[index], plan) for index in indices]
        _check_foreign(work)
    except (RefusedError, StoreError) as error:
        return _refused(dataset, error)
    previous = None
    if version.metadata is None:
        previous = previous_version(layout, read_current_or_none(layout))
    records: list[int] = []
    for status in work:
        records += status.remaining
    columns = tuple(plan_columns(dataset, version, np.array(records, dtype=np.int64)))
    reasons = []
    if version.metadata is not None:
        reasons.append(
            f"version {version.layout.name} was made with this config: resuming it"
        )
    reasons += notices(version, plan)
    reasons += _reseeded(dataset, version, columns)
    candidates = 1
    if plan.config.select is not None:
        candidates = plan.config.select.candidates
    to_make = [
        each.group.key for each in work if each.state is not RowGroupState.COMPLETE
    ]
    return RunPlan(
        dataset=dataset.name,
        action=_action(version, started=previous is not None),
        version=version.layout.name,
        directory=str(version.layout.directory),
        previous=previous.name if previous is not None else None,
        reasons=tuple(reasons),
        drift=tuple(_drift(dataset, version)),
        states=keys_by_state(work),
        records=len(records),
        columns=columns,
        requests=_requests(plan, columns),
        simulated=plan.simulated,
        candidates=candidates,
        held=_held(dataset, version, to_make),
    )


def _held(
    dataset: Dataset, version: Version, row_groups: Sequence[str]
) -> tuple[str, ...]:
    with open_ledger_readonly(dataset) as ledger:
        if ledger is None or not row_groups:
            return ()
        claims = Claims(
            ledger, dataset=dataset.name, version=version.layout.name, run_id="plan"
        )
        holders = [str(claim) for claim in claims.others(row_groups).values()]
        return tuple(dict.fromkeys(holders))


def _check_foreign(work: Iterable[RowGroupStatus]) -> None:
    for status in work:
        if status.foreign:
            raise UnrecognizedFileError(
                str(status.reason),
                remedy="move it out of this directory, then plan again",
            )


def _refused(dataset: Dataset, error: SdgError) -> RunPlan:
    return RunPlan(
        dataset=dataset.name,
        action="refused",
        version="",
        directory=str(dataset.layout.directory),
        previous=None,
        reasons=(),
        drift=(),
        states={},
        records=0,
        columns=(),
        requests={},
        simulated=dataset.plan.simulated,
        refused=RejectedPlan(type(error).__name__, error.message, error.remedy),
    )


def _action(version: Version, *, started: bool) -> Action:
    if version.metadata is not None:
        return "resume"
    if version.forced:
        return "forced version"
    return "new version" if started else "start"


def _reseeded(
    dataset: Dataset, version: Version, columns: Iterable[ColumnPlan]
) -> list[str]:
    """That fewer cells may have to be made than are counted, because seed rows are as before."""
    to_make = [item.column for item in columns if item.to_make]
    if not to_make or dataset.seeds is None:
        return []
    same: set[str] = set()
    for source in carry_sources(dataset.layout, version):
        same.update(same_but_for_seed_data(dataset.plan, metadata_or_none(source)))
    names = [name for name in to_make if name in same]
    if not names:
        return []
    return [
        f"cells of {', '.join(names)} whose seed rows are unchanged are also reused, but not counted here"
    ]


def _drift(dataset: Dataset, version: Version) -> list[str]:
    """What changed since the version before, where the config did."""
    if version.metadata is not None:
        return []
    previous = previous_version(dataset.layout, read_current_or_none(dataset.layout))
    if (
        previous is None
        or split_version(previous.name)[0] == dataset.plan.fingerprint.version
    ):
        return []
    return describe_drift(previous, dataset.plan)


def plan_columns(
    dataset: Dataset, version: Version, remaining: NDArray[np.int64]
) -> Iterable[ColumnPlan]:
    """What becomes of the remaining records' cells, column by column, where they cost something. Raises LedgerError."""
    plan = dataset.plan
    reused = count_reused(dataset, version, remaining)
    for name in plan.graph.order:
        column = plan.column(name)
        if not (always_per_record(column) or is_whole_column(column)):
            continue
        cells = reused.get(name, Reused(0, {}))
        skippable = isinstance(column, SkippableColumn) and (
            column.skip is not None
            or bool(plan.graph.skip_sources[name] & _can_be_skipped(plan))
        )
        yield ColumnPlan(
            name,
            column.column_type,
            aliases_of(column),
            cells.journaled,
            cells.carried,
            len(remaining) - cells.count,
            skippable,
        )


def _can_be_skipped(plan: DatasetPlan) -> frozenset[str]:
    columns = [
        column for column in plan.config.columns if isinstance(column, SkippableColumn)
    ]
    return frozenset(column.name for column in columns if column.skip is not None)


def _requests(plan: DatasetPlan, columns: Iterable[ColumnPlan]) -> dict[str, int]:
    """One request per cell that a model column has to make; corrections and retries are extra."""
    requests: dict[str, int] = {}
    for item in columns:
        if isinstance(plan.column(item.column), ModelColumn) and item.to_make:
            alias = item.models[0]
            requests[alias] = requests.get(alias, 0) + item.to_make
    return requests
