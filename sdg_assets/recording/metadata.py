"""What the engine knows, as Dagster metadata. Numbers keep their names from event to event, so that they plot as series."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import orjson

from sdg_assets.recording.columns import (
    EVENT_COLUMNS,
    cell,
    descriptions_of,
    markdown_table,
    table_schema,
)
from sdg_assets.recording.inert import inert
from sdg_core import api
from sdg_core.counts import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_core.api import (
        DatasetPlan,
        DatasetSpending,
        Failure,
        Footer,
        ModelConfig,
        ProcessingResult,
        RowGroup,
        RowGroupFinished,
        SelectionCounts,
        StoredStatus,
        UsageByModel,
        VersionLayout,
    )

SAMPLE_ROWS = 5
MAX_SHOWN_FAILURES = 20
ALWAYS_COUNTED = ("requests", "prompt_tokens", "completion_tokens")
TABLE_COLUMNS = 6
BLOCK_COLUMNS = 20
PREVIEW_CHARACTERS = 1500
PREVIEW_VALUE = 160
"""A preview as blocks: of all records together, of one value."""
SUMMARISED_COLUMNS = 60
PLOTTED_MEANS = 20
PLOTTED_VARIETY = (
    "duplicates",
    "near_duplicates",
    "clusters",
    "distinct_1",
    "distinct_2",
    "length",
    "nearest",
    "score",
)


def data_version(footer: "Footer", *, version: str) -> str:
    """Identifies what a row-group file holds: the version directory it lies in, its record range, the records without a row.

    The first half is that of version and range alone, so that a sensor can compare it with a plan and read no file.
    """
    missing = ",".join(map(str, footer.missing))
    return _made_in(version, footer.start, footer.size) + _half_digest(missing)


def is_made_in(recorded: str | None, *, version: str, group: "RowGroup") -> bool:
    """Whether a recorded data version is that of a row group of this range in this version, whatever records it is missing."""
    return recorded is not None and recorded.startswith(
        _made_in(version, group.start, group.size)
    )


def finished_data_version(version: "VersionLayout") -> str:
    """Identifies what a finished dataset holds: its version directory and the content of its files."""
    return hashlib.sha256(
        f"{version.name}:{api.finished_digest(version)}".encode()
    ).hexdigest()


def is_made(footer: "Footer", plan: "DatasetPlan") -> bool:
    """Whether a file counts as made: it has a record, or there may be none (`run.max_missing_rate`). What only waits may not."""
    if not footer.nothing_made:
        return True
    return plan.config.run.max_missing_rate > 0 and footer.waiting < len(
        footer.unfinished
    )


def _made_in(version: str, start: int, size: int) -> str:
    return _half_digest(f"{version}:{start}:{size}")


def _half_digest(text: str) -> str:
    """128 bits: half a sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def upstream_tags(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]
) -> dict[str, str]:
    """What Dagster adds to the event of an output, and the events that we log ourselves lack: which data they were made from.

    Without these tags a partition shows as unsynced for having "a new dependency".
    """
    tags: dict[str, str] = {}
    for key in keys:
        version = None
        pointer = "NULL"
        for record in instance.fetch_materializations(key, limit=1).records:
            pointer = str(record.storage_id)
            event = record.asset_materialization
            if event is not None:
                version = (event.tags or {}).get("dagster/data_version")
        tags[f"dagster/input_data_version/{key.to_user_string()}"] = version or "NULL"
        tags[f"dagster/input_event_pointer/{key.to_user_string()}"] = pointer
    return tags


def row_group_metadata(
    event: "RowGroupFinished", rows: "pa.Table", plan: "DatasetPlan"
) -> dict[str, Any]:
    """The metadata of one row group's materialization. carried, replayed: cells that this run took from an earlier version or
    from the journal instead of paying for them."""
    footer = event.footer
    failures = _failures_of(event)
    if event.first_failure is not None:
        failures = {"first_failure": event.first_failure, **failures}
    return {
        "records_generated": event.generated,
        "records_failed": event.failed,
        "seconds": round(event.seconds, 3),
        **cost_metadata(
            footer.usage, plan.config.model_configs, simulated=footer.simulated
        ),
        **failures,
        "adopted": event.adopted,
        "carried": event.carried,
        "replayed": event.replayed,
        **file_metadata(footer, rows, plan, uri=event.path.as_uri()),
    }


