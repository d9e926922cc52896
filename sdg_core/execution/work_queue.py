"""The claims of a run while it works: taken when row groups are about to be opened, renewed meanwhile, given back with the file.

A run claims what it is going to make, not what it adopts, as many row groups at once as it is about to open, so that runs on
several machines share the work; where no model is asked, a batch at a time, because claims would cost more than the rows. What
others hold comes last: the run waits for it, or refuses before it makes anything (`run.when_claimed`). After taking a row group,
its file and the seal are read again: another run may have been there.
"""

import asyncio
from collections.abc import Callable, Sequence

from sdg_core.dataset.events import Notice, Observer
from sdg_core.dataset.resume import check_generation_allowed
from sdg_core.errors import ClaimLostError, CorruptFileError, LedgerError
from sdg_core.execution.open_row_group import expand_to_whole_group
from sdg_core.ledger.claims import Claim
from sdg_core.ledger.leases import LeaseKeeper, claimed_error
from sdg_core.plan.dataset_plan import DatasetPlan
from sdg_core.plan.row_groups import format_ranges, row_group_key
from sdg_core.store.footer_index import FooterOrError
from sdg_core.store.layout import VersionLayout
from sdg_core.store.metadata import read_metadata
from sdg_core.store.row_group_state import RowGroupState, RowGroupStatus, classify
from sdg_core.store.row_groups import read_footer, unless_absent
from sdg_core.store.versions import Version

BATCH_SIZE = 64
"""Row groups claimed at once at most, and where no model is asked."""
POLL = 0.5
"""Seconds between two looks at whether a claim has become free."""


class WorkQueue:
    """Takes row groups in hand, as `RunState` asks for them. Complete ones need no claim. Without `held` there are no others."""

    def __init__(
        self,
        work: Sequence[RowGroupStatus],
        held: LeaseKeeper | None,
        *,
        plan: DatasetPlan,
        version: VersionLayout,
        observer: Observer,
    ) -> None:
        self._work = {status.group.index: status for status in work}
        self._held = held
        self._plan = plan
        self._version = version
        self._notify = observer
        self._named: set[str] = set()
        self._refuses = plan.config.run.when_claimed == "refuse"

    def batch_size(self, window: int) -> int:
        """How many row groups to claim at once, where so many records are in flight."""
        if self._refuses:
            return max(1, len(self._work))
        if not self._plan.models:
            return BATCH_SIZE
        return max(1, min(BATCH_SIZE, window // self._plan.config.row_group_size))

    async def acquire(self, indices: Sequence[int]) -> dict[int, RowGroupStatus]:
        """Those row groups that are in hand now, or complete, as they are on disk; others have the rest.

        Raises ClaimedError, SealedError, UnrecognizedFileError, LedgerError.
        """
        batch = [self._work[index] for index in indices]
        held = self._held
        wanted = [status for status in batch if _to_make(status)]
        if held is None or not wanted:
            return {status.group.index: status for status in batch}
        keys = [status.group.key for status in wanted]
        others = await asyncio.to_thread(held.acquire, keys)
        if others and self._refuses:
            raise claimed_error(others)
        self._name(others)
        mine = [status for status in wanted if held.owns(status.group.key)]
        fresh: Sequence[RowGroupStatus] = []
        if mine:
            fresh = await asyncio.to_thread(self._look_again, mine)
        held.release([status.group.key for status in fresh if not _to_make(status)])
        in_hand = {status.group.index for status in mine}
        found = {}
        for status in (*batch, *fresh):
            index = status.group.index
            if index in in_hand or not _to_make(status):
                found[index] = status
        return found

    async def free(self, indices: Sequence[int]) -> list[int]:
        """Those row groups that others no longer have. Raises LedgerError."""
        assert self._held is not None
        keys = [row_group_key(index) for index in indices]
        others = await asyncio.to_thread(self._held.others, keys)
        free = [
            index for index, key in zip(indices, keys, strict=True) if key not in others
        ]
        if free:
            self._notify(
                Notice(f"row groups {format_ranges(free)} are free again: continuing")
            )
        else:
            self._name([*others.values()])
        return free

    def _name(self, others: Sequence[Claim]) -> None:
        """Say who holds what, once for each holder."""
        for other in others:
            if other.holder not in self._named:
                self._named.add(other.holder)
                self._notify(
                    Notice(f"{other}; working on the rest first, then waiting for it")
                )

    def _look_again(self, statuses: Sequence[RowGroupStatus]) -> list[RowGroupStatus]:
        """What is on disk of row groups now that they are claimed."""
        metadata = read_metadata(self._version.metadata)
        if metadata.sealed:
            check_generation_allowed(Version(self._version, metadata), self._plan)
        return [self._now(status) for status in statuses]

    def _now(self, status: RowGroupStatus) -> RowGroupStatus:
        path = self._version.row_group(status.group.index)
        plan = self._plan
        found: FooterOrError = None
        try:
            found = unless_absent(read_footer, path)
        except CorruptFileError as error:
            found = error  # a foreign file, which is not ours to touch, ends the run
        now = classify(
            status.group,
            found,
            dataset=plan.config.name,
            config_hash=plan.fingerprint.config_hash,
            in_earlier_version=status.state is RowGroupState.STALE,
        )
        return expand_to_whole_group(now, plan)


def _to_make(status: RowGroupStatus) -> bool:
    return status.state is not RowGroupState.COMPLETE


def on_lease_error(
    loop: asyncio.AbstractEventLoop, *, lost: "asyncio.Future[None]", observer: Observer
) -> Callable[[LedgerError], None]:
    """What a run does about claims that cannot be renewed: it ends if they are lost, and says so if that may yet pass."""

    def in_loop(error: LedgerError) -> None:
        if not isinstance(error, ClaimLostError):
            observer(
                Notice(f"claims could not be renewed, trying again: {error.message}")
            )
        elif not lost.done():
            lost.set_exception(error)

    return lambda error: _call(loop, in_loop, error)


def _call(
    loop: asyncio.AbstractEventLoop,
    function: Callable[[LedgerError], None],
    error: LedgerError,
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function, error)
