"""Writing a row group: its file, its failures, and then what the journal no longer needs."""

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from sdg_core.dataset.spending import SAMPLES
from sdg_core.execution.context import RunContext
from sdg_core.execution.journal_rows import (
    counted_cells,
    counted_in_footer,
    journal_spans,
)
from sdg_core.execution.open_row_group import HEAD_ROWS, OpenGroup, Rows
from sdg_core.ledger.journal import Journal
from sdg_core.plan.candidates import STRIDE
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.row_groups import RowGroup
from sdg_core.plan.usage import (
    UsageByColumn,
    UsageByModel,
    add_usage,
    add_usage_by_column,
)
from sdg_core.store.atomic import atomic_file
from sdg_core.store.failures import dump_failures, read_failures
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import utc_now
from sdg_core.store.rejected import read_rejected, write_rejected
from sdg_core.store.row_groups import (
    SCHEMA_VERSION,
    Footer,
    SelectedRows,
    merge_rows,
    read_dropped,
    read_rows,
    write_row_group,
)
from sdg_core.system.commit_guard import CommitGuard
from sdg_core.system.failpoints import failpoint


@dataclass(frozen=True)
class WrittenGroup:
    """A row group's file: its footer and its first rows, None where the file was left as it was."""

    footer: Footer
    head: pa.Table | None


def write_group(
    group: OpenGroup,
    version: VersionLayout,
    *,
    plan: DatasetPlan,
    run_id: str,
    commit_guard: CommitGuard = nullcontext,
    committing: CommitGuard = nullcontext,
) -> WrittenGroup:
    """Write a row group's files: failures and dropped columns first, the row-group file last, as the commit.

    Rows that an earlier run wrote stay as they are; the files become the union. `committing` is entered around the switch of the
    row-group file, `commit_guard` around those of the other files.
    """
    group.select()
    rows = group.rows()
    status = group.status
    old = status.footer
    if old is not None and old.num_rows:
        if not plan.all_or_nothing:
            rows = _with_existing(rows, old, version=version, plan=plan)
        elif not group.made:
            _write_failures(
                group,
                version,
                missing=frozenset(status.remaining),
                commit_guard=commit_guard,
            )
            return WrittenGroup(old, head=None)
    footer = _footer(group, rows, plan=plan, run_id=run_id)
    _write_failures(
        group, version, missing=frozenset(footer.unfinished), commit_guard=commit_guard
    )
    _write_rejected(group, old, version=version, plan=plan, commit_guard=commit_guard)
    if plan.dropped:
        dropped = rows.table.select(plan.dropped_schema.names)
        write_row_group(
            version.dropped(status.group.index),
            dropped,
            footer,
            commit_guard=commit_guard,
        )
        failpoint("group.after_dropped")
    kept = rows.table.select(plan.kept_schema.names)
    write_row_group(
        version.row_group(status.group.index), kept, footer, commit_guard=committing
    )
    first_rows = kept.slice(0, HEAD_ROWS)
    return WrittenGroup(footer, head=_copy(first_rows))


def _footer(group: OpenGroup, rows: Rows, *, plan: DatasetPlan, run_id: str) -> Footer:
    """What the file of these rows says of itself; usage is that of the file before and of now."""
    status = group.status
    old = status.footer
    everything = range(status.group.start, status.group.stop)
    present: Collection[int] = {*rows.records.tolist()}
    cells = group.counted | counted_cells(old)
    if plan.resizes and group.made:
        present = everything
        cells = set()
    selection = _selected(group, old)
    decided: Collection[int] = ()
    if not plan.resizes:
        decided = present if selection is None else {*present, *selection.exhausted}
    usage_before: UsageByModel = {}
    by_column_before: UsageByColumn = {}
    carried_before: Mapping[str, Mapping[str, int]] = {}
    if old is not None:
        usage_before = old.usage
        by_column_before = old.usage_by_column
        carried_before = old.carried
    missing = [record for record in everything if record not in present]
    return Footer(
        schema_version=SCHEMA_VERSION,
        dataset=plan.config.name,
        config_hash=plan.fingerprint.config_hash,
        column_hashes=dict(plan.fingerprint.column_hashes),
        row_group=status.group.index,
        start=status.group.start,
        size=status.group.size,
        missing=missing,
        resized=plan.resizes,
        rows=rows.table.num_rows if plan.resizes else None,
        usage=add_usage(usage_before, group.usage),
        usage_by_column=add_usage_by_column(by_column_before, group.usage_by_column),
        carried=add_usage(carried_before, group.carried_from),
        simulated=plan.simulated,
        counted=counted_in_footer(cells, leave_out=decided),
        created_at=utc_now(),
        run_id=run_id,
        selection=selection,
        waiting=group.waiting,
    )


