"""A dataset as Dagster looks at it: row groups, measured against its plan."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from sdg_assets.opened.base import Opened, RowCounts
from sdg_assets.recording.columns import (
    descriptions_of,
    lineage_metadata,
    row_groups_lineage,
    table_schema,
)
from sdg_assets.recording.metadata import (
    data_version,
    failure_table,
    file_metadata,
    finished_metadata,
    is_made,
    is_made_in,
    selection_metadata,
    spending_metadata,
)
from sdg_core import api
from sdg_core.counts import counted

if TYPE_CHECKING:
    from sdg_core.api import (
        Failure,
        Observer,
        ProcessingResult,
        RowGroupStatus,
        VersionLayout,
    )


class OpenedDataset(Opened):
    """A dataset and its row groups."""

    unit = "records"

    def __init__(self, dataset: "api.Dataset") -> None:
        self._dataset = dataset

    @property
    def dataset(self) -> "api.Dataset":
        """See the base class."""
        return self._dataset

    @property
    def version(self) -> "VersionLayout":
        """See the base class. Raises a MetadataError."""
        return api.measured_version(self.dataset)[0]

    def _measured(self) -> "Sequence[RowGroupStatus]":
        return api.row_group_statuses(self.dataset)

    def data_version(self, partition: Any) -> str | None:
        """See the base class."""
        footer = partition.footer
        if footer is None or not is_made(footer, self.dataset.plan):
            return None
        return data_version(footer, version=self.version.name)

    def stale(self, recorded: Mapping[str, str | None]) -> Sequence[str]:
        """See the base class; by the plan alone, so thousands of files are not looked at."""
        name = self.version.name
        keys = []
        for group in self.dataset.plan.row_groups:
            if group.key in recorded:
                if not is_made_in(recorded[group.key], version=name, group=group):
                    keys.append(group.key)
        return keys

    def file_metadata(self, partition: Any) -> dict[str, Any]:
        """See the base class."""
        path = self.version.row_group(partition.index)
        return file_metadata(
            partition.footer,
            api.read_head(path, api.HEAD_ROWS),
            self.dataset.plan,
            uri=path.as_uri(),
        )

    def lineage(self, upstream: Sequence[dg.AssetKey]) -> dict[str, Any]:
        """The columns of the seed data behind each column."""
        return {**lineage_metadata(self.dataset.plan, upstream)}

    def check_complete(self) -> None:
        """See the base class."""
        api.check_complete(self._measured(), self.dataset.plan, allow_missing=False)

    def process(
        self,
        *,
        allow_missing: bool = False,
        max_missing_rate: float | None = None,
        on_event: "Observer",
    ) -> "ProcessingResult":
        """See the base class."""
        opened = self.dataset
        if max_missing_rate is not None:
            settings = opened.plan.config.run.model_copy(
                update={"max_missing_rate": max_missing_rate}
            )
            opened = replace(opened, plan=opened.plan.with_settings(settings))
        return api.process(opened, allow_missing=allow_missing, on_event=on_event)

    def finished_metadata(
        self, result: "ProcessingResult", *, partitioned: dg.AssetKey
    ) -> dict[str, Any]:
        """See the base class."""
        plan = self.dataset.plan
        statuses = self._measured()
        status = api.status(self.dataset)
        failures: list[Failure] = []
        for item in statuses:
            path = result.version.failure_list(item.group.index)
            failures += api.failures_of(path, item.remaining)
        failed: dict[str, Any] = {}
        if failures:
            failed["failures"] = failure_table(failures)
        descriptions = descriptions_of(plan.config, plan.seed_columns)
        row_groups = 0
        for state, keys in status.states.items():
            if state is not api.RowGroupState.MISSING:
                row_groups += len(keys)
        return {
            "dagster/row_count": result.num_rows,
            "records_missing": status.remaining,
            "records_failed": status.failed,
            **selection_metadata(status.selection, plan.config.model_configs),
            **failed,
            **finished_metadata(result, status, plan.config.model_configs),
            **spending_metadata(status.spending, simulated=plan.simulated),
            "row_groups": row_groups,
            "dagster/column_schema": table_schema(plan.kept_schema, descriptions),
            "dagster/column_lineage": row_groups_lineage(plan, partitioned),
        }

    def row_counts(self) -> RowCounts:
        """A row for each record, but for those that failed, were not kept by `select`, or were removed by a processor."""
        plan = self.dataset.plan
        statuses = self._measured()
        remaining = sum(len(status.remaining) for status in statuses)
        status = api.status(self.dataset)
        removed = sum(status.removed_by_processor.values())
        dropped = status.selection.dropped if status.selection is not None else 0
        if plan.resizes:
            footers = [each.footer for each in statuses if each.footer is not None]
            rows = sum(footer.num_rows for footer in footers)
            unlisted = 0
        else:
            rows = plan.num_records - status.failed - dropped
            unlisted = remaining - status.failed
        words = f"{counted(plan.num_records, 'record')} planned, {status.failed} listed as failed"
        details = {"records_missing": remaining, "failures_listed": status.failed}
        if dropped:
            words += f", {dropped} with no candidate kept"
            details["records_dropped"] = dropped
        if removed:
            words += f", {removed} removed by processors"
            details["records_removed"] = removed
        return RowCounts(
            rows - removed, unlisted=unlisted, words=words, details=details
        )
