"""The ledger of a dataset's root: opening it, and the history of runs in it.

History informs and decides nothing, so a run whose history cannot be written goes on, and says so.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sdg_core.dataset.handle import Dataset, existing_version
from sdg_core.errors import LedgerError
from sdg_core.ledger.database import Ledger, open_ledger
from sdg_core.ledger.history import RunRecord, recent_runs
from sdg_core.ledger.leases import whole_version
from sdg_core.ledger.queries import open_existing_ledger
from sdg_core.store.layout import is_remote, ledger_directory
from sdg_core.store.objects import StorePath
from sdg_core.system import environment_variables
from sdg_core.system.commit_guard import CommitGuard

LEDGER_VARIABLE = environment_variables.LEDGER_URL.name
"""Environment variable with the SQLAlchemy URL of the ledger; SQLite below the root without it."""
RUNS_REPORTED = 50


@contextmanager
def open_ledger_for(root: StorePath, *, env: Mapping[str, str]) -> Iterator[Ledger]:
    """The ledger of a root, made if it is not there, open while the block lasts. Raises LedgerError."""
    ledger = open_ledger(env.get(LEDGER_VARIABLE), root=ledger_directory(root, env=env))
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def exclusive_access(dataset: Dataset, *, action: str) -> Iterator[CommitGuard]:
    """Keep every run out of the version of a dataset while the block works on it; yields what to publish its result in.

    What the version holds is to be read inside the block. Raises IncompleteError if there is none, ClaimedError, LedgerError.
    """
    version = existing_version(dataset).layout.name
    with (
        open_ledger_for(dataset.layout.root, env=dataset.env) as ledger,
        whole_version(
            ledger,
            dataset=dataset.name,
            version=version,
            action=action,
            kind=dataset.layout.UNIT,
        ) as commit_guard,
    ):
        yield commit_guard


def ledger_notices(root: StorePath, env: Mapping[str, str]) -> list[str]:
    """What people should know about where the ledger lies."""
    if not is_remote(root) or env.get(LEDGER_VARIABLE):
        return []
    where = ledger_directory(root, env=env)
    return [
        f"the ledger of {root} is a file on this machine, below {where}: claims and saved replies are "
        f"not visible to other machines; set {LEDGER_VARIABLE} to a Postgres URL if other machines use this root"
    ]


@contextmanager
def open_ledger_readonly(dataset: Dataset) -> Iterator[Ledger | None]:
    """The ledger of a dataset's root, None if nobody has made one yet. Raises LedgerError."""
    directory = ledger_directory(dataset.layout.root, env=dataset.env)
    ledger = open_existing_ledger(dataset.env.get(LEDGER_VARIABLE), directory=directory)
    try:
        yield ledger
    finally:
        if ledger is not None:
            ledger.close()


def runs_to_report(dataset: Dataset) -> tuple[list[RunRecord], str | None]:
    """The runs that a report lists, newest first; none, and the reason, where the ledger cannot be read."""
    try:
        return latest_runs(dataset, at_most=RUNS_REPORTED), None
    except LedgerError as error:
        return [], error.message


def latest_runs(dataset: Dataset, *, at_most: int) -> list[RunRecord]:
    """The latest runs of a dataset, newest first; none before the first run. Raises LedgerError."""
    with open_ledger_readonly(dataset) as ledger:
        return (
            recent_runs(ledger, dataset=dataset.name, at_most=at_most)
            if ledger is not None
            else []
        )
