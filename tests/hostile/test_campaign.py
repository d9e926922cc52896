"""The campaign of hostile inputs (`tests.hostile.campaign`), with `SDG_LONG=1`.

Every input ends within its time and memory, with exit status 0, 1 or 2, a message that names a place, no secret in any output
or file, no control character, no record twice. `python -m tests.hostile.campaign` runs it by hand and prints the counts.
"""

from pathlib import Path

import pytest

from tests.hostile.campaign import replies, store_faults
from tests.hostile.campaign.commands import Runner
from tests.hostile.campaign.inputs import KINDS, cases
from tests.hostile.campaign.recorder import recording
from tests.hostile.campaign.scoreboard import Scoreboard

pytestmark = pytest.mark.long


@pytest.mark.parametrize("seed", range(1, 4))
def test_commands_on_hostile_files(tmp_path: Path, seed: int) -> None:
    scoreboard = Scoreboard()
    runner = Runner(tmp_path, scoreboard, keep=True)
    with recording():
        runner.run(
            [case for kind in KINDS for case in cases(kind, KINDS[kind][1], seed=seed)]
        )
    assert scoreboard.failures() == {}, scoreboard.table()
    assert {*scoreboard.counts} == {*KINDS}


@pytest.mark.parametrize("kind", replies.KINDS)
@pytest.mark.parametrize("seed", range(32))
def test_runs_whose_first_replies_are_changed(
    tmp_path: Path, kind: str, seed: int
) -> None:
    assert replies.faults_of_run(kind, f"{kind} {seed}", tmp_path, 160) == []


@pytest.mark.parametrize("room", store_faults.ROOMS, ids=str)
def test_disks_that_are_full(tmp_path: Path, room: str) -> None:
    assert store_faults.faults_of_full_disk(tmp_path, room) == []


@pytest.mark.parametrize("seed", range(40))
def test_runs_that_race(tmp_path: Path, seed: int) -> None:
    assert store_faults.faults_of_race(tmp_path, seed) == []
