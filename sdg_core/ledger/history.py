"""The history of runs: when, in which mode, and what became of them. For people; nothing is decided by it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from sdg_core.ledger.database import Ledger
from sdg_core.ledger.tables import runs


@dataclass(frozen=True)
class RunRecord:
    """One run. Times are seconds since 1970.

    outcome: done, failed_records, stopped, refused, interrupted or failed; None while a run is under way, or if it was killed.
    replayed: replies that were taken from the journal.
    """

    run_id: str
    version: str
    resume: str
    started_at: float
    ended_at: float | None
    outcome: str | None
    generated: int
    replayed: int
    failed: int
    adopted: int
    written: int
    message: str | None


def record_start(ledger: Ledger, *, run_id: str, dataset: str, version: str, resume: str) -> None:
    """A run begins. The same run may begin again (a retried step): its record starts afresh."""
    with ledger.transaction("write") as connection:
        connection.execute(runs.delete().where(runs.c.run_id == run_id, runs.c.dataset == dataset))
        values = {"run_id": run_id, "dataset": dataset, "version": version, "resume": resume}
        connection.execute(runs.insert().values(**values, started_at=time.time()))


def record_end(
    ledger: Ledger, *, run_id: str, dataset: str, outcome: str, counts: Mapping[str, int], message: str | None
) -> None:
    """A run ends, however it ends. `counts` has generated, replayed, failed, adopted and written."""
    with ledger.transaction("write") as connection:
        values = {"ended_at": time.time(), "outcome": outcome, "message": message, **counts}
        this = (runs.c.run_id == run_id, runs.c.dataset == dataset)
        connection.execute(runs.update().where(*this).values(**values))


def recent_runs(ledger: Ledger, *, dataset: str, at_most: int = 10) -> list[RunRecord]:
    """The latest runs of a dataset, newest first."""
    wanted = sa.select(runs).where(runs.c.dataset == dataset).order_by(runs.c.started_at.desc()).limit(at_most)
    with ledger.reading() as connection:
        rows = connection.execute(wanted).mappings().all()
    return [RunRecord(**{name: row[name] for name in RunRecord.__dataclass_fields__}) for row in rows]
