"""The claims of a run while it works: taken when row groups are about to be opened, renewed meanwhile, given back with the file.

A run claims what it is going to make, not what it adopts, as many row groups at once as it is about to open, so that runs on
several machines share the work; where no model is asked, a batch at a time, because claims would cost more than the rows. What
others hold comes last: the run waits for it, or refuses before it makes anything (`run.when_claimed`). After taking a row group,
its file and the seal are read again: another run may have been there.
"""

import asyncio
import threading
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from sdg_core.errors import ClaimedError, ClaimLostError, CorruptFileError, LedgerError
from sdg_core.execution.events import Notice, Observer
from sdg_core.execution.group import as_a_whole
from sdg_core.ledger import claims as leases
from sdg_core.ledger.claims import REMEDY, WHOLE, Claim, Claims
from sdg_core.ledger.database import Ledger
from sdg_core.plan.compile import DatasetPlan
from sdg_core.plan.row_groups import format_ranges
from sdg_core.points import reach
from sdg_core.store.atomic import Publishing
from sdg_core.store.footers import Found
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import read_metadata
from sdg_core.store.row_groups import read_footer
from sdg_core.store.state import RowGroupState, RowGroupStatus, classify
from sdg_core.store.versions import Version, check_generation_allowed

AT_ONCE = 64
"""Row groups claimed at once at most, and where no model is asked."""
POLL = 0.5
"""Seconds between two looks at whether a claim has become free."""


class HeldClaims:
    """The claims that a run holds, renewed by a thread as long as the block lasts, then given back.

    on_trouble: told, in that thread, what keeps claims from being renewed: ClaimLostError, or another LedgerError that may pass.
    strict: ask the ledger at every publishing. Otherwise a lease that is half full will do, which spares small row groups without
    models, the same whoever makes them, a transaction each.
    """

    def __init__(self, claims: Claims, *, on_trouble: Callable[[LedgerError], None], strict: bool = True) -> None:
        self._claims, self._on_trouble, self._strict = claims, on_trouble, strict
        self._held: dict[int, Claim] = {}
        self._done: list[Claim] = []
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="sdg-claims", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        try:
            self.give_back([*self._held])
            self._release_done()
        except LedgerError as trouble:  # they run out by themselves
            self._on_trouble(trouble)

    def take(self, wanted: Sequence[int]) -> list[Claim]:
        """Take what is free; returns the claims that stand in the way of the rest."""
        self._release_done()
        mine, others = self._claims.take(wanted)
        with self._lock:
            self._held.update({claim.row_group: claim for claim in mine})
        reach("claim.after_take")
        return others

    def others(self, row_groups: Sequence[int]) -> dict[int, Claim]:
        """The claims that stand in the way, by row group."""
        return self._claims.others(row_groups)

    def holds(self, row_group: int) -> bool:
        """Whether a row group is in hand."""
        return row_group in self._held

    @contextmanager
    def publishing(self, row_group: int, *, release: bool = False) -> Iterator[None]:
        """Publish a file of a row group, or nothing if its claim is lost (ClaimLostError); `release` gives it back, too."""
        claim = self._held[row_group]
        if not self._strict and self._claims.is_safe(claim):
            yield
            if release:
                self._done += self._forget([row_group])
            return
        with self._claims.publishing(claim, release=release):
            yield
        if release:
            self._forget([row_group])

    def give_back(self, row_groups: Sequence[int]) -> None:
        """Give claims back, as far as they are in hand."""
        self._claims.release(*self._forget(row_groups))

    def _forget(self, row_groups: Sequence[int]) -> list[Claim]:
        with self._lock:
            return [claim for number in row_groups if (claim := self._held.pop(number, None)) is not None]

    def _release_done(self) -> None:
        with self._lock:
            done, self._done = self._done, []
        self._claims.release(*done)

    def _renew(self) -> None:
        while not self._end.wait(leases.LEASE / 3):
            with self._lock:
                held = [*self._held.values()]
            try:
                self._release_done()
                renewed = self._claims.renew(held)
            except LedgerError as trouble:
                self._on_trouble(trouble)
                continue
            with self._lock:
                self._held.update({c.row_group: c for c in renewed if c.row_group in self._held})


