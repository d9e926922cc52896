"""What a run tells its observer, as it happens. Observers are called in the run's own thread and should return quickly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from sdg_core.plan.row_groups import RowGroup
from sdg_core.store.objects import StorePath
from sdg_core.store.row_groups import Footer


@dataclass(frozen=True)
class RunStarted:
    """What lies ahead: records to make, row groups to make, and row groups that are complete already."""

    version: str
    records: int
    row_groups: int
    complete: int


@dataclass(frozen=True)
class RecordsSettled:
    """So many more records are made or have failed permanently.

    elsewhere: so many were made by another run since this one was planned (negative: there are so many more to make).
    dropped: so many have no row because none of their candidates was kept.
    waiting: so many wait for replies that come later; a later run goes on with them.
    cost: what the run has used so far, per currency; would have, if simulated. retries: requests that it sent again so far.
    """

    made: int
    failed: int
    elsewhere: int = 0
    dropped: int = 0
    waiting: int = 0
    cost: Mapping[str, float] = field(default_factory=dict, compare=False)
    retries: int = field(default=0, compare=False)
    simulated: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class RowGroupFinished:
    """A row group's file is durable.

    adopted: it was complete before, so nothing was generated. failed: records tried in this run without success.
    generated: records added by this run. seconds: from its start to its file, 0 when adopted.
    carried: cells taken from an earlier version instead of being paid for again. replayed: cells taken from the journal;
    sampled: those of them that previews and estimates had asked for.
    head: the first rows of the file as it was written; None when adopted.
    dropped: records tried in this run of which no candidate was kept. waiting: records that wait for replies that come later.
    """

    group: RowGroup
    footer: Footer
    path: StorePath
    adopted: bool
    generated: int
    failed: int
    seconds: float
    first_failure: str | None = None
    carried: int = 0
    replayed: int = 0
    head: pa.Table | None = None
    dropped: int = 0
    sampled: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class RowGroupSaved:
    """A run ends early: what was finished of an open row group is durable. Counts as in RowGroupFinished."""

    group: RowGroup
    generated: int
    failed: int
    replayed: int
    carried: int
    dropped: int = 0
    sampled: int = 0


@dataclass(frozen=True)
class CellStarted:
    """Of a preview or an estimate: a model is about to be asked for a cell."""

    record: int
    column: str


@dataclass(frozen=True)
class SourcesProgress:
    """How far the run of a pipeline is. It comes when the run starts, every second, and at its end.

    sources: to make in this run; settled: those of them that are durable, or were made by another run.
    tasks: those of `columns` stages that are done; failed: those that are not, and will not be in this run.
    cost, retries, simulated: as in RecordsSettled.
    """

    sources: int
    settled: int
    tasks: int
    failed: int
    cost: Mapping[str, float] = field(default_factory=dict, compare=False)
    retries: int = field(default=0, compare=False)
    simulated: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Notice:
    """Something a person should know: a new version, a quarantined file, simulated replies."""

    message: str


Event = (
    RunStarted
    | CellStarted
    | RecordsSettled
    | RowGroupFinished
    | RowGroupSaved
    | SourcesProgress
    | Notice
)
Observer = Callable[[Event], None]
