"""The limit of open files: libraries report it in words of their own, or in none. It is raised for a run's connections."""

import errno
import os
import sys

_OWN_FILES = 48
"""What a run opens beside its connections: the ledger, row groups, pipes of processes."""
REMEDY = "raise the limit on open files (`ulimit -n 65536`), or lower run.max_parallel_requests; finished work is kept"


def used_up() -> bool:
    """Whether no further file or connection can be opened right now."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False


def raise_limit_for(connections: int) -> int:
    """Raise the soft limit of open files as far as these connections take and the hard limit allows.

    Returns how many of them may be open at once, at least one.
    """
    if sys.platform == "win32":  # which has no such limit
        return connections
    import resource

    wanted = connections + _OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if limit > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return min(connections, max(1, limit - _OWN_FILES))
