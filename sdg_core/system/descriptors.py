"""Whether this process may open another file: libraries report the limit in words of their own, or in none."""

import errno
import os

REMEDY = "raise the limit of open files (`ulimit -n 65536`), or lower run.max_parallel_requests; what is done is kept"


def used_up() -> bool:
    """Whether no further file or connection can be opened right now."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False
