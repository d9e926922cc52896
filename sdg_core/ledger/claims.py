"""Claims: one run works on a row group at a time, on one machine or on many.

A claim is a lease. Its holder renews it; when the holder dies, the lease runs out, or, on the same machine, the dead process is
noticed at once. Every taking-over counts up a token, and publishing happens inside a transaction that checks it (`publishing`),
so a holder that was thought dead and comes back cannot publish over its successor.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from sdg_core.errors import ClaimedError, ClaimLostError
from sdg_core.ledger.database import Ledger
from sdg_core.ledger.tables import claims

LEASE = 60.0
"""Seconds that a claim lasts without being renewed."""


@dataclass(frozen=True)
class Claim:
    """A row group in the hands of a run. `holder` is for people; `token` counts how often the claim has changed hands."""

    row_group: int
    holder: str
    token: int
    expires_at: float

    def __str__(self) -> str:
        until = datetime.fromtimestamp(self.expires_at, UTC).strftime("%H:%M:%S UTC")
        return f"row group {self.row_group:05d} is held by {self.holder}, at least until {until}"


class Claims:
    """The claims of one run on one version of a dataset. `clock` is wall time in seconds since 1970."""

    def __init__(
        self, ledger: Ledger, *, dataset: str, version: str, run_id: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger, self._clock = ledger, clock
        self._host, self._pid = socket.gethostname(), os.getpid()
        self._key = {"dataset": dataset, "version": version}
        self.holder = f"run {run_id[:8]} (process {self._pid} on {self._host})"

    def acquire(self, row_group: int) -> Claim:
        """Take a row group. Raises ClaimedError, naming the holder, if another live run has it."""
        now = self._clock()
        with self._ledger.transaction("write") as connection:
            row = self._locked_row(connection, row_group)
            if row.holder != self.holder and row.expires_at > now and not self._is_dead(row.host, row.pid):
                held = Claim(row_group, row.holder, row.token, row.expires_at)
                raise ClaimedError(str(held), remedy="let it finish, or stop it; a dead run's claim runs out by itself")
            claim = Claim(row_group, self.holder, row.token + 1, now + LEASE)
            connection.execute(claims.update().where(*self._where(row_group)).values(**self._mine(claim)))
            return claim

    def _locked_row(self, connection: sa.Connection, row_group: int) -> Any:
        """The claim's row, made if it is not there, locked until the transaction ends."""
        wanted = sa.select(claims).where(*self._where(row_group)).with_for_update()
        row = connection.execute(wanted).one_or_none()
        if row is not None:
            return row
        try:
            with connection.begin_nested():
                nobody = self._mine(Claim(row_group, "", 0, 0.0))
                connection.execute(claims.insert().values(row_group=row_group, **self._key, **nobody))
        except IntegrityError:
            pass  # another run made it first
        return connection.execute(wanted).one()

    def renew(self, held: Sequence[Claim]) -> None:
        """Make claims last another lease. Raises ClaimLostError for one that somebody else has taken over."""
        expires = self._clock() + LEASE
        with self._ledger.transaction("write") as connection:
            for claim in held:
                self._touch(connection, claim, expires)

    @contextmanager
    def publishing(self, claim: Claim) -> Iterator[None]:
        """Hold the claim's row locked while the block publishes. Raises ClaimLostError, before the block, if it is lost."""
        with self._ledger.transaction("write") as connection:
            self._touch(connection, claim, self._clock() + LEASE)
            yield

    def release(self, claim: Claim) -> None:
        """Give a row group back. The token stays, so that it keeps counting up."""
        with self._ledger.transaction("write") as connection:
            connection.execute(
                claims.update()
                .where(*self._where(claim.row_group), claims.c.token == claim.token)
                .values(expires_at=0.0)
            )

    def _touch(self, connection: sa.Connection, claim: Claim, expires: float) -> None:
        change = claims.update().where(*self._where(claim.row_group), claims.c.token == claim.token)
        if connection.execute(change.values(expires_at=expires)).rowcount != 1:
            raise ClaimLostError(
                f"row group {claim.row_group:05d} was taken over by another run while this one seemed dead",
                remedy="nothing of it was published here; run again to go on",
            )

    def _where(self, row_group: int) -> tuple[sa.ColumnElement[bool], ...]:
        return (*(claims.c[name] == value for name, value in self._key.items()), claims.c.row_group == row_group)

    def _mine(self, claim: Claim) -> dict[str, str | int | float]:
        return {
            "holder": claim.holder,
            "host": self._host,
            "pid": self._pid,
            "token": claim.token,
            "expires_at": claim.expires_at,
        }

    def _is_dead(self, host: str, pid: int) -> bool:
        """Whether the process is known to be gone; a process of another machine never is."""
        if host != self._host:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False
