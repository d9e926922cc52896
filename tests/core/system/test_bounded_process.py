"""A process for work that may not end: it answers, it is ended, and it ends by itself if nobody is left to end it."""

import os
import select
import signal
import subprocess
import sys

import pytest

from sdg_core.system.bounded_process import (
    Answer,
    BoundedProcess,
    WorkEndedError,
    shared_pool,
)
from tests.support.requirements import PATIENCE
from tests.support.sdg import PROJECT


def double(request: int, ask: Answer) -> int:
    return request * int(ask({"by": "what"}))


def hang(request: int, ask: Answer) -> None:
    while True:
        pass


STARTS_AND_DIES = f"""
import os
from sdg_core.system.bounded_process import BoundedProcess
process = BoundedProcess("{__name__}:hang", seconds=0.1)
child = process._running().pid
print(child, flush=True)
process._process.stdin.write(b'{{"request": 1, "length": 0}}\\n')
process._process.stdin.flush()
os.kill(os.getpid(), 9)
"""


def test_it_answers_and_asks_back() -> None:
    process = BoundedProcess(f"{__name__}:double", seconds=PATIENCE)
    assert [process.call(number, answer=lambda _: 2) for number in (1, 4)] == [2, 8]
    process.close()


def test_work_that_takes_too_long_is_ended() -> None:
    process = BoundedProcess(f"{__name__}:hang", seconds=0.5)
    with pytest.raises(WorkEndedError, match="too long"):
        process.call(1, answer=lambda _: None)


@pytest.mark.skipif(
    not hasattr(os, "pidfd_open"),
    reason="waits for a process that is not its child by a Linux pidfd",
)
def test_it_ends_by_itself_after_its_owner_was_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_AND_DIES], stdout=subprocess.PIPE, cwd=PROJECT
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        try:
            child = os.pidfd_open(pid)
        except ProcessLookupError:  # it has ended already
            return
    assert owner.returncode == -signal.SIGKILL
    ended, _, _ = select.select([child], [], [], PATIENCE)
    os.close(child)
    assert ended


def test_a_pool_is_shared_and_asks_back() -> None:
    function = f"{__name__}:double"
    pool = shared_pool(function, seconds=PATIENCE)
    try:
        assert shared_pool(function, seconds=PATIENCE) is pool
        assert pool.call(4, answer=lambda _: 2) == 8
    finally:
        pool.close()
