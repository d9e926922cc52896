"""What a partition of a pipeline says of itself, as Dagster metadata."""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from sdg_assets.recording.columns import EVENT_COLUMNS, table_schema
from sdg_assets.recording.inert import without_images
from sdg_assets.recording.metadata import (
    cost_metadata,
    failure_counts,
    preview,
    selection_metadata,
    usage_metadata,
)
from sdg_core import api
from sdg_core.counts import counted

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_core.api.pipelines import (
        OpenPipeline,
        PartitionFinished,
        PartitionFooter,
        PipelineConfig,
    )

FIRST = (
    "rows",
    "sources",
    "sources_failed",
    "tasks_read",
    "tasks_filtered",
    "tasks_failed",
    "first_failure",
    "failures",
)
"""What one looks for, at the top of a partition's page."""
MAX_SHOWN_SOURCES = 20
"""Sources whose versions an event lists; a bucketed partition has thousands, and events are stored by the thousand."""


def sources_data_version(footer: "PartitionFooter", *, version: str) -> str:
    """Identifies the content: the version directory it lies in, and each source with its version and its failed tasks."""
    parts = []
    for entry in footer.sources:
        failed = sorted((failure.task, failure.stage) for failure in entry.failed)
        parts.append((entry.key, entry.version, failed))
    content = repr((version, parts)).encode("utf-8", "backslashreplace")
    return hashlib.sha256(content).hexdigest()


def partition_metadata(
    event: "PartitionFinished", rows: "pa.Table", pipeline: "OpenPipeline"
) -> dict[str, Any]:
    """The metadata of one partition's materialization."""
    found = sources_metadata(event.footer, rows, pipeline, uri=event.path.as_uri())
    first = {name: found[name] for name in FIRST if name in found}
    made = {
        "sources_made": len(event.made),
        "adopted": event.adopted,
        "replayed": event.replayed,
    }
    return {**first, **made, **found}


def sources_metadata(
    footer: "PartitionFooter", rows: "pa.Table", pipeline: "OpenPipeline", *, uri: str
) -> dict[str, Any]:
    """What the file of a partition says of itself."""
    failed: list[Any] = []
    filtered: Counter[str] = Counter()
    for entry in footer.sources:
        failed += entry.failed
        filtered.update(entry.filtered)
    models = pipeline.plan.config.model_configs
    states = [entry.state for entry in footer.sources]
    versions = {
        entry.locator: entry.version for entry in footer.sources[:MAX_SHOWN_SOURCES]
    }
    more = len(footer.sources) - len(versions)
    if more:
        versions["…"] = f"and {counted(more, 'more source')}"
    failures: dict[str, Any] = {}
    if failed:
        failures = {
            "first_failure": failed[0].message,
            "failures": _failure_table(footer),
        }
    columns: dict[str, Any] = {"columns": str(len(rows.schema.names))}
    if len(rows.schema.names) <= EVENT_COLUMNS:
        descriptions = pipeline_descriptions(pipeline.plan.config)
        columns = {"dagster/column_schema": table_schema(rows.schema, descriptions)}
    first_rows = {"preview": preview(rows)} if rows.num_rows else {}
    filtered_by = {f"filtered/{reason}": count for reason, count in filtered.items()}
    return {
        "dagster/partition_row_count": footer.num_rows,
        "rows": footer.num_rows,
        "sources": len(footer.sources),
        "sources_partial": states.count("partial"),
        "sources_failed": states.count("failed"),
        "sources_removed": len(footer.removed),
        "tasks_read": sum(entry.read for entry in footer.sources),
        "tasks_filtered": sum(filtered.values()),
        "tasks_failed": len(failed),
        **filtered_by,
        **failures,
        **selection_metadata(api.pipelines.selection_of(footer.sources), models),
        **usage_metadata(footer.usage),
        **cost_metadata(footer.usage, models, simulated=footer.simulated),
        **first_rows,
        "source_versions": versions,
        "simulated": footer.simulated,
        "dagster/uri": uri,
        "config_fingerprint": footer.config_hash,
        **columns,
    }


def pipeline_descriptions(config: "PipelineConfig") -> dict[str, str]:
    """What there is to say of the columns of a pipeline: where a row comes from, and what the stages say that make columns."""
    said = {
        "_source": "The source of the row.",
        "_task": "The row's position in the output of each stage.",
    }
    for stage in config.stages:
        if stage.stage == "columns":
            for column in stage.columns:
                if column.description is not None:
                    said[column.name] = without_images(column.description)
    return said


def _failure_table(footer: "PartitionFooter") -> Any:
    """What failed how often, the most frequent first."""
    found = []
    for entry in footer.sources:
        for failure in entry.failed:
            label = api.pipelines.stage_label(failure.stage)
            found.append((label, failure.kind, failure.message))
    return failure_counts(found, ("tasks", "stage"))