def _copy(rows: pa.Table) -> pa.Table:
    """Some rows of a table, apart from the memory of the rest."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    with pa.ipc.open_stream(sink.getvalue()) as reader:
        return reader.read_all()


def _write_failures(
    group: OpenGroup,
    version: VersionLayout,
    *,
    missing: frozenset[int],
    commit_guard: CommitGuard,
) -> None:
    """List the failures of this run, and those of earlier ones that it has not got round to trying again."""
    path = version.failure_list(group.status.group.index)
    before = read_failures(path)
    failures = {}
    for failure in (*before, *group.every_failure):
        if failure.record in missing:
            failures[failure.record] = failure
    if failures or before:
        with atomic_file(path, commit_guard=commit_guard) as file:
            file.write(dump_failures(failures.values()))


def _selected(group: OpenGroup, old: Footer | None) -> SelectedRows | None:
    """What is known of the selection with what an earlier run has decided."""
    if group.selection is None:
        return None
    before = old.selection if old is not None else None
    return (
        group.selection.summary()
        if before is None
        else before + group.selection.summary()
    )


def _write_rejected(
    group: OpenGroup,
    old: Footer | None,
    *,
    version: VersionLayout,
    plan: DatasetPlan,
    commit_guard: CommitGuard,
) -> None:
    """List the rejected candidates of this run with those of records that an earlier run has decided."""
    if group.selection is None:
        return
    path = version.rejected_candidates(group.status.group.index)
    failed = [failure.record for failure in group.every_failure]
    rejected = group.selection.rejected(failed=failed)
    before = read_rejected(path, plan.schema)
    if old is not None:
        rejected = before.of([*old.records().tolist(), *old.exhausted]) + rejected
    if len(before.records) or len(rejected.records):
        write_rejected(path, rejected, commit_guard=commit_guard)


def _with_existing(
    rows: Rows, old: Footer, *, version: VersionLayout, plan: DatasetPlan
) -> Rows:
    kept = read_rows(version.row_group(old.row_group))
    records = old.records()
    if plan.dropped:
        dropped = read_dropped(version.dropped(old.row_group), records)
        for name in dropped.schema.names:
            kept = kept.append_column(name, dropped.column(name))
    merged, merged_records = merge_rows(
        kept.select(plan.schema.names), records, rows.table, rows.records
    )
    return Rows(merged_records, merged)


def _settle(
    journal: Journal,
    plan: DatasetPlan,
    footer: Footer,
    *,
    group: RowGroup,
    candidate: int,
) -> None:
    """Remove what the journal holds of one candidate of the records that the file decides."""
    behind = candidate * STRIDE
    remaining = frozenset(record + behind for record in footer.unfinished)
    for start, stop, columns in journal_spans(plan, group, candidate=candidate):
        if not (plan.resizes and remaining):
            journal.discard_committed(
                start=start, stop=stop, columns=columns, remaining=remaining
            )


def write_and_settle(context: RunContext, group: OpenGroup) -> WrittenGroup:
    """Write a row group's files, give its claim back, settle what the journal holds for it. Called in a thread.

    Raises ClaimLostError, before anything of it is visible, if another run has taken the row group over.
    """
    with group.lock:
        return _write_and_settle(context, group)


def _write_and_settle(context: RunContext, group: OpenGroup) -> WrittenGroup:
    claims = context.claims
    unit = group.status.group.key
    guard: CommitGuard = nullcontext
    releasing_guard: CommitGuard = nullcontext
    if claims is not None:
        guard = partial(claims.commit_guard, unit)
        releasing_guard = partial(claims.commit_guard, unit, release=True)
    written = write_group(
        group,
        context.version,
        plan=context.plan,
        run_id=context.run_id,
        commit_guard=guard,
        committing=releasing_guard,
    )
    failpoint("group.before_settle")
    if context.journal is not None:
        for candidate in range(group.candidate + 1):
            _settle(
                context.journal,
                context.plan,
                written.footer,
                group=group.status.group,
                candidate=candidate,
            )
        missing = frozenset(written.footer.missing)
        settled = {
            (record, name) for record, name in group.samples if record not in missing
        }
        context.journal.discard_cells(settled, version=SAMPLES)
    failpoint("group.after_settle")
    if claims is not None:
        claims.release([unit])
    return written
