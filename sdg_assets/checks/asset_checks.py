"""Asset checks: that the files of a run are what the plan wants, and that the finished dataset is whole and good enough.

A run over a range yields one result for all of its row groups: Dagster takes no more than one per check and step.
"""

import re
from collections.abc import Iterator, Sequence

import dagster as dg
import orjson
import polars as pl
import pyarrow as pa

from sdg_assets.assets.catalog import DatasetRef
from sdg_assets.assets.spec import DatasetSpec
from sdg_assets.checks.rule_evaluation import Measured, measure
from sdg_assets.checks.rules import Rule
from sdg_assets.resources import store_of_run
from sdg_assets.wording import in_dagster
from sdg_core import api
from sdg_core.api import (
    DatasetPlan,
    RowGroupFinished,
    RowGroupState,
    RowGroupStatus,
    StorePath,
    finished_parts,
    format_ranges,
    row_group_key,
    scan_parts,
)
from sdg_core.errors import IncompleteError, SdgError

MATCH_PLAN = "row_groups_match_plan"
ALL_CURRENT = "row_groups_complete_and_current"
ROW_COUNT = "row_count_matches_plan"
MAX_SHOWN_FAULTS = 10
MAX_SHOWN_PARTIAL = 20


def row_groups_check(spec: DatasetSpec) -> dg.AssetCheckSpec:
    """The check that every run of the row groups evaluates."""
    return dg.AssetCheckSpec(
        MATCH_PLAN,
        asset=spec.row_groups_key,
        description="The files of a run have the rows, the schema and the fingerprint that the plan wants. Warns of records "
        "that have no row.",
    )


class RowGroupsCheck:
    """Gathers what a run's files say of themselves into one result."""

    def __init__(self, plan: DatasetPlan) -> None:
        self._plan = plan
        self._faults: list[str] = []
        self._row_groups = self._rows = self._lacking = 0
        self._partial: list[int] = []

    def add(self, event: RowGroupFinished, schema: pa.Schema) -> None:
        """Look at one finished file."""
        footer = event.footer
        group = event.group
        wanted = {
            "config_hash": (footer.config_hash, self._plan.fingerprint.config_hash),
            "start": (footer.start, group.start),
            "size": (footer.size, group.size),
        }
        self._faults += [
            f"row group {group.key}: {name} is {found}, not {expected}"
            for name, (found, expected) in wanted.items()
            if found != expected
        ]
        if not schema.remove_metadata().equals(self._plan.kept_schema):
            self._faults.append(f"row group {group.key}: its columns are {', '.join(map(str, schema))}")
        self._row_groups += 1
        self._rows += footer.num_rows
        self._lacking += len(footer.unfinished)
        if footer.unfinished:
            self._partial.append(group.index)

    def result(self) -> dg.AssetCheckResult:
        """The verdict over all files."""
        partial = ", ".join(row_group_key(index) for index in sorted(self._partial)[:MAX_SHOWN_PARTIAL])
        more = f" and {len(self._partial) - MAX_SHOWN_PARTIAL} more" if len(self._partial) > MAX_SHOWN_PARTIAL else ""
        remaining = (
            f"{self._lacking} records have no row, in row groups {partial}{more}: `failures` on the page of each says why; "
            "materializing it tries them again"
            if self._lacking
            else None
        )
        return dg.AssetCheckResult(
            check_name=MATCH_PLAN,
            passed=not self._faults and not self._lacking,
            severity=dg.AssetCheckSeverity.ERROR if self._faults else dg.AssetCheckSeverity.WARN,
            description="; ".join(self._faults[:MAX_SHOWN_FAULTS]) or remaining,
            metadata={
                "row_groups": self._row_groups,
                "rows": self._rows,
                "records_missing": self._lacking,
                "faults": len(self._faults),
            },
        )