def file_metadata(
    footer: "Footer", rows: "pa.Table", plan: "DatasetPlan", *, uri: str
) -> dict[str, Any]:
    """What a row-group file says of itself. `row_group` and `start` are text: as numbers Dagster would plot them.

    Thousands of events are stored, so a wide table has its columns in the definition's metadata only.
    """
    columns: dict[str, Any] = {"columns": str(len(rows.schema.names))}
    if len(rows.schema.names) <= EVENT_COLUMNS:
        descriptions = descriptions_of(plan.config, plan.seed_columns)
        columns = {"dagster/column_schema": table_schema(rows.schema, descriptions)}
    waiting = {"records_waiting": footer.waiting} if footer.waiting else {}
    first_rows = {"preview": preview(rows)} if rows.num_rows else {}
    return {
        "dagster/partition_row_count": footer.num_rows,
        "records_missing": len(footer.unfinished),
        **waiting,
        **selection_metadata(api.count_selection([footer]), plan.config.model_configs),
        **cost_metadata(
            footer.usage, plan.config.model_configs, simulated=footer.simulated
        ),
        **usage_metadata(footer.usage),
        **first_rows,
        "simulated": footer.simulated,
        "row_group": str(footer.row_group),
        "start": str(footer.start),
        "dagster/uri": uri,
        "config_fingerprint": footer.config_hash,
        **columns,
    }


def selection_metadata(
    selected: "SelectionCounts | None", models: "Sequence[ModelConfig]"
) -> dict[str, float]:
    """Records or tasks without a row, candidates that were rejected, and what those cost; nothing where nothing is selected."""
    if selected is None:
        return {}
    cost = api.totals(api.costs(selected.usage, models))
    metadata: dict[str, float] = {
        "records_dropped": selected.dropped,
        "candidates_rejected": selected.rejected,
    }
    for currency, amount in cost.items():
        metadata[f"cost_of_rejected/{currency}"] = amount
    return metadata


def usage_metadata(usage: "UsageByModel") -> dict[str, int]:
    """Usage summed over models, as numeric series; what is 0 (cached tokens, images) only where every model has it."""
    total: dict[str, int] = {}
    for counts in usage.values():
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return {
        f"usage/{name}": count
        for name, count in total.items()
        if count or name in ALWAYS_COUNTED
    }


def usage_by_model(usage: "UsageByModel") -> dg.MarkdownMetadataValue:
    """Usage per model as a table, without columns of zeros."""
    used: set[str] = set()
    for counts in usage.values():
        used.update(name for name, count in counts.items() if count)
    names = sorted(used)
    rows = []
    for alias, counts in usage.items():
        numbers = [f"{counts.get(name, 0):,}" for name in names]
        rows.append((alias, *numbers))
    headings = [name.replace("_", " ") for name in names]
    return markdown_table(("model", *headings), rows)


def cost_metadata(
    usage: "UsageByModel", models: "Sequence[ModelConfig]", *, simulated: bool
) -> dict[str, float]:
    """The cost per currency, where prices are configured, to a millionth. Of a rehearsal it is what it would cost."""
    name = "would_cost" if simulated else "cost"
    return _money(name, api.totals(api.costs(usage, models)))


def spending_metadata(
    spending: "DatasetSpending", *, simulated: bool
) -> dict[str, float]:
    """What a dataset has cost over all versions that its cells came from, and what the datasets above it have cost."""
    name = "would_cost_in_all" if simulated else "cost_in_all"
    total = spending.total if spending.earlier else {}
    return {**_money(name, total), **_money("upstream_cost", spending.upstream_total)}


def _money(name: str, amounts: Mapping[str, float]) -> dict[str, float]:
    return {
        f"{name}/{currency}": round(amount, 6) for currency, amount in amounts.items()
    }


def failure_table(failures: "Iterable[Failure]") -> dg.MarkdownMetadataValue:
    """What failed how often, the most frequent first."""
    found = ((failure.column, failure.kind, failure.message) for failure in failures)
    return failure_counts(found, ("records", "column"))


def failure_counts(
    failures: "Iterable[tuple[str, str, str]]", headings: tuple[str, str]
) -> dg.MarkdownMetadataValue:
    """A table of reasons, the most frequent first. headings: what failed, and where."""
    rows = [
        (reason.count, reason.column, reason.kind, reason.example)
        for reason in api.count_failures(failures)[:MAX_SHOWN_FAILURES]
    ]
    return markdown_table((*headings, "kind", "message"), rows)


