"""Processors that leave records out: filter, deduplicate, decontaminate, one after another in the order of the file.

Each sees only the records that those before it have kept. What becomes of a record depends on the set of records and not on
row groups or batches: records are known by their index, and a processor that compares records looks at all of them first.

Invariant: `prepare` has seen every batch, once for each deduplication, before `apply` sees the first; both see the same batches.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol, TypeVar

import numpy as np
import orjson
import polars as pl
import pyarrow as pa

from sdg_core.config.processors import (
    DecontaminateProcessor,
    DeduplicateProcessor,
    FilterProcessor,
    Processor,
    RowProcessor,
)
from sdg_core.counts import counted
from sdg_core.errors import CellError, FilterError, SdgError
from sdg_core.filters.clusters import Duplicates, Ids
from sdg_core.filters.decontaminate import EvaluationIndex
from sdg_core.filters.deduplicate import duplicates_by, normalised
from sdg_core.filters.quality import failed_rule, rules_of
from sdg_core.plan.checks.processors import as_template
from sdg_core.plan.hashed_fields import canonical_json
from sdg_core.plan.templates.criteria import score_of, why_not
from sdg_core.plan.templates.render import compiled, plain_value
from sdg_core.plan.templates.skip import truth_template
from sdg_core.processing.evaluation_sets import (
    OpenSource,
    named_processor,
    of_evaluation_set,
    opened_evaluation_set,
)

Judged = TypeVar("Judged")
Batches = Callable[[frozenset[str]], Iterator[tuple[Ids, pa.Table]]]
"""Reads the whole dataset once, as record indices and at least these columns."""
Reasons = list[str | None]
"""For each record why it is left out; None where it stays."""


class _Step(Protocol):
    columns: frozenset[str]
    method: str

    def reasons(self, ids: Ids, table: pa.Table) -> Reasons: ...


@dataclass
class Outcome:
    """What one processor did: records kept and removed, and the reason for the first that it removed."""

    name: str
    mark: str
    method: str
    kept: int = 0
    removed: int = 0
    example: str | None = None


@dataclass
class RowProcessors:
    """The row processors of a dataset, opened. `outcomes` are complete once every batch went through `apply`."""

    steps: Sequence[tuple[str, _Step]]
    outcomes: Sequence[Outcome]
    columns: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self.columns = frozenset().union(*(step.columns for _, step in self.steps))

    def prepare(self, batches: Batches) -> None:
        """Look at all records once for each deduplication. Raises FilterError naming the processor."""
        for place, (name, step) in enumerate(self.steps):
            if not isinstance(step, _Deduplication):
                continue
            earlier = self.steps[:place]
            columns = step.columns
            for _, other in earlier:
                columns |= other.columns
            for ids, table in batches(columns):
                for other_name, other in earlier:
                    ids, table, _ = _judged(other_name, other, ids, table)
                with named_processor(name):
                    step.observe(ids, table)
            with named_processor(name):
                step.decide()
            self.outcomes[place].method = step.method

    def apply(
        self, ids: Ids, table: pa.Table
    ) -> Iterator[tuple[Ids, pa.Table, Reasons]]:
        """For each processor the records that it leaves out, with reasons; last what stays, with no reason."""
        for (name, step), outcome in zip(self.steps, self.outcomes, strict=True):
            kept_ids, kept, reasons = _judged(name, step, ids, table)
            out = np.array([reason is not None for reason in reasons], dtype=np.bool_)
            found: Reasons = [reason for reason in reasons if reason is not None]
            outcome.kept += len(kept_ids)
            outcome.removed += len(found)
            if found and not outcome.example:
                outcome.example = found[0]
            yield ids[out], table.filter(pa.array(out)), found
            ids = kept_ids
            table = kept
        yield ids, table, []

    def clusters(self) -> Mapping[str, pa.Table]:
        """What each deduplication took for the same: a row per record of a cluster of two or more."""
        return {
            name: step.clusters()
            for name, step in self.steps
            if isinstance(step, _Deduplication)
        }


def open_row_processors(
    processors: Sequence[Processor], open_source: OpenSource
) -> RowProcessors:
    """The processors that leave records out, ready to be used. Raises FilterError or SeedError if one cannot be."""
    chosen = [
        processor for processor in processors if isinstance(processor, RowProcessor)
    ]
    steps: list[tuple[str, _Step]] = []
    for processor in chosen:
        with named_processor(processor.name):
            steps.append((processor.name, _open(processor, open_source)))
    marks = row_processor_marks(processors)
    outcomes = [Outcome(name, marks[name], step.method) for name, step in steps]
    return RowProcessors(steps, outcomes)


def row_processor_marks(processors: Sequence[Processor]) -> dict[str, str]:
    """For each processor that leaves records out, in order, what stands for all that it was asked for."""
    marks = {}
    for processor in processors:
        if isinstance(processor, RowProcessor):
            config = canonical_json(processor.model_dump(mode="json"))
            marks[processor.name] = hashlib.sha256(config.encode()).hexdigest()
    return marks


def _open(processor: RowProcessor, open_source: OpenSource) -> _Step:
    match processor:
        case FilterProcessor(keep=str(keep)):
            return _Keep(keep)
        case FilterProcessor():
            return _Quality(processor)
        case DeduplicateProcessor():
            return _Deduplication(processor)
        case DecontaminateProcessor():
            return _Decontamination(processor, open_source)


def _judged(
    name: str, step: _Step, ids: Ids, table: pa.Table
) -> tuple[Ids, pa.Table, Reasons]:
    """What stays, and the reasons for all records."""
    with named_processor(name):
        reasons = step.reasons(ids, table) if len(ids) else []
    stays = np.array([reason is None for reason in reasons], dtype=np.bool_)
    return ids[stays], table.filter(pa.array(stays)), reasons


class _Keep:
    """Records for which a template is true."""

    def __init__(self, keep: str) -> None:
        self._template = compiled(truth_template(keep))
        self._keep = keep
        self.columns = frozenset(self._template.names)
        self.method = "template"

    def reasons(self, ids: Ids, table: pa.Table) -> Reasons:
        return _of_each(
            ids,
            table,
            self.columns,
            lambda values: why_not(self._template, self._keep, values),
        )


class _Quality:
    """Records whose text passes every quality rule."""

    def __init__(self, processor: FilterProcessor) -> None:
        assert processor.column is not None
        self._column = processor.column
        self._rules = rules_of(processor.quality)
        self.columns = frozenset({processor.column})
        self.method = "quality rules"

    def reasons(self, ids: Ids, table: pa.Table) -> Reasons:
        texts = _series(table, self._column)
        if texts.dtype not in (pl.String, pl.Null):
            raise FilterError(
                f"column {self._column!r} holds {texts.dtype}, but quality rules judge texts",
                remedy="name a column of texts, or use `keep`, a template",
            )
        return failed_rule(self._rules, texts)


class _Deduplication:
    """One record of each cluster of records that are the same."""

    def __init__(self, processor: DeduplicateProcessor) -> None:
        self._processor = processor
        self._score = None
        self.columns = frozenset(processor.columns)
        if processor.score is not None:
            self._score = compiled(as_template(processor.score))
            self.columns |= frozenset(self._score.names)
        parameters = {}
        if processor.threshold is not None:
            parameters["threshold"] = processor.threshold
        self._seen = duplicates_by(processor.method, keep=processor.keep, **parameters)
        self._found: Duplicates | None = None
        self.method: str = processor.method

    def observe(self, ids: Ids, table: pa.Table) -> None:
        """Take note of records. Raises FilterError for values that cannot be compared."""
        scores = None if self._score is None else self._scores(ids, table)
        match self._processor.method:
            case "exact":
                content: Any = _compared(table, self._processor.columns)
            case "minhash":
                content = joined_texts(table, self._processor.columns)
            case _:
                content = _vectors(table.column(self._processor.columns[0]))
        self._seen.add(ids, content, scores=scores)

    def decide(self) -> None:
        """Called once every record was seen."""
        self._found = self._seen.decide()
        self.method = self._found.method
        order = np.argsort(self._found.cluster[self._found.kept])
        self._survivors = self._found.ids[self._found.kept][order]
        self._names = self._found.cluster[self._found.kept][order]

    def reasons(self, ids: Ids, table: pa.Table) -> Reasons:
        assert self._found is not None
        survivors = self._survivors[
            np.searchsorted(self._names, self._found.clusters_of(ids))
        ]
        reasons: Reasons = []
        for kept, survivor in zip(self._found.keeps(ids), survivors, strict=True):
            reasons.append(None if kept else f"same as record {survivor}")
        return reasons

    def clusters(self) -> pa.Table:
        assert self._found is not None
        found = self._found
        names, counts = np.unique(found.cluster, return_counts=True)
        shared = np.flatnonzero(np.isin(found.cluster, names[counts > 1]))
        by_cluster = np.argsort(found.cluster[shared], kind="stable")
        order = shared[by_cluster]
        return pa.table(
            {
                "cluster": pa.array(found.cluster[order]),
                "record_index": pa.array(found.ids[order]),
                "kept": pa.array(found.kept[order]),
            }
        )

    def _scores(self, ids: Ids, table: pa.Table) -> Sequence[float | None]:
        template = self._score
        assert template is not None
        name = self._processor.score
        if name in table.schema.names:
            column = table.column(name)
            if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                scores: list[float | None] = column.cast(
                    pa.float64(), safe=False
                ).to_pylist()
                return scores  # as the template would say, but fast
        return _of_each(
            ids, table, template.names, lambda values: score_of(template, values)
        )


class _Decontamination:
    """Records that share no n-gram, or only few, with an evaluation record."""

    def __init__(
        self, processor: DecontaminateProcessor, open_source: OpenSource
    ) -> None:
        self._processor = processor
        self.columns = frozenset(processor.columns)
        self.method = f"{processor.n}-grams"
        self._starts = [0]
        texts = []
        for place, evaluation in enumerate(processor.evaluation_sets):
            seeds = opened_evaluation_set(place, evaluation, open_source)
            info = seeds.info()
            with of_evaluation_set(place):
                frame = seeds.read(np.arange(info.num_rows, dtype=np.int64))
            texts.append(joined_texts(frame.to_arrow(), evaluation.columns))
            self._starts.append(self._starts[-1] + info.num_rows)
        self._index = EvaluationIndex(
            np.arange(self._starts[-1]), pl.concat(texts), n=processor.n
        )

    def reasons(self, ids: Ids, table: pa.Table) -> Reasons:
        texts = joined_texts(table, self._processor.columns)
        found = self._index.overlaps(texts, at_least=self._processor.threshold)
        reasons: Reasons = []
        for leak in found:
            if leak is None:
                reasons.append(None)
            else:
                reasons.append(self._reason(leak.evaluation_id, leak.share))
        return reasons

    def _reason(self, evaluation_id: int, share: float) -> str:
        place = int(np.searchsorted(self._starts, evaluation_id, side="right")) - 1
        row = evaluation_id - self._starts[place]
        return f"holds {share:.0%} of the {self._processor.n}-grams of row {row} of evaluation_sets[{place}]"


def joined_texts(table: pa.Table, columns: Sequence[str]) -> pl.Series:
    """The texts of several columns as one, null where all are."""
    series = [_texts(table, name) for name in columns]
    if len(series) == 1:
        return series[0]
    by_place = {str(place): texts for place, texts in enumerate(series)}
    empty = pl.all_horizontal(pl.all().is_null())
    joined = pl.concat_str(pl.all(), separator="\n", ignore_nulls=True)
    text = pl.when(empty).then(None).otherwise(joined)
    return pl.DataFrame(by_place).select(text.alias("text"))["text"]


def _compared(table: pa.Table, columns: Sequence[str]) -> pl.Series:
    """One text for what several columns hold, so that different cells never give the same; null where all are."""
    series = [_texts(table, name) for name in columns]
    if len(series) == 1:
        return series[0]
    normal = [normalised(texts).to_list() for texts in series]
    nothing = (None,) * len(series)
    compared = []
    for row in zip(*normal, strict=True):
        compared.append(orjson.dumps(row).decode() if row != nothing else None)
    return pl.Series(compared, dtype=pl.String)


def _series(table: pa.Table, name: str) -> pl.Series:
    found = pl.from_arrow(table.column(name))
    assert isinstance(found, pl.Series)
    return found


def _texts(table: pa.Table, name: str) -> pl.Series:
    """A column as texts: what is no text, as JSON."""
    series = _series(table, name)
    if series.dtype in (pl.String, pl.Null):
        return series.cast(pl.String)
    texts: list[str | None] = []
    for value in table.column(name).to_pylist():
        texts.append(None if value is None else _json(value))
    return pl.Series(name, texts, dtype=pl.String)


def _json(value: Any) -> str:
    comparable = _comparable(plain_value(value))
    return orjson.dumps(comparable, option=orjson.OPT_SORT_KEYS).decode()


def _comparable(value: Any) -> Any:
    """A plain value whose JSON is the same for equal numbers only: one zero, and NaN and the infinite ones apart from null."""
    if isinstance(value, float):
        return value + 0.0 if isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key: _comparable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_comparable(child) for child in value]
    return value


def _vectors(column: pa.ChunkedArray) -> pa.Array:
    """Vectors from a column of lists of numbers, or of an embedding column with one embedding each. Raises FilterError."""
    kind = column.type
    if not pa.types.is_struct(kind) or kind.get_field_index("embeddings") < 0:
        return column.combine_chunks()
    vectors: list[list[float] | None] = []
    for cell in column.to_pylist():
        if cell is None:
            vectors.append(None)
            continue
        embeddings = cell["embeddings"]
        if len(embeddings) != 1:
            raise FilterError(
                f"a cell has {counted(len(embeddings), 'embedding')} instead of one",
                remedy="embed one text per record",
            )
        vectors.append(embeddings[0])
    return pa.array(vectors, type=pa.list_(pa.float64()))


def _of_each(
    ids: Ids,
    table: pa.Table,
    names: Collection[str],
    judge: Callable[[Mapping[str, Any]], Judged],
) -> list[Judged]:
    """What is said of each record by its values in some columns; what is raised names the record."""
    found: list[Judged] = []
    try:
        for values in table.select(sorted(names)).to_pylist():
            found.append(judge(values))
    except CellError as error:
        raise CellError(
            f"record {ids[len(found)]}: {error.message}", remedy=error.remedy
        ) from error
    return found


def removes_everything(outcomes: Sequence[Outcome]) -> SdgError:
    """The error for a dataset of which no record is left."""
    emptied = [outcome for outcome in outcomes if outcome.removed and not outcome.kept]
    last = emptied[0]
    return FilterError(
        f"processor {last.name!r} removed all {counted(last.removed, 'record')} it received, so none is "
        f"left (for example: {last.example})",
        remedy="relax it, then process again; to generate more records, `sdg reopen FILE` first",
    )
