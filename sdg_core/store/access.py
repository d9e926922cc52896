"""Which storage a path is in: the one place that tells the kinds of path apart."""

from sdg_core.store.local_storage import LocalStorage
from sdg_core.store.object_storage import ObjectStorage
from sdg_core.store.objects import ObjectPath, StorePath
from sdg_core.store.storage import Storage


def storage_of(path: StorePath) -> Storage:
    """How the storage of a path does what differs between storages."""
    if isinstance(path, ObjectPath):
        return ObjectStorage(path)
    return LocalStorage(path)
