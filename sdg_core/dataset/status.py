"""A dataset's state for people and programs, and what a pipeline's has of it: what `sdg status` shows. Looking makes nothing."""

from dataclasses import dataclass, field, fields
from typing import Any

from sdg_core.counts import records_text
from sdg_core.dataset.estimates import Comparison, compare
from sdg_core.dataset.handle import Dataset, measured_version, scan_version
from sdg_core.dataset.ledger import latest_runs
from sdg_core.dataset.resume import last_row_groups, records_reached
from sdg_core.dataset.spending import DatasetSpending, spending_of
from sdg_core.ledger.history import RunRecord
from sdg_core.plan.usage import Cost, UsageByColumn, UsageByModel, costs
from sdg_core.store.failures import Failure, FailureCount, count_failures, failures_of
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import Metadata
from sdg_core.store.row_group_state import RowGroupState, keys_by_state
from sdg_core.store.row_groups import (
    Footer,
    SelectionCounts,
    carried_by,
    count_selection,
    total_usage,
)
from sdg_core.store.version_list import VersionInfo, list_versions

MAX_SHOWN_FAILURES = 5
MAX_SHOWN_RUNS = 5


@dataclass(frozen=True, kw_only=True)
class StoredStatus:
    """What is on disk of a dataset, or of a pipeline.

    versions: the names of all there are. version_details: the same, the one changed last first.
    runs: the latest, newest first, as far as the ledger knows.
    usage, cost: of this version's files; cost per model alias, as far as prices are configured.
    faults: what is wrong with each corrupt file.
    other_place: another directory that holds data of this name, where this one holds none.
    """

    directory: str
    version: str
    exists: bool
    config_hash: str
    versions: tuple[str, ...]
    version_details: tuple[VersionInfo, ...]
    runs: tuple[RunRecord, ...]
    usage: UsageByModel
    cost: dict[str, Cost]
    simulated: bool
    sealed: bool
    post_generation_state: str
    faults: tuple[str, ...]
    other_place: str | None = None

    @classmethod
    def common(
        cls, dataset: Dataset, version: VersionLayout, metadata: Metadata | None
    ) -> dict[str, Any]:
        """The fields that follow from a version and the ledger alone."""
        other = dataset.layout.other_place()
        sealed = False
        post_generation_state = "none"
        if metadata is not None:
            sealed = metadata.sealed
            post_generation_state = metadata.post_generation_state
        return {
            "directory": str(version.directory),
            "version": version.name,
            "exists": metadata is not None,
            "config_hash": dataset.plan.fingerprint.config_hash,
            "versions": tuple(dataset.layout.versions()),
            "version_details": list_versions(dataset.layout, matching=version.name),
            "runs": tuple(latest_runs(dataset, at_most=MAX_SHOWN_RUNS)),
            "simulated": dataset.plan.simulated,
            "sealed": sealed,
            "post_generation_state": post_generation_state,
            "other_place": str(other) if other is not None else None,
        }

    def common_dict(self) -> dict[str, Any]:
        """The fields of every status as plain data."""
        data = {item.name: getattr(self, item.name) for item in fields(StoredStatus)}
        data["versions"] = list(self.versions)
        data["version_details"] = [
            version.to_dict() for version in self.version_details
        ]
        data["runs"] = [dict(vars(run)) for run in self.runs]
        data["faults"] = list(self.faults)
        data["cost"] = {alias: vars(cost) for alias, cost in self.cost.items()}
        return data


