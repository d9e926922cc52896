"""Several files that are written, made durable and published together, whatever the storage.

A disk does several syncs in little more than the time of one, and an object store several puts. Files are whole or absent, and
become visible in order: a crash of the process leaves the first ones.
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO

from sdg_core.store.access import storage_of
from sdg_core.store.objects import StorePath
from sdg_core.store.storage import PendingFile
from sdg_core.system.commit_guard import CommitGuard
from sdg_core.system.failpoints import failpoint

_MAX_CONCURRENT = 8
"""Files that are synced, or put, side by side."""


@dataclass(frozen=True)
class NewFile:
    """A file that is to be written. write: fills it."""

    path: StorePath
    write: Callable[[IO[bytes]], None]


def publish_files(files: Sequence[NewFile], *, commit_guard: CommitGuard) -> None:
    """Write the files, switch them in within `commit_guard`, then sync each directory. Raises OSError, and what `commit_guard`
    raises; then none is visible, unless making them visible is what failed."""
    is_remote = storage_of(files[0].path).is_remote
    with ExitStack() as cleanup:
        pending: list[PendingFile] = []
        for new in files:
            one = storage_of(new.path).pending_file()
            cleanup.callback(one.discard)
            new.write(one.file)
            pending.append(one)
        pool = ThreadPoolExecutor(min(_MAX_CONCURRENT, len(files)), "sdg-write")
        threads = cleanup.enter_context(pool)
        deque(threads.map(lambda one: one.make_durable(), pending), maxlen=0)
        with commit_guard():
            if is_remote:
                deque(threads.map(lambda one: one.publish(), pending), maxlen=0)
            else:
                for one in pending:
                    one.publish()
        for directory in dict.fromkeys(new.path.parent for new in files):
            storage_of(directory).sync()
        failpoint("file.after_directory_sync")
