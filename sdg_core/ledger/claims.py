"""Claims: one run works on a row group, or on a partition of a pipeline, at a time, on one machine or on many; and one process
alone on a whole version.

A claim is a lease. Its holder renews it; when the holder dies, the lease runs out, or, on the same machine, the dead process is
noticed at once. Every taking-over counts up a token, and publishing happens inside a transaction that checks it (`publishing`),
so a holder that was thought dead and comes back cannot publish over its successor.

The claim of a whole version (`WHOLE`) and those of its units exclude each other: a run that takes one looks at the other in
the same transaction, and takes from those whose lease has run out the right to come back.

Leases are judged by each machine's own clock. Clocks that differ by more than a lease cost work done twice, never data: tokens
decide who publishes.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sdg_core.errors import ClaimedError, ClaimLostError
from sdg_core.ledger.connection import Connection, Row, one_of
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.tables import claims
from sdg_core.plan.row_groups import format_ranges
from sdg_core.system.processes import is_dead, this_process

LEASE = 60.0
"""Seconds that a claim lasts without being renewed."""
WHOLE = "version"
"""The unit that is the whole version."""
INDEX = "index"
"""The unit that is the index of the version's files, which running runs keep up to date in turn."""
COUNTS = "counts"
"""The unit that is the version's counts, which a run brings up to date when it ends."""
_NAMED = {
    WHOLE: "this version",
    INDEX: "the index of this version",
    COUNTS: "the counts of this version",
}
_MINE = "dataset = :dataset AND version = :version"
_SET_EXPIRY = f"UPDATE claims SET expires_at = :expires_at WHERE {_MINE} AND unit = :unit AND token = :token"
_REVOKE = (
    f"UPDATE claims SET token = :token, expires_at = 0.0 WHERE {_MINE} AND unit = :unit"
)
_ACQUIRE = (
    "UPDATE claims SET holder = :holder, host = :host, pid = :pid, token = :token, taken_at = :taken_at, "
    f"expires_at = :expires_at WHERE {_MINE} AND unit = :unit"
)
REMEDY = "wait for it to finish, or stop it; the claim of a dead run expires on its own"


@dataclass(frozen=True)
class Claim:
    """A unit in the hands of a run. `holder` is for people; `token` counts how often the claim has changed hands. kind: what
    people call a unit of this version."""

    unit: str
    holder: str
    token: int
    expires_at: float
    taken_at: float = 0.0
    kind: str = "row group"

    def __str__(self) -> str:
        what = _NAMED.get(self.unit, f"{self.kind} {self.unit}")
        since, until = (
            datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S")
            for moment in (self.taken_at, self.expires_at)
        )
        return f"{what} is held by {self.holder}, since {since} and at least until {until} UTC"