@dataclass(frozen=True, kw_only=True)
class DatasetStatus(StoredStatus):
    """The stored state of a dataset compared with its plan.

    states: keys of the row groups in each state. records: rows in trusted files. remaining: planned records without a
    row; waiting: remaining records that wait for deferred replies, by row-group key.
    failed: records with a recorded failure.
    carried: cells reused from earlier versions, by version and column. retry_reasons: why requests were retried, by
    model alias. spending: the cost of the dataset, including replies in the journal and earlier versions.
    kept_by_processor, removed_by_processor: record counts of the finished dataset's processors; removed records have
    not failed.
    selection: counts of `select`; None without it. rejected_cost: cost of rejected candidates, included in `cost`.
    estimate: the estimate from before the run, compared with actual usage. resized: functions change the number of
    rows.
    least_num_records: the smallest num_records that can resume, if it was set below what the version holds; otherwise
    None.
    """

    dataset: str
    target_num_records: int
    row_group_size: int
    states: dict[RowGroupState, tuple[str, ...]]
    records: int
    failed: int
    failure_counts: tuple[FailureCount, ...]
    usage_by_column: UsageByColumn
    remaining: int
    kept_by_processor: dict[str, int]
    removed_by_processor: dict[str, int]
    carried: dict[str, dict[str, int]] = field(default_factory=dict)
    retry_reasons: dict[str, dict[str, int]] = field(default_factory=dict)
    spending: DatasetSpending = field(default_factory=DatasetSpending)
    selection: SelectionCounts | None = None
    rejected_cost: dict[str, Cost] = field(default_factory=dict)
    estimate: Comparison | None = None
    waiting: dict[str, int] = field(default_factory=dict)
    resized: bool = False
    least_num_records: int | None = None

    @property
    def records_text(self) -> str:
        """The number of records of the planned number, and what to do if there are more."""
        text = records_text(
            self.records, target=self.target_num_records, resized=self.resized
        )
        if self.least_num_records is None or self.sealed:
            return text
        return f"{text}; to generate, set it to {self.least_num_records:,} or more, or use --resume never"

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as `sdg status --json` prints it."""
        data = {**vars(self), **self.common_dict()}
        data["states"] = {}
        for state in RowGroupState:
            keys = list(self.states[state])
            data["states"][state.value] = {"count": len(keys), "keys": keys}
        rejected_cost = {
            alias: vars(cost) for alias, cost in data.pop("rejected_cost").items()
        }
        data["selection"] = None
        if self.selection is not None:
            data["selection"] = {**vars(self.selection), "cost": rejected_cost}
        data["records"] = {
            "target": self.target_num_records,
            "actual": self.records,
            "remaining": data.pop("remaining"),
            "waiting": sum(self.waiting.values()),
        }
        data["waiting"] = {"count": len(self.waiting), "keys": list(self.waiting)}
        data["records"]["lacking"] = data["records"]["remaining"]  # the name before 0.2
        data |= data.pop("spending").to_dict()
        data["estimate"] = (
            self.estimate.to_dict() if self.estimate is not None else None
        )
        messages = []
        for found in self.failure_counts:
            text = f"{found.column}: {found.message}"
            messages.append({"message": text, "count": found.count})
        data["failures"] = {"count": data.pop("failed"), "messages": messages}
        return data


def describe(dataset: Dataset) -> DatasetStatus:
    """Put together what the files say, and the ledger of earlier runs. Raises a MetadataError if that cannot be told."""
    plan = dataset.plan
    version, metadata = measured_version(dataset)
    statuses = scan_version(dataset, version)
    failures: list[Failure] = []
    for status in statuses:
        listed = version.failure_list(status.group.index)
        failures += failures_of(listed, status.remaining)
    reasons = count_failures(
        (each.column, each.kind, each.message) for each in failures
    )
    footers = [status.footer for status in statuses if status.footer is not None]
    usage, by_column = total_usage(footers)
    selection = count_selection(footers)
    last = last_row_groups(version, plan)
    least = records_reached(last, plan)
    records = sum(footer.num_rows for footer in footers)
    for index, found in last.items():
        if index >= len(plan.row_groups) and isinstance(found, Footer):
            records += found.num_rows
    remaining = sum(len(status.remaining) for status in statuses)
    waiting = {
        each.group.key: each.num_waiting for each in statuses if each.num_waiting
    }
    faults = []
    for status in statuses:
        if status.reason is not None:
            faults.append(f"row group {status.group.key}: {status.reason}")
    rejected_cost: dict[str, Cost] = {}
    if selection is not None:
        rejected_cost = costs(selection.usage, plan.config.model_configs)
    kept_by_processor: dict[str, int] = {}
    removed_by_processor: dict[str, int] = {}
    retry_reasons: dict[str, dict[str, int]] = {}
    if metadata is not None:
        kept_by_processor = dict(metadata.kept_by_processor)
        removed_by_processor = dict(metadata.removed_by_processor)
        retry_reasons = metadata.retry_reasons
    spending = spending_of(dataset, version, footers)
    return DatasetStatus(
        **StoredStatus.common(dataset, version, metadata),
        dataset=plan.config.name,
        target_num_records=plan.num_records,
        row_group_size=plan.config.row_group_size,
        states=keys_by_state(statuses),
        records=records,
        resized=plan.resizes,
        least_num_records=least if least > plan.num_records else None,
        failed=len(failures),
        failure_counts=tuple(reasons[:MAX_SHOWN_FAILURES]),
        usage=usage,
        usage_by_column=by_column,
        cost=costs(usage, plan.config.model_configs),
        remaining=remaining,
        waiting=waiting,
        faults=tuple(faults),
        kept_by_processor=kept_by_processor,
        removed_by_processor=removed_by_processor,
        carried=carried_by(footers),
        retry_reasons=retry_reasons,
        spending=spending,
        estimate=compare(metadata, footers, spending.own),
        selection=selection,
        rejected_cost=rejected_cost,
    )
