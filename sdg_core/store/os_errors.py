"""Errors of the operating system and of object stores, as StoreError with a remedy."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sdg_core.errors import StoreError
from sdg_core.store.bucket import ObjectStoreError
from sdg_core.store.objects import StorePath

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space and run the same command again; finished files are kept",
    errno.EDQUOT: "the disk quota is used up: free some space and run the same command again; finished files are kept",
    errno.EFBIG: "the file would exceed a size limit of this system; use a smaller row_group_size",
    errno.EACCES: "grant write permission, or choose another root (--root, or SDG_ROOT)",
    errno.EPERM: "grant write permission, or choose another root (--root, or SDG_ROOT)",
    errno.EROFS: "the file system is read-only: choose another root (--root, or SDG_ROOT)",
    errno.ENOTDIR: "a file is in the place of a directory: choose another root (--root, or SDG_ROOT)",
    errno.EEXIST: "a file is in the place of a directory: choose another root (--root, or SDG_ROOT)",
}


@contextmanager
def store_errors(action: str, path: StorePath) -> Iterator[None]:
    """Turn an OSError into a StoreError with the attempted action, the path, the cause and the remedy."""
    try:
        yield
    except ObjectStoreError as error:
        raise StoreError(
            f"cannot {action} {path}: {error.strerror}", remedy=error.remedy
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(
            f"cannot {action} {path}: {reason}", remedy=_REMEDIES.get(error.errno or 0)
        ) from error
