"""What differs between kinds of storage, as one protocol with two implementations.

Everything else in the store is written once, on top of this: `sdg_core.store.atomic` for files that appear whole,
`sdg_core.store.staged_output` for outputs of several files, `sdg_core.store.listing` for reading. A further kind of
storage is a further implementation and a line in `sdg_core.store.access`; `tests/contracts/test_store.py` holds them to
this page.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol

from sdg_core.store.objects import StorePath
from sdg_core.system.commit_guard import CommitGuard


@dataclass(frozen=True)
class StoredFile:
    """A file of a listing. `stamp` changes whenever the content does."""

    name: str
    stamp: str


class PendingFile(Protocol):
    """A file on its way to its path: written, made durable, then published; or discarded, which after publishing does nothing.
    Methods raise OSError."""

    file: IO[bytes]

    def make_durable(self) -> None:
        """The content is whole: whatever happens to the machine, it can be published now."""

    def publish(self) -> None:
        """Make it visible. Lasting once its directory is synced."""

    def discard(self) -> None:
        """Remove what has not been published."""


@contextmanager
def publishing(pending: PendingFile, commit_guard: CommitGuard) -> Iterator[IO[bytes]]:
    """Let a file be written, make it durable and publish it within `commit_guard`; whatever fails, nothing of it is left."""
    try:
        yield pending.file
        pending.make_durable()
        with commit_guard():
            pending.publish()
    finally:
        pending.discard()


class StagedFile(Protocol):
    """A file of a staged output while it is written. Either `finish` or `abandon` is called."""

    file: IO[bytes]

    def finish(self) -> None:
        """The file is complete: make it part of the output. Raises OSError."""

    def abandon(self) -> None:
        """The file will never be complete."""


class StagedOutput(Protocol):
    """An output of several files that is being written."""

    def create(self, name: str) -> StagedFile:
        """Start a file; `name` may have directories in it. Raises OSError."""


class Storage(Protocol):
    """One path in its storage. Methods raise OSError unless they say otherwise.

    is_remote: other machines may use it at the same time. concurrent_reads: how many small reads are worth doing
    at once; on a file system threads only slow each other down.
    """

    is_remote: bool
    concurrent_reads: int

    def pending_file(self) -> PendingFile:
        """A file that is to appear under the path, together with others (`sdg_core.store.publish_files`)."""

    def open_atomic(
        self, commit_guard: CommitGuard
    ) -> AbstractContextManager[IO[bytes]]:
        """A binary file that appears under the path, within `commit_guard`, when the block ends well, and not otherwise."""

    def read_modify_write(
        self, change: Callable[[bytes | None], bytes | None]
    ) -> bytes | None:
        """Change a file with no other writer in between (`sdg_core.store.atomic.read_modify_write`)."""

    def remove_directory(self) -> None:
        """Remove everything below the path so that a crash never leaves what looks complete."""

    def move(self, target: StorePath) -> None:
        """Move the file to a path of the same storage."""

    def check_writable(self) -> None:
        """Create the directory and write a file in it, then remove the file."""

    def sync(self) -> None:
        """Make renames in the directory durable."""

    def list_files(self, *, after: str | None) -> list[StoredFile]:
        """The files directly in the directory; a storage that can do so leaves out names that do not sort after `after`."""

    def directory_names(self) -> list[str]:
        """Names of the directories directly in the directory."""

    def read_end(self, count: int) -> tuple[bytes, int]:
        """The last `count` bytes of the file, and its size."""

    def parquet_source(self) -> Any:
        """What `pyarrow.parquet.ParquetFile` reads the file from."""

    def total_size(self) -> int:
        """Bytes of all files below the directory, also while some of them come and go."""

    def staged_output(
        self, commit_guard: CommitGuard
    ) -> AbstractContextManager[StagedOutput]:
        """An output that replaces the one at the path when the block ends well. Raises StoreError."""
