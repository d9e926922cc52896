"""What is left to do when a run ends early: save what is finished of open row groups, and tell the reason."""

from collections.abc import Iterable

from sdg_core.counts import counted
from sdg_core.dataset.events import Notice, RowGroupSaved
from sdg_core.errors import LedgerError, SdgError, StoreError
from sdg_core.execution.context import RunContext
from sdg_core.execution.open_row_group import OpenGroup
from sdg_core.execution.write_row_group import write_and_settle
from sdg_core.plan.row_groups import format_ranges


def save_open_groups(context: RunContext, groups: Iterable[OpenGroup]) -> None:
    """Write what is known of groups that are still open: finished records, failures, and what they have cost.

    What cannot be written is reported and passed over: the reason for which the run ends matters more.
    """
    lost: dict[int, StoreError | LedgerError] = {}
    records = 0
    for group in sorted(groups, key=lambda group: group.status.group.index):
        index = group.status.group.index
        has_outcomes = group.made or group.dropped or group.every_failure
        if not has_outcomes and not group.usage:
            continue
        try:
            write_and_settle(context, group)
        except (StoreError, LedgerError) as error:
            lost[index] = error
            records += group.made
        else:
            saved = RowGroupSaved(
                group.status.group,
                group.made,
                group.failed,
                group.replayed,
                group.carried_over,
                group.dropped,
                len(group.samples),
            )
            context.observer(saved)
            total = counted(len(group.status.remaining), "record")
            message = (
                f"row group {group.status.group.key}: {group.made} of {total} saved"
            )
            context.observer(Notice(message))
    if lost:
        first, *_ = lost.values()
        unsaved = counted(records, "finished record")
        message = f"row groups {format_ranges([*lost])}: {unsaved} not saved: {first}"
        context.observer(Notice(message))


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to show for a group: the first of ours, else the first."""
    leaves: list[BaseException] = []
    todo: list[BaseException] = [errors]
    while todo:
        error = todo.pop(0)
        if isinstance(error, BaseExceptionGroup):
            todo.extend(error.exceptions)
        else:
            leaves.append(error)
    for error in leaves:
        if isinstance(error, SdgError):
            return error
    return leaves[0]
