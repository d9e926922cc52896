"""A few records in memory: nothing is read from the store, nothing is written to it but replies that were paid for."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from sdg_core.dataset.events import CellStarted, Observer, RecordsSettled
from sdg_core.dataset.shown_tables import LONGEST, as_html, shown_value
from sdg_core.execution.cells import RecordMaker
from sdg_core.execution.long_calls import watch_for_long_calls
from sdg_core.execution.open_row_group import OpenGroup
from sdg_core.execution.samples import known_replies, sampled_hashes
from sdg_core.execution.settle import settle_record
from sdg_core.execution.stop_rules import FailureBudget, unless_stalled, watch_for_stall
from sdg_core.generators.models.chat import message_text
from sdg_core.generators.whole_group import GroupPhases
from sdg_core.ledger.journal import Journal
from sdg_core.models.pool import ModelPool
from sdg_core.models.types import Message, Usage
from sdg_core.plan.candidates import record_and_candidate
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.row_groups import RowGroup
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.seeds.readers import Seeds
from sdg_core.store.failures import Failure
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus

if TYPE_CHECKING:
    import polars as pl


Prompts = Mapping[int, Mapping[str, tuple[Message, ...]]]
"""By record and column, the messages that a model was sent first."""
UsedByCell = Mapping[str, Mapping[int, UsageByModel]]
"""By column and record, what models used for a cell."""


def shown_messages(
    messages: Iterable[Message], *, longest: int | None = LONGEST
) -> list[tuple[str, str]]:
    """The messages of a prompt with the role of each, as `  prompt` and `  system`."""
    names = {"user": "prompt"}
    return [
        (
            f"  {names.get(message.role, message.role)}",
            shown_value(message_text(message), longest=longest),
        )
        for message in messages
    ]


@dataclass(frozen=True)
class Preview:
    """Some records of a dataset as a table of every column, and the records that failed.

    usage: of what was asked for now. records: the number of each row. prompts: what models were asked with, failed records
    included. replayed: replies that an earlier preview or estimate had asked for. kept: whether replies are kept for the run.
    """

    table: pa.Table
    failures: tuple[Failure, ...]
    usage: UsageByModel
    records: tuple[int, ...] = ()
    prompts: Prompts = field(default_factory=dict)
    replayed: int = 0
    kept: bool = False

    def to_polars(self) -> "pl.DataFrame":
        """The records."""
        import polars as pl

        frame = pl.from_arrow(self.table)
        assert isinstance(frame, pl.DataFrame)
        return frame

    def shown(self, *, longest: int | None = LONGEST) -> list[tuple[int, list[tuple[str, str]]]]:
        """Each record's number, and names and texts as people read them: below a column the prompt that it was asked with.

        longest: characters of a text before it is cut off; None for all of it.
        """
        found = []
        for number, record in zip(self.records, self.table.to_pylist(), strict=True):
            lines: list[tuple[str, str]] = []
            for name, value in record.items():
                lines.append((name, shown_value(value, longest=longest)))
                lines += self.shown_prompt(number, name, longest=longest)
            found.append((number, lines))
        return found

    def shown_prompt(
        self, record: int, column: str, *, longest: int | None = LONGEST
    ) -> list[tuple[str, str]]:
        """The messages that a column of a record was asked with; see `shown_messages`."""
        return shown_messages(self.prompts.get(record, {}).get(column, ()), longest=longest)

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        remarks = [
            f"record {each.record} failed, column {each.column}: {each.message}"
            for each in self.failures
        ]
        rows = [list(record.values()) for record in self.table.to_pylist()]
        return as_html(self.table.column_names, zip(self.records, rows, strict=True), remarks)


@dataclass(frozen=True)
class Sample:
    """Some records, made in memory. together: seconds for what is computed for all records at once. each: seconds that the
    other columns took, record by record. used: by column, record and model alias, what its cell used."""

    group: OpenGroup
    together: float
    each: tuple[float, ...]
    prompts: Prompts = field(default_factory=dict)
    used: UsedByCell = field(default_factory=dict)


async def make_preview(
    plan: DatasetPlan,
    *,
    records: Sequence[int],
    seeds: Seeds | None,
    models: ModelPool,
    on_event: Observer = lambda event: None,
    samples: Journal | None = None,
) -> Preview:
    """Make these records; they are the same that a full run makes. samples: where replies are kept."""
    making = make_sample(
        plan, records, seeds=seeds, models=models, on_event=on_event, samples=samples
    )
    sample = await unless_stalled(making, watch_for_long_calls(on_event))
    group = sample.group
    rows = sample.group.rows()
    failures = tuple(sorted(group.every_failure))
    return Preview(
        rows.table,
        failures,
        models.spending.used,
        tuple(rows.records.tolist()),
        sample.prompts,
        replayed=group.replayed,
        kept=samples is not None,
    )


class _Seen:
    """What is seen of cells while a sample is made: their prompts, and what they used."""

    def __init__(self, on_event: Observer) -> None:
        self._on_event = on_event
        self.prompts: dict[int, dict[str, tuple[Message, ...]]] = {}
        self.used: dict[str, dict[int, UsageByModel]] = {}

    def asked(self, number: int, column: str, messages: tuple[Message, ...]) -> None:
        self.prompts.setdefault(number, {})[column] = messages
        self._on_event(CellStarted(number, column))

    def counted(self, number: int, column: str, alias: str, usage: Usage) -> None:
        record = record_and_candidate(number)[0]
        of_column = self.used.setdefault(column, {})
        of_column[record] = add_usage(of_column.get(record, {}), {alias: vars(usage)})


async def make_sample(
    plan: DatasetPlan,
    records: Sequence[int],
    *,
    seeds: Seeds | None,
    models: ModelPool,
    clock: Callable[[], float] = time.monotonic,
    on_event: Observer = lambda event: None,
    samples: Journal | None = None,
) -> Sample:
    """Make some records, no more at once than the models admit requests. `clock` counts seconds. samples: where replies are
    taken from and kept. on_event: told of every cell that a model is asked for, and of every record that is made or has failed.

    Raises RunAbortedError if nothing succeeds for `run.stall_timeout` seconds.
    """
    status = RowGroupStatus(RowGroup(0, 0, records[-1] + 1), RowGroupState.MISSING, records)
    seen = _Seen(on_event)
    maker = RecordMaker(
        plan,
        models,
        journal=samples,
        kept=sampled_hashes(plan),
        on_prompt=seen.asked,
        on_used=seen.counted,
    )
    paid = await asyncio.to_thread(known_replies, plan, samples, records)
    phases = GroupPhases(plan, models, loop=asyncio.get_running_loop())
    room = asyncio.Semaphore(max(1, models.capacity))
    each: dict[int, float] = {}
    began = clock()
    group = await asyncio.to_thread(
        OpenGroup,
        status,
        plan=plan,
        seeds=seeds,
        phases=phases,
        needed=maker.columns_read,
        paid=paid,
    )
    together = clock() - began
    budget = FailureBudget(plan.config.run, began=clock())

    async def make(position: int) -> None:
        async with room:
            start = clock()
            outcome = await maker.make(group, position)
            on_event(settle_record(group, position, outcome, budget=budget, now=clock()))
            each[position] = each.get(position, 0.0) + clock() - start

    async def all_phases() -> float:
        seconds = 0.0
        while True:
            async with asyncio.TaskGroup() as tasks:
                for position in group.open_positions():
                    tasks.create_task(make(position))
            began = clock()
            if not group.ends_here:
                await asyncio.to_thread(group.advance)
            else:
                kept = group.made
                again = await asyncio.to_thread(group.judge)
                if group.selection is not None:
                    on_event(RecordsSettled(made=group.made - kept, failed=0))
                if not again:
                    return seconds
                await asyncio.to_thread(group.draw_again)
            seconds += clock() - began

    together += await unless_stalled(
        all_phases(), watch_for_stall(budget, models, clock=clock, sleep=asyncio.sleep)
    )
    return Sample(group, together, tuple(each.values()), seen.prompts, seen.used)
