"""Storage in an object store: a file is put as a whole, which is the switch; there are no temporaries.

What has to be read, changed and written back is put on the condition that nobody else has written it meanwhile.
"""

import errno
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa

from sdg_core.store.bucket import ONE_PUT, ObjectStoreError
from sdg_core.store.objects import ObjectPath, StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.storage import StoredFile, publishing
from sdg_core.store.temporaries import temporary_name
from sdg_core.system.commit_guard import CommitGuard
from sdg_core.system.failpoints import failpoint

_IN_MEMORY = 64 * 2**20
"""Bytes of a file on its way to an object store that are held in memory; a larger one waits in a temporary file."""
_LAST_RANK = 2
_PAUSE = 0.005
"""Seconds that a writer steps back at most after the first refusal, twice as much after each further one."""
_REFUSALS = 8
"""Conditional puts on one and the same etag after which a store is known not to understand them."""
_NO_CONDITIONS = (
    "use a store that supports If-Match and If-None-Match: without them, two runs could "
    "undo each other's changes"
)


class ObjectStorage:
    """An object, or a prefix, of a bucket."""

    is_remote = True
    concurrent_reads = 16
    """64 processes that look at once come to the 1,024 requests that a Ceph gateway takes; more are told to slow down."""

    def __init__(self, path: ObjectPath) -> None:
        self._path = path

    def pending_file(self) -> "_PendingObject":
        """Content that waits to be put."""
        return _PendingObject(self._path)

    @contextmanager
    def open_atomic(self, commit_guard: CommitGuard) -> Iterator[IO[bytes]]:
        """Collect the content, then put it."""
        with publishing(self.pending_file(), commit_guard) as file:
            yield file
        failpoint("file.after_directory_sync")

    def read_modify_write(
        self, change: Callable[[bytes | None], bytes | None]
    ) -> bytes | None:
        """Put on the condition that the object is still what was read; read again where it is not."""
        path = self._path
        refusals: Counter[str | None] = Counter()
        while True:
            old, etag = self._read()
            new = change(old)
            if new is None:
                return old
            # Some stores compare etags without their quotation marks, so an etag is given with and without them in turn.
            asked = etag.strip('"') if etag is not None and refusals[etag] % 2 else etag
            try:
                path.bucket.put_if(path.key, new, etag=asked)
            except FileExistsError:
                refusals[etag] += 1
                if refusals[etag] == _REFUSALS:
                    raise ObjectStoreError(
                        errno.EIO,
                        "the store does not support conditional puts",
                        _NO_CONDITIONS,
                    ) from None
                time.sleep(random.uniform(0, _PAUSE * 2 ** refusals[etag]))
            else:
                return new

    def _read(self) -> tuple[bytes | None, str | None]:
        try:
            return self._path.bucket.get(self._path.key)
        except FileNotFoundError:
            return None, None

    def remove_directory(self) -> None:
        """Remove objects in an order in which a crash leaves nothing that looks complete."""
        bucket = self._path.bucket
        keys = [found.key for found in bucket.walk(self._path.key)]
        for rank in range(_LAST_RANK + 1):
            of_rank = [key for key in keys if _removal_rank(key) == rank]
            bucket.delete(of_rank)

    def move(self, target: StorePath) -> None:
        """Copy, then delete."""
        assert isinstance(target, ObjectPath)
        self._path.bucket.copy(self._path.key, target.key)
        self._path.bucket.delete([self._path.key])

    def check_writable(self) -> None:
        """Put an object and delete it."""
        probe = self._path / temporary_name("probe")
        _put(probe, b"\0" * 4096)
        probe.bucket.delete([probe.key])

    def sync(self) -> None:
        """Nothing to do: a put that has been answered is durable."""

    def list_files(self, *, after: str | None) -> list[StoredFile]:
        """The objects below the prefix whose name sorts after `after`."""
        prefix = self._path.key
        key = f"{prefix}/{after}" if after is not None else None
        files = []
        for found in self._path.bucket.walk(prefix, after=key):
            name = found.key.rpartition("/")[2]
            files.append(StoredFile(name, f"{found.etag}-{found.size}"))
        return files

    def directory_names(self) -> list[str]:
        """The prefixes directly below."""
        return [
            key.rpartition("/")[2]
            for key in self._path.bucket.children(self._path.key)[0]
        ]

    def read_end(self, count: int) -> tuple[bytes, int]:
        """One request for a suffix."""
        return self._path.bucket.get_end(self._path.key, count)

    def parquet_source(self) -> Any:
        """The whole object in memory: row groups are small, and one request is faster than several ranges."""
        return pa.BufferReader(self._path.read_bytes())

    def total_size(self) -> int:
        """As the listing says."""
        return sum(found.size for found in self._path.bucket.walk(self._path.key))

    @contextmanager
    def staged_output(self, commit_guard: CommitGuard) -> Iterator["_StagedObjects"]:
        """Objects are put where they belong; what an earlier output left is removed at the end.

        The output counts only when something else (`metadata.json`) says that it is complete. Readers look there first.
        """
        output = _StagedObjects(self._path)
        yield output
        with commit_guard(), store_errors("clean", self._path):
            prefix = f"{self._path.key}/"
            keys = [found.key for found in self._path.bucket.walk(self._path.key)]
            left_over = [
                key for key in keys if key.removeprefix(prefix) not in output.names
            ]
            self._path.bucket.delete(left_over)


class _PendingObject:
    """The content of an object that is not put yet. Until then it need not survive a crash."""

    def __init__(self, path: ObjectPath) -> None:
        failpoint("file.before_temporary")
        self._path = path
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)

    def make_durable(self) -> None:
        """Nothing to do: the put will."""
        failpoint("file.after_temporary")

    def publish(self) -> None:
        """Put it."""
        failpoint("file.before_replace")
        _put(self._path, self.file)
        failpoint("file.after_replace")

    def discard(self) -> None:
        """Forget it."""
        self.file.close()


class _StagedObjects:
    """Objects that are put one by one."""

    def __init__(self, place: ObjectPath) -> None:
        self._place = place
        self.names: set[str] = set()

    def create(self, name: str) -> "_StagedObject":
        """Start an object."""
        self.names.add(name)
        place = self._place
        for part in name.split("/"):
            place = place / part
        return _StagedObject(place)


class _StagedObject:
    """An object on its way."""

    def __init__(self, path: ObjectPath) -> None:
        self._path = path
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)

    def finish(self) -> None:
        """Put it."""
        _put(self._path, self.file)
        self.file.close()

    def abandon(self) -> None:
        """Nothing has been put."""
        self.file.close()


def _put(path: ObjectPath, content: bytes | IO[bytes]) -> None:
    """Put an object; small files as one request."""
    if not isinstance(content, bytes):
        size = content.seek(0, os.SEEK_END)
        content.seek(0)
        content = content.read() if size <= ONE_PUT else content
    path.bucket.put(path.key, content)


def _removal_rank(key: str) -> int:
    """When an object of a version is removed, so that what a crash leaves is never mistaken for a complete version.

    Row groups go first, for a missing one is generated again; then what describes them; then the rest, which nothing
    trusts by itself.
    """
    if "/row_groups/" in key:
        return 0
    return 1 if key.endswith("/metadata.json") else _LAST_RANK
