"""Claims: one run works on a row group at a time, on one machine or on many; and one process alone on a whole version.

A claim is a lease. Its holder renews it; when the holder dies, the lease runs out, or, on the same machine, the dead process is
noticed at once. Every taking-over counts up a token, and publishing happens inside a transaction that checks it (`publishing`),
so a holder that was thought dead and comes back cannot publish over its successor.

The claim of a whole version (`WHOLE`) and those of its row groups exclude each other: a run that takes one looks at the other in
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

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from sdg_core.errors import ClaimedError, ClaimLostError
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.tables import claims
from sdg_core.plan.row_groups import format_ranges
from sdg_core.system.processes import is_dead, this_process

LEASE = 60.0
"""Seconds that a claim lasts without being renewed."""
WHOLE = -1
"""Stands for the whole version where a row group is asked for."""
REMEDY = "let it finish, or stop it; the claim of a dead run runs out by itself"


@dataclass(frozen=True)
class Claim:
    """A row group in the hands of a run. `holder` is for people; `token` counts how often the claim has changed hands."""

    row_group: int
    holder: str
    token: int
    expires_at: float
    taken_at: float = 0.0

    def __str__(self) -> str:
        what = "this version" if self.row_group == WHOLE else f"row group {self.row_group:05d}"
        since, until = (
            datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S") for moment in (self.taken_at, self.expires_at)
        )
        return f"{what} is held by {self.holder}, since {since} and at least until {until} UTC"


class Claims:
    """The claims of one run on one version of a dataset. `clock` is wall time in seconds since 1970."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        dataset: str,
        version: str,
        run_id: str,
        action: str = "run",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._process = this_process()
        self._key = {"dataset": dataset, "version": version}
        self.holder = f"{action} {run_id[:8]} (process {self._process.pid} on {self._process.host})"

    def acquire(self, row_group: int) -> Claim:
        """Take a row group, or the whole version. Raises ClaimedError, naming the holder, if another live run has it."""
        mine, others = self.take([row_group])
        if others:
            raise ClaimedError(str(others[0]), remedy=REMEDY)
        return mine[0]

    def take(self, wanted: Sequence[int]) -> tuple[list[Claim], list[Claim]]:
        """Take what is free of some row groups, or of `[WHOLE]`. Returns the claims taken and those that keep from the rest.

        Where the whole version is held, that claim stands once for everything that was asked for.
        """
        with self._transaction() as connection:
            if WHOLE in wanted:
                rows = self._locked_rows(connection, wanted, every=True)
                obstacles = [row for row in rows.values() if self._blocks(row)]
                free: list[int] = [] if obstacles else [WHOLE]
                self._revoke_expired(
                    connection, [row for number, row in rows.items() if number != WHOLE] if free else []
                )
            else:
                rows = self._locked_rows(connection, wanted)
                obstacles = [rows[WHOLE]] if self._blocks(rows[WHOLE]) else []
                if not obstacles:
                    obstacles = [rows[number] for number in sorted(wanted) if self._blocks(rows[number])]
                    held = {row.row_group for row in obstacles}
                    free = [number for number in wanted if number not in held]
                    self._revoke_expired(connection, [rows[WHOLE]])
                else:
                    free = []
            mine = [self._claim(number, rows[number].token + 1) for number in free]
            self._write(connection, mine)
        return mine, [self._of(row) for row in obstacles]

    def others(self, row_groups: Iterable[int]) -> dict[int, Claim]:
        """Which of some row groups another live run holds; takes no lock. A held version stands for all of them."""
        wanted = set(row_groups)
        query = sa.select(claims).where(*self._mine(), claims.c.expires_at > 0).order_by(claims.c.row_group)
        with self._ledger.reading() as connection:
            live = {row.row_group: self._of(row) for row in connection.execute(query) if self._blocks(row)}
        if WHOLE in live:
            return dict.fromkeys(sorted(wanted), live[WHOLE])
        return {number: claim for number, claim in live.items() if number in wanted}

    def renew(self, held: Sequence[Claim]) -> list[Claim]:
        """Make claims last another lease; returns them as they are then. Raises ClaimLostError if somebody else has taken one of
        them over; the others are renewed all the same."""
        if not held:
            return []
        expires = self._clock() + LEASE
        query = sa.select(claims.c.row_group, claims.c.token).where(*self._mine(), claims.c.holder == self.holder)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(claims.c.row_group).with_for_update())
            still = {(row.row_group, row.token) for row in rows}
            lost = [claim.row_group for claim in held if (claim.row_group, claim.token) not in still]
            kept = [claim for claim in held if (claim.row_group, claim.token) in still]
            self._expire(connection, kept, at=expires)
        if lost:
            raise _lost(lost)
        return [replace(claim, expires_at=expires) for claim in kept]

    def is_safe(self, claim: Claim) -> bool:
        """Whether half of a lease is still ahead, so that nobody can have taken the claim over, as far as clocks go."""
        return claim.expires_at - self._clock() > LEASE / 2

    @contextmanager
    def commit_guard(self, claim: Claim, *, release: bool = False) -> Iterator[None]:
        """Hold the claim's row locked while the block publishes. Raises ClaimLostError, before the block, if it is lost.

        release: give the claim back with it.
        """
        with self._transaction() as connection:
            change = claims.update().where(*self._mine(), claims.c.row_group == claim.row_group)
            expires = 0.0 if release else self._clock() + LEASE
            if connection.execute(change.where(claims.c.token == claim.token).values(expires_at=expires)).rowcount != 1:
                raise _lost([claim.row_group])
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

    def _locked_rows(self, connection: sa.Connection, wanted: Sequence[int], *, every: bool = False) -> dict[int, Any]:
        """The rows of some claims and of the whole version, made if they are not there, locked until the transaction ends.

        Locks are taken in the order of row groups, so that nobody waits in a circle. A run that wants a row group shares the lock
        on the whole version's row with others who do.
        """
        numbers = sorted({WHOLE, *wanted})
        query = sa.select(claims).where(*self._mine()).order_by(claims.c.row_group)
        there = sa.select(claims.c.row_group).where(*self._mine(), claims.c.row_group.in_(numbers))
        self._make(connection, [n for n in numbers if n not in set(connection.execute(there).scalars())])
        whole = query.where(claims.c.row_group == WHOLE).with_for_update(read=WHOLE not in wanted)
        rest = query.where(claims.c.row_group != WHOLE).with_for_update()
        if not every:
            rest = rest.where(claims.c.row_group.in_(numbers))
        found = [*connection.execute(whole), *connection.execute(rest)]
        return {row.row_group: row for row in found}

    def _make(self, connection: sa.Connection, numbers: Sequence[int]) -> None:
        """Add rows that nobody holds; another run may be adding them, too."""
        rows = [{**self._key, **self._values(Claim(number, "", 0, 0.0))} for number in numbers]
        if not rows:
            return
        try:
            with connection.begin_nested():
                connection.execute(claims.insert(), rows)
        except IntegrityError:
            if len(rows) > 1:
                for number in numbers:
                    self._make(connection, [number])

    def _expire(self, connection: sa.Connection, held: Sequence[Claim], *, at: float) -> None:
        one = (claims.c.row_group == sa.bindparam("number"), claims.c.token == sa.bindparam("its_token"))
        ordered = [{"number": c.row_group, "its_token": c.token} for c in sorted(held, key=lambda c: c.row_group)]
        if ordered:
            connection.execute(claims.update().where(*self._mine(), *one).values(expires_at=at), ordered)

    def _write(self, connection: sa.Connection, taken: Sequence[Claim]) -> None:
        if taken:
            change = claims.update().where(*self._mine(), claims.c.row_group == sa.bindparam("number"))
            names = [name for name in self._values(taken[0]) if name != "row_group"]
            change = change.values({name: sa.bindparam(f"new_{name}") for name in names})
            values = [self._values(claim) for claim in taken]
            connection.execute(
                change,
                [{"number": row["row_group"], **{f"new_{name}": row[name] for name in names}} for row in values],
            )

    def _revoke_expired(self, connection: sa.Connection, rows: Iterable[Any]) -> None:
        """Who let a lease run out on what is now excluded must not come back."""
        for row in rows:
            if row.expires_at > 0 and row.holder != self.holder:
                change = claims.update().where(*self._mine(), claims.c.row_group == row.row_group)
                connection.execute(change.values(token=row.token + 1, expires_at=0.0))

    def _blocks(self, row: Any) -> bool:
        return bool(
            row.holder != self.holder and row.expires_at > self._clock() and not is_dead(host=row.host, pid=row.pid)
        )

    def _claim(self, row_group: int, token: int) -> Claim:
        now = self._clock()
        return Claim(row_group, self.holder, token, now + LEASE, now)

    def _of(self, row: Any) -> Claim:
        return Claim(row.row_group, row.holder, row.token, row.expires_at, row.taken_at)

    def _mine(self) -> tuple[sa.ColumnElement[bool], ...]:
        return tuple(claims.c[name] == value for name, value in self._key.items())

    def _values(self, claim: Claim) -> dict[str, str | int | float]:
        return {**vars(claim), "host": self._process.identity, "pid": self._process.pid}


def _lost(row_groups: Sequence[int]) -> ClaimLostError:
    what = "the version" if WHOLE in row_groups else f"row groups {format_ranges(row_groups)}"
    return ClaimLostError(
        f"{what}: taken over by another run while this one seemed dead",
        remedy="nothing of it was published here; run again to go on",
    )
