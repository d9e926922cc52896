"""What a partition's file becomes: the rows it has, those that were made now, and the account of every source. Writes nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from sdg_core.pipelines.handle import OpenPipeline, PartitionStatus
from sdg_core.pipelines.source_run import row_values
from sdg_core.pipelines.store import (
    PartitionFooter,
    SourceEntry,
    SourcesLayout,
    joined,
    to_table,
)
from sdg_core.pipelines.tasks import SourceResult, Task
from sdg_core.plan.compile import columns_dropped_by
from sdg_core.plan.usage import UsageByModel, add_usage
from sdg_core.store.metadata import utc_now


def build_partition(
    pipeline: OpenPipeline,
    status: PartitionStatus,
    results: Mapping[str, SourceResult],
    *,
    made: Mapping[str, pa.Table],
    tables: Mapping[str, pa.Table],
    run_id: str,
    layout: SourcesLayout,
) -> tuple[pa.Table, PartitionFooter]:
    """The rows and the footer of a partition.

    made: the rows of sources that were made now. tables: the rows that the file has, by source.
    Raises StoreError if columns of its sources cannot stand in one file.
    """
    plan = pipeline.plan
    before = status.footer
    entries: dict[str, SourceEntry] = {}
    usage: UsageByModel = {}
    carried: UsageByModel = {}
    removed: list[Mapping[str, Any]] = []
    if before is not None:
        entries = {entry.key: entry for entry in before.sources}
        usage = before.usage
        carried = before.carried
        removed = [item for item in before.removed if item["key"] not in results]
    found: list[SourceEntry] = []
    parts: list[pa.Table] = []
    for key, _ in status.partition.sources:
        if key not in pipeline.sources:
            continue
        table = tables.get(key)
        entry = entries.get(key)
        result = results.get(key)
        if result is not None:
            table = _merged(made[key], table if result.extends else None)
            entry = _entry(result, table.num_rows)
            usage = add_usage(usage, result.usage)
            carried = add_usage(carried, result.carried)
        if entry is not None and table is not None:
            found.append(entry)
            parts.append(table)
    for key in status.removed:
        gone = entries[key]
        removed.append({"key": key, "locator": gone.locator, "version": gone.version})
    footer = PartitionFooter(
        dataset=pipeline.name,
        config_hash=plan.fingerprint.config_hash,
        column_hashes=plan.fingerprint.column_hashes,
        partition=status.partition.key,
        sources=tuple(found),
        removed=tuple(removed),
        usage=usage,
        simulated=plan.shell.simulated,
        created_at=utc_now(),
        run_id=run_id,
        carried=carried,
    )
    return joined(parts, where=layout.row_group(status.partition.index)), footer


def rows_of(pipeline: OpenPipeline, key: str, tasks: Sequence[Task]) -> pa.Table:
    """Finished tasks of a source as the rows that are written. Raises StoreError."""
    plan = pipeline.plan
    rows = [row_values(task, key, lineage=plan.config.sink.lineage) for task in tasks]
    return to_table(rows, sink_columns(pipeline, rows), plan.types)


def sink_columns(
    pipeline: OpenPipeline, rows: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The columns that are written, in order: those of `sink.columns`, or all that tasks have, but for dropped ones."""
    plan = pipeline.plan
    lineage = ["_source", "_task"] if plan.config.sink.lineage else []
    if plan.config.sink.columns is not None:
        names = [*plan.config.sink.columns]
    else:
        seen: dict[str, None] = {}
        for row in rows:
            seen.update(dict.fromkeys(row))
        names = [
            name for name in seen if name not in plan.dropped and name not in lineage
        ]
    dropped = columns_dropped_by(plan.config.processors, names)
    kept = [name for name in names if name not in dropped]
    return [*kept, *lineage]


def _merged(new: pa.Table, old: pa.Table | None) -> pa.Table:
    """Rows that were there and rows that were made now, in the order of their tasks."""
    if old is None or not old.num_rows:
        return new
    if not new.num_rows:
        return old
    table = joined([old, new], where=None)
    names = table.column("_task").to_pylist()
    paths = [tuple(map(int, name.split("/"))) for name in names]
    order = sorted(range(len(paths)), key=paths.__getitem__)
    return table.take(pa.array(order))


def _entry(result: SourceResult, rows: int) -> SourceEntry:
    return SourceEntry(
        key=result.key,
        locator=result.locator,
        version=result.version,
        state=result.state,
        rows=rows,
        read=result.read,
        filtered=result.filtered,
        failed=tuple(result.failed),
        stages=tuple(result.accounts),
        runs=tuple(result.runs),
    )