def finished_metadata(
    result: "ProcessingResult", status: "StoredStatus", models: "Sequence[ModelConfig]"
) -> dict[str, Any]:
    """What the pages of finished datasets and pipelines have in common."""
    removed: dict[str, Any] = {}
    if result.removed_by_processor:
        removed["records_removed"] = sum(result.removed_by_processor.values())
    for name, count in result.removed_by_processor.items():
        removed[f"removed/{name}"] = count
    files = api.part_files(result.version.processed_dataset)
    usage = {"usage": usage_by_model(status.usage)} if status.usage else {}
    outputs = {}
    for path in result.outputs:
        outputs[f"output/{path.name}"] = dg.MetadataValue.path(str(path))
    return {
        "dagster/row_count": result.num_rows,
        **removed,
        **cost_metadata(status.usage, models, simulated=status.simulated),
        **report_metadata(result.version),
        "sample": preview(api.read_head(files[0], SAMPLE_ROWS)),
        **usage,
        **usage_metadata(status.usage),
        "simulated": status.simulated,
        "adopted": result.already_done,
        "dagster/uri": result.version.processed_dataset.as_uri(),
        **outputs,
        "config_fingerprint": status.config_hash,
    }


def report_metadata(version: "VersionLayout") -> dict[str, Any]:
    """Where the report of a finished dataset is, its columns in short, and the mean of each score; nothing without a report."""
    report = api.read_report(version)
    if report is None or report["source"] != "dataset":
        return {}
    place = version.report_html
    link: dg.MetadataValue[Any] = dg.MetadataValue.url(str(place))
    if isinstance(place, Path):
        link = dg.MetadataValue.path(str(place))
    columns = report["columns"]
    rows = [_column_row(column) for column in columns[:SUMMARISED_COLUMNS]]
    means = {}
    for column in columns:
        for score in column.get("scores", ()):
            if "mean" in score:
                means[f"mean/{column['name']}.{score['name']}"] = float(score["mean"])
    return {
        "report": link,
        "report_summary": markdown_table(
            ("column", "summary", "null", "distinct", "type"), rows
        ),
        **dict(list(means.items())[:PLOTTED_MEANS]),
        **_variety(report.get("variety", ())),
    }


def _variety(measured: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Duplicates, distinct n-grams, lengths, neighbours and scores, before and after processors, as numeric series."""
    series = {}
    for row in measured:
        for name in PLOTTED_VARIETY:
            if name in row:
                series[f"{row['stage']}/{row['column']}/{name}"] = float(row[name])
    return series


def _column_row(column: Mapping[str, Any]) -> tuple[object, ...]:
    """A column of a report as a row of the summary."""
    distinct = column.get("distinct")
    count = ""
    if distinct:
        about = "about " if distinct["approximate"] else ""
        count = f"{about}{distinct['count']:,}"
    return (
        column["name"],
        column["summary"],
        f"{column['nulls']:,}",
        count,
        cell(column["type"], width=40),
    )


def preview(table: "pa.Table") -> dg.MarkdownMetadataValue:
    """A few rows: a table where they fit into one, else a block of lines per record."""
    import pyarrow as pa

    names = table.schema.names
    records = table.to_pylist()
    has_nested = any(pa.types.is_nested(kind) for kind in table.schema.types)
    if len(names) <= TABLE_COLUMNS and not has_nested:
        head = [cell(name) for name in names]
        rows = [[*map(_shown, record.values())] for record in records]
        return markdown_table(head, rows)
    text = "\n\n".join(_blocks(records, names))
    return dg.MetadataValue.md(text)


def _blocks(
    records: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> Iterator[str]:
    """A record each, as long as there is room for it; the first is always there."""
    left = PREVIEW_CHARACTERS
    for number, record in enumerate(records, start=1):
        lines = [f"**Record {number}**", ""]
        for name in names[:BLOCK_COLUMNS]:
            value = cell(_shown(record[name]), width=PREVIEW_VALUE)
            lines.append(f"- **{inert(cell(name))}**: {inert(value)}")
        if len(names) > BLOCK_COLUMNS:
            lines.append(f"- and {counted(len(names) - BLOCK_COLUMNS, 'more column')}")
        block = "\n".join(lines)
        if number > 1 and len(block) > left:
            return
        left -= len(block)
        yield block


def _shown(value: object) -> object:
    """A value as a person reads it: what is nested, or no text, as JSON."""
    if value is None:
        return "null"
    if isinstance(value, dict | list | bool):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return value


def _failures_of(event: "RowGroupFinished") -> dict[str, Any]:
    """The failures of records that a row group still lacks."""
    version = api.VersionLayout(event.path.parent.parent)
    found = api.failures_of(
        version.failure_list(event.group.index), event.footer.unfinished
    )
    return {"failures": failure_table(found)} if found else {}
