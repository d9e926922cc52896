"""A report on a version: how it was made, what failed, and what is in it. One value, from which file and page are made."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sdg_core.counts import records_text
from sdg_core.dataset.estimates import Comparison
from sdg_core.ledger.history import RunRecord
from sdg_core.plan.usage import Cost, UsageByColumn, UsageByModel
from sdg_core.profiling.formatting import one_line_summary
from sdg_core.profiling.model import ColumnProfile
from sdg_core.profiling.outputs import Output
from sdg_core.profiling.prompts import SentPrompt
from sdg_core.profiling.samples import Sample
from sdg_core.profiling.variety import Variety
from sdg_core.store.failures import FailureCount
from sdg_core.store.row_groups import SelectionCounts

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SeedFacts:
    """Seed data: what the config says of it, the digest of its content, and those of its files by name.

    num_rows: those that records draw from. repeats: that rows are used more than once, in words.
    """

    config: Mapping[str, Any]
    digest: str | None
    files: Mapping[str, str]
    num_rows: int | None = None
    repeats: str | None = None


@dataclass(frozen=True)
class ModelFacts:
    """A model that columns ask, or that steps in for one. parameters: those that were set."""

    alias: str
    model: str
    provider: str
    provider_type: str
    endpoint: str | None
    parameters: Mapping[str, Any]
    fallback: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ProcessorCount:
    """How many of the records that it saw a processor kept, and how many it removed."""

    processor: str
    kept: int
    removed: int


@dataclass(frozen=True)
class Facts:
    """What a report says beside the statistics. Times are ISO 8601 in UTC.

    source: `dataset` (the finished one) or `row_groups` (those there are so far). row_groups: files, of so many.
    remaining: records of the plan without a row. config: the resolved config as YAML. runs: newest first;
    history_fault: why there are none. dropped: columns that are stored beside the dataset.
    removed: what processors left out of the finished dataset, in order; those records have not failed. processor_methods: by
    which algorithm each judges, with its version; removal_examples: why the first record of each was removed.
    resized: functions change how many rows there are.
    selection: what `select` came to; its dropped records have not failed. selection_rule: what it asks for, in words.
    rejected_cost: of rejected candidates.
    total_cost: money per currency over all versions that cells came from (`earlier_versions`: usage and cost of each).
    upstream_cost: of the datasets above this one, by name. estimate: what was expected before the run.
    Money of a simulated dataset is what it would cost.
    """

    dataset: str
    description: str | None
    version: str
    directory: str
    fingerprint: str
    simulated: bool
    source: str
    num_rows: int
    target_num_records: int
    remaining: int
    row_groups: tuple[int, int]
    created_at: str
    updated_at: str
    config: str
    seed: SeedFacts | None
    models: tuple[ModelFacts, ...]
    usage: UsageByModel
    usage_by_column: UsageByColumn
    cost: Mapping[str, Cost]
    runs: tuple[RunRecord, ...]
    history_fault: str | None
    library_versions: Mapping[str, str]
    failures: tuple[FailureCount, ...]
    dropped: tuple[str, ...]
    removed: tuple[ProcessorCount, ...] = ()
    processor_methods: Mapping[str, str] = field(default_factory=dict)
    removal_examples: Mapping[str, str] = field(default_factory=dict)
    resized: bool = False
    selection: SelectionCounts | None = None
    selection_rule: str | None = None
    rejected_cost: Mapping[str, Cost] = field(default_factory=dict)
    total_cost: Mapping[str, float] = field(default_factory=dict)
    earlier_versions: Mapping[str, Any] = field(default_factory=dict)
    upstream_cost: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    estimate: Comparison | None = None

    @property
    def records_text(self) -> str:
        """How many records this is of; those that processors removed, or functions made more or fewer of, have not failed."""
        text = records_text(
            self.num_rows, target=self.target_num_records, resized=self.resized
        )
        removed = sum(count.removed for count in self.removed)
        if removed:
            return f"{text}, {removed:,} removed by processors"
        return text


@dataclass(frozen=True)
class Report:
    """Everything that a report says. made_at is the only thing that differs between reports on the same data.

    variety: of columns with texts, vectors or scores; first before processors removed records, if any did, then after.
    prompts: of the first records, as models were sent them. outputs: what processors wrote beside the dataset.
    """

    made_at: str
    facts: Facts
    columns: tuple[ColumnProfile, ...]
    samples: tuple[Sample, ...]
    variety: tuple[Variety, ...] = ()
    prompts: tuple[SentPrompt, ...] = ()
    outputs: tuple[Output, ...] = ()

    def prompts_of(self, column: str) -> list[SentPrompt]:
        """The prompts of a column."""
        return [prompt for prompt in self.prompts if prompt.column == column]

    def to_dict(self) -> dict[str, Any]:
        """The object in `report.json`. What is not known, or not of a column's kind, is left out."""
        facts = asdict(self.facts)
        facts["lacking"] = facts["remaining"]  # the name before 0.2
        facts["row_groups"] = dict(
            zip(("there", "planned"), self.facts.row_groups, strict=True)
        )
        columns = []
        for column in self.columns:
            known = _known(asdict(column))
            columns.append({**known, "summary": one_line_summary(column)})
        prompts = []
        for prompt in self.prompts:
            messages = [
                {"role": role, "content": text} for role, text in prompt.messages
            ]
            prompts.append({**asdict(prompt), "messages": messages})
        return {
            "schema_version": SCHEMA_VERSION,
            "made_at": self.made_at,
            **_known(facts),
            "columns": columns,
            "samples": [asdict(sample) for sample in self.samples],
            "variety": [_known(asdict(measured)) for measured in self.variety],
            "prompts": prompts,
            "outputs": [_known(asdict(output)) for output in self.outputs],
        }


_ALWAYS = (
    "files",
    "usage",
    "usage_by_column",
    "cost",
    "runs",
    "failures",
    "dropped",
    "models",
    "values",
)
"""Lists and mappings that are there even if they are empty."""


def _known(value: Any) -> Any:
    """Without what is None, or empty."""
    if isinstance(value, Mapping):
        return {
            name: _known(item) for name, item in value.items() if _is_known(name, item)
        }
    if isinstance(value, list | tuple):
        return [_known(item) for item in value]
    return value


def _is_known(name: str, item: Any) -> bool:
    if item is None:
        return False
    return name in _ALWAYS or item not in ((), {}, [])
