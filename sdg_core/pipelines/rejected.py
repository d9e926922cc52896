"""`rejected/00000.parquet`: candidates that `select` in a stage of a pipeline did not keep, of a partition's tasks.

A row has `_source` and `_task` as the partition's rows have, the stage, the candidate and the reason; then what its columns were
made from, as text, and the columns themselves, null where they were not made any more. The file is written before its partition,
so it may be ahead of it, and never behind.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sdg_core.config.pipeline import ColumnsStage
from sdg_core.pipelines.plan import PipelinePlan, StagePlan
from sdg_core.pipelines.store import SourceEntry, joined, stage_label, stage_number
from sdg_core.pipelines.tasks import DROPPED, RejectedCandidate
from sdg_core.plan.names import free_name
from sdg_core.plan.templates.render import plain_value
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.store.atomic import atomic_file
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.row_groups import SelectionCounts, read_rows
from sdg_core.system.commit_guard import CommitGuard

_SOURCE = "_source"
_TASK = "_task"
_OWN = {"stage": pa.string(), "candidate": pa.int64(), "reason": pa.string()}
Key = tuple[str, str, str]


def selects(plan: PipelinePlan) -> bool:
    """Whether a stage of the pipeline selects among candidates."""
    return bool(_selecting(plan))


def _selecting(plan: PipelinePlan) -> list[StagePlan]:
    selecting = []
    for each in plan.stages:
        if isinstance(each.stage, ColumnsStage) and each.stage.select is not None:
            selecting.append(each)
    return selecting


def rejected_rows(
    plan: PipelinePlan, key: str, candidates: Sequence[RejectedCandidate]
) -> pa.Table:
    """Rejected candidates of a source, by its key, as the rows that are written."""
    schema = _schema(plan)
    tasks = ["/".join(map(str, each.path)) for each in candidates]
    stages = [stage_label(each.stage) for each in candidates]
    numbers = [each.candidate for each in candidates]
    reasons = [each.reason for each in candidates]
    arrays = [
        pa.array([key] * len(candidates), pa.string()),
        pa.array(tasks, pa.string()),
        pa.array(stages, pa.string()),
        pa.array(numbers, pa.int64()),
        pa.array(reasons, pa.string()),
    ]
    for field in list(schema)[len(arrays) :]:
        values = [each.values.get(field.name) for each in candidates]
        if field.type == pa.string():
            values = [_text(value) for value in values]
        arrays.append(pa.array(values, field.type))
    return pa.table(arrays, schema=schema)


def _schema(plan: PipelinePlan) -> pa.Schema:
    """The columns of the file: what stages that select read, as text, and what they make. One that several make as different
    types is text."""
    types: dict[str, pa.DataType] = {}
    for stage in _selecting(plan):
        assert stage.columns is not None
        for name in stage.reads:
            types[name] = pa.string()
        for field in stage.columns.schema:
            is_alike = types.get(field.name, field.type) == field.type
            types[field.name] = field.type if is_alike else pa.string()
    every_file = {_SOURCE: pa.string(), _TASK: pa.string(), **_OWN}
    own = [(free_name(name, types), kind) for name, kind in every_file.items()]
    return pa.schema([*own, *types.items()])


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(plain_value(value), ensure_ascii=False)


def write_rejected(
    path: StorePath,
    tables: Mapping[str, pa.Table],
    *,
    sources: Sequence[str],
    extended: frozenset[str],
    commit_guard: CommitGuard = nullcontext,
) -> None:
    """List the rejected candidates of a partition. tables: of sources that were made now, by their keys. sources: those that the
    partition has, in order. extended: those of which only what had failed was made now; what is listed of the rest stays.

    Raises CorruptFileError, StoreError, and what the guard raises.
    """
    with store_errors("read", path):
        before = (
            read_rows(path).replace_schema_metadata(None) if path.is_file() else None
        )
    if before is None and not any(table.num_rows for table in tables.values()):
        return
    again: set[Key] = set()
    for key in extended & tables.keys():
        again.update(_keys(tables[key]))
    kept: dict[str, pa.Table] = {}
    if before is not None:
        listed = [*_keys(before)]
        for key in sources:
            mask = [False] * len(listed)
            if key in extended or key not in tables:
                mask = [where[0] == key and where not in again for where in listed]
            kept[key] = before.filter(pa.array(mask, pa.bool_()))
    parts = []
    for key in sources:
        if key in kept:
            parts.append(kept[key])
        if key in tables:
            parts.append(tables[key])
    with atomic_file(path, commit_guard=commit_guard) as file:
        table = _ordered(joined(parts, where=path), sources)
        pq.write_table(table, file, compression="zstd")


def _ordered(table: pa.Table, sources: Sequence[str]) -> pa.Table:
    """The rows by source, task, stage and candidate."""
    source_place = {key: place for place, key in enumerate(sources)}
    candidates = table.column(3).to_pylist()
    keys = []
    for (key, task, stage), candidate in zip(_keys(table), candidates, strict=True):
        path = tuple(map(int, task.split("/")))
        keys.append((source_place[key], path, stage_number(stage), candidate))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return table.take(pa.array(order, pa.int64()))


def _keys(table: pa.Table) -> Iterator[Key]:
    """Source, task and stage of each row."""
    sources, tasks, stages = (table.column(place).to_pylist() for place in range(3))
    return zip(sources, tasks, stages, strict=True)


def selection_of(entries: Sequence[SourceEntry]) -> SelectionCounts | None:
    """What selecting came to by the accounts of sources; None where nothing was selected."""
    usage: UsageByModel = {}
    dropped = fallback = rejected = 0
    for entry in entries:
        for account in entry.stages:
            usage = add_usage(usage, account.rejected_usage)
            dropped += account.filtered.get(DROPPED, 0)
            fallback += account.fallback
            rejected += account.rejected
    if not (dropped or fallback or rejected):
        return None
    return SelectionCounts(
        dropped=dropped, fallback=fallback, rejected=rejected, usage=usage
    )