class Claims:
    """The claims of one run on one version of a dataset, or of a pipeline. `clock` is wall time in seconds since 1970. kind: what
    messages call a unit."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        dataset: str,
        version: str,
        run_id: str,
        action: str = "run",
        kind: str = "row group",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._kind = kind
        self._clock = clock
        self._process = this_process()
        self._key = {"dataset": dataset, "version": version}
        self.holder = f"{action} {run_id[:8]} (process {self._process.pid} on {self._process.host})"

    def acquire(self, unit: str) -> Claim:
        """Take a unit. Raises ClaimedError, naming the holder, if another live run has it."""
        mine, others = self.acquire_free([unit])
        if others:
            raise ClaimedError(str(others[0]), remedy=REMEDY)
        return mine[0]

    def acquire_free(self, wanted: Sequence[str]) -> tuple[list[Claim], list[Claim]]:
        """Take what is free of some units, or of `[WHOLE]`. Returns the claims taken and those that keep from the rest.

        Where the whole version is held, that claim stands once for everything that was asked for.
        """
        free: list[str] = []
        with self._transaction() as connection:
            if WHOLE in wanted:
                rows = self._locked_rows(connection, wanted, every=True)
                obstacles = [row for row in rows.values() if self._blocks(row)]
                if not obstacles:
                    free = [WHOLE]
                    excluded = [row for unit, row in rows.items() if unit != WHOLE]
                    self._revoke_expired(connection, excluded)
            else:
                rows = self._locked_rows(connection, wanted)
                whole = rows[WHOLE]
                if self._blocks(whole):
                    obstacles = [whole]
                else:
                    obstacles = [
                        rows[unit]
                        for unit in sorted(wanted)
                        if self._blocks(rows[unit])
                    ]
                    held = {row["unit"] for row in obstacles}
                    free = [unit for unit in wanted if unit not in held]
                    self._revoke_expired(connection, [whole])
            now = self._clock()
            mine = []
            for unit in free:
                token = rows[unit]["token"] + 1
                mine.append(
                    Claim(unit, self.holder, token, now + LEASE, now, self._kind)
                )
            connection.change_many(_ACQUIRE, [self._values(claim) for claim in mine])
        return mine, [self._of(row) for row in obstacles]

    def others(self, units: Iterable[str]) -> dict[str, Claim]:
        """Which of some units another live run holds; takes no lock. A held version stands for all of them."""
        wanted = set(units)
        query = f"SELECT * FROM claims WHERE {_MINE} AND expires_at > 0 ORDER BY unit"
        with self._ledger.reading() as connection:
            rows = connection.execute(query, self._key)
        live = [self._of(row) for row in rows if self._blocks(row)]
        by_unit = {claim.unit: claim for claim in live}
        if WHOLE in by_unit:
            return dict.fromkeys(sorted(wanted), by_unit[WHOLE])
        return {unit: claim for unit, claim in by_unit.items() if unit in wanted}

    def renew(self, held: Sequence[Claim]) -> list[Claim]:
        """Make claims last another lease; returns them as they are then. Raises ClaimLostError if somebody else has taken one of
        them over; the others are renewed all the same.

        A claim whose row is locked is left for the next time: it is being published, which renews it too, or looked at. If
        this waited for it, a store that takes its time with one row group would cost the run all the others.
        """
        if not held:
            return []
        expires = self._clock() + LEASE
        query = f"SELECT unit, token FROM claims WHERE {_MINE} AND holder = :holder ORDER BY unit"
        mine = {**self._key, "holder": self.holder}
        with self._transaction() as connection:
            still = {
                (row["unit"], row["token"]) for row in connection.execute(query, mine)
            }
            lost = [
                claim.unit for claim in held if (claim.unit, claim.token) not in still
            ]
            rows = connection.execute(query + connection.for_update_of_free, mine)
            free = {(row["unit"], row["token"]) for row in rows}
            kept = [claim for claim in held if (claim.unit, claim.token) in free]
            self._expire(connection, kept, at=expires)
        if lost:
            raise self._lost(lost)
        return [replace(claim, expires_at=expires) for claim in kept]

    def is_safe(self, claim: Claim) -> bool:
        """Whether half of a lease is still ahead, so that nobody can have taken the claim over, as far as clocks go."""
        return claim.expires_at - self._clock() > LEASE / 2

    @contextmanager
    def commit_guard(self, *held: Claim, release: bool = False) -> Iterator[None]:
        """Hold the rows of some claims locked while the block publishes. Raises ClaimLostError, before the block, if one is lost.

        release: give the claims back with it.
        """
        with self._transaction() as connection:
            expires = 0.0 if release else self._clock() + LEASE
            # nobody waits in a circle
            ordered = sorted(held, key=lambda claim: claim.unit)
            lost = []
            for claim in ordered:
                changed = connection.change(
                    _SET_EXPIRY, self._expiry(claim, at=expires)
                )
                if changed != 1:
                    lost.append(claim.unit)
            if lost:
                raise self._lost(lost)
            yield

    def release(self, *held: Claim) -> None:
        """Give claims back, unless they are lost. Tokens stay, so that they keep counting up."""
        if not held:
            return
        with self._transaction() as connection:
            self._expire(connection, held, at=0.0)

    def _transaction(self) -> Any:
        """Claims of a SQLite ledger concern live processes of one machine; they need not survive its power cut."""
        return self._ledger.transaction("write", durable=False)

    def _locked_rows(
        self, connection: Connection, wanted: Sequence[str], *, every: bool = False
    ) -> dict[str, Row]:
        """The rows of some claims and of the whole version, made if they are not there, locked until the transaction ends.

        Locks are taken in the order of units, so that nobody waits in a circle. A run that wants a row group shares the lock
        on the whole version's row with others who do.
        """
        units = sorted({WHOLE, *wanted})
        among, named = one_of("unit", units)
        query = f"SELECT unit FROM claims WHERE {_MINE} AND unit IN {among}"
        present = {
            row["unit"] for row in connection.execute(query, {**self._key, **named})
        }
        missing = [Claim(unit, "", 0, 0.0) for unit in units if unit not in present]
        connection.insert_missing(claims, [self._values(claim) for claim in missing])
        lock = connection.for_update if WHOLE in wanted else connection.for_share
        whole = f"SELECT * FROM claims WHERE {_MINE} AND unit = '{WHOLE}'{lock}"
        found = [*connection.execute(whole, self._key)]
        rest = f"SELECT * FROM claims WHERE {_MINE} AND unit <> '{WHOLE}'"
        if every:
            found += connection.execute(
                f"{rest} ORDER BY unit{connection.for_update}", self._key
            )
        else:
            rest = f"{rest} AND unit IN {among} ORDER BY unit{connection.for_update}"
            found += connection.execute(rest, {**self._key, **named})
        return {row["unit"]: row for row in found}

    def _expire(
        self, connection: Connection, held: Sequence[Claim], *, at: float
    ) -> None:
        ordered = sorted(held, key=lambda claim: claim.unit)
        changes = [self._expiry(claim, at=at) for claim in ordered]
        connection.change_many(_SET_EXPIRY, changes)

    def _expiry(self, claim: Claim, *, at: float) -> dict[str, str | int | float]:
        return {**self._key, "unit": claim.unit, "token": claim.token, "expires_at": at}

    def _revoke_expired(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Who let a lease run out on what is now excluded must not come back."""
        for row in rows:
            if row["expires_at"] > 0 and row["holder"] != self.holder:
                connection.change(
                    _REVOKE,
                    {**self._key, "unit": row["unit"], "token": row["token"] + 1},
                )

    def _blocks(self, row: Row) -> bool:
        if row["holder"] == self.holder or row["expires_at"] <= self._clock():
            return False
        return not is_dead(host=row["host"], pid=row["pid"])

    def _of(self, row: Row) -> Claim:
        return Claim(
            row["unit"],
            row["holder"],
            row["token"],
            row["expires_at"],
            row["taken_at"],
            self._kind,
        )

    def _values(self, claim: Claim) -> dict[str, str | int | float]:
        return {
            **self._key,
            "unit": claim.unit,
            "holder": claim.holder,
            "token": claim.token,
            "taken_at": claim.taken_at,
            "expires_at": claim.expires_at,
            "host": self._process.identity,
            "pid": self._process.pid,
        }

    def _lost(self, units: Sequence[str]) -> ClaimLostError:
        named = [_NAMED[unit] for unit in units if unit in _NAMED]
        numbers = [int(unit) for unit in units if unit not in _NAMED]
        if numbers:
            plural = "" if len(numbers) == 1 else "s"
            named.append(f"{self._kind}{plural} {format_ranges(numbers)}")
        return ClaimLostError(
            f"{' and '.join(named)}: taken over by another run while this one appeared dead",
            remedy="this run published nothing there; run again to resume",
        )
