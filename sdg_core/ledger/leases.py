"""Leases that a run holds: acquired in the ledger, renewed by a thread while the run works, released with the file."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sdg_core.counts import counted
from sdg_core.errors import ClaimedError, LedgerError
from sdg_core.ledger import claims as leases
from sdg_core.ledger.claims import REMEDY, WHOLE, Claim, Claims
from sdg_core.ledger.database import Ledger
from sdg_core.system.commit_guard import CommitGuard
from sdg_core.system.failpoints import failpoint


class LeaseKeeper:
    """The claims that a run holds, renewed by a thread as long as the block lasts, then given back.

    on_error: told, in that thread, what keeps claims from being renewed: ClaimLostError, or another LedgerError that may pass.
    strict: ask the ledger at every publishing. Otherwise a lease that is half full will do, which spares small row groups without
    models, the same whichever run makes them, a transaction each.
    """

    def __init__(
        self,
        claims: Claims,
        *,
        on_error: Callable[[LedgerError], None],
        strict: bool = True,
    ) -> None:
        self._claims = claims
        self._on_error = on_error
        self._strict = strict
        self._held: dict[str, Claim] = {}
        self._done: list[Claim] = []
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(
            target=self._renew, name="sdg-claims", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()
        try:
            self.release([*self._held])
            self._release_done()
        except LedgerError as unreleased:  # they run out by themselves
            self._on_error(unreleased)

    def acquire(self, wanted: Sequence[str]) -> list[Claim]:
        """Take what is free; returns the claims that stand in the way of the rest."""
        self._release_done()
        mine, others = self._claims.acquire_free(wanted)
        with self._lock:
            for claim in mine:
                self._held[claim.unit] = claim
        failpoint("claim.after_take")
        return others

    def others(self, units: Sequence[str]) -> dict[str, Claim]:
        """The claims that stand in the way, by unit."""
        return self._claims.others(units)

    def owns(self, unit: str) -> bool:
        """Whether a unit is in hand."""
        return unit in self._held

    @contextmanager
    def commit_guard(self, *units: str, release: bool = False) -> Iterator[None]:
        """Publish files of units, or nothing if the claim of one is lost (ClaimLostError). release: give them back, too."""
        claims = [self._held[unit] for unit in units]
        if not self._strict and all(map(self._claims.is_safe, claims)):
            yield
            if release:
                self._done += self._forget(units)
            return
        with self._claims.commit_guard(*claims, release=release):
            yield
        if release:
            self._forget(units)

    def release(self, units: Sequence[str]) -> None:
        """Give claims back, as far as they are in hand."""
        self._claims.release(*self._forget(units))

    def _forget(self, units: Sequence[str]) -> list[Claim]:
        with self._lock:
            held = [self._held.pop(unit, None) for unit in units]
        return [claim for claim in held if claim is not None]

    def _release_done(self) -> None:
        with self._lock:
            done = self._done
            self._done = []
        self._claims.release(*done)

    def _renew(self) -> None:
        while not self._end.wait(leases.LEASE / 3):
            with self._lock:
                held = [*self._held.values()]
            try:
                self._release_done()
                renewed = self._claims.renew(held)
            except LedgerError as error:
                self._on_error(error)
                continue
            with self._lock:
                for claim in renewed:
                    if claim.unit in self._held:
                        self._held[claim.unit] = claim


def claimed_error(others: Sequence[Claim]) -> ClaimedError:
    """Of units that other runs hold: names the first and counts the rest."""
    first, *more = others
    message = str(first)
    if more:
        message += f", and {counted(len(more), f'more {first.kind}', 'are')} held"
    return ClaimedError(message, remedy=REMEDY)


@contextmanager
def whole_version(
    ledger: Ledger, *, dataset: str, version: str, action: str, kind: str
) -> Iterator[CommitGuard]:
    """Keep every run out of a version while the block works on it; yields what to publish its result in.

    action: what the holder does, in a word, for those who are kept out. kind: what messages
    call a unit of it. Raises ClaimedError, naming the run that is at work.
    """
    claims = Claims(
        ledger,
        dataset=dataset,
        version=version,
        run_id=uuid.uuid4().hex,
        action=action,
        kind=kind,
    )
    with LeaseKeeper(
        claims, on_error=lambda error: None
    ) as held:  # publishing finds out what an error means
        others = held.acquire([WHOLE])
        if others:
            raise claimed_error(others)
        yield lambda: held.commit_guard(WHOLE)
