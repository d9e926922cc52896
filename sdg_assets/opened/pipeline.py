"""A pipeline as Dagster looks at it: partitions of sources, measured against the sources that there are now."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg

from sdg_assets.opened.base import Opened, RowCounts
from sdg_assets.recording.columns import table_schema
from sdg_assets.recording.metadata import finished_metadata, selection_metadata
from sdg_assets.recording.sources import (
    pipeline_descriptions,
    sources_data_version,
    sources_metadata,
)
from sdg_core import api
from sdg_core.counts import counted

if TYPE_CHECKING:
    from sdg_core.api import Observer, ProcessingResult, VersionLayout
    from sdg_core.api.pipelines import OpenPipeline, PartitionStatus


class OpenedPipeline(Opened):
    """A pipeline, its sources and its partitions."""

    unit = "sources"

    def __init__(self, pipeline: "OpenPipeline") -> None:
        self.pipeline = pipeline

    @cached_property
    def dataset(self) -> "api.Dataset":
        """See the base class."""
        return self.pipeline.as_dataset()

    @cached_property
    def _found(self) -> "tuple[VersionLayout, Sequence[PartitionStatus]]":
        _, layout, statuses = api.pipelines.measured(self.pipeline)
        return layout, statuses

    @property
    def version(self) -> "VersionLayout":
        """See the base class."""
        return self._found[0]

    def _measured(self) -> "Sequence[PartitionStatus]":
        return self._found[1]

    def data_version(self, partition: Any) -> str | None:
        """See the base class."""
        if partition.footer is None:
            return None
        return sources_data_version(partition.footer, version=self.version.name)

    def stale(self, recorded: Mapping[str, str | None]) -> Sequence[str]:
        """See the base class. What only failed before is not stale."""
        found = []
        for status in self._measured():
            if status.key not in recorded:
                continue
            if status.changed or self.data_version(status) != recorded[status.key]:
                found.append(status.key)
        return found

    def file_metadata(self, partition: Any) -> dict[str, Any]:
        """See the base class."""
        path = self.version.row_group(partition.index)
        return sources_metadata(
            partition.footer,
            api.read_head(path, api.HEAD_ROWS),
            self.pipeline,
            uri=path.as_uri(),
        )

    def check_complete(self) -> None:
        """See the base class."""
        api.pipelines.check_complete(self._measured(), allow_missing=False)

    def process(
        self,
        *,
        allow_missing: bool = False,
        max_missing_rate: float | None = None,
        on_event: "Observer",
    ) -> "ProcessingResult":
        """See the base class; pipelines have no `max_missing_rate`."""
        return api.pipelines.process(
            self.pipeline, allow_missing=allow_missing, on_event=on_event
        )

    def finished_metadata(
        self, result: "ProcessingResult", *, partitioned: dg.AssetKey
    ) -> dict[str, Any]:
        """See the base class."""
        status = api.pipelines.status(self.pipeline)
        states = status.source_states()
        models = self.pipeline.plan.config.model_configs
        descriptions = pipeline_descriptions(self.pipeline.plan.config)
        rows = api.read_head(
            api.part_files(result.version.processed_dataset)[0], api.HEAD_ROWS
        )
        lineage = {
            name: [dg.TableColumnDep(partitioned, name)] for name in rows.schema.names
        }
        sources = [
            name
            for state, names in states.items()
            if state != "removed"
            for name in names
        ]
        partitions = [
            status for status in self._measured() if status.footer is not None
        ]
        return {
            "dagster/row_count": result.num_rows,
            "sources": len(sources),
            "sources_missing": len(states["missing"]),
            "sources_partial": len(states["partial"]),
            "sources_failed": len(states["failed"]),
            "tasks_failed": sum(len(entry.failed) for entry in status.entries),
            **selection_metadata(status.selection, models),
            **finished_metadata(result, status, models),
            "partitions": len(partitions),
            "dagster/column_schema": table_schema(rows.schema, descriptions),
            "dagster/column_lineage": dg.TableColumnLineage(lineage),
        }

    def row_counts(self) -> RowCounts:
        """The rows of every partition, but for those that a processor removed."""
        statuses = self._measured()
        footers = [status.footer for status in statuses if status.footer is not None]
        rows = sum(footer.num_rows for footer in footers)
        sealed = self.seal
        removed = 0
        if sealed is not None and sealed.metadata is not None:
            removed = sum(sealed.metadata.removed_by_processor.values())
        words = f"{counted(rows, 'row')} in {counted(len(statuses), 'partition')}"
        details = {}
        if removed:
            words += f", {removed} removed by processors"
            details["records_removed"] = removed
        return RowCounts(rows - removed, unlisted=0, words=words, details=details)
