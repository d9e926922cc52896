"""The history of runs: when, in which mode, and what became of them. For people; nothing is decided by it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sdg_core.ledger.database import Ledger
from sdg_core.ledger.tables import runs

_COUNTS = ("generated", "replayed", "failed", "adopted", "written")


@dataclass(frozen=True)
class RunRecord:
    """One run. Times are seconds since 1970.

    outcome: done, failed_records, stopped, refused, interrupted or failed; None while the run is in progress or if it
    was killed.
    replayed: replies reused from the journal.
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


def record_start(
    ledger: Ledger, *, run_id: str, dataset: str, version: str, resume: str
) -> None:
    """A run begins. The same run may begin again (a retried step): its record starts afresh."""
    row: dict[str, Any] = {
        "run_id": run_id,
        "dataset": dataset,
        "version": version,
        "resume": resume,
    }
    row |= {
        "started_at": time.time(),
        "ended_at": None,
        "outcome": None,
        "message": None,
    }
    row |= dict.fromkeys(_COUNTS, 0)
    with ledger.transaction("write") as connection:
        connection.upsert(runs, [row])


def record_end(
    ledger: Ledger,
    *,
    run_id: str,
    dataset: str,
    outcome: str,
    counts: Mapping[str, int],
    message: str | None,
) -> None:
    """A run ends, however it ends. `counts` has generated, replayed, failed, adopted and written."""
    changed = {
        "ended_at": time.time(),
        "outcome": outcome,
        "message": message,
        **counts,
    }
    assignments = ", ".join(f"{name} = :{name}" for name in changed)
    with ledger.transaction("write") as connection:
        connection.change(
            f"UPDATE runs SET {assignments} WHERE run_id = :run_id AND dataset = :dataset",
            {**changed, "run_id": run_id, "dataset": dataset},
        )


def recent_runs(ledger: Ledger, *, dataset: str, at_most: int = 10) -> list[RunRecord]:
    """The latest runs of a dataset, newest first."""
    names = RunRecord.__dataclass_fields__.keys()
    columns = ", ".join(f"runs.{name}" for name in names)
    with ledger.reading() as connection:
        rows = connection.execute(
            f"SELECT {columns} FROM runs WHERE dataset = :dataset "
            "ORDER BY started_at DESC LIMIT :at_most",
            {"dataset": dataset, "at_most": at_most},
        )
    found = []
    for row in rows:
        values = {name: row[name] for name in names}
        found.append(RunRecord(**values))
    return found
