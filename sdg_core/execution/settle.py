"""What the outcome of a record means for its group and for the run's budget: the same in a run, a preview and a pipeline."""

from sdg_core.dataset.events import RecordsSettled
from sdg_core.execution.cells import FailedRecord, MadeRecord, WaitingRecord
from sdg_core.execution.open_row_group import OpenGroup
from sdg_core.execution.stop_rules import FailureBudget


def settle_record(
    group: OpenGroup,
    position: int,
    outcome: MadeRecord | FailedRecord | WaitingRecord,
    *,
    budget: FailureBudget,
    now: float,
) -> RecordsSettled:
    """Note the outcome of one record in one phase. now: seconds of the budget's clock.

    Returns what observers may be told. A record is made when it has its last cell; where rows are selected, when it is judged.
    """
    match outcome:
        case MadeRecord():
            group.settle(
                position, outcome.cells, outcome.skipped, rejected=outcome.rejected
            )
            budget.cells_made(now, whole=group.last_phase)
            is_whole = group.last_phase and group.selection is None
            return RecordsSettled(made=int(is_whole), failed=0)
        case FailedRecord():
            budget.record_failed(group.fail(position, outcome.column, outcome.error))
            return RecordsSettled(made=0, failed=1)
        case WaitingRecord():
            group.wait(position)
            budget.reply_deferred(now)
            return RecordsSettled(made=0, failed=0, waiting=1)
