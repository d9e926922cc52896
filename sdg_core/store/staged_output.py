"""An output of several files that counts as a whole: built beside its place and switched in, where the storage can do that."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sdg_core.store.access import storage_of
from sdg_core.store.objects import StorePath
from sdg_core.store.storage import StagedFile, StagedOutput
from sdg_core.system.commit_guard import CommitGuard

__all__ = ["StagedFile", "StagedOutput", "new_output"]


@contextmanager
def new_output(
    target: StorePath, *, commit_guard: CommitGuard = nullcontext
) -> Iterator[StagedOutput]:
    """An output that replaces the one at `target` when the block ends well, within `commit_guard`. Raises StoreError."""
    with storage_of(target).staged_output(commit_guard) as output:
        yield output
