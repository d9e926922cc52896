"""What the engine knows, as Dagster metadata."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from sdg_core.execution.events import RowGroupFinished
from sdg_core.store.metadata import UsageByModel
from sdg_core.store.row_groups import Footer, read_rows

PREVIEW_ROWS = 3
PREVIEW_WIDTH = 160


def data_version(footer: Footer) -> str:
    """Identifies the content that a row group should have: fingerprint and record range."""
    text = f"{footer.config_hash}:{footer.start}:{footer.size}"
    return hashlib.sha256(text.encode()).hexdigest()


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


def row_group_metadata(event: RowGroupFinished) -> dict[str, Any]:
    """The metadata of one row group's materialization."""
    footer = event.footer
    rows = read_rows(event.path)
    return {
        "dagster/partition_row_count": footer.num_rows,
        "dagster/uri": event.path.as_uri(),
        "dagster/column_schema": table_schema(rows.schema),
        "config_fingerprint": footer.config_hash,
        "row_group": footer.row_group,
        "start": footer.start,
        "records_missing": len(footer.missing),
        "adopted": event.adopted,
        "simulated": footer.simulated,
        "seconds": round(event.seconds, 3),
        **usage_metadata(footer.usage),
        **({"first_failure": event.first_failure} if event.first_failure is not None else {}),
        "preview": preview(rows),
    }


def usage_metadata(usage: UsageByModel) -> dict[str, int]:
    """Usage summed over models, as numeric series."""
    total: dict[str, int] = {}
    for counts in usage.values():
        for name, count in counts.items():
            total[f"usage/{name}"] = total.get(f"usage/{name}", 0) + count
    return total


def table_schema(schema: pa.Schema, descriptions: Mapping[str, str | None] | None = None) -> dg.TableSchema:
    """An Arrow schema as Dagster shows it."""
    described = descriptions or {}
    return dg.TableSchema(
        [dg.TableColumn(field.name, type=str(field.type), description=described.get(field.name)) for field in schema]
    )


def preview(table: pa.Table) -> dg.MarkdownMetadataValue:
    """The first rows as a small Markdown table."""
    names = table.schema.names
    rows = [[_cell(record[name]) for name in names] for record in table.slice(0, PREVIEW_ROWS).to_pylist()]
    lines = [names, ["---"] * len(names), *rows]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _cell(value: object) -> str:
    text = " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= PREVIEW_WIDTH else f"{text[: PREVIEW_WIDTH - 1]}…"


def path_metadata(path: Path) -> dg.PathMetadataValue:
    """A path that people can open."""
    return dg.MetadataValue.path(str(path))
