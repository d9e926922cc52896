"""An output of several files that counts as a whole: built beside its place and switched in, where the store can do that.

On a file system the files lie in a temporary directory until one rename makes them the output. An object store has no such
rename: files are put where they belong as they are finished, what an earlier output left is removed at the end, and the output
counts only when something else (`metadata.json`) says that it is complete. Readers look there first.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO

from sdg_core.store.atomic import put_file, remove_directory, sync_directory
from sdg_core.store.objects import ObjectPath, StorePath
from sdg_core.store.os_errors import store_errors
from sdg_core.store.temporaries import temporary_name
from sdg_core.system.commit_guard import CommitGuard

_IN_MEMORY = 64 * 2**20


class OutputFile:
    """A file of an output while it is written. Either `finish` or `abandon` is called."""

    def __init__(self, path: StorePath) -> None:
        self._path = path
        self.file: IO[bytes]
        if isinstance(path, Path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = path.open("xb")
        else:
            self.file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)

    def finish(self) -> None:
        """The file is whole. Raises OSError."""
        if isinstance(self._path, ObjectPath):
            put_file(self._path, self.file)
        self.file.close()

    def abandon(self) -> None:
        """The file will not be whole."""
        self.file.close()


class Output:
    """The files of an output; names may have directories in them."""

    def __init__(self, place: StorePath) -> None:
        self._place = place
        self.names: set[str] = set()

    def create(self, name: str) -> OutputFile:
        """Begin a file. Raises OSError."""
        self.names.add(name)
        place = self._place
        for part in name.split("/"):
            place = place / part
        return OutputFile(place)


@contextmanager
def new_output(target: StorePath, *, commit_guard: CommitGuard = nullcontext) -> Iterator[Output]:
    """An output that replaces the one at `target` when the block ends well, within `publishing`. Raises StoreError."""
    if isinstance(target, ObjectPath):
        output = Output(target)
        yield output
        with commit_guard():
            _keep_only(target, output.names)
        return
    temporary = target.with_name(temporary_name(target.name))
    try:
        yield Output(temporary)
        publish_directory(temporary, target, commit_guard=commit_guard)
    finally:
        remove_directory(temporary)


def publish_directory(temporary: Path, target: Path, *, commit_guard: CommitGuard = nullcontext) -> None:
    """Switch a finished directory in by rename; a directory already there is moved aside first and removed last."""
    with store_errors("publish", target):
        for directory, _, names in os.walk(temporary):
            for name in names:
                _sync_file(Path(directory, name))
            sync_directory(Path(directory))
        aside = target.with_name(temporary_name(target.name))
        with commit_guard():
            if target.exists():
                os.rename(target, aside)
            os.rename(temporary, target)
        sync_directory(target.parent)
        if aside.exists():
            shutil.rmtree(aside)


def _keep_only(directory: ObjectPath, names: set[str]) -> None:
    """Remove what an earlier output left."""
    with store_errors("clean", directory):
        keys = [found.key for found in directory.bucket.walk(directory.key)]
        directory.bucket.delete([key for key in keys if key.removeprefix(f"{directory.key}/") not in names])


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
