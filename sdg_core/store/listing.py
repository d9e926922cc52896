"""Looking at what is stored: listings with stamps, and the ends of files."""

from sdg_core.store.access import storage_of
from sdg_core.store.objects import StorePath
from sdg_core.store.storage import StoredFile


def list_files(directory: StorePath, *, after: str | None = None) -> list[StoredFile]:
    """The files directly in a directory, none if it does not exist; an object store leaves out those not after `after`.

    Raises OSError.
    """
    return storage_of(directory).list_files(after=after)


def directory_names(directory: StorePath) -> list[str]:
    """Names of the directories directly in a directory; none if it does not exist. Raises OSError."""
    return storage_of(directory).directory_names()


def read_end(path: StorePath, count: int) -> tuple[bytes, int]:
    """The last `count` bytes of a file (all, if it has fewer), and its size. Raises OSError."""
    return storage_of(path).read_end(count)
