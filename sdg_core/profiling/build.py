"""Making a report: the rows are measured, the facts gathered, and both written beside the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sdg_core.config.processors import SchemaTransformProcessor
from sdg_core.dataset.spending import DatasetSpending
from sdg_core.ledger.history import RunRecord
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.profiling.facts import describe_columns, gather_facts
from sdg_core.profiling.html import page
from sdg_core.profiling.outputs import Output, describe_outputs
from sdg_core.profiling.prompts import prompts_as_sent
from sdg_core.profiling.report import SCHEMA_VERSION, Report
from sdg_core.profiling.samples import sample_records, with_examples
from sdg_core.profiling.table import Described, profile_table
from sdg_core.profiling.variety import Variety, measure_variety
from sdg_core.store.atomic import read_or_none, write_atomic
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import Metadata, utc_now
from sdg_core.store.objects import StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.parts import resolve_parts, row_group_parts, scan_parts
from sdg_core.store.row_group_state import RowGroupStatus
from sdg_core.store.row_groups import SelectionCounts, count_selection, damage_errors


@dataclass(frozen=True)
class MadeReport:
    """A report and the path of its page."""

    report: Report
    path: StorePath


def make_report(
    plan: DatasetPlan,
    version: VersionLayout,
    metadata: Metadata,
    statuses: Sequence[RowGroupStatus],
    *,
    runs: Sequence[RunRecord],
    history_fault: str | None = None,
    spending: DatasetSpending | None = None,
    selection: SelectionCounts | None = None,
) -> Report:
    """Look at a version: at its finished dataset, or at the row groups there are so far. Writes nothing.

    history_fault: why the runs are not known. spending: what the dataset has cost, other versions and its upstream included.
    selection: what `select` came to, where the footers of `statuses` do not say.
    Raises IncompleteError if there is no row, StoreError.
    """
    stored = resolve_parts(version, metadata, statuses)
    described = describe_columns(plan)
    if selection is None:
        selection = count_selection(status.footer for status in statuses)
    facts = gather_facts(
        plan,
        version,
        metadata,
        statuses,
        stored,
        runs=runs,
        history_fault=history_fault,
        spending=spending or DatasetSpending(),
        selection=selection,
    )
    with (
        damage_errors(version.directory, remedy=stored.remedy),
        scan_parts(stored.parts) as frame,
    ):
        columns = profile_table(frame, described, rows=stored.num_rows)
        samples = sample_records(frame, rows=stored.num_rows)
        after = measure_variety(
            frame, described, columns, rows=stored.num_rows, stage="after"
        )
    before: tuple[Variety, ...] = ()
    if facts.removed and stored.finished:
        before = _variety_before(version, statuses, described)
    outputs: tuple[Output, ...] = ()
    if stored.finished:
        processors = plan.config.processors
        names = [
            each.name
            for each in processors
            if isinstance(each, SchemaTransformProcessor)
        ]
        outputs = describe_outputs(version, names)
    return Report(
        made_at=utc_now(),
        facts=facts,
        columns=with_examples(columns, samples),
        samples=samples,
        variety=(*before, *after),
        prompts=prompts_as_sent(plan, version, statuses),
        outputs=outputs,
    )


def _variety_before(
    version: VersionLayout,
    statuses: Sequence[RowGroupStatus],
    described: Sequence[Described],
) -> tuple[Variety, ...]:
    """How varied the row groups are, from which processors removed records."""
    stored = row_group_parts(version, statuses)
    with (
        damage_errors(version.directory, remedy=stored.remedy),
        scan_parts(stored.parts) as frame,
    ):
        columns = profile_table(frame, described, rows=stored.num_rows)
        return measure_variety(
            frame, described, columns, rows=stored.num_rows, stage="before"
        )


def write_report(
    version: VersionLayout, report: Report, *, output: str | Path | None = None
) -> MadeReport:
    """Write `report.json` and `report.html` beside the data, each whole; or the page only, at `output`. Raises StoreError."""
    if output is not None:
        return _write_page(Path(output).absolute(), report)
    made = _write_page(version.report_html, report)
    content = orjson.dumps(report.to_dict(), option=orjson.OPT_INDENT_2)
    write_atomic(version.report_json, content)
    return made


def _write_page(path: StorePath, report: Report) -> MadeReport:
    write_atomic(path, page(report).encode())
    return MadeReport(report, path)


def read_report(version: VersionLayout) -> Mapping[str, Any] | None:
    """The object in `report.json`; None if there is no readable one. Raises StoreError."""
    try:
        known = orjson.loads(read_or_none(version.report_json) or b"null")
    except orjson.JSONDecodeError:
        return None
    return (
        known
        if isinstance(known, dict) and known.get("schema_version") == SCHEMA_VERSION
        else None
    )


def is_of_finished(version: VersionLayout) -> bool:
    """Whether there is a report, and it is on the finished dataset."""
    known = read_report(version)
    return known is not None and known["source"] == "dataset"


def remove_report_of_finished(version: VersionLayout) -> None:
    """Remove the report unless it is one on row groups: the finished dataset that it speaks of goes. Raises StoreError."""
    known = read_report(version)
    if known is not None and known["source"] == "row_groups":
        return
    for path in (
        version.report_json,
        version.report_html,
    ):  # without the first there is none, whatever a crash leaves
        with store_errors("remove", path):
            path.unlink(missing_ok=True)
