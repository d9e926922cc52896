"""The run's entry in the history of runs."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sdg_core.dataset.events import Notice
from sdg_core.errors import LedgerError, RefusedError, RunAbortedError, SdgError
from sdg_core.execution.summary import RunCounter
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.history import record_end, record_start


@contextmanager
def in_history(
    ledger: Ledger,
    *,
    run_id: str,
    dataset: str,
    version: str,
    resume: str,
    counter: RunCounter,
) -> Iterator[None]:
    """Keep a record of the run that the block is, however it ends."""

    def end(outcome: str, message: str | None) -> None:
        counts = counter.counts()
        note(
            lambda: record_end(
                ledger,
                run_id=run_id,
                dataset=dataset,
                outcome=outcome,
                counts=counts,
                message=message,
            )
        )

    def note(write: Callable[[], None]) -> None:
        try:
            write()
        except LedgerError as error:
            counter(
                Notice(f"this run could not be added to the history: {error.message}")
            )

    note(
        lambda: record_start(
            ledger, run_id=run_id, dataset=dataset, version=version, resume=resume
        )
    )
    try:
        yield
    except BaseException as error:
        message = str(error)
        if not isinstance(error, SdgError):
            message = f"{type(error).__name__}: {message}"
        end(_outcome(error), message)
        raise
    outcome = "failed_records" if counter.counts()["failed"] else "done"
    end(outcome, counter.first_failure)


def _outcome(error: BaseException) -> str:
    match error:
        case RunAbortedError():
            return "stopped"
        case RefusedError():
            return "refused"
        case asyncio.CancelledError() | KeyboardInterrupt():
            return "interrupted"
        case _:
            return "failed"