def build_dataset_checks(spec: DatasetSpec) -> dg.AssetChecksDefinition:
    """The checks of the finished dataset: whole, and by the rules that its component declares."""
    rules = dict(spec.checks.rules()) if spec.checks is not None else {}
    specs = [
        dg.AssetCheckSpec(ALL_CURRENT, asset=spec.dataset_key, description="Every row group is made of this config."),
        dg.AssetCheckSpec(
            ROW_COUNT,
            asset=spec.dataset_key,
            description="A row for each record, but for those listed as failed or removed by a processor.",
        ),
        *(
            dg.AssetCheckSpec(name, asset=spec.dataset_key, description=_describe(rule), blocking=rule.blocking)
            for name, rule in rules.items()
        ),
    ]

    @dg.multi_asset_check(name=f"{spec.name}__dataset_checks", specs=specs, can_subset=True)
    def dataset_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        chosen = {key.name for key in context.selected_asset_check_keys}
        try:
            found = dict(check_dataset(spec.ref, rules=rules, chosen=chosen, root=store_of_run(context).root_of(spec)))
        except SdgError as error:
            raise dg.Failure(description=in_dagster(error), allow_retries=False) from None
        for name, measured in found.items():
            yield dg.AssetCheckResult(
                asset_key=spec.dataset_key,
                check_name=name,
                passed=measured.passed,
                description=measured.description,
                metadata={
                    **({"measured": measured.value} if measured.value is not None else {}),
                    **({"bound": measured.bound} if measured.bound else {}),
                    **measured.details,
                },
            )

    return dataset_checks


def check_dataset(
    dataset: DatasetRef, *, rules: dict[str, Rule], chosen: set[str], root: str | None
) -> Iterator[tuple[str, Measured]]:
    """The chosen checks of a dataset, measured. Raises SdgError if it cannot be opened."""
    opened = api.open_dataset(dataset.path, root=root, offline=True)
    statuses = api.row_group_statuses(opened) if chosen & {ALL_CURRENT, ROW_COUNT} else []
    if ALL_CURRENT in chosen:
        yield ALL_CURRENT, _all_current(statuses)
    declared = [(name, rule) for name, rule in rules.items() if name in chosen]
    if not declared and ROW_COUNT not in chosen:
        return
    with scan_parts(files_of_finished(opened)) as frame:
        if ROW_COUNT in chosen:
            yield ROW_COUNT, _row_count(opened, statuses, frame)
        for name, rule in declared:
            yield name, measure(rule, frame)


def files_of_finished(opened: api.Dataset) -> tuple[StorePath, ...]:
    """The files of the finished dataset. Raises IncompleteError if the version of this config is not finished."""
    sealed = api.seal_of(opened)
    parts = finished_parts(opened.layout) if sealed is not None else ()
    if sealed is None or not str(parts[0]).startswith(str(sealed.layout.processed_dataset)):
        raise IncompleteError(
            f"{opened.layout.directory} holds no finished dataset of this config",
            remedy=f"materialize {opened.name}/dataset",
        )
    return parts


def _all_current(statuses: Sequence[RowGroupStatus]) -> Measured:
    """Row groups that lack failed records only are not at fault: the row count judges those."""
    there = (RowGroupState.COMPLETE, RowGroupState.PARTIAL)
    others = [s for s in statuses if s.state not in there or (s.footer is not None and s.footer.size != s.group.size)]
    states = ", ".join(sorted({status.state.value for status in others}))
    return Measured(
        passed=not others,
        value=len(statuses) - len(others),
        bound=f"{len(statuses)} row groups",
        description=f"{states}: {format_ranges([status.group.index for status in others])}"
        if others
        else "all are there",
    )


def _row_count(opened: api.Dataset, statuses: Sequence[RowGroupStatus], frame: pl.LazyFrame) -> Measured:
    rows = int(frame.select(pl.len()).collect(engine="streaming").item())
    remaining = sum(len(status.remaining) for status in statuses)
    status = api.status(opened)
    failed = status.failed
    removed = sum(status.removed_by_processor.values())
    resized = sum(s.footer.num_rows for s in statuses if s.footer is not None) if opened.plan.resizes else None
    dropped = status.selection.dropped if status.selection is not None else 0
    expected = (resized if resized is not None else opened.plan.num_records - failed - dropped) - removed
    unlisted = remaining - failed
    return Measured(
        passed=rows == expected and not (unlisted and resized is None),
        value=rows,
        bound=f"exactly {expected}",
        description=f"{rows} rows; {opened.plan.num_records} records planned, {failed} listed as failed"
        + (f", {dropped} without a candidate that was kept" if dropped else "")
        + (f", {removed} removed by processors" if removed else ""),
        details={
            "records_missing": remaining,
            "failures_listed": failed,
            **({"records_dropped": dropped} if dropped else {}),
            **({"records_removed": removed} if removed else {}),
        },
    )


def _describe(rule: Rule) -> str:
    """A rule as its file says it: `category shares: column stars, shares {"5": {"at_least": 0.2}}`."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(rule).__name__).lower()
    settings = rule.model_dump(exclude_none=True, exclude_defaults=True)
    said = (
        f"{name} {v if isinstance(v, str) else orjson.dumps(v, default=str).decode()}" for name, v in settings.items()
    )
    return f"{words}: {', '.join(said)}"
