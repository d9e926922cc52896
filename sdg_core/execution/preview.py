"""A few records in memory: nothing is read from the store, nothing is written to it but replies that were paid for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from sdg_core.dataset.events import Observer
from sdg_core.dataset.shown_tables import MAX_LENGTH, as_html, shown_value
from sdg_core.execution.long_calls import watch_for_long_calls
from sdg_core.execution.make_sample import Prompts, make_sample
from sdg_core.execution.stop_rules import unless_stalled
from sdg_core.generators.models.chat import message_text
from sdg_core.ledger.journal import Journal
from sdg_core.models.pool import ModelPool
from sdg_core.models.types import Message
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.usage import UsageByModel
from sdg_core.seeds.readers import Seeds
from sdg_core.store.failures import Failure

if TYPE_CHECKING:
    import polars as pl


def shown_messages(
    messages: Iterable[Message], *, longest: int | None = MAX_LENGTH
) -> list[tuple[str, str]]:
    """The messages of a prompt with the role of each, as `  prompt` and `  system`."""
    names = {"user": "prompt"}
    shown = []
    for message in messages:
        name = names.get(message.role, message.role)
        text = shown_value(message_text(message), longest=longest)
        shown.append((f"  {name}", text))
    return shown


@dataclass(frozen=True)
class Preview:
    """Sample records of a dataset as a table with every column, and the records that failed.

    usage: usage of this preview. records: the record number of each row. prompts: the prompts sent to models,
    including those of failed records. replayed: replies reused from an earlier preview or estimate. kept: whether
    replies are kept for the run.
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

    def shown(
        self, *, longest: int | None = MAX_LENGTH
    ) -> list[tuple[int, list[tuple[str, str]]]]:
        """Each record's number with column names and texts for display; the prompt follows its column.

        longest: maximum characters of a text; None for all of it.
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
        self, record: int, column: str, *, longest: int | None = MAX_LENGTH
    ) -> list[tuple[str, str]]:
        """The prompt messages of a column of a record; see `shown_messages`."""
        return shown_messages(
            self.prompts.get(record, {}).get(column, ()), longest=longest
        )

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        remarks = [
            f"record {each.record} failed, column {each.column}: {each.message}"
            for each in self.failures
        ]
        rows = [list(record.values()) for record in self.table.to_pylist()]
        return as_html(
            self.table.column_names, zip(self.records, rows, strict=True), remarks
        )


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
