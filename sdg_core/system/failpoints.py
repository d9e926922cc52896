"""Named moments between two steps that make something durable. Only crash tests do anything with them.

`SDG_TEST_KILL_AT=<point>` (or `<point>:<n>`, the n-th time, from 1) makes the process end itself there as `kill -9` would.
`SDG_TEST_STOP_AT` makes it stand still there as `kill -STOP` would. Without the variables `failpoint` does nothing.
"""

import os
import signal
import threading

from sdg_core.system import environment_variables

VARIABLE = environment_variables.TEST_KILL_AT.name
STOP_VARIABLE = environment_variables.TEST_STOP_AT.name
FAILPOINTS = (
    "file.before_temporary",
    "file.after_temporary",
    "file.before_replace",
    "file.after_replace",
    "file.after_directory_sync",
    "metadata.after_write",
    "claim.after_take",
    "journal.after_commit",
    "checkpoint.after_save",
    "group.after_dropped",
    "group.before_settle",
    "group.after_settle",
    "processing.after_start",
    "processing.after_batch",
    "processing.after_decisions",
    "processing.before_publish",
    "processing.after_publish",
    "processing.after_seal",
    "reopen.after_unseal",
)
"""Every point, roughly in the order in which a run passes them."""

_signal = signal.SIGSTOP if STOP_VARIABLE in os.environ else signal.SIGKILL
_wanted, _, _count = os.environ.get(
    STOP_VARIABLE, os.environ.get(VARIABLE, "")
).partition(":")
_left = int(_count or 1)
_counting = threading.Lock()


def failpoint(point: str) -> None:
    """The process is at a point."""
    if not _wanted or point != _wanted:
        return
    global _left
    with _counting:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), _signal)