class ClaimedWork:
    """Hands out row groups in order, each with its claim in hand; complete ones, which need none, as they are.

    window: how many records are in flight at once. on_wait: called each time before the run waits for others.
    """

    def __init__(
        self,
        work: Sequence[RowGroupStatus],
        held: HeldClaims | None,
        *,
        plan: DatasetPlan,
        version: VersionLayout,
        observer: Observer,
        window: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self._todo, self._held, self._plan, self._version = deque(work), held, plan, version
        self._tell, self._sleep, self._on_wait = observer, sleep, on_wait
        self._ready: deque[RowGroupStatus] = deque()
        self._waiting: dict[int, RowGroupStatus] = {}
        self._named: set[str] = set()
        self._refuses = plan.config.run.when_claimed == "refuse"
        at_once = max(1, min(AT_ONCE, window // plan.config.row_group_size)) if plan.models else AT_ONCE
        self._at_once = len(work) if self._refuses else at_once

    async def next(self) -> RowGroupStatus | None:
        """The next row group, None after the last. Raises ClaimedError, SealedError, ForeignFileError, LedgerError."""
        while not self._ready:
            if self._todo:
                await self._take([self._todo.popleft() for _ in range(min(self._at_once, len(self._todo)))])
            elif self._waiting:
                await self._wait()
            else:
                return None
        return self._ready.popleft()

    async def _take(self, batch: Sequence[RowGroupStatus]) -> None:
        held, wanted = self._held, [status.group.index for status in batch if _to_make(status)]
        others = await asyncio.to_thread(held.take, wanted) if wanted and held is not None else []
        if others and self._refuses:
            raise _claimed(others)
        self._name(others)
        mine = [status for status in batch if _to_make(status) and self._is_mine(status)]
        fresh = await asyncio.to_thread(self._look_again, mine) if mine and held is not None else batch
        seen = {status.group.index: status for status in fresh}
        for status in batch:
            if not _to_make(status) or self._is_mine(status):
                self._ready.append(seen.get(status.group.index, status))
            else:
                self._waiting[status.group.index] = status
        if held is not None:
            held.give_back([status.group.index for status in fresh if not _to_make(status)])

    def _is_mine(self, status: RowGroupStatus) -> bool:
        return self._held is None or self._held.holds(status.group.index)

    def _name(self, others: Sequence[Claim]) -> None:
        """Say who holds what, once for each holder."""
        for other in others:
            if other.holder not in self._named:
                self._named.add(other.holder)
                self._tell(Notice(f"{other}; doing the rest first, then waiting for it"))

    async def _wait(self) -> None:
        """Take some of what others have given back; if there is nothing, wait a moment."""
        assert self._held is not None
        others = await asyncio.to_thread(self._held.others, [*self._waiting])
        free = [status for index, status in self._waiting.items() if index not in others][: self._at_once]
        if not free:
            self._on_wait()
            self._name([*others.values()])
            await self._sleep(POLL)
            return
        for status in free:
            del self._waiting[status.group.index]
        self._tell(Notice(f"row groups {format_ranges([s.group.index for s in free])} are free: going on"))
        await self._take(free)

    def _look_again(self, statuses: Sequence[RowGroupStatus]) -> list[RowGroupStatus]:
        """What is on disk of row groups now that they are claimed."""
        metadata = read_metadata(self._version.metadata)
        if metadata.sealed:
            check_generation_allowed(Version(self._version, metadata), self._plan)
        return [self._now(status) for status in statuses]

    def _now(self, status: RowGroupStatus) -> RowGroupStatus:
        path, plan = self._version.row_group(status.group.index), self._plan
        found: Found = None
        try:
            if path.exists():
                found = read_footer(path)
        except CorruptFileError as error:
            found = error  # a foreign file, which is not ours to touch, ends the run
        now = classify(
            status.group,
            found,
            dataset=plan.config.name,
            config_hash=plan.fingerprint.config_hash,
            in_earlier_version=status.state is RowGroupState.STALE,
        )
        return as_a_whole(now, plan)


def _claimed(others: Sequence[Claim]) -> ClaimedError:
    more = f"; so are {len(others) - 1} more row groups" if len(others) > 1 else ""
    return ClaimedError(f"{others[0]}{more}", remedy=REMEDY)


def _to_make(status: RowGroupStatus) -> bool:
    return status.state is not RowGroupState.COMPLETE


def on_trouble_in(
    loop: asyncio.AbstractEventLoop, *, lost: "asyncio.Future[None]", observer: Observer
) -> Callable[[LedgerError], None]:
    """What a run does about claims that cannot be renewed: it ends if they are lost, and says so if that may yet pass."""

    def in_loop(trouble: LedgerError) -> None:
        if not isinstance(trouble, ClaimLostError):
            observer(Notice(f"claims could not be renewed, trying again: {trouble.message}"))
        elif not lost.done():
            lost.set_exception(trouble)

    return lambda trouble: _call(loop, in_loop, trouble)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[LedgerError], None], trouble: LedgerError) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, trouble)


@contextmanager
def whole_version(ledger: Ledger, *, dataset: str, version: str, action: str) -> Iterator[Publishing]:
    """Keep every run out of a version while the block works on it; yields what to publish its result in.

    action: what the holder does, in a word, for those who are kept out. Raises ClaimedError, naming the run that is at work.
    """
    claims = Claims(ledger, dataset=dataset, version=version, run_id=uuid.uuid4().hex, action=action)
    with HeldClaims(claims, on_trouble=lambda trouble: None) as held:  # publishing finds out what a trouble means
        others = held.take([WHOLE])
        if others:
            raise _claimed(others)
        yield lambda: held.publishing(WHOLE)
