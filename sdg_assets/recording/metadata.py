"""What the engine knows, as Dagster metadata. Numbers keep their names from event to event, so that they plot as series."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from sdg_assets.recording.columns import cell, descriptions_of, markdown_table, table_schema
from sdg_core.api import (
    HEAD_ROWS,
    DatasetPlan,
    Failure,
    Footer,
    ModelConfig,
    RowGroup,
    RowGroupFinished,
    UsageByModel,
    VersionLayout,
    costs,
    failures_of,
    finished_digest,
    read_report,
    totals,
)

PREVIEW_ROWS = HEAD_ROWS
MAX_SHOWN_FAILURES = 20
SUMMARISED_COLUMNS = 60
PLOTTED_MEANS = 20


def data_version(footer: Footer, *, version: str) -> str:
    """Identifies what a row-group file holds: the version directory it lies in, its record range, the records without a row.

    The first half is that of version and range alone, so that a sensor can compare it with a plan and read no file.
    """
    missing = ",".join(map(str, footer.missing))
    return _made_in(version, footer.start, footer.size) + _half_digest(missing)


def is_made_in(recorded: str | None, *, version: str, group: RowGroup) -> bool:
    """Whether a recorded data version is that of a row group of this range in this version, whatever records it is missing."""
    return recorded is not None and recorded.startswith(_made_in(version, group.start, group.size))


def finished_data_version(version: VersionLayout) -> str:
    """Identifies what a finished dataset holds: its version directory and the content of its files."""
    return hashlib.sha256(f"{version.name}:{finished_digest(version)}".encode()).hexdigest()


def _made_in(version: str, start: int, size: int) -> str:
    return _half_digest(f"{version}:{start}:{size}")


def _half_digest(text: str) -> str:
    """128 bits: half a sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def upstream_tags(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> dict[str, str]:
    """What Dagster adds to the event of an output, and the events that we log ourselves lack: which data they were made from.

    Without these tags a partition shows as unsynced for having "a new dependency".
    """
    tags: dict[str, str] = {}
    for key in keys:
        record = next(iter(instance.fetch_materializations(key, limit=1).records), None)
        event = record.asset_materialization if record is not None else None
        version = (event.tags or {}).get("dagster/data_version") if event is not None else None
        tags[f"dagster/input_data_version/{key.to_user_string()}"] = version or "NULL"
        tags[f"dagster/input_event_pointer/{key.to_user_string()}"] = str(record.storage_id) if record else "NULL"
    return tags


def row_group_metadata(event: RowGroupFinished, rows: pa.Table, plan: DatasetPlan) -> dict[str, Any]:
    """The metadata of one row group's materialization. carried, replayed: cells that this run took from an earlier version or
    from the journal instead of paying for them."""
    return {
        **file_metadata(event.footer, rows, plan, uri=event.path.as_uri()),
        "adopted": event.adopted,
        "records_generated": event.generated,
        "records_failed": event.failed,
        "carried": event.carried,
        "replayed": event.replayed,
        "seconds": round(event.seconds, 3),
        **({"first_failure": event.first_failure} if event.first_failure is not None else {}),
        **_failures_of(event),
    }


def file_metadata(footer: Footer, rows: pa.Table, plan: DatasetPlan, *, uri: str) -> dict[str, Any]:
    """What a row-group file says of itself."""
    return {
        "dagster/partition_row_count": footer.num_rows,
        "dagster/uri": uri,
        "dagster/column_schema": table_schema(rows.schema, descriptions_of(plan.config)),
        "config_fingerprint": footer.config_hash,
        "row_group": footer.row_group,
        "start": footer.start,
        "records_missing": len(footer.missing),
        "simulated": footer.simulated,
        **usage_metadata(footer.usage),
        **cost_metadata(footer.usage, plan.config.model_configs),
        "preview": preview(rows),
    }


def usage_metadata(usage: UsageByModel) -> dict[str, int]:
    """Usage summed over models, as numeric series."""
    total: dict[str, int] = {}
    for counts in usage.values():
        for name, count in counts.items():
            total[f"usage/{name}"] = total.get(f"usage/{name}", 0) + count
    return total


def usage_by_model(usage: UsageByModel) -> dg.MarkdownMetadataValue:
    """Usage per model as a table."""
    names = sorted({name for counts in usage.values() for name in counts})
    rows = [(alias, *(counts.get(name, 0) for name in names)) for alias, counts in usage.items()]
    return markdown_table(("model", *names), rows)


def cost_metadata(usage: UsageByModel, models: Sequence[ModelConfig]) -> dict[str, float]:
    """The cost per currency, where prices are configured."""
    return {f"cost/{currency}": amount for currency, amount in totals(costs(usage, models)).items()}


def failure_table(failures: Iterable[Failure]) -> dg.MarkdownMetadataValue:
    """What failed how often, the most frequent first."""
    counts = Counter((failure.column, failure.kind, failure.message) for failure in failures)
    rows = [(*what, count) for what, count in counts.most_common(MAX_SHOWN_FAILURES)]
    return markdown_table(("column", "kind", "message", "records"), rows)


def report_metadata(version: VersionLayout) -> dict[str, Any]:
    """Where the report of a finished dataset is, its columns in short, and the mean of each score; nothing without a report."""
    report = read_report(version)
    if report is None or report["source"] != "dataset":
        return {}
    place = version.report_html
    columns = report["columns"]
    rows = [_column_row(column) for column in columns[:SUMMARISED_COLUMNS]]
    means = {
        f"mean/{column['name']}.{score['name']}": float(score["mean"])
        for column in columns
        for score in column.get("scores", ())
        if "mean" in score
    }
    return {
        "report": dg.MetadataValue.path(str(place)) if isinstance(place, Path) else dg.MetadataValue.url(str(place)),
        "report_summary": markdown_table(("column", "type", "null", "distinct", "summary"), rows),
        **dict(list(means.items())[:PLOTTED_MEANS]),
    }


def _column_row(column: Mapping[str, Any]) -> tuple[object, ...]:
    """A column of a report as a row of the summary."""
    distinct = column.get("distinct")
    count = f"{'about ' if distinct['approximate'] else ''}{distinct['count']:,}" if distinct else ""
    return column["name"], cell(column["type"], width=40), f"{column['nulls']:,}", count, column["summary"]


def preview(table: pa.Table, *, rows: int = PREVIEW_ROWS) -> dg.MarkdownMetadataValue:
    """The first rows as a small Markdown table."""
    names = table.schema.names
    records = table.slice(0, rows).to_pylist()
    return markdown_table([cell(name) for name in names], [[record[name] for name in names] for record in records])


def _failures_of(event: RowGroupFinished) -> dict[str, Any]:
    """The failures of records that a row group still lacks."""
    version = VersionLayout(event.path.parent.parent)
    found = failures_of(version.failure_list(event.group.index), event.footer.missing)
    return {"failures": failure_table(found)} if found else {}
