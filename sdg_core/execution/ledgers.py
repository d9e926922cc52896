"""The ledger of a dataset where it is only looked at: nothing is made if there is none."""

from collections.abc import Iterator
from contextlib import contextmanager

from sdg_core.execution.bookkeeping import LEDGER_VARIABLE
from sdg_core.execution.dataset import Dataset
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.history import RunRecord, recent_runs
from sdg_core.ledger.holdings import open_existing_ledger
from sdg_core.store.layout import ledger_directory


@contextmanager
def existing_ledger(dataset: Dataset) -> Iterator[Ledger | None]:
    """The ledger of a dataset's root, None if nobody has made one yet. Raises LedgerError."""
    directory = ledger_directory(dataset.layout.root, env=dataset.env)
    ledger = open_existing_ledger(dataset.env.get(LEDGER_VARIABLE), directory=directory)
    try:
        yield ledger
    finally:
        if ledger is not None:
            ledger.close()


def latest_runs(dataset: Dataset, *, at_most: int) -> list[RunRecord]:
    """The latest runs of a dataset, newest first; none before the first run. Raises LedgerError."""
    with existing_ledger(dataset) as ledger:
        return recent_runs(ledger, dataset=dataset.name, at_most=at_most) if ledger is not None else []
