"""Claims: one holder at a time, leases that run out, and nobody publishes over a successor."""

import subprocess
import sys
import threading
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from sdg_core.errors import ClaimedError, ClaimLostError
from sdg_core.ledger.claims import LEASE, Claims
from sdg_core.ledger.database import Ledger, open_ledger
from sdg_core.plan.row_groups import row_group_key


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def version() -> str:
    return uuid.uuid4().hex[:12]


def claims_of(ledger: Ledger, run: str, *, version: str, clock: Clock) -> Claims:
    return Claims(ledger, dataset="d", version=version, run_id=run, clock=clock)


def test_a_row_group_has_one_holder_who_is_named(
    ledger: Ledger, clock: Clock, version: str
) -> None:
    first = claims_of(ledger, "first-run", version=version, clock=clock)
    second = claims_of(ledger, "second-run", version=version, clock=clock)
    claim = first.acquire("00003")
    with pytest.raises(
        ClaimedError,
        match=r"row group 00003 is held by run first-ru \(process \d+ on .+\)",
    ):
        second.acquire("00003")
    second.acquire("00004")
    first.release(claim)
    assert second.acquire("00003").token == claim.token + 1


def test_a_run_may_take_its_own_row_group_again(
    ledger: Ledger, clock: Clock, version: str
) -> None:
    run = claims_of(ledger, "run", version=version, clock=clock)
    assert [run.acquire("00000").token, run.acquire("00000").token] == [1, 2]


def test_a_lease_runs_out_unless_it_is_renewed(
    ledger: Ledger, clock: Clock, version: str
) -> None:
    first = claims_of(ledger, "first", version=version, clock=clock)
    second = claims_of(ledger, "second", version=version, clock=clock)
    kept, left = first.acquire("00000"), first.acquire("00001")
    clock.now += LEASE / 2
    first.renew([kept])
    clock.now += LEASE / 2 + 1
    with pytest.raises(ClaimedError):
        second.acquire("00000")
    assert second.acquire("00001").token == left.token + 1


def test_a_zombie_cannot_publish_over_its_successor(
    ledger: Ledger, clock: Clock, version: str
) -> None:
    zombie = claims_of(ledger, "zombie", version=version, clock=clock)
    heir = claims_of(ledger, "heir", version=version, clock=clock)
    old = zombie.acquire("00000")
    clock.now += LEASE + 1
    new = heir.acquire("00000")
    published = []
    with pytest.raises(ClaimLostError, match="taken over"), zombie.commit_guard(old):
        published.append("zombie")
    with pytest.raises(ClaimLostError):
        zombie.renew([old])
    zombie.release(old)
    with heir.commit_guard(new):
        published.append("heir")
    assert published == ["heir"]


def test_nobody_takes_over_while_a_holder_publishes(
    ledger: Ledger, clock: Clock, version: str
) -> None:
    holder = claims_of(ledger, "holder", version=version, clock=clock)
    claim = holder.acquire("00000")
    clock.now += LEASE + 1
    order: list[str] = []
    taken = threading.Event()

    def take_over() -> None:
        with pytest.raises(ClaimedError):
            claims_of(ledger, "other", version=version, clock=clock).acquire("00000")
        order.append("refused")
        taken.set()

    thread = threading.Thread(target=take_over)
    with holder.commit_guard(claim):
        thread.start()
        assert not taken.wait(0.2)
        order.append("published")
    thread.join()
    assert order == ["published", "refused"]


@pytest.mark.xdist_group("postgres")
def test_a_slow_publishing_keeps_no_other_claim_from_being_renewed(
    postgres_url: str, tmp_path: Path, clock: Clock, version: str
) -> None:
    with closing(open_ledger(postgres_url, root=tmp_path)) as ledger:
        holder = claims_of(ledger, "holder", version=version, clock=clock)
        slow, other = holder.acquire_free(["00000", "00001"])[0]
        with holder.commit_guard(slow):
            clock.now += LEASE / 2
            renewed = holder.renew([slow, other])
        assert [claim.unit for claim in renewed] == ["00001"] and renewed[
            0
        ].expires_at == clock.now + LEASE
        clock.now += LEASE / 2 + 1
        heir = claims_of(ledger, "heir", version=version, clock=clock)
        assert [claim.unit for claim in heir.acquire_free(["00000", "00001"])[0]] == [
            "00000"
        ], "whose last renewal was its publishing"


def test_racing_runs_get_one_winner_each_time(
    ledger: Ledger, clock: Clock, version: str
) -> None:
    winners: dict[str, list[str]] = {row_group_key(index): [] for index in range(20)}
    barrier = threading.Barrier(4)

    def race(run: str) -> None:
        mine = claims_of(ledger, run, version=version, clock=clock)
        barrier.wait()
        for unit in winners:
            try:
                mine.acquire(unit)
            except ClaimedError:
                continue
            winners[unit].append(run)

    threads = [
        threading.Thread(target=race, args=(f"{number}-run",)) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(names) == 1 for names in winners.values())


_CHILD = """
import sys
from pathlib import Path
from sdg_core.ledger.claims import Claims
from sdg_core.ledger.database import open_ledger

claims = Claims(open_ledger(sys.argv[2] or None, root=Path(sys.argv[1])), dataset="d", version=sys.argv[3], run_id="child")
claims.acquire('00000')
print("taken", flush=True)
sys.stdin.read()
"""


def test_the_claim_of_a_dead_process_of_this_machine_is_free_at_once(
    ledger_url: str | None, tmp_path: Path, version: str
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(tmp_path), ledger_url or "", version],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdout.readline() == "taken\n"
    ledger = open_ledger(ledger_url, root=tmp_path)
    claims = Claims(ledger, dataset="d", version=version, run_id="parent")
    with pytest.raises(ClaimedError):
        claims.acquire("00000")
    child.kill()
    child.communicate()
    assert claims.acquire("00000").token == 2
    ledger.close()
