"""The ledger of a dataset's root: opening it, and the history of runs in it.

History informs and decides nothing, so a run whose history cannot be written goes on, and says so.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sdg_core.errors import LedgerError, RefusedError, RunStoppedError, SdgError
from sdg_core.execution.claiming import whole_version
from sdg_core.execution.dataset import Dataset, existing_version
from sdg_core.execution.events import Notice
from sdg_core.execution.summary import Tally
from sdg_core.ledger.database import Ledger, open_ledger
from sdg_core.ledger.history import record_end, record_start
from sdg_core.store.atomic import Publishing
from sdg_core.store.layout import is_remote, ledger_directory
from sdg_core.store.objects import StorePath

LEDGER_VARIABLE = "SDG_LEDGER_URL"
"""Environment variable with the SQLAlchemy URL of the ledger; SQLite below the root without it."""


@contextmanager
def ledger_of(root: StorePath, *, env: Mapping[str, str]) -> Iterator[Ledger]:
    """The ledger of a root, made if it is not there, open while the block lasts. Raises LedgerError."""
    ledger = open_ledger(env.get(LEDGER_VARIABLE), root=ledger_directory(root, env=env))
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def alone(dataset: Dataset, *, action: str) -> Iterator[Publishing]:
    """Keep every run out of the version of a dataset while the block works on it; yields what to publish its result in.

    What the version holds is to be read inside the block. Raises IncompleteError if it was not begun, ClaimedError, LedgerError.
    """
    version = existing_version(dataset).layout.name
    with (
        ledger_of(dataset.layout.root, env=dataset.env) as ledger,
        whole_version(ledger, dataset=dataset.name, version=version, action=action) as publishing,
    ):
        yield publishing


def ledger_notices(root: StorePath, env: Mapping[str, str]) -> list[str]:
    """What people should know about where the ledger lies."""
    if not is_remote(root) or env.get(LEDGER_VARIABLE):
        return []
    where = ledger_directory(root, env=env)
    return [
        f"the ledger of {root} is a file on this machine, below {where}: claims and saved replies do not reach other machines; "
        f"set {LEDGER_VARIABLE} to a Postgres URL if others work on this root"
    ]


@contextmanager
def in_history(ledger: Ledger, *, run_id: str, dataset: str, version: str, resume: str, tally: Tally) -> Iterator[None]:
    """Keep a record of the run that the block is, however it ends."""

    def end(outcome: str, message: str | None) -> None:
        counts = tally.counts()
        note(
            lambda: record_end(ledger, run_id=run_id, dataset=dataset, outcome=outcome, counts=counts, message=message)
        )

    def note(write: Callable[[], None]) -> None:
        try:
            write()
        except LedgerError as error:
            tally(Notice(f"the history of runs lacks this one: {error.message}"))

    note(lambda: record_start(ledger, run_id=run_id, dataset=dataset, version=version, resume=resume))
    try:
        yield
    except BaseException as error:
        end(_outcome(error), str(error) if isinstance(error, SdgError) else f"{type(error).__name__}: {error}")
        raise
    end("failed_records" if tally.counts()["failed"] else "done", tally.first_failure)


def _outcome(error: BaseException) -> str:
    match error:
        case RunStoppedError():
            return "stopped"
        case RefusedError():
            return "refused"
        case asyncio.CancelledError() | KeyboardInterrupt():
            return "interrupted"
        case _:
            return "failed"
